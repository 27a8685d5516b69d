//! Keys of cloud-config that do nothing here: those that are refused, with the way out, and those that are
//! accepted as long as they ask for what is so anyway.

use crate::userdata::fields::Fields;
use crate::userdata::format::SCRIPT;
use crate::yaml::{Node, Problem, Value};

const IMAGE: &str =
    "programs and their configuration belong to the image: put them into its spec, or use `write_files`";
const PACKAGES: &str =
    "an immutable image has its packages built in: put them into its spec (`tree.debian.packages`)";
const DISKS: &str =
    "the image's spec says what is on the disk; mount further ones with `units` of Twinhull's own format";
const HOST_KEYS: &str = "the machine makes its SSH host key itself and keeps it";
const NETWORK: &str =
    "the network comes from the platform's metadata, or from .network files in `write_files`";
const INIT: &str = "there is no cloud-init here that this could configure";

/// Refused unless empty or false.
pub(super) const REFUSED: &[(&[&str], &str)] = &[
    (&["runcmd", "bootcmd"], SCRIPT),
    (
        &["packages", "package_upgrade", "apt_upgrade", "apt", "apt_sources", "apt_pipelining", "apk_repos"],
        PACKAGES,
    ),
    (
        &["yum_repos", "yum_repo_dir", "zypper", "snap", "rpi", "drivers", "package_reboot_if_required"],
        PACKAGES,
    ),
    (&["apt_reboot_if_required"], PACKAGES),
    (
        &["disk_setup", "fs_setup", "mounts", "mount_default_fields", "swap", "device_aliases", "bcache"],
        DISKS,
    ),
    (&["ca_certs", "ca-certs", "keyboard", "locale_configfile", "rsyslog", "byobu_by_default", "fan"], IMAGE),
    (&["ansible", "chef", "puppet", "salt_minion", "mcollective", "landscape", "lxd", "spacewalk"], IMAGE),
    (&["ubuntu_advantage", "ubuntu_pro", "rh_subscription", "wireguard", "autoinstall", "grub_dpkg"], IMAGE),
    (&["grub-dpkg", "locale", "random_seed"], IMAGE),
    (&["ssh_keys", "ssh_genkeytypes", "ssh_publish_hostkeys", "ssh"], HOST_KEYS),
    (
        &["ssh_import_id"],
        "nothing is fetched beyond user data: give the keys themselves in `ssh_authorized_keys`",
    ),
    (
        &["password", "chpasswd"],
        "passwords are never given as such: use `hashed_passwd` and `lock_passwd: false` of a user",
    ),
    (
        &["user", "system_info"],
        "there is no default user: list it in `users`, or give keys to root by `ssh_authorized_keys`",
    ),
    (&["groups"], "groups are the image's; a new user has a group of its own name"),
    (&["disable_root_opts"], "root is there for its keys; leave it out"),
    (&["power_state"], "the machine stays up after its first boot"),
    (&["resolv_conf", "manage_resolv_conf", "network"], NETWORK),
    (
        &[
            "cloud_init_modules",
            "cloud_config_modules",
            "cloud_final_modules",
            "datasource",
            "datasource_list",
        ],
        INIT,
    ),
    (&["output", "reporting", "vendor_data", "vendor_data2", "updates", "write_files_deferred"], INIT),
];

/// What such a key may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    No,
    Yes,
    Auto,
    Anything,
}

/// Accepted as it is: the key, what it may say, and what is so.
pub(super) const AS_IT_IS: &[(&str, Said, &str)] = &[
    (
        "preserve_hostname",
        Said::No,
        "the host name is set on every boot; leave `hostname` out to have the platform's",
    ),
    ("manage_etc_hosts", Said::No, "/etc/hosts is the image's, or a file of `write_files`"),
    ("create_hostname_file", Said::Yes, "/etc/hostname is written"),
    (
        "ssh_pwauth",
        Said::No,
        "sshd takes keys only; change its configuration in the image, or in /etc/ssh/sshd_config.d",
    ),
    ("disable_root", Said::No, "root takes the platform's keys; it has no others unless you give some"),
    ("ssh_deletekeys", Said::Yes, "every machine makes its own SSH host key"),
    ("ssh_quiet_keygen", Said::Anything, "the console shows the fingerprint alone"),
    ("no_ssh_fingerprints", Said::No, "the console shows the host key's fingerprint when it is made"),
    ("package_update", Said::No, PACKAGES),
    ("repo_update", Said::No, PACKAGES),
    ("apt_update", Said::No, PACKAGES),
    ("repo_upgrade", Said::No, PACKAGES),
    ("growpart", Said::Auto, "/var grows to the end of the disk by itself"),
    ("resize_rootfs", Said::Yes, "/var grows to the end of the disk by itself"),
    ("final_message", Said::Anything, "it is not printed"),
    ("merge_how", Said::Anything, "parts are joined; saying something twice is a mistake"),
    ("merge_type", Said::Anything, "parts are joined; saying something twice is a mistake"),
];

/// Looks at all such keys.
pub(super) fn check(fields: &Fields<'_>, notes: &mut Vec<Problem>, problems: &mut Vec<Problem>) {
    for (names, why) in REFUSED {
        names.iter().for_each(|name| fields.refuse(&[(name, why)], problems));
    }
    for (name, said, so) in AS_IT_IS {
        let Some(node) = fields.node(name) else { continue };
        if says(node, *said) {
            notes.push(Problem::new(&node.place, format!("`{name}` makes no difference: {so}")));
        } else {
            let want = match said {
                Said::No => "false",
                Said::Yes => "true",
                _ => "`mode: auto`",
            };
            problems.push(Problem::new(&node.place, format!("`{name}` can only be {want} here: {so}")));
        }
    }
}

fn says(node: &Node, said: Said) -> bool {
    let flag = match &node.value {
        Value::Bool(flag) => Some(*flag),
        Value::Text(text) => match text.as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    match said {
        Said::Anything => true,
        Said::No => flag == Some(false),
        Said::Yes => flag == Some(true),
        Said::Auto => {
            let known = node
                .entries()
                .iter()
                .all(|(k, _)| matches!(k.text(), Some("mode" | "devices" | "ignore_growroot_disabled")));
            let mode = node.get("mode");
            known
                && matches!(node.value, Value::Map(_))
                && mode.is_none_or(|m| {
                    matches!(m.text(), Some("auto" | "growpart")) || m.value == Value::Bool(true)
                })
        }
    }
}
