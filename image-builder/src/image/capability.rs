//! File capabilities as text, from the attribute `security.capability` (`struct vfs_cap_data` in
//! linux/capability.h).

/// Name of the attribute.
pub(crate) const ATTRIBUTE: &[u8] = b"security.capability";

/// Names by number, from linux/capability.h.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The capabilities as getcap(8) would print them: `cap_net_raw=ep`. What makes no sense is shown as bytes.
pub(crate) fn describe(value: &[u8]) -> String {
    parse(value).unwrap_or_else(|| {
        let start: String = value.iter().take(32).map(|b| format!("{b:02x}")).collect();
        format!("unknown capability data of {} bytes, {start}", value.len())
    })
}

fn parse(value: &[u8]) -> Option<String> {
    let word = |n: usize| {
        let bytes = value.get(n * 4..n * 4 + 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let magic = word(0)?;
    let (words, len) = match magic >> 24 {
        1 => (1, 12),
        2 => (2, 20),
        3 => (2, 24),
        _ => return None,
    };
    if value.len() != len {
        return None;
    }
    let effective = magic & 1 == 1;
    let (mut permitted, mut inheritable) = (0_u64, 0_u64);
    for n in 0..words {
        permitted |= u64::from(word(1 + n * 2)?) << (32 * n);
        inheritable |= u64::from(word(2 + n * 2)?) << (32 * n);
    }
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for n in 0..64 {
        let (p, i) = (permitted >> n & 1 == 1, inheritable >> n & 1 == 1);
        if !p && !i {
            continue;
        }
        let flags: String =
            [(effective, 'e'), (i, 'i'), (p, 'p')].iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect();
        let name = NAMES.get(n).map_or_else(|| n.to_string(), |name| format!("cap_{name}"));
        match groups.iter_mut().find(|(f, _)| *f == flags) {
            Some((_, names)) => names.push(name),
            None => groups.push((flags, vec![name])),
        }
    }
    let mut text: Vec<String> =
        groups.iter().map(|(flags, names)| format!("{}={flags}", names.join(","))).collect();
    if text.is_empty() {
        text.push("=".into());
    }
    if magic >> 24 == 3 {
        text.push(format!("[rootid={}]", word(5)?));
    }
    Some(text.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_getcap() {
        let data = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        for (words, want) in [
            (vec![0x0200_0001, 1 << 13, 0, 0, 0], "cap_net_raw=ep"),
            (vec![0x0200_0001, 1 << 12 | 1 << 13, 0, 1 << 7, 0], "cap_net_admin,cap_net_raw,cap_bpf=ep"),
            (vec![0x0200_0000, 1 << 10, 1 << 10, 0, 0], "cap_net_bind_service=ip"),
            (vec![0x0300_0001, 1, 0, 0, 0, 1000], "cap_chown=ep [rootid=1000]"),
            (vec![0x0100_0001, 1, 0], "cap_chown=ep"),
            (vec![0x0200_0000, 0, 0, 0, 0], "="),
        ] {
            assert_eq!(describe(&data(&words)), want);
        }
        assert!(describe(&[1, 2, 3]).starts_with("unknown capability data of 3 bytes, 010203"));
        assert!(describe(&data(&[0x0200_0001, 1])).starts_with("unknown"));
    }
}
