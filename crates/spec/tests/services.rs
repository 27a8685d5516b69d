//! Specs with services: what they become, and what is said of wrong ones.

mod schema;

use twinhull_spec::{Code, Spec, parse};

const HEAD: &str = "image: {id: a, version: 1}\ntree: {dir: .}\nmodules: [app, nginx]\nservices:\n";

fn good(services: &str) -> Spec {
    parse("spec.yaml", &format!("{HEAD}{services}"), None).unwrap_or_else(|found| panic!("{found}"))
}

/// The services from line 5 on; line, column, code, part of the message, part of the hint.
type Row<'a> = (&'a str, (usize, usize, Code, &'a str, &'a str));

const WEB: &str = "  w: {template: nginx.server}\n";

fn expect(before: &str, rows: &[Row<'_>]) {
    let mut seen = Vec::new();
    for (services, (line, column, code, message, hint)) in rows {
        let text = format!("{HEAD}{before}{services}\n");
        let found = parse("spec.yaml", &text, None).expect_err(services);
        let rendered = found.render(false);
        let item = &found.items[0];
        assert_eq!(found.items.len(), 1, "{services}:\n{rendered}");
        assert_eq!((item.place.line, item.place.column), (*line, *column), "{services}:\n{rendered}");
        assert_eq!(item.code, *code, "{services}:\n{rendered}");
        assert!(item.message.contains(message), "{services}:\n{rendered}");
        assert!(item.hint.as_deref().unwrap_or_default().contains(hint), "{services}:\n{rendered}");
        seen.push((text, *code, item.message.clone()));
    }
    schema::agrees(&seen);
}

#[test]
fn shapes_and_templates() {
    use Code::*;
    expect(
        "",
        &[
            ("  a: 1", (5, 6, WrongType, "expected a mapping, found a number", "")),
            ("  a: {}", (5, 3, MissingKey, "needs the key `template`", "app.service")),
            ("  a: {template: [x]}", (5, 17, WrongType, "expected text, found a list", "")),
            (
                "  a: {template: app.servic}",
                (5, 17, NotFound, "\"app.servic\"", "did you mean `app.service`?"),
            ),
            ("  a: {template: app.daemon}", (5, 17, NotFound, "app.daemon", "`app.service`")),
            ("  a: {template: quux}", (5, 17, NotFound, "quux", "`nginx.site`")),
            (
                "  A: {template: app.service, command: [x]}",
                (5, 3, BadValue, "can't be a service's name", "small"),
            ),
            ("  a-: {template: app.service, command: [x]}", (5, 3, BadValue, "a service's name", "letters")),
            (
                "  a: {template: app.service}",
                (5, 3, MissingKey, "needs the key `command`", "/usr/bin/tgbots"),
            ),
            ("  a: {template: app.service, comand: [x]}", (5, 30, UnknownKey, "\"comand\"", "`command`")),
            (
                "  a: {template: app.service, command: [x], qqq: 1}",
                (5, 44, UnknownKey, "qqq", "`environment`"),
            ),
            ("  a: {template: app.service, command: [x], command: [y]}", (5, 44, DuplicateKey, "twice", "")),
            ("  a: &x {template: app.service, command: [x]}", (5, 6, Unsupported, "anchor", "")),
            (
                "  a: {template: nginx.server}\n  a: {template: nginx.server}",
                (6, 3, DuplicateKey, "twice", ""),
            ),
        ],
    );
}

#[test]
fn values() {
    use Code::*;
    let app = "  a: {template: app.service, command: [x], ";
    let rows: &[(&str, Row<'_>)] = &[
        ("user", ("Root", (5, 50, BadValue, "\"Root\" is not a user name", "www-data"))),
        ("user", ("", (5, 44, WrongType, "found nothing", "give it a value"))),
        ("working-folder", ("x", (5, 60, BadValue, "not an absolute path", "begin it with `/`"))),
        ("working-folder", ("/a/../b", (5, 60, BadValue, "not an absolute path", "without `..`"))),
        ("environment", ("[a]", (5, 57, WrongType, "expected a mapping of names", ""))),
        ("environment", ("{A: \"x\\ny\"}", (5, 61, BadValue, "line breaks", "one line"))),
        ("environment", ("{\"A B\": x}", (5, 58, BadValue, "not a name", ""))),
        ("environment", ("{A: [x]}", (5, 61, WrongType, "expected text, found a list", ""))),
        ("environment", ("{A: true}", (5, 61, WrongType, "expected text, found \"true\"", ""))),
        ("environment", ("{A: ghp_abcdefgh}", (5, 61, BadValue, "looks like a token", "credential"))),
        (
            "environment",
            ("{A: \"postgres://a:b@c/d\"}", (5, 61, BadValue, "looks like a password", "credential")),
        ),
        ("credentials", ("[a/b]", (5, 58, BadValue, "not the name of a credential", "dns-token"))),
        (
            "credentials",
            ("[qZ8vK2mX9pL4wR7tY1uB6nC3sD5fG0hJ]", (5, 58, BadValue, "looks like a key", "name of a")),
        ),
        ("credentials", ("token", (5, 57, WrongType, "expected a list", "write [token]"))),
        ("restart", ("alway", (5, 53, UnknownValue, "is not one of `always`", "did you mean `always`?"))),
        ("restart", ("sometimes", (5, 53, UnknownValue, "is not one of", ""))),
        ("state", ("yes", (5, 51, BadValue, "not true or false", "write true"))),
        ("state", ("1", (5, 51, WrongType, "expected true or false, found \"1\"", ""))),
        ("listen", ("[0]", (5, 53, BadValue, "\"0\" is not a port", "1 to 65535"))),
        ("listen", ("[65536]", (5, 53, BadValue, "not a port", ""))),
        ("listen", ("[http]", (5, 53, WrongType, "expected a port, found \"http\"", ""))),
        ("listen", ("8080", (5, 52, WrongType, "expected a list", "write [8080]"))),
        ("listen", ("[80, 80]", (5, 52, Conflict, "port 80 is used twice", ""))),
        ("memory-max", ("much", (5, 56, BadValue, "not a size", "512M"))),
        ("memory-max", ("-1", (5, 56, BadValue, "not a size", ""))),
        ("health", ("{a: b}", (5, 52, WrongType, "expected a list", ""))),
        ("health", ("[!t x]", (5, 53, Unsupported, "tags", ""))),
        ("health", ("*x", (5, 52, Unsupported, "aliases", "value itself"))),
    ];
    for (key, (value, want)) in rows {
        let text = format!("{app}{key}: {value}}}");
        expect("", &[(&text, *want)]);
    }
    expect(
        "",
        &[
            ("  a: {template: app.service, command: []}", (5, 39, Conflict, "needs a program", "tgbots")),
            (
                "  a: {template: app.service, command: [x], user: root}",
                (5, 50, Conflict, "doesn't run as root", "leave `user` out"),
            ),
        ],
    );
    let web = "  a: {template: nginx.server, ";
    for (rest, want) in [
        ("workers: 0}", (5, 40, WrongType, "one of `auto`, or a whole number from 1 to 512", "")),
        ("workers: [1]}", (5, 40, WrongType, "found a list", "")),
        ("connections: 1.5}", (5, 44, BadValue, "\"1.5\" is not a whole number", "")),
        ("connections: 4}", (5, 44, BadValue, "from 16 to 65535", "")),
        ("connections: '20'}", (5, 44, WrongType, "whole number", "")),
        ("listen: []}", (5, 39, Conflict, "without a port", "listen-tls")),
    ] {
        expect("", &[(&format!("{web}{rest}"), want)]);
    }
}

#[test]
fn references_and_contributions() {
    use Code::*;
    expect(
        WEB,
        &[
            ("  s: {template: nginx.site, hosts: [a.org]}", (6, 3, MissingKey, "needs the key `server`", "")),
            (
                "  s: {template: nginx.site, server: v, hosts: [a.org]}",
                (6, 37, NotFound, "no service \"v\"", "`w`"),
            ),
            (
                "  s: {template: nginx.site, server: s, hosts: [a.org]}",
                (6, 37, WrongType, "is a nginx.site", "`w` is one"),
            ),
            (
                "  s: {template: nginx.site, server: [w], hosts: [a.org]}",
                (6, 37, WrongType, "name of a service", ""),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a_b.org]}",
                (6, 48, BadValue, "not a host name", "example"),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: []}",
                (6, 47, Conflict, "no host name", "at least one"),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a.org], certificate: c}",
                (6, 69, Conflict, "without its key", "certificate-key"),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a.org], certificate: c, certificate-key: k}",
                (6, 69, Conflict, "no port for HTTPS", "listen-tls"),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a.org]}\n  t: {template: nginx.site, server: w, hosts: [b.org, a.org]}",
                (7, 47, Conflict, "\"a.org\" is claimed twice", "change it in t or in s"),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a.org]}\n  p: {template: nginx.proxy, site: s, to: nobody}",
                (7, 43, WrongType, "found \"nobody\"", ""),
            ),
            (
                "  s: {template: nginx.site, server: w, hosts: [a.org]}\n  b: {template: app.service, command: [x]}\n  p: {template: nginx.proxy, site: s, to: b}",
                (8, 43, Conflict, "listens on no port", "listen:"),
            ),
            (
                "  x: {template: nginx.server}",
                (6, 3, Conflict, "port 80 is used twice", "change it in x or in w"),
            ),
            (
                "targets: {multi-user: {wants: [v]}}",
                (6, 32, NotFound, "no service \"v\"", "the services are `w`"),
            ),
            (
                "targets: {multi-user.target: {wants: [w]}}",
                (6, 11, BadValue, "ends with .target", "multi-user"),
            ),
            ("targets: {multi-user: {want: [w]}}", (6, 24, UnknownKey, "\"want\"", "`wants`")),
            ("targets: {multi-user: {wants: w}}", (6, 31, WrongType, "expected a list", "[w]")),
            ("targets: [w]", (6, 10, WrongType, "expected a mapping", "")),
        ],
    );
    let site = "  s: {template: nginx.site, server: w, hosts: [a.org]}\n";
    expect(
        &format!("{WEB}{site}"),
        &[("targets: {multi-user: {wants: [s]}}", (7, 32, BadValue, "has no unit", "remove"))],
    );
}

#[test]
fn modules() {
    use Code::*;
    for (modules, (column, code, message, hint)) in [
        ("[ngnix]", (11, NotFound, "no module \"ngnix\"", "did you mean `nginx`?")),
        ("[caddy]", (11, NotFound, "no module \"caddy\"", "./caddy")),
        ("[app, app]", (16, Duplicate, "twice", "")),
        ("app", (10, WrongType, "expected a list", "[app]")),
        ("[/x/y]", (11, BadValue, "not a module", "./")),
    ] {
        let text =
            format!("image: {{id: a, version: 1}}\ntree: {{dir: .}}\nmodules: {modules}\nservices: {{}}\n");
        let found = parse("spec.yaml", &text, None).unwrap_err();
        let item = &found.items[0];
        assert_eq!((item.place.line, item.place.column, item.code), (3, column, code), "{found}");
        assert!(item.message.contains(message), "{found}");
        assert!(item.hint.as_deref().unwrap_or_default().contains(hint), "{found}");
    }
    // Not named, but there.
    let text = "image: {id: a, version: 1}\ntree: {dir: .}\nservices: {w: {template: nginx.server}}\n";
    let found = parse("spec.yaml", text, None).unwrap_err();
    assert_eq!(found.items[0].hint.as_deref(), Some("add `nginx` to `modules:`"), "{found}");
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let text = format!(
        "{HEAD}  a: {{template: app.service, command: x, listen: [0]}}\n  w: {{template: nginx.server, liste: [80]}}\n  \
         s: {{template: nginx.site, server: q, hosts: [a.org]}}\n"
    );
    let found = parse("spec.yaml", &text, None).unwrap_err();
    let places: Vec<_> = found.items.iter().map(|item| (item.place.line, item.place.column)).collect();
    assert_eq!(places, [(5, 39), (5, 51), (6, 31), (7, 37)], "{found}");
}

#[test]
fn several_services_make_one_server() {
    let spec = good(
        "  web: {template: nginx.server, listen-tls: [443]}\n  \
         blog: {template: nginx.site, server: web, hosts: [b.org], root: /usr/share/blog, upload-max: 8M}\n  \
         shop: {template: nginx.site, server: web, hosts: [s.org], certificate: s.crt, certificate-key: s.key}\n  \
         api: {template: app.service, command: [/usr/bin/api, '100%'], listen: [8080], user: api}\n  \
         shop-api: {template: nginx.proxy, site: shop, path: /api, to: api}\n",
    );
    let output = spec.services;
    let content = |path: &str| output.files[path].content.as_str();
    let conf = content("/usr/lib/services/web/nginx.conf");
    assert!(conf.contains("client_max_body_size 8M;"), "{conf}");
    let site = content("/usr/lib/services/web/site-shop.conf");
    assert!(site.contains("proxy_pass http://127.0.0.1:8080;") && site.contains("listen 443 ssl;"), "{site}");
    let unit = content("/usr/lib/systemd/system/web.service");
    assert!(unit.contains("LoadCredential=s.crt\nLoadCredential=s.key\n"), "{unit}");
    assert!(unit.contains("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"), "{unit}");
    let unit = content("/usr/lib/systemd/system/api.service");
    assert!(unit.contains("ExecStart=/usr/bin/api 100%%\n") && unit.contains("User=api\n"), "{unit}");
    assert!(output.files.values().all(|file| !file.content.contains("[Install]")));
    let wants = content("/usr/lib/systemd/system/multi-user.target.d/50-services.conf");
    assert_eq!(wants, "[Unit]\nWants=api.service\nWants=web.service\n");
    let health = content("/usr/lib/systemd/system/boot-complete.target.d/50-health.conf");
    assert_eq!(health, "[Unit]\nRequires=web-health.service\n");
    assert!(content("/usr/lib/sysusers.d/50-services.conf").contains("u api - "));
    let ports: Vec<_> = output.openings.iter().map(|opening| opening.port).collect();
    assert_eq!(ports, [80, 443, 8080]);
    assert_eq!(output.services["shop-api"].refers["to"], ["api"]);
}

#[test]
fn targets_say_what_starts() {
    let spec = good(&format!(
        "{WEB}  a: {{template: app.service, command: [x], health: [y]}}\ntargets: {{multi-user: {{wants: [a]}}}}\n"
    ));
    let content = |path: &str| spec.services.files[path].content.as_str();
    let wants = content("/usr/lib/systemd/system/multi-user.target.d/50-services.conf");
    assert_eq!(wants, "[Unit]\nWants=a.service\n");
    // The check of what doesn't start would start it.
    let health = content("/usr/lib/systemd/system/boot-complete.target.d/50-health.conf");
    assert_eq!(health, "[Unit]\nRequires=a-health.service\n");
}

#[test]
fn nothing_is_there_that_no_service_asks_for() {
    assert_eq!(good("").services, twinhull_modules::Output::default());
}

#[test]
fn the_order_of_services_changes_nothing() {
    let one = "  a: {template: app.service, command: [x]}\n";
    let forth = good(&format!("{one}{WEB}")).services;
    let back = good(&format!("{WEB}{one}")).services;
    assert_eq!(forth.files, back.files);
}

#[test]
fn without_services_modules_and_targets_are_looked_at() {
    let head = "image: {id: a, version: 1}\ntree: {dir: .}\n";
    for (text, line, column, want) in [
        ("modules: [ngnix]", 3, 11, "there is no module \"ngnix\""),
        ("targets: {multi-user: {wants: [a]}}", 3, 32, "there is no service \"a\""),
    ] {
        let found = parse("spec.yaml", &format!("{head}{text}\n"), None).unwrap_err();
        let item = &found.items[0];
        assert_eq!((item.place.line, item.place.column), (line, column), "{}", found.render(false));
        assert!(item.message.contains(want), "{}", found.render(false));
    }
    assert!(parse("spec.yaml", &format!("{head}modules: [nginx]\n"), None).is_ok());
}
