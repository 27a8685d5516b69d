//! Sets the host up: installs what is missing from Debian's packages, and elsewhere says what is missing.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use twinhull_sysutil::command::{Cmd, which};

use crate::paths::run;

/// QEMU older than this hangs in long emulated boots; Debian 12 has 7.2, its backports a newer one.
const QEMU_AT_LEAST: u32 = 9;

/// A program or file that is needed, and the Debian packages that have it, in order of preference.
struct Need {
    /// Program in PATH, or an absolute path.
    what: &'static str,
    packages: &'static [&'static str],
}

const fn need(what: &'static str, packages: &'static [&'static str]) -> Need {
    Need { what, packages }
}

/// For building and booting an image.
const DEMO: &[Need] = &[
    need("mmdebstrap", &["mmdebstrap"]),
    need("/usr/share/keyrings/debian-archive-keyring.gpg", &["debian-archive-keyring"]),
    need("qemu-system-x86_64", &["qemu-system-x86"]),
    need("qemu-img", &["qemu-utils"]),
    need("/usr/share/OVMF/OVMF_CODE_4M.fd", &["ovmf"]),
    need("newuidmap", &["uidmap"]),
    need("cc", &["gcc", "libc6-dev"]),
    need("openssl", &["openssl"]),
];

/// For the foreign checks of the tests.
const TEST: &[Need] = &[
    need("bmaptool", &["bmap-tools"]),
    need("bwrap", &["bubblewrap"]),
    need("bootctl", &["systemd-boot-tools", "systemd-boot"]),
    need("dbus-daemon", &["dbus-daemon", "dbus"]),
    need("debugfs", &["e2fsprogs"]),
    need("depmod", &["kmod"]),
    need("diff", &["diffutils"]),
    need("dump.erofs", &["erofs-utils"]),
    need("fsck.vfat", &["dosfstools"]),
    need("journalctl", &["systemd"]),
    need("mcopy", &["mtools"]),
    need("objdump", &["binutils"]),
    need("osslsigncode", &["osslsigncode"]),
    need("sbverify", &["sbsigntool"]),
    need("sfdisk", &["fdisk"]),
    need("sgdisk", &["gdisk"]),
    need("nft", &["nftables"]),
    need("/usr/lib/python3/dist-packages/jsonschema", &["python3-jsonschema"]),
    need("/usr/lib/python3/dist-packages/yaml", &["python3-yaml"]),
    need("setcap", &["libcap2-bin"]),
    need("setpriv", &["util-linux"]),
    need("sig-list-to-certs", &["efitools"]),
    need("softhsm2-util", &["softhsm2"]),
    need("/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so", &["libengine-pkcs11-openssl"]),
    need("ssh-keygen", &["openssh-client"]),
    need("swtpm", &["swtpm"]),
    need("systemd-hwdb", &["systemd-hwe-hwdb", "udev"]),
    need("systemd-repart", &["systemd-repart", "systemd"]),
    need("systemd-tmpfiles", &["systemd"]),
    need("veritysetup", &["cryptsetup-bin"]),
    need("zstd", &["zstd"]),
];

/// Makes sure that a demo can run here.
pub(crate) fn for_demo() -> Result<()> {
    ensure(DEMO.iter())
}

/// Makes sure that the tests can run here.
pub(crate) fn for_tests() -> Result<()> {
    ensure(DEMO.iter().chain(TEST))
}

/// Makes sure that Debian packages are installed, for benchmarks.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    let missing: Vec<String> =
        names.iter().filter(|name| !installed(name)).map(|n| (*n).to_owned()).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing, false) }
}

fn present(what: &str) -> bool {
    if what.starts_with('/') { std::path::Path::new(what).exists() } else { which(what).is_some() }
}

fn ensure<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<()> {
    let missing: Vec<&Need> = needs.filter(|n| !present(n.what)).collect();
    let old_qemu = present("qemu-system-x86_64") && qemu_major()? < QEMU_AT_LEAST;
    if missing.is_empty() && !old_qemu {
        return Ok(());
    }
    let whats: Vec<&str> = missing.iter().map(|n| n.what).collect();
    let Some(system) = debian() else {
        let packages: Vec<String> = missing.iter().map(|n| n.packages.join(" or ")).collect();
        bail!(
            "this host lacks {}{}.\nTwinhull installs what it needs on Debian and Ubuntu only. Install what your system calls \
             these packages, then run the command again: {}",
            whats.join(", "),
            if old_qemu { " and QEMU 9 or later" } else { "" },
            packages.join(", ")
        );
    };
    eprintln!(
        "==> installing what is missing: {}",
        if whats.is_empty() { "a newer QEMU".into() } else { whats.join(", ") }
    );
    apt(&["update", "-q"])?;
    let mut names: Vec<String> = Vec::new();
    for need in &missing {
        let all_needed = need.what == "cc";
        let available = need.packages.iter().filter(|p| candidate(p).is_some());
        let chosen: Vec<&&str> = if all_needed { available.collect() } else { available.take(1).collect() };
        if chosen.is_empty() {
            bail!("no package that has {} is to be had here (tried {})", need.what, need.packages.join(", "));
        }
        names.extend(chosen.iter().map(|p| (**p).to_owned()));
    }
    let needs_qemu = old_qemu || names.iter().any(|n| n == "qemu-system-x86");
    if needs_qemu
        && system.codename == "bookworm"
        && candidate("qemu-system-x86").is_none_or(|v| major(&v) < QEMU_AT_LEAST)
    {
        add_backports(&system)?;
        names.retain(|n| n != "qemu-system-x86" && n != "qemu-utils");
        install(&["qemu-system-x86".into(), "qemu-utils".into()], true)?;
    }
    names.sort();
    names.dedup();
    if !names.is_empty() {
        install(&names, false)?;
    }
    for need in missing {
        if !present(need.what) {
            bail!(
                "{} is still missing after its package was installed; tell us about this system",
                need.what
            );
        }
    }
    if qemu_major()? < QEMU_AT_LEAST {
        bail!("QEMU is older than {QEMU_AT_LEAST}, and no newer package is to be had here");
    }
    Ok(())
}

struct System {
    codename: String,
}

/// The system, when it is one whose packages we know.
fn debian() -> Option<System> {
    let text = fs_err::read_to_string("/etc/os-release").ok()?;
    let fields: BTreeMap<&str, &str> =
        text.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k, v.trim_matches('"'))).collect();
    let ours = matches!(fields.get("ID"), Some(&"debian" | &"ubuntu"));
    let codename = fields.get("VERSION_CODENAME").copied().unwrap_or_default().to_owned();
    (ours && which("apt-get").is_some()).then_some(System { codename })
}

/// Adds Debian's backports from the mirror that the system uses already.
fn add_backports(system: &System) -> Result<()> {
    let policy = String::from_utf8_lossy(&Cmd::new("apt-cache").arg("policy").output()?).into_owned();
    let suite = format!("{}-backports", system.codename);
    if policy.contains(&format!("n={suite}")) {
        return Ok(());
    }
    let main = format!("{}/main", system.codename);
    let mirror = policy
        .lines()
        .find(|l| l.contains(&main) && l.contains("://"))
        .and_then(|l| l.split_whitespace().find(|w| w.contains("://")))
        .context("can't tell which Debian mirror this system uses; add its backports by hand")?;
    let text = format!(
        "# Added by Twinhull's `cargo xtask` for a newer QEMU.\nTypes: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    let temp = tempfile::NamedTempFile::new()?;
    fs_err::write(temp.path(), text)?;
    let target = "/etc/apt/sources.list.d/twinhull-backports.sources";
    run(root("install").args(["-m", "0644"]).arg(temp.path()).arg(target))?;
    apt(&["update", "-q"])
}

fn installed(package: &str) -> bool {
    let query = Cmd::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).output();
    query.is_ok_and(|status| status == b"installed")
}

/// The version apt would install, if any.
fn candidate(package: &str) -> Option<String> {
    let out = Cmd::new("apt-cache").args(["policy", package]).output().ok()?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let version = text.lines().find_map(|l| l.trim().strip_prefix("Candidate: "))?.to_owned();
    (version != "(none)").then_some(version)
}

/// The upstream major version of a Debian version: 10 of `1:10.0.2+ds-2`.
fn major(version: &str) -> u32 {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    upstream.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn qemu_major() -> Result<u32> {
    let out = Cmd::new("qemu-system-x86_64").arg("--version").output()?;
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(text.split_whitespace().skip_while(|w| *w != "version").nth(1).map_or(0, major))
}

fn install(names: &[String], backports: bool) -> Result<()> {
    let mut args = vec!["install", "-y", "-q", "--no-install-recommends"];
    let suite;
    if backports {
        suite = format!("{}-backports", debian().map(|s| s.codename).unwrap_or_default());
        args.extend(["-t", &suite]);
    }
    args.extend(names.iter().map(String::as_str));
    apt(&args)
}

fn apt(args: &[&str]) -> Result<()> {
    run(root("apt-get").args(args))
}

/// A command as root: through sudo when we are not.
fn root(program: &str) -> Cmd {
    let interactive = [("DEBIAN_FRONTEND", "noninteractive")];
    if rustix::process::geteuid().is_root() {
        return interactive.iter().fold(Cmd::new(program), |cmd, (k, v)| cmd.env(k, v));
    }
    Cmd::new("sudo").inherit_stdin().arg("DEBIAN_FRONTEND=noninteractive").arg(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, want) in [("1:10.0.2+ds-2", 10), ("7.2.1", 7), ("", 0), ("x", 0)] {
            assert_eq!(major(text), want, "{text}");
        }
    }
}
