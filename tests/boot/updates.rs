//! From one version to the next on a release folder that a real web server serves.

use std::path::Path;
use std::process::Command;

use twinhull_tests::{
    Web, hello, hello_tree, hello_with, newer_nginx, newer_program, partition, program, run, tool,
};

use crate::support::{Guest, values};

/// Publishes version 1.1.0 of the default image as the channel stable below `dir`/rel.
fn publish(dir: &Path) {
    let newer = hello_with(&dir.join("out"), "version: 1.0.0", "version: 1.1.0");
    let builder = |line: &str| {
        let mut command = program("image-builder");
        run(command.args(line.split_whitespace()).arg("--quiet").current_dir(dir)).ok();
    };
    run(program("image-builder").args(["keygen", "keys", "--image", "hello"]).current_dir(dir)).ok();
    builder(&format!("release {} --to rel --root keys/1.root.json --key keys/release.key", newer.display()));
    builder("promote rel/hello 1.1.0 --key keys/channel.key");
}

/// The transfer files of docs/guides/releases.md, for a disk image and an ESP that is a folder.
fn transfers(dir: &Path, url: &str, disk: &Path, esp: &Path) {
    let (disk, esp) = (disk.display(), esp.display());
    let common = format!("[Transfer]\nVerify=no\n[Source]\nType=url-file\nPath={url}/hello/\n");
    for (name, source, target) in [
        (
            "50-verity",
            "hello_@v_@u.verity",
            format!(
                "Type=partition\nPath={disk}\nMatchPattern=hello_@v_verity\nMatchPartitionType=usr-verity\nReadOnly=1"
            ),
        ),
        (
            "60-usr",
            "hello_@v_@u.usr",
            format!("Type=partition\nPath={disk}\nMatchPattern=hello_@v\nMatchPartitionType=usr\nReadOnly=1"),
        ),
        (
            "70-uki",
            "hello_@v.efi",
            format!(
                "Type=regular-file\nPath={esp}\nMatchPattern=hello_@v+@l-@d.efi hello_@v+@l.efi hello_@v.efi\n\
                 Mode=0444\nTriesLeft=3\nTriesDone=0\nInstancesMax=2"
            ),
        ),
    ] {
        let text = format!("{common}MatchPattern={source}\n[Target]\n{target}\n");
        fs_err::write(dir.join(name).with_extension("transfer"), text).unwrap();
    }
}

#[test]
fn stock_sysupdate_applies_a_release_and_it_boots() {
    let dir = tempfile::Builder::new().prefix("twinhull-update-").tempdir_in("/var/tmp").unwrap();
    let at = |name: &str| dir.path().join(name);
    publish(dir.path());
    let (disk, esp, definitions) = (at("disk.raw"), at("esp"), at("definitions"));
    run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(&disk)).ok();
    for folder in [&esp, &definitions] {
        fs_err::create_dir_all(folder).unwrap();
    }
    // sysupdate writes partitions of a disk image, but the UKI into a folder: here without loop devices, by mtools.
    let image = format!("{}@@{}", disk.display(), partition("esp").0);
    tool("mcopy", ["-i", &image, "::/EFI/Linux/hello_1.0.0+3.efi", esp.to_str().unwrap()]).ok();
    let web = Web::serve(&at("rel"), "");
    transfers(&definitions, &web.url, &disk, &esp);
    let mut sysupdate = newer_program("/usr/lib/systemd/systemd-sysupdate", &[dir.path()]);
    let ran = run(sysupdate
        .arg(format!("--definitions={}", definitions.display()))
        .args(["--verify=no", "update"]));
    assert!(ran.code == 0 && ran.text().contains("Successfully installed update '1.1.0'"), "{}", ran.text());
    assert!(web.requests().iter().any(|line| line.contains("SHA256SUMS")), "{:?}", web.requests());
    let uki = esp.join("hello_1.1.0+3-0.efi");
    tool("mcopy", ["-i", &image, uki.to_str().unwrap(), "::/EFI/Linux/"]).ok();
    let seen = run(program("image-builder").arg("inspect").arg(&disk)).ok().stdout;
    assert_eq!(seen.matches("verified").count(), 2, "{seen}");

    let guest = Guest::of(disk);
    let script = "echo state=$(systemctl is-system-running --wait); . /usr/lib/os-release; echo version=$IMAGE_VERSION; \
                  systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; \
                  echo entries=$(ls /efi/EFI/Linux)";
    let got = values(&guest.exec(script).ok().stdout);
    assert_eq!((got["state"].as_str(), got["version"].as_str()), ("running", "1.1.0"), "{}", guest.serial());
    assert_eq!(got["entries"], "hello_1.0.0+3.efi hello_1.1.0.efi");
}

/// Checks soon after the boot and often, instead of within five minutes and every hour.
pub(crate) const SOON: &str = "#twinhull\nfiles:\n  - path: /etc/twinhull/update.json\n    content: |\n      \
                    {\"first-check\": \"5s\", \"check-every\": \"30s\"}\n";

/// Builds a version of an image that follows updates from `url`.
pub(crate) fn follower(dir: &Path, url: &str, version: &str, more: &str) -> std::path::PathBuf {
    let spec = dir.join(format!("{version}.yaml"));
    let text = format!(
        "image: {{id: web, version: {version}}}\ntree: {{tar: {}}}\n\
         updates: {{urls: [\"{url}\"], root: keys/1.root.json}}\n{more}",
        hello_tree().display()
    );
    fs_err::write(&spec, text).unwrap();
    let mut build = program("image-builder");
    let ran = run(build.arg("build").arg(spec).args(["--quiet", "--out"]).arg(dir.join("out"))).ok();
    ran.stdout.trim().into()
}

/// A unit that fails in every version but the first.
const PICKY: &str = "units:\n  - name: picky.service\n    enable: true\n    content: |\n      [Service]\n      Type=oneshot\n      \
                     ExecStart=/bin/sh -c '. /usr/lib/os-release; test $$IMAGE_VERSION = 1'\n";

/// A publisher of the image `web`, whose version 1 runs in a guest with `data` besides in its user data. The channel's newest is version 2, with `more` in its
/// spec; once that was fetched, it is the version `then`. Returns what the guest says once `done`, a shell condition,
/// holds; it is asked after every boot.
fn left_alone(
    more: &str,
    data: &str,
    then: Option<&str>,
    done: &str,
) -> (std::collections::BTreeMap<String, String>, String) {
    let dir = tempfile::Builder::new().prefix("twinhull-update-").tempdir_in("/var/tmp").unwrap();
    fs_err::create_dir(dir.path().join("rel")).unwrap();
    let web = Web::serve(&dir.path().join("rel"), "");
    // Where a guest of QEMU's user network finds the host's loopback.
    let url = web.url.replace("127.0.0.1", "10.0.2.2");
    let builder = |line: &str| {
        run(program("image-builder").args(line.split_whitespace()).current_dir(dir.path())).ok();
    };
    builder("keygen keys --image web");
    let old = follower(dir.path(), &url, "1", "");
    let new = follower(dir.path(), &url, "2", more);
    builder(&format!("release {} --to rel --root keys/1.root.json --key keys/release.key", new.display()));
    if let Some(then) = then {
        let disk = follower(dir.path(), &url, then, "");
        builder(&format!("release {} --to rel --key keys/release.key", disk.display()));
    }
    builder("promote rel/web 2 --key keys/channel.key");
    let guest = Guest::of(old).patient();
    let user_data = guest.file("user-data", &format!("{SOON}{data}"));
    let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
    // Before that it only waits for what happens to it.
    let script = format!(
        "echo state=$(systemctl is-system-running --wait); . /usr/lib/os-release; echo version=$IMAGE_VERSION; \
         {{ {done}; }} || sleep 1000; \
         systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; \
         echo entries=$(ls /efi/EFI/Linux); update-agent status --json | tr -d '\\n' | sed s/^/status=/; echo; \
         for i in 1 2 3 4 5 6 7 8 9; do again=$(update-agent update) && break; sleep 2; done; \
         echo again=$again"
    );
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| guest.exec(&script));
        let mut then = then;
        while !ran.is_finished() {
            std::thread::sleep(std::time::Duration::from_secs(1));
            if web.requests().iter().any(|line| line.contains("web_2.efi"))
                && let Some(then) = then.take()
            {
                builder(&format!("promote rel/web {then} --key keys/channel.key"));
            }
        }
        ran.join().unwrap()
    });
    (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()))
}

/// Version, state, reason and whether it runs, of a slot.
fn slot(got: &std::collections::BTreeMap<String, String>, n: usize) -> (String, String, String, bool) {
    let status: serde_json::Value = serde_json::from_str(&got["status"]).unwrap();
    let slot = &status["slots"][n];
    let text = |name: &str| slot[name].as_str().unwrap_or("-").to_owned();
    (text("version"), text("state"), text("reason"), slot["running"] == true)
}

fn is(version: &str, state: &str, reason: &str, running: bool) -> (String, String, String, bool) {
    (version.into(), state.into(), reason.into(), running)
}

#[test]
fn a_machine_left_alone_moves_from_version_to_version() {
    let (got, said) = left_alone("", "", Some("3"), "test $IMAGE_VERSION = 3");
    assert_eq!(got.get("version").map(String::as_str), Some("3"), "{said}");
    let (state, entries) = (got["state"].as_str(), got["entries"].as_str());
    // The version before is still there, the one before that has made room.
    assert_eq!((state, entries), ("running", "web_2.efi web_3.efi"), "{said}");
    assert_eq!(slot(&got, 0), is("3", "blessed", "-", true));
    assert_eq!(slot(&got, 1), is("2", "blessed", "-", false));
    assert_eq!(got["again"], "3 runs, nothing is newer");
}

/// When version 1 is back after version 2 has used up its tries.
const GIVEN_UP: &str = "update-agent status | grep -q failed";

#[test]
fn a_version_that_panics_is_given_up() {
    let (got, said) = left_alone("boot: {cmdline: [rdinit=/nowhere, panic=1]}\n", "", None, GIVEN_UP);
    assert_eq!(got.get("version").map(String::as_str), Some("1"), "{said}");
    assert_eq!(got["entries"], "web_1.efi web_2+0-3.efi", "{said}");
    assert_eq!(slot(&got, 0), is("1", "blessed", "-", true));
    assert_eq!(slot(&got, 1), is("2", "failed", "it did not come up", false));
    assert_eq!(got["again"], "2 was tried and did not come up; it is not tried again");
}

#[test]
fn a_version_with_a_failing_service_is_given_up() {
    let (got, said) = left_alone("", PICKY, None, GIVEN_UP);
    assert_eq!(got.get("version").map(String::as_str), Some("1"), "{said}");
    assert_eq!(got["entries"], "web_1.efi web_2+0-3.efi", "{said}");
    assert_eq!(slot(&got, 0), is("1", "blessed", "-", true));
    let (_, state, reason, _) = slot(&got, 1);
    assert!(state == "failed" && reason == "failed units: picky.service", "{reason}");
}

/// Asks the served folder for a range of a file over a connection that stays, for another one behind it, and for whole files
/// over four connections at once; then loses its network for a while, and in the end its power.
const FETCH: &str = r#"
get() {
    printf 'GET /%s HTTP/1.1\r\nHost: runvm\r\nRange: bytes=%s\r\n\r\n' "$1" "$2" >&3
    while read -r name value <&3 && [ "$name" != $'\r' ]; do
        case $name in
            HTTP/1.1) echo "status=${value%% *}" ;;
            Content-Length:) length=${value%$'\r'} ;;
        esac
    done
    dd bs=1 count="$length" status=none <&3
}
link() {
    for _ in {1..300}; do
        [ "$(cat "$card/carrier" 2>&1)" = "$1" ] && return
        sleep 0.1
    done
    echo "the link does not become $1"
    exit 1
}
card=$(echo /sys/class/net/e*)
link 1
for _ in {1..300}; do exec 3<>/dev/tcp/10.0.2.100/80 && break; sleep 0.2; done 2>/dev/null
get data 5-8
get data 1048570-1048580
exec 3>&-
for at in 1 2 3 4; do
    (exec 3<>/dev/tcp/10.0.2.100/80; printf 'GET /data HTTP/1.0\r\n\r\n' >&3; tail -c 1048576 <&3 | sha256sum) &
done >/run/sums
wait
echo "sums=$(sort /run/sums | uniq -c | tr -s ' ')"
echo 'now without a cable' >/dev/ttyS0
link 0
echo pulled=out
link 1
for _ in {1..300}; do exec 3<>/dev/tcp/10.0.2.100/80 && break; sleep 0.2; done 2>/dev/null
get data 0-3
echo kept >/var/lib/kept && sync
for at in {1..40}; do head -c 1M /dev/urandom >/var/lib/unfinished-$at; done
echo 'now without power' >/dev/ttyS0
sleep 1000
"#;

#[test]
fn a_guest_is_served_and_loses_its_network_and_its_power() {
    let guest = Guest::new();
    let dir = guest.dir.path().to_owned();
    let served = dir.join("served");
    fs_err::create_dir(&served).unwrap();
    let mut data: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    data[..9].copy_from_slice(b"0123\nfive");
    data[1048570..].copy_from_slice(b"end =\n");
    fs_err::write(served.join("data"), &data).unwrap();
    let sum = tool("sha256sum", [served.join("data")]).ok().stdout;
    let sum = sum.split_whitespace().next().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (overlay, log) = (dir.join("disk.qcow2"), dir.join("requests"));
    let guest = guest.args(["--persist", &text(&overlay)]);

    let script = format!("exec bash -c {}", quoted(FETCH));
    let mut command = guest.command();
    let ran = run(command
        .env("TMPDIR", &dir)
        .env("TWINHULL_NGINX", newer_nginx(&[&dir]))
        .args(["--serve", &text(&served), "--serve-log", &text(&log)])
        .args(["--network-cut", "now without a cable", "--network-back", "3s"])
        .args(["--kill-after", "now without power", "--exec", &script]));
    assert_eq!(ran.code, 125, "{}\n{}", ran.text(), guest.serial());
    let want = format!("status=206\nfivestatus=206\nend =\nsums= 4 {sum} -\npulled=out\nstatus=206\n0123",);
    assert_eq!(ran.stdout, want, "{}", ran.stderr);
    let requests = fs_err::read_to_string(&log).unwrap();
    let requests: Vec<Vec<&str>> = requests.lines().map(|line| line.splitn(5, ' ').collect()).collect();
    assert_eq!(requests.len(), 7, "{requests:?}");
    assert_eq!(requests[0][2..], ["206", "4", "\"GET /data HTTP/1.1\" \"bytes=5-8\""]);
    assert_eq!(requests[0][1], requests[1][1], "one connection carries both: {requests:?}");
    let left: Vec<_> = fs_err::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("runvm-")), "{left:?}");

    // 3 is what qemu-img says of clusters that were written and belong to nothing, which is no damage.
    let checked = tool("qemu-img", ["check".to_owned(), text(&overlay)]);
    assert!(matches!(checked.code, 0 | 3), "{}", checked.text());
    let facts = "echo state=$(systemctl is-system-running --wait); echo kept=$(cat /var/lib/kept)";
    let got = values(&guest.exec(facts).ok().stdout);
    assert_eq!((got["state"].as_str(), got["kept"].as_str()), ("running", "kept"), "{}", guest.serial());
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
