//! systemd itself says how exposed units of modules are: at most 4.0 of 10.

use std::process::Command;

const SPEC: &str = "
image: {id: a, version: 1}
tree: {dir: .}
modules: [acme, app, nftables, nginx, node-exporter, php-fpm]
services:
  plain: {template: app.service, command: [/usr/bin/true]}
  loud: {template: app.service, command: [/usr/bin/true], user: loud, listen: [8080], health: [/usr/bin/true]}
  wide: {template: app.service, command: [/usr/bin/true], user: wide, listen: [81], network: true, jit: true, state: true}
  web: {template: nginx.server, listen-tls: [443]}
  site: {template: nginx.site, server: web, hosts: [a.example], root: /usr/share/site, tls: cert}
  cert: {template: acme.certificate, domains: [a.example], email: a@a.example}
  pool: {template: php-fpm.pool, user: dog, network: true}
  wall: {template: nftables.filter}
  metrics: {template: node-exporter.exporter}
  job: {template: app.job, command: [/usr/bin/true], schedule: daily, network: true, jit: true}
";

#[test]
fn units_are_confined() {
    let output = twinhull_spec::from_str(SPEC).unwrap_or_else(|found| panic!("{found}")).services;
    let dir = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for (path, file) in output.files.iter().filter(|(path, _)| path.ends_with(".service")) {
        let unit = dir.path().join(path.rsplit('/').next().unwrap());
        // A program that exists wherever this runs.
        let content = file.content.replace("ExecStart=nginx", "ExecStart=/usr/bin/true");
        let content = content.replace("ExecStart=php-fpm8.4", "ExecStart=/usr/bin/true");
        let content = content.replace("ExecStart=prometheus-node-exporter", "ExecStart=/usr/bin/true");
        let content = content.replace("=nft ", "=/usr/bin/true ");
        let content = content.replace("ExecStart=/usr/lib/services/cert/", "ExecStart=/usr/bin/true ");
        fs_err::write(&unit, content).unwrap();
        let result = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=40", "--no-pager"])
            .arg(&unit)
            .output()
            .expect("systemd-analyze is needed; it comes with systemd");
        let said =
            String::from_utf8_lossy(&result.stdout).into_owned() + &String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{path}:\n{said}\n{}", file.content);
        checked += 1;
    }
    assert_eq!(checked, 14);
}
