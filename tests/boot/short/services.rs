//! A whole server from one spec, examples/personal-server.yaml: the real nginx, PHP and zsh, and certificates from the real
//! ACME server pebble, which looks at the guest's port 80 and asks a DNS server.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use twinhull_tests::{Running, newer_program, program, run, spawn, top};

use crate::support::{Guest, values};

/// What the DNS provider wants to know.
const TOKEN: &str = "token-of-the-zone";
/// What the example has no use for.
const MORE: &str = r#"  chore:
    template: app.job
    command: [/usr/bin/python3, -c, "import os; print('done:', os.environ['WHAT'])"]
    schedule: "*-*-* 03:00:00"
    environment: { WHAT: the chore }
  other-shell: { template: login-shell.bash, completion: false, aliases: { lt: ls -t } }
"#;
/// The guest's name for the host.
const HOST: &str = "10.0.2.2";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An ACME server, and what it believes.
struct Acme {
    /// Of its HTTPS.
    port: u16,
    /// Of the page with the certificate that it signs with.
    roots: u16,
    /// Where it looks for proofs over HTTP, on the host.
    proofs: u16,
    /// Of the DNS provider.
    dns: u16,
    /// Of its own certificate, as PEM.
    ca: String,
    _running: [Running; 2],
}

impl Acme {
    fn start(dir: &Path) -> Self {
        let [port, roots, proofs, tls, dns, zone, control] = [(); 7].map(|()| free_port());
        let mut certificate = Command::new("openssl");
        certificate.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        certificate
            .args(["-days", "2", "-subj", "/CN=pebble", "-addext"])
            .arg(format!("subjectAltName=IP:{HOST}"));
        run(certificate.arg("-keyout").arg(dir.join("key")).arg("-out").arg(dir.join("ca"))).ok();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{roots}"),
            "certificate": dir.join("ca"),
            "privateKey": dir.join("key"),
            "httpPort": proofs,
            "tlsPort": tls,
        } });
        fs_err::write(dir.join("pebble.json"), config.to_string()).unwrap();
        let zone = format!("127.0.0.1:{zone}");
        let mut server = newer_program("/usr/bin/pebble", &[dir]);
        server.arg("-config").arg(dir.join("pebble.json")).args(["-dnsserver", &zone]);
        // It would wait for seconds, and refuse one nonce in twenty.
        server.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let mut names = newer_program("/usr/bin/pebble-challtestsrv", &[]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""]);
        names.args(["-dns01", &zone, "-defaultIPv4", "127.0.0.1", "-management"]);
        names.arg(format!("127.0.0.1:{control}"));
        let running =
            [names, server].map(|mut command| spawn(command.stdout(Stdio::null()).stderr(Stdio::null())));
        provider(dns, control);
        let ca = fs_err::read_to_string(dir.join("ca")).unwrap();
        Acme { port, roots, proofs, dns, ca, _running: running }
    }

    /// The spec, with this server and its provider in the place of those on the internet.
    fn spec(&self, text: &str) -> String {
        let ours = format!(
            "server: \"https://{HOST}:{}/dir\", server-ca: /usr/share/acme-ca.pem, email: dog@wuffs.example",
            self.port
        );
        let mut out = text
            .replace("    email: dog@wuffs.example\n", &format!("    {}\n", ours.replace(", ", "\n    ")));
        out = out.replace(" email: dog@wuffs.example }", &format!(" {ours} }}"));
        out = out.replace(
            "    dns: namesilo\n    dns-credentials: { NAMESILO_API_KEY: dns-token }\n",
            &format!(
                "    dns: httpreq\n    dns-credentials: {{ HTTPREQ_PASSWORD: dns-token }}\n    dns-wait: false\n    \
                 dns-settings: {{ HTTPREQ_ENDPOINT: \"http://{HOST}:{}\", HTTPREQ_USERNAME: dog }}\n",
                self.dns
            ),
        );
        assert_eq!(out.matches("server-ca").count(), 2, "{out}");
        assert!(out.contains("HTTPREQ_ENDPOINT"), "{out}");
        let ca = self.ca.lines().map(|line| format!("      {line}\n")).collect::<String>();
        out + &format!(
            "{MORE}  ca:\n    template: files.file\n    path: /usr/share/acme-ca.pem\n    content: |\n{ca}"
        )
    }
}

/// A DNS provider with the interface of lego's `httpreq`, for whoever knows the token.
fn provider(port: u16, control: u16) {
    let server = tiny_http::Server::http(("127.0.0.1", port)).unwrap();
    let who = format!(
        "Basic {}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("dog:{TOKEN}"))
    );
    std::thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let known =
                request.headers().iter().any(|h| h.field.equiv("authorization") && h.value.as_str() == who);
            let asked: serde_json::Value = serde_json::from_reader(request.as_reader()).unwrap_or_default();
            let (path, status) = match request.url() {
                _ if !known => ("", 401),
                "/present" => ("set-txt", 200),
                _ => ("clear-txt", 200),
            };
            if known {
                let body = json!({ "host": asked["fqdn"], "value": asked["value"] }).to_string();
                let head = format!("POST /{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
                let mut zone = TcpStream::connect(("127.0.0.1", control)).unwrap();
                zone.write_all((head + &body).as_bytes()).unwrap();
                zone.read_to_string(&mut String::new()).unwrap();
            }
            let _ = request.respond(tiny_http::Response::empty(status));
        }
    });
}

/// In the guest: asks both sites over TLS until they have certificates of the ACME server.
const ASK: &str = r#"
import socket, ssl, time, urllib.request
anything = ssl._create_unverified_context()
roots = urllib.request.urlopen("https://HOST:ROOTS/roots/0", context=anything).read().decode()
strict = ssl.create_default_context(cadata=roots)
def ask(host, path, context, port=443):
    raw = socket.create_connection(("127.0.0.1", port), 20)
    with (context.wrap_socket(raw, server_hostname=host) if context else raw) as s:
        s.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        while part := s.recv(65536):
            answer += part
    return answer.decode()
end = time.time() + 300
for n, (host, path) in enumerate([("wuffs.example", "/"), ("www.wuffs.example", "/hello"), ("wuffs.example", "/howdy"),
        ("blog.example", "/what/is/it")]):
    while True:
        try:
            answer = ask(host, path, strict)
            break
        except (ssl.SSLError, OSError) as error:
            answer = f"{error}"
            if time.time() > end:
                break
            time.sleep(1)
    print(f"site{n}={answer.splitlines()[0]} | {answer.splitlines()[-1]}")
print("plain=" + " ".join(line for line in ask("blog.example", "/x", None, 80).splitlines() if line[:4] in ("HTTP", "Loca")))
"#;

#[test]
fn a_personal_server_answers() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let acme = Acme::start(dir.path());
    let text = fs_err::read_to_string(top().join("examples/personal-server.yaml")).unwrap();
    let spec = dir.path().join("box.yaml");
    fs_err::write(&spec, acme.spec(&text)).unwrap();
    run(Command::new("cp").arg("-r").arg(top().join("examples/personal-server")).arg(dir.path())).ok();
    // The program takes its time until it listens; its health waits for it.
    let greeter = dir.path().join("personal-server/greeter");
    let slow = fs_err::read_to_string(&greeter)
        .unwrap()
        .replace("http.server.HTTPServer((", "import time; time.sleep(8)\nhttp.server.HTTPServer((");
    assert!(slow.contains("sleep(8)"));
    fs_err::write(&greeter, slow).unwrap();
    run(program("image-builder").arg("build").arg(&spec).arg("--quiet").arg("--out").arg(dir.path())).ok();
    let lock = fs_err::read_to_string(dir.path().join("box.lock.json")).unwrap();
    assert!(lock.contains("\"acme\"") && lock.contains("\"dog\""), "{lock}");

    let image = fs_err::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "raw"));
    let guest = Guest::of(image.unwrap());
    let key = dir.path().join("id");
    run(Command::new("ssh-keygen").args(["-qt", "ed25519", "-N", "", "-f"]).arg(&key)).ok();
    let [private, public] =
        [key.clone(), key.with_extension("pub")].map(|p| fs_err::read_to_string(p).unwrap());
    let (private, public) = (json!(private), json!(public.trim()));
    let user_data = guest.file(
        "user-data",
        &format!(
            "#twinhull\nusers: [{{name: ann, shell: /usr/bin/zsh}}]\n\
             services: {{time: {{servers: [ntp.box.example]}}, howdy: {{environment: {{MARK: of this machine}}}},\n\
             \x20 ninji: {{ssh-keys: [{public}]}}}}\n\
             files: [{{path: /root/id, mode: 0600, content: {private}}}]\n\
             credentials: [{{name: dns-token, content: {TOKEN}}}, {{name: bot-token, content: b0t-t0ken}}]\n"
        ),
    );
    let guest = guest.args([
        "--cloud",
        "nocloud",
        "--user-data",
        &user_data,
        "--forward",
        &format!("{}:80", acme.proofs),
    ]);
    let ask = ASK.replace("HOST", HOST).replace("ROOTS", &acme.roots.to_string());
    let ran = guest.exec(&format!(
        "echo state=$(systemctl is-system-running --wait)\n\
         python3 - <<'END'\n{ask}END\n\
         echo entry=$(ls /efi/EFI/Linux)\n\
         echo health=$(systemctl is-active web-health.service hello-health.service)\n\
         echo pool=$(stat -c %U /proc/$(systemctl show -P MainPID dog.service))\n\
         echo programs=$(stat -c %U /proc/$(systemctl show -P MainPID hello.service) /proc/$(systemctl show -P MainPID howdy.service))\n\
         echo shell=$(getent passwd ann)\n\
         echo 'echo suggest=$+functions[_zsh_autosuggest_start] colour=$+functions[_zsh_highlight] $(alias ll)' > /tmp/ask.zsh\n\
         echo zsh=$(su - ann -c 'zsh -i /tmp/ask.zsh' 2>&1)\n\
         echo keys=$(setpriv --reuid=dog --regid=dog --clear-groups cat /var/lib/blog-cert/pair.pem 2>&1)\n\
         echo leak=$(journalctl -b -q --no-pager | grep -c {TOKEN})\n\
         echo sshd=$(sshd -T | grep -i disableforwarding)\n\
         echo open=$(nft list ruleset | grep 'tcp dport' | sed 's/.*dport //; s/ accept.*//')\n\
         echo figures=$(python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9100/metrics\").read().count(b\"\\nnode_memory_MemTotal_bytes \"))')\n\
         systemctl start chore.service\n\
         echo chore=$(journalctl -b -qo cat -u chore.service | grep done:), $(systemctl is-active chore.timer)\n\
         echo bash=$(bash -ic 'alias lt' 2>/dev/null)\n\
         echo ninji=$(ssh -i /root/id -o StrictHostKeyChecking=no -o BatchMode=yes ninji@127.0.0.1 'echo $USER $SHELL $(id -Gn) $(stat -c %a ~)' 2>&1 | tail -n 1)\n\
         echo mark=$(tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID howdy.service)/environ | grep MARK)\n\
         echo time=$(timedatectl show-timesync -P SystemNTPServers)\n\
         echo baked=$(grep -rslE '{TOKEN}|b0t-t0ken' /usr/lib/services /usr/lib/systemd /usr/lib/twinhull /usr/share/factory /usr/lib/credstore)\n\
         echo failed=$(systemctl --failed --no-pager --plain --no-legend)\n\
         journalctl -b -qo cat --no-pager -u 'wuffs*' -u 'blog*' -u web -u dog -u hello | tail -n 80"
    ));
    let ran = ran.ok();
    let got = values(&ran.stdout);
    let get = |key: &str| got.get(key).map_or("", String::as_str);
    for (key, want) in [
        ("state", "running"),
        ("failed", ""),
        ("site0", "HTTP/1.1 200 OK | <h1>Wuffs</h1>"),
        ("site1", "HTTP/1.1 200 OK | Hello, with a token"),
        ("site2", "HTTP/1.1 200 OK | Howdy, without a token"),
        ("site3", "HTTP/1.1 200 OK | PHP as dog, for /what/is/it"),
        ("plain", "HTTP/1.1 301 Moved Permanently Location: https://blog.example/x"),
        ("entry", "box_2026.11.27.efi"),
        ("health", "active active"),
        ("pool", "dog"),
        ("programs", "greeter greeter"),
        ("zsh", "suggest=1 colour=1 ll='ls -l'"),
        ("leak", "0"),
        ("sshd", "disableforwarding yes"),
        // The web server's and SSH's, and none of those behind them.
        ("open", "22 80 443"),
        ("figures", "1"),
        // What the machine sets takes the place of what the spec says.
        ("time", "ntp.box.example"),
        ("mark", "MARK=of this machine"),
        // A key by the machine, for somebody by the image.
        ("ninji", "ninji /usr/bin/zsh ninji adm systemd-journal 700"),
        ("chore", "done: the chore, active"),
        ("bash", "alias lt='ls -t'"),
        ("baked", ""),
    ] {
        assert_eq!(get(key), want, "{key}: {}\n{}", ran.text(), guest.serial());
    }
    assert!(get("shell").ends_with(":/usr/bin/zsh"), "{}", ran.text());
    assert!(get("keys").contains("Permission denied"), "{}", ran.text());
}
