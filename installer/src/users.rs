//! Who uses a disk: mounts and swap by the kernel's own lists, and what is made of its partitions by /sys. An exclusive open
//! says no to the same and more, but not who it is.

use std::collections::BTreeMap;
use std::path::Path;

/// Major and minor number of a block device.
pub(crate) type Number = (u32, u32);

/// The numbers of a disk, of its partitions, and of whatever is made of them, with their names. `sys` is /sys.
pub(crate) fn devices(sys: &Path, name: &str) -> BTreeMap<Number, String> {
    let mut found = BTreeMap::new();
    add(&sys.join("class/block"), name, &mut found);
    found
}

fn add(class: &Path, name: &str, found: &mut BTreeMap<Number, String>) {
    let dir = class.join(name);
    let number = fs_err::read_to_string(dir.join("dev")).ok().and_then(|text| number(text.trim()));
    let Some(number) = number else { return };
    if found.insert(number, name.to_owned()).is_some() {
        return;
    }
    for name in partitions(class, name).into_iter().chain(entries(&dir.join("holders"))) {
        add(class, &name, found);
    }
}

/// The names of a disk's partitions. `class` is /sys/class/block.
pub(crate) fn partitions(class: &Path, name: &str) -> Vec<String> {
    let dir = class.join(name);
    let mut names: Vec<String> =
        entries(&dir).into_iter().filter(|name| dir.join(name).join("partition").exists()).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(dir).into_iter().flatten().filter_map(|entry| entry.ok());
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn number(text: &str) -> Option<Number> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Who uses one of `devices`, by /proc/self/mountinfo and /proc/swaps; `number_of` says the number of the device at a path.
pub(crate) fn users(
    devices: &BTreeMap<Number, String>,
    mountinfo: &str,
    swaps: &str,
    number_of: &dyn Fn(&str) -> Option<Number>,
) -> Vec<String> {
    let mut users = Vec::new();
    for line in mountinfo.lines() {
        let (fields, rest) = line.split_once(" - ").unwrap_or((line, ""));
        let fields: Vec<&str> = fields.split(' ').collect();
        let (Some(at), Some(place)) = (fields.get(2), fields.get(4)) else { continue };
        // Btrfs and others have numbers of their own, and name the device behind them.
        let source = rest.split(' ').nth(1).filter(|source| source.starts_with('/'));
        let numbers = [number(at), source.and_then(number_of)];
        if let Some(name) = numbers.into_iter().flatten().find_map(|number| devices.get(&number)) {
            users.push(format!("{name} is mounted on {place} (umount {place})"));
        }
    }
    for line in swaps.lines().skip(1) {
        let path = line.split_whitespace().next().unwrap_or_default();
        if let Some(name) = number_of(path).and_then(|number| devices.get(&number)) {
            users.push(format!("{name} is swap (swapoff {path})"));
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_what_is_made_of_them_belong_to_the_disk() {
        let sys = tempfile::tempdir().unwrap();
        let class = sys.path().join("class/block");
        let put = |path: &str, text: &str| {
            let path = class.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        put("sda/dev", "8:0\n");
        for (name, dev) in [("sda1", "8:1\n"), ("sda10", "8:10\n"), ("sda2", "8:2\n")] {
            put(&format!("sda/{name}/partition"), "1\n");
            put(&format!("{name}/dev"), dev);
        }
        put("sda/queue/x", "");
        put("sda2/holders/dm-0", "");
        put("dm-0/dev", "253:0\n");
        put("sdb/dev", "8:16\n");
        assert_eq!(partitions(&class, "sda"), ["sda1", "sda2", "sda10"]);
        let found = devices(sys.path(), "sda");
        let names: Vec<&str> = found.values().map(String::as_str).collect();
        assert_eq!(names, ["sda", "sda1", "sda2", "sda10", "dm-0"]);
        assert!(devices(sys.path(), "sdz").is_empty());
    }

    #[test]
    fn mounts_and_swap_are_named() {
        let devices =
            BTreeMap::from([((8, 0), "sda".into()), ((8, 1), "sda1".into()), ((8, 2), "sda2".into())]);
        let number_of = |path: &str| match path {
            "/dev/sda2" => Some((8, 2)),
            "/dev/sdb1" => Some((8, 17)),
            _ => None,
        };
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        for (mounts, swaps, want) in [
            ("22 1 8:17 / / rw - ext4 /dev/sdb1 rw\n", "", None),
            ("22 1 8:1 / /mnt rw,x shared:1 - ext4 /dev/root rw\n", "", Some("sda1 is mounted on /mnt")),
            ("22 1 0:35 /@ /data rw - btrfs /dev/sda2 rw\n", "", Some("sda2 is mounted on /data")),
            ("22 1 0:5 / /dev rw - devtmpfs devtmpfs rw\nx\n\n", "", None),
            ("", "/dev/sda2 partition 1 0 -2\n", Some("sda2 is swap (swapoff /dev/sda2)")),
            ("", "/dev/sdb1 partition 1 0 -2\n/swapfile file 1 0 -3\n", None),
        ] {
            let users = users(&devices, mounts, &format!("{head}{swaps}"), &number_of);
            assert_eq!(users.len(), usize::from(want.is_some()), "{users:?}");
            assert!(users.iter().zip(want).all(|(user, want)| user.contains(want)), "{users:?}");
        }
    }
}
