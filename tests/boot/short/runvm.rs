//! What `runvm` does to a guest: serves it a folder, takes its network and its power.

use std::path::Path;

use twinhull_tests::{newer_nginx, run, tool};

use crate::support::{Guest, quoted, values};

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
    let guest = guest.args(["--fill-disk", "1M"]);
    let facts = "echo state=$(systemctl is-system-running --wait); echo kept=$(cat /var/lib/kept); \
                 echo room=$(($(stat -f -c '%a * %S' /var) / 1024))";
    let got = values(&guest.exec(facts).ok().stdout);
    assert!((1..=1024).contains(&got["room"].parse::<u32>().unwrap()), "{got:?}");
    assert_eq!((got["state"].as_str(), got["kept"].as_str()), ("running", "kept"), "{}", guest.serial());
}
