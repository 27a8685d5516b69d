//! Mistakes that people make, and why they are mistakes. Whatever these don't know, the pattern of the text
//! refuses with its description alone.

use super::Problem;

const JOINED: &str = "name and version are joined as NAME_VERSION in labels and file names";

pub(super) fn image_id(text: &str) -> Option<Problem> {
    if text.contains('_') {
        return Problem::with_hint(
            format!("must not contain `_`: {JOINED}"),
            format!("write {:?}", text.to_ascii_lowercase().replace('_', "-")),
        );
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Problem::with_hint("must not contain capital letters", format!("write {lower:?}"));
    }
    None
}

pub(super) fn image_version(text: &str) -> Option<Problem> {
    if text.contains('_') {
        return Problem::new(format!("must not contain `_`: {JOINED}"));
    }
    if text.contains('+') {
        return Problem::with_hint(
            "must not contain `+`: it starts the boot counter in file names (NAME_VERSION+3.efi)",
            "write `~` before a pre-release and `^` or `-` before a rebuild, for example 1.0^2",
        );
    }
    None
}

pub(super) fn kernel_release(text: &str) -> Option<Problem> {
    if text.starts_with("vmlinuz") || text.starts_with("linux-image-") {
        return Problem::with_hint(
            "is a file or a package, not a release",
            "write what `uname -r` says, for example 6.12.48+deb13-cloud-amd64; packages go to tree.debian.kernel",
        );
    }
    None
}

pub(super) fn suite(text: &str) -> Option<Problem> {
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Problem::with_hint("must not contain capital letters", format!("write {lower:?}"));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Problem::with_hint(
            "is a version, not a suite",
            "write the suite's code name, for example trixie for Debian 13",
        );
    }
    None
}

pub(super) fn package(text: &str) -> Option<Problem> {
    if let Some((name, _)) = text.split_once(['=', '/']).filter(|(name, _)| !name.is_empty()) {
        return Problem::with_hint(
            "names a version or a suite, which can't be chosen per package",
            format!("write {name:?}; a snapshot as tree.debian.mirror fixes all versions"),
        );
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| !name.is_empty()) {
        return Problem::with_hint("names an architecture, which is image.arch's", format!("write {name:?}"));
    }
    if text.len() > 1 && text.ends_with('-') {
        return Problem::new("would tell apt to remove a package");
    }
    if text.contains([' ', ',']) {
        return Problem::with_hint("looks like several packages", "make each one a list item");
    }
    None
}

pub(super) fn mirror(text: &str) -> Option<Problem> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    if !["http", "https", "file", "copy"].contains(&scheme) {
        return Problem::with_hint(
            "is not a URL that can be used",
            "begin it with https://, http://, file:/ or copy:/",
        );
    }
    let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    if scheme.starts_with("http") && authority.contains('@') {
        return Problem::with_hint(
            "contains a user name, which would be published in the manifest",
            "let a proxy or apt's auth.conf do the login",
        );
    }
    None
}

pub(super) fn releases(text: &str) -> Option<Problem> {
    if let Some((user, _)) =
        text.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.split_once('@'))
    {
        let mut problem = Problem::with_hint(
            "has a user name, which everybody could read in the image",
            "serve the folder without one; releases are public, and protected by their signatures",
        )?;
        problem.secret = user.contains(':');
        return Some(problem);
    }
    (text.contains('?') || text.contains('#'))
        .then(|| Problem::new("has a query or a fragment; file names are put behind its path"))?
}

pub(super) fn target(text: &str) -> Option<Problem> {
    let name = text.strip_suffix(".target")?;
    Problem::with_hint("ends with .target", format!("write {name:?}"))
}

pub(super) fn nothing(_: &str) -> Option<Problem> {
    None
}

pub(super) fn data_disk(text: &str) -> Option<Problem> {
    if text.contains("/by-label/") || text.contains("/by-uuid/") || text.contains("/by-part") {
        return Problem::with_hint(
            "names a file system or partition, which an empty disk doesn't have",
            "write LABEL= and the label of a file system that exists, or a link in /dev/disk/by-path",
        );
    }
    let is_kernels = text.starts_with("/dev/") && !text.starts_with("/dev/disk/");
    is_kernels.then(|| {
        Problem::with_hint(
            "may be another disk at the next boot",
            "write a link in /dev/disk/by-path or by-id; `ls -l /dev/disk/by-path` shows them",
        )
    })?
}

/// Folders that no disk can be mounted on or below.
const NO_MOUNT: &[(&str, &str)] = &[
    ("/usr", "is read-only and verified"),
    ("/bin", "is in /usr"),
    ("/sbin", "is in /usr"),
    ("/lib", "is in /usr"),
    ("/lib64", "is in /usr"),
    ("/etc", "is made anew on every boot"),
    ("/boot", "is the boot loader's"),
    ("/efi", "is the boot loader's"),
    ("/dev", "is the kernel's"),
    ("/proc", "is the kernel's"),
    ("/sys", "is the kernel's"),
    ("/run", "is the running system's"),
    ("/tmp", "is the running system's"),
    ("/home", "gets users' files before data disks are mounted"),
    ("/root", "gets users' files before data disks are mounted"),
    ("/var/home", "gets users' files before data disks are mounted"),
    ("/var/roothome", "gets users' files before data disks are mounted"),
    ("/var/log", "has the journal before data disks are mounted"),
    ("/var/lib/twinhull", "is where the machine keeps who it is"),
    ("/var/lib/systemd", "is in use before data disks are mounted"),
];

pub(super) fn mount_point(text: &str) -> Option<Problem> {
    let below =
        |place: &str| text.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some((place, why)) = NO_MOUNT.iter().find(|(place, _)| below(place)) {
        return Problem::with_hint(
            format!("can't be a mount point: {place} {why}"),
            "write a path below /srv, /mnt or /var/lib",
        );
    }
    ["/var", "/var/lib", "/srv", "/var/srv", "/opt", "/var/opt", "/mnt"].contains(&text).then(|| {
        Problem::with_hint(
            "can't be a mount point: other things are in it",
            format!("write a folder in it, such as {text}/data"),
        )
    })?
}

pub(super) fn window(text: &str) -> Option<Problem> {
    let length = text.rsplit(' ').next()?;
    let (hours, minutes) = match length.split_once('h') {
        Some((hours, rest)) => (hours.parse::<u32>().ok()?, rest.trim_end_matches('m')),
        None => (0, length.strip_suffix('m')?),
    };
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<u32>().ok()? };
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    (!(15..=24 * 60).contains(&all))
        .then(|| Problem::new(format!("is open for {all} minutes; 15 minutes to 24 hours are allowed")))?
}

pub(super) fn channel(text: &str) -> Option<Problem> {
    text.contains('.').then(|| Problem::new("has a dot, which separates parts of file names"))?
}

pub(super) fn hostname(text: &str) -> Option<Problem> {
    if text.contains('_') {
        return Problem::with_hint("must not contain `_`", format!("write {:?}", text.replace('_', "-")));
    }
    if let Some(label) = text.split('.').find(|label| label.len() > 63) {
        return Problem::new(format!("has a label of {} characters; 63 are allowed", label.len()));
    }
    if text.ends_with('.') {
        return Problem::with_hint(
            "must not end with `.`",
            format!("write {:?}", text.trim_end_matches('.')),
        );
    }
    None
}

pub(super) fn compression(text: &str) -> Option<Problem> {
    let (name, level) = text.split_once([':', ',', '-', '=']).unwrap_or((text, ""));
    match name.to_ascii_lowercase().as_str() {
        "lz4" if !level.is_empty() => {
            Problem::with_hint("has a level, and lz4 has none", format!("write \"lz4hc:{level}\""))
        }
        "xz" | "lzma" | "gzip" | "deflate" | "brotli" => Problem::with_hint(
            "is too slow to read for a system's own files",
            "write \"zstd:19\" for the smallest image",
        ),
        "zstd" | "lz4hc" if !text.contains(':') && !level.is_empty() => {
            Problem::with_hint("separates the level otherwise", format!("write \"{name}:{level}\""))
        }
        _ => None,
    }
}

pub(super) fn item(text: &str) -> Option<Problem> {
    let meant = match text.to_ascii_lowercase().as_str() {
        "doc" | "documentation" | "info" => "docs",
        "manual" | "manuals" | "manpages" | "man-pages" => "man",
        "locale" | "translations" | "languages" | "i18n" => "locales",
        "cache" => "caches",
        "hwdb" | "catalog" | "databases" => "sources",
        "module" | "drivers" | "kernel-modules" => "modules",
        _ => return None,
    };
    Problem::with_hint("has another name here", format!("write {meant:?}"))
}

pub(super) fn firmware(text: &str) -> Option<Problem> {
    let meant = match text.to_ascii_lowercase().as_str() {
        "efi" | "ovmf" | "edk2" => "uefi",
        "legacy" | "pc" | "seabios" | "csm" | "grub" | "mbr" => "bios",
        _ => return None,
    };
    Problem::with_hint("has another name here", format!("write {meant:?}"))
}

pub(super) fn signing_key(text: &str) -> Option<Problem> {
    if text.starts_with("pkcs11:") && text.contains("pin-value=") {
        return Problem::secret(
            "has a PIN in it, which everybody who reads the spec would know",
            "remove pin-value=, and put the PIN into TWINHULL_KEY_PIN or into a file that pin-source= names",
        );
    }
    if text.starts_with("-----BEGIN") {
        return Problem::secret("is a key, not where one is", "write it to a file and name the file");
    }
    None
}

pub(super) fn unit(text: &str) -> Option<Problem> {
    let Some((stem, suffix)) = text.rsplit_once('.') else {
        return Problem::with_hint("has no suffix", format!("write \"{text}.service\""));
    };
    if ["device", "scope"].contains(&suffix) {
        return Problem::new(format!("can't be enabled: .{suffix} units have no [Install] section"));
    }
    if stem.ends_with('@') {
        return Problem::with_hint(
            "is a template without an instance",
            format!("write \"{stem}INSTANCE.{suffix}\""),
        );
    }
    if text.contains('/') {
        return Problem::with_hint("is a path", "write the unit's name without its folder");
    }
    None
}

pub(super) fn module(text: &str) -> Option<Problem> {
    let name = text.rsplit('/').next().unwrap_or(text);
    let stem = name.split(".ko").next().unwrap_or(name);
    if stem != text && !stem.is_empty() {
        return Problem::with_hint("is a file, not a module's name", format!("write {stem:?}"));
    }
    None
}

/// Options that the builder sets or that would work against what it sets, with the reason.
const RESERVED: &[(&str, &str)] = &[
    ("usrhash", "the builder sets it to the root hash of /usr"),
    ("roothash", "there is no verity root; the builder sets usrhash= for /usr"),
    ("root", "the builder sets root=tmpfs: only /usr and /var are on disk"),
    ("rootflags", "the builder sets it for the tmpfs root"),
    ("rootfstype", "the builder sets the root to a tmpfs"),
    ("mount.usr", "/usr is found by its root hash"),
    ("mount.usrfstype", "/usr is found by its root hash"),
    ("mount.usrflags", "/usr is found by its root hash"),
    ("systemd.gpt_auto", "the builder turns it off: Twinhull's generators find the partitions"),
    ("rd.systemd.gpt_auto", "the builder turns it off: Twinhull's generators find the partitions"),
    ("systemd.verity", "/usr is always verified"),
    ("rd.systemd.verity", "/usr is always verified"),
    ("systemd.verity_usr_data", "/usr is found by its root hash"),
    ("systemd.verity_usr_hash", "/usr is found by its root hash"),
    ("systemd.verity_usr_options", "/usr is found by its root hash"),
    ("initrd", "the UKI holds its initrd"),
    ("twinhull.emergency", "boot.emergency sets it"),
    ("twinhull.provision", "boot.provisioning sets it"),
];

pub(super) fn cmdline(text: &str) -> Option<Problem> {
    if text.contains(char::is_whitespace) {
        return Problem::with_hint("contains a space", "make each word a list item of its own");
    }
    let name = text.split('=').next().unwrap_or(text).replace('-', "_");
    let (_, why) = RESERVED.iter().find(|(reserved, _)| *reserved == name)?;
    Some(Problem {
        message: format!("can't be set here: {why}"),
        hint: Some("remove it".into()),
        reserved: true,
        secret: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points() {
        for (path, good) in [
            ("/srv/data", true),
            ("/var/lib/postgresql", true),
            ("/data", true),
            ("/usrlocal", true),
            ("/mnt/a/b", true),
            ("/usr", false),
            ("/usr/local", false),
            ("/srv", false),
            ("/var", false),
            ("/var/lib/twinhull/x", false),
            ("/var/log", false),
            ("/home/ann", false),
        ] {
            assert_eq!(mount_point(path).is_none(), good, "{path}");
        }
    }

    #[test]
    fn reserved_words_are_found_in_either_spelling() {
        for (word, reserved) in [
            ("root=/dev/sda1", true),
            ("systemd.gpt-auto=yes", true),
            ("usrhash", true),
            ("rootwait", false),
            ("twinhull.provision=strict", true),
            ("twinhull.source=off", false),
            ("panic=0", false),
        ] {
            assert_eq!(cmdline(word).is_some_and(|p| p.reserved), reserved, "{word}");
        }
    }
}
