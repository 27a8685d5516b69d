//! Power cuts at random moments of updates: whatever was cut, the machine boots, into one version or the other, and a
//! later update succeeds.
//!
//! One boot for each cut: it proves that the cut before did no harm, and goes on with the update until the next one.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use twinhull_tests::{program, run, tool};

use crate::publisher::Publisher;
use crate::support::{Guest, values};

/// Cuts when nobody says how many, in TWINHULL_POWER_CUTS.
const CUTS: usize = 2;

/// A line of the console, and how many milliseconds later at the latest the power fails. They take turns. What the third
/// one cuts is the beginning of the new version, mostly; the fourth one meets that when it is about to be blessed.
const MOMENTS: [(&str, u64); 4] = [
    ("the update begins", 25_000),
    ("the slot is written", 6_000),
    ("now into the new version", 60_000),
    ("the machine is up", 8_000),
];

/// Says what runs, updates, and goes to the new version. In the newest one there is nothing left to do.
const SCRIPT: &str = r#"
. /usr/lib/os-release
echo "ran=$IMAGE_VERSION" $(ls /efi/EFI/Linux)
echo 'the machine is up' >/dev/ttyS0
systemctl stop twinhull-update.service
echo "state=$(systemctl is-system-running --wait)"
systemctl start boot-complete.target
systemctl start systemd-bless-boot.service
if [ $IMAGE_VERSION = @NEWEST@ ]; then
    files=0
    for size in $(find /efi -type f -printf '%s '); do files=$((files + size)); done
    echo "lost=$(($(df --output=used -B1 /efi | tail -n 1) - files))"
    exit
fi
echo 'the update begins' >/dev/ttyS0
update-agent update 2>&1 | while read -r line; do
    echo "$(cut -d' ' -f1 /proc/uptime) $line"
    total=${line#* of }
    [ "$line" != "$total of $total" ] || echo 'the slot is written' >/dev/ttyS0
done
ls /efi/EFI/Linux | grep -q 'web_@NEWEST@+' || exit 1
echo staged=@NEWEST@
echo 'now into the new version' >/dev/ttyS0
systemctl reboot
sleep 1000
"#;

/// Small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// A machine whose power fails.
struct Machine {
    publisher: Publisher,
    guest: Guest,
    newest: u32,
    /// What may run when the power is back.
    may_run: Vec<String>,
}

/// A run up to its end or to the power cut.
struct Run {
    was_cut: bool,
    staged: bool,
    /// What ran, and the boot files it saw; the first is what came up after the cut before.
    ran: Vec<String>,
    last: std::collections::BTreeMap<String, String>,
}

impl Machine {
    fn new() -> Self {
        let publisher = Publisher::new();
        let guest = Guest::of(publisher.build("1", "")).patient();
        let overlay = guest.dir.path().join("disk.qcow2").display().to_string();
        let guest = guest.args(["--disk-size", "4G", "--persist", &overlay]);
        Machine { publisher, guest, newest: 1, may_run: vec!["1".into()] }
    }

    fn publish(&mut self) {
        self.newest += 1;
        let version = self.newest.to_string();
        self.publisher.release(&version, "");
        self.publisher.promote(&version);
    }

    /// Boots, and cuts the power `delay` milliseconds after a line of the console, if at all.
    fn run(&mut self, cut: Option<(&str, u64)>) -> Run {
        let newest = self.newest.to_string();
        let mut command = self.guest.command();
        if let Some((line, delay)) = cut {
            command.args(["--kill-after", line]);
            if delay > 0 {
                command.args(["--kill-delay", &format!("{}.{:03}s", delay / 1000, delay % 1000)]);
            }
        }
        let ran = run(command.arg("--exec").arg(SCRIPT.replace("@NEWEST@", &newest)));
        let said = || format!("{}\n{}", ran.text(), self.guest.serial());
        assert!(matches!((ran.code, cut), (0, _) | (125, Some(_))), "{}", said());
        let all = |key: &str| {
            let lines = ran.stdout.lines().filter_map(|line| line.strip_prefix(key));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let versions = all("ran=");
        let first = versions.first().and_then(|ran| ran.split(' ').next());
        let first = first.unwrap_or_else(|| panic!("nothing came up: {}", said()));
        assert!(self.may_run.iter().any(|version| version == first), "{first} ran: {}", said());
        assert!(all("state=").iter().all(|state| state == "running"), "{}", said());
        self.may_run = versions.iter().filter_map(|ran| Some(ran.split(' ').next()?.to_owned())).collect();
        self.may_run.push(newest);
        Run {
            was_cut: ran.code == 125,
            staged: !all("staged=").is_empty(),
            ran: versions,
            last: values(&ran.stdout),
        }
    }

    /// Both slots of the disk, with every block checked.
    fn verified(&self) -> usize {
        let at = |name: &str| self.guest.dir.path().join(name).display().to_string();
        tool("qemu-img", ["convert", "-O", "raw", &at("disk.qcow2"), &at("disk.raw")]).ok();
        let seen = run(program("image-builder").arg("inspect").arg(Path::new(&at("disk.raw")))).ok();
        seen.stdout.matches("verified").count()
    }
}

#[test]
fn power_cuts_leave_a_machine_that_boots_and_updates() {
    let cuts = number("TWINHULL_POWER_CUTS").map_or(CUTS, |cuts| usize::try_from(cuts).unwrap());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 % 1_000_000;
    let seed = number("TWINHULL_POWER_SEED").unwrap_or_else(now);
    eprintln!("{cuts} power cuts, TWINHULL_POWER_SEED={seed}");
    let mut random = Random(seed);
    let mut machine = Machine::new();
    machine.publish();
    let (mut done, mut uncut) = (0, 0);
    while done < cuts {
        assert!(uncut <= cuts + 2, "the moments do not come");
        let (line, latest) = MOMENTS[done % MOMENTS.len()];
        let delay = random.below(latest);
        let run = machine.run(Some((line, delay)));
        let boots = run.ran.join(", then ");
        if run.was_cut {
            done += 1;
            eprintln!("cut {done}: {boots}; cut {delay} ms after {line:?}");
        } else {
            uncut += 1;
            eprintln!("not cut: {boots} is the newest already");
        }
        // What was cut may be the newest version by now, which has nothing to update to.
        if run.staged || !run.was_cut || line == MOMENTS[1].0 {
            machine.publish();
        }
    }
    machine.publish();
    let newest = machine.newest.to_string();
    let run = machine.run(None);
    eprintln!("left alone: {}", run.ran.join(", then "));
    assert_eq!(run.ran.last().and_then(|ran| ran.split(' ').next()), Some(newest.as_str()));
    assert_eq!(machine.verified(), 2);
    // No cut has left anything on the ESP that takes up room.
    let lost: i64 = run.last["lost"].parse().unwrap();
    assert!(lost < 1 << 20, "{lost} bytes of the ESP belong to no file");
}
