//! Certificates, PHP, shells and files of one's own: what is said of wrong ones, and what right ones become.

mod schema;

use std::path::Path;

use twinhull_spec::{Code, Spec, parse};

const HEAD: &str = "image: {id: a, version: 1}\ntree: {dir: .}\n\
    modules: [acme, app, files, login-shell, nftables, nginx, node-exporter, openssh, php-fpm, timesyncd, users]\nservices:\n";
/// Lines 5 to 7.
const SERVER: &str = "  w: {template: nginx.server, listen-tls: [443]}\n  \
    c: {template: acme.certificate, domains: [a.org, '*.a.org'], email: a@a.org, dns: namesilo}\n  \
    p: {template: php-fpm.pool, user: dog}\n";

fn good(services: &str) -> Spec {
    parse("spec.yaml", &format!("{HEAD}{services}"), None).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn mistakes() {
    use Code::*;
    let site = "  s: {template: nginx.site, server: w, root: /usr/share/s, ";
    let certificate = "  d: {template: acme.certificate, email: a@a.org, ";
    let mut seen = Vec::new();
    for (line, (column, code, message, hint)) in [
        (format!("{site}hosts: [b.org], tls: c}}"), (67, Conflict, "isn't for all of its hosts", "domains")),
        (format!("{site}hosts: [x.y.a.org], tls: c}}"), (67, Conflict, "isn't for all of its hosts", "")),
        (format!("{site}hosts: [a.org], tls: w}}"), (81, WrongType, "\"w\" is a nginx.server", "`c` is one")),
        (format!("{site}hosts: [a.org], tls: cc}}"), (81, NotFound, "no service \"cc\"", "there are `c`")),
        (
            format!("{site}hosts: [a.org], tls: c, certificate: x, certificate-key: y}}"),
            (81, Conflict, "a site has one certificate", "set tls, or"),
        ),
        (
            format!("{certificate}domains: [\"*.b.org\"]}}"),
            (60, Conflict, "who controls the zone", "dns: namesilo"),
        ),
        (format!("{certificate}domains: []}}"), (60, Conflict, "at least one host name", "[example.org]")),
        (format!("{certificate}domains: [b]}}"), (61, BadValue, "\"b\" is not allowed", "matches")),
        (
            format!("{certificate}domains: [b.org], dns-settings: {{A: b}}}}"),
            (83, Conflict, "no DNS provider", "name it"),
        ),
        (
            format!(
                "{certificate}domains: [b.org], dns: x, dns-credentials: {{A: ghp_0123456789abcdefghijABCDEFGHIJ012345}}}}"
            ),
            (98, BadValue, "looks like a token", "name of a credential"),
        ),
        (
            "  q: {template: php-fpm.pool, user: root}".into(),
            (37, Conflict, "PHP doesn't run as root", "another"),
        ),
        (
            "  q: {template: php-fpm.pool, user: www-data}".into(),
            (37, Conflict, "could read its keys", "another"),
        ),
        (
            "  q: {template: php-fpm.pool, user: q, settings: {a: \"x\\\"y\"}}".into(),
            (54, BadValue, "is not allowed", "matches"),
        ),
        (
            "  q: {template: php-fpm.pool, user: q, version: latest}".into(),
            (49, BadValue, "\"latest\"", "matches"),
        ),
        (
            "  q: {template: login-shell.zsh, plugins: [autosugestions]}".into(),
            (44, UnknownValue, "autosugestions", "`autosuggestions`"),
        ),
        (
            "  q: {template: login-shell.zsh, theme: \"a'b\"}".into(),
            (41, BadValue, "is not allowed", "matches"),
        ),
        ("  q: {template: openssh.server, listen: []}".into(), (41, Conflict, "without a port", "one port")),
        (
            "  x: {template: openssh.server, listen: [443]}".into(),
            (41, Conflict, "port 443 is used twice", ""),
        ),
        (
            "  q: {template: openssh.server, root: never, users: [root]}".into(),
            (39, Conflict, "log in and may not", "remove root"),
        ),
        (
            "  q: {template: files.file, path: x, content: y}".into(),
            (35, BadValue, "not an absolute path", "begin it with `/`"),
        ),
        (
            "  q: {template: app.job, command: [/x], schedule: sometimes}".into(),
            (51, BadValue, "calendar", "03:00"),
        ),
        (
            "  q: {template: app.job, command: [/x], schedule: daily, user: root}".into(),
            (64, Conflict, "as root", "another"),
        ),
        (
            "  q: {template: nftables.filter, closed: [ssh]}".into(),
            (42, Conflict, "no service ssh listens on a port", ""),
        ),
        (
            "  q: {template: nftables.filter, closed: [w], only-from: {w: [10.0.0.0/8]}}".into(),
            (58, Conflict, "w is under closed as well", ""),
        ),
        (
            "  q: {template: nftables.filter, only-from: {w: []}}".into(),
            (45, Conflict, "no address may reach w", ""),
        ),
        (
            "  q: {template: nftables.filter, only-from: {w: [10.0.0.0/33]}}".into(),
            (50, BadValue, "not an address range", "10.0.0.0/8"),
        ),
        (
            "  q: {template: node-exporter.exporter, collectors: [zfs], without: [zfs]}".into(),
            (69, Conflict, "wanted and left out", "one of the lists"),
        ),
        (
            "  q: {template: users.user, uid: 1000}\n  r: {template: users.user, uid: 1000}".into(),
            (34, Conflict, "uid 1000 is used twice", ""),
        ),
        ("  q: {template: users.user, uid: 0}".into(), (34, BadValue, "from 1000 to 59999", "")),
        (
            "  q: {template: users.user, uid: 1000, ssh-keys: [hunter2]}".into(),
            (51, BadValue, "is not allowed", "matches"),
        ),
        (
            "  q: {template: nftables.filter}\n  r: {template: nftables.filter}".into(),
            (3, Conflict, "the firewall is used twice", ""),
        ),
        (
            "  q: {template: timesyncd.client, servers: []}".into(),
            (44, Conflict, "nobody to ask", "the servers of its package"),
        ),
        ("  q: {template: timesyncd.client, servers: [a b]}".into(), (45, WrongType, "found \"a b\"", "")),
    ] {
        let text = format!("{HEAD}{SERVER}{line}\n");
        let found = parse("spec.yaml", &text, None).expect_err(&line);
        let rendered = found.render(false);
        let item = &found.items[0];
        assert_eq!(found.items.len(), 1, "{line}:\n{rendered}");
        let at = 8 + line.matches('\n').count();
        assert_eq!(
            (item.place.line, item.place.column, item.code),
            (at, column, code),
            "{line}:\n{rendered}"
        );
        assert!(item.message.contains(message), "{line}:\n{rendered}");
        assert!(item.hint.as_deref().unwrap_or_default().contains(hint), "{line}:\n{rendered}");
        seen.push((text, code, item.message.clone()));
    }
    schema::agrees(&seen);
}

#[test]
fn a_certificate_needs_ports_that_it_is_asked_and_used_on() {
    let certificate = "  c: {template: acme.certificate, domains: [a.org], email: a@a.org}\n";
    let site = "  s: {template: nginx.site, server: w, hosts: [a.org], tls: c}\n";
    for (server, want) in
        [("listen: [80]", "no port for HTTPS"), ("listen: [8080], listen-tls: [443]", "asks on port 80")]
    {
        let text = format!("{HEAD}  w: {{template: nginx.server, {server}}}\n{certificate}{site}");
        let found = parse("spec.yaml", &text, None).expect_err(server);
        assert!(found.items.len() == 1 && found.items[0].message.contains(want), "{found}");
        assert_eq!(found.items[0].path, "services.s.tls");
    }
}

#[test]
fn files_beside_the_spec_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.txt"), "x").unwrap();
    let read = |from: &str, base: Option<&Path>| {
        let text = format!("{HEAD}  q: {{template: files.copy, from: {from}, to: /usr/share/q}}\n");
        parse("spec.yaml", &text, base)
    };
    let found = read("b.txt", Some(dir.path())).unwrap_err();
    let (item, rendered) = (&found.items[0], found.render(false));
    assert_eq!((item.place.line, item.place.column, item.code), (5, 35, Code::NotFound), "{rendered}");
    assert!(item.message.contains("no file or folder \"b.txt\""), "{rendered}");
    let copies = read("a.txt", Some(dir.path())).unwrap().services.copies;
    assert_eq!(copies["/usr/share/q"].from, "a.txt");
    // An editor, which knows no folder, isn't told that files are missing.
    assert!(read("b.txt", None).is_ok());
}

#[test]
fn certificates_reach_the_web_server() {
    let spec = good(&format!(
        "{SERVER}  s: {{template: nginx.site, server: w, hosts: [www.a.org], root: /usr/share/s, tls: c}}\n  \
         t: {{template: nginx.php, site: s, pool: p, front: /index.php}}\n"
    ));
    let content = |path: &str| spec.services.files[path].content.as_str();
    let site = content("/usr/lib/services/w/site-s.conf");
    for want in [
        "return 301 https://$host$request_uri;",
        "ssl_certificate /var/lib/c/pair.pem;",
        "ssl_certificate_key /var/lib/c/pair.pem;",
        "fastcgi_pass unix:/run/p/php.sock;",
        "try_files $uri $uri/ /index.php?$args;",
    ] {
        assert!(site.contains(want), "{want}:\n{site}");
    }
    // The provider shows that the names are ours, so nobody asks the site.
    assert!(!site.contains("acme-challenge"), "{site}");
    let unit = content("/usr/lib/systemd/system/w.service");
    assert!(unit.contains("\nAfter=network-online.target c-first.service\n"), "{unit}");
    assert!(
        content("/usr/lib/systemd/system/w-certificates.path").contains("PathChanged=/var/lib/c/pair.pem\n")
    );
    // No boot waits for a certificate, or fails without one.
    let wants = content("/usr/lib/systemd/system/multi-user.target.d/50-services.conf");
    assert!(wants.contains("Wants=c.timer\n") && !wants.contains("c.service"), "{wants}");
}

#[test]
fn the_firewall_knows_what_listens() {
    let spec = good(&format!(
        "{SERVER}  api: {{template: app.service, command: [/x], listen: [8080]}}\n  \
         m: {{template: node-exporter.exporter}}\n  \
         the-wall: {{template: nftables.filter, open: [22], closed: [api], only-from: {{m: [10.0.0.0/8, 'fd00::/8']}}}}\n"
    ));
    let rules = &spec.services.files["/usr/lib/services/the-wall/rules.nft"].content;
    let ports: Vec<_> = rules.lines().map(str::trim).filter(|line| line.contains("tcp dport")).collect();
    assert_eq!(
        ports,
        [
            "tcp dport 80 accept comment \"w\"",
            "tcp dport 443 accept comment \"w\"",
            "ip saddr 10.0.0.0/8 tcp dport 9100 accept comment \"m\"",
            "ip6 saddr fd00::/8 tcp dport 9100 accept comment \"m\"",
            "tcp dport 22 accept",
        ]
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.nft");
    fs_err::write(&file, rules).unwrap();
    // A network namespace of its own, so that even a real run would touch nothing.
    let out = std::process::Command::new("unshare")
        .args(["--net", "nft", "--check", "--file"])
        .arg(&file)
        .output()
        .expect("unshare and nft are needed; they come with util-linux and nftables");
    assert!(out.status.success(), "{}\n{rules}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_wrong_service_is_no_mistake_of_the_firewall_as_well() {
    let text = format!(
        "{HEAD}  api: {{template: app.service, command: [], listen: [8080]}}\n  \
         wall: {{template: nftables.filter, closed: [api]}}\n"
    );
    let found = parse("spec.yaml", &text, None).unwrap_err();
    assert!(found.items.len() == 1 && found.items[0].message.contains("needs a program"), "{found}");
}
