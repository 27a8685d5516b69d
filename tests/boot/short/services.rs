//! Services of a spec, as they run: the real nginx in front of a program.

use twinhull_tests::{program, run};

use crate::support::{Guest, values};

const SPEC: &str = "\
image: {id: services, version: 1.0.0}
tree: {debian: {suite: trixie, packages: [busybox, nginx-light]}}
modules: [app, nginx]
services:
  web: {template: nginx.server}
  files: {template: nginx.site, server: web, hosts: [files.example], root: /usr/share/common-licenses}
  shop: {template: nginx.site, server: web, hosts: [shop.example]}
  api:
    template: app.service
    command: [/usr/bin/busybox, httpd, -f, -p, 127.0.0.1:8080, -h, /usr/share/common-licenses]
    listen: [8080]
    health: [/usr/bin/busybox, wget, -q, -O, /dev/null, http://127.0.0.1:8080/GPL-2]
  shop-api: {template: nginx.proxy, site: shop, path: /, to: api}
";

#[test]
fn sites_and_programs_answer() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let spec = dir.path().join("services.yaml");
    fs_err::write(&spec, SPEC).unwrap();
    run(program("image-builder").arg("build").arg(&spec).arg("--quiet").arg("--out").arg(dir.path())).ok();
    let guest = Guest::of(dir.path().join("services_1.0.0.raw"));
    let ran = guest
        .exec(
            "echo state=$(systemctl is-system-running --wait)\n\
             get() { echo $1=$(busybox wget -q -O - --header \"Host: $2\" http://127.0.0.1/GPL-3 2>&1 | head -n 1); }\n\
             get files files.example; get shop shop.example; get none other.example\n\
             echo user=$(stat -c %U /proc/$(systemctl show -P MainPID web.service))\n\
             echo dynamic=$(systemctl show -P DynamicUser api.service)\n\
             echo health=$(systemctl is-active web-health.service api-health.service)\n\
             echo entry=$(ls /efi/EFI/Linux)\n\
             echo secure=$(systemd-analyze security --no-pager | grep -E '^(web|api)' | tr -s ' ')\n\
             systemctl --failed --no-pager --plain --no-legend\n\
             journalctl -b -p err -qo cat -u web -u api -u web-health -u api-health --no-pager",
        )
        .ok();
    let got = values(&ran.stdout);
    assert_eq!(got["state"], "running", "{}", ran.text());
    for name in ["files", "shop"] {
        assert!(got[name].contains("GNU GENERAL PUBLIC LICENSE"), "{}", ran.text());
    }
    assert!(got["none"].contains("404"), "{}", ran.text());
    assert_eq!((got["user"].as_str(), got["dynamic"].as_str()), ("www-data", "yes"), "{}", ran.text());
    assert_eq!(got["health"], "active active", "{}", ran.text());
    assert_eq!(got["entry"], "services_1.0.0.efi", "{}", ran.text());
}
