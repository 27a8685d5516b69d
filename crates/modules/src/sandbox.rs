//! What every service of a module may do: little. A template that needs more says what and why, and the reason
//! stands in the unit.

use std::fmt::Write as _;

/// Settings of every service, but for those that follow from what it listens on.
const BASE: &[(&str, &str)] = &[
    ("AmbientCapabilities", ""),
    ("CapabilityBoundingSet", ""),
    ("KeyringMode", "private"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("NoNewPrivileges", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateTmp", "yes"),
    ("ProcSubset", "pid"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHome", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectSystem", "strict"),
    ("RemoveIPC", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("SystemCallFilter", "@system-service"),
    ("UMask", "0027"),
];

/// Settings that follow from what the service does.
const DERIVED: &[&str] = &["IPAddressDeny", "PrivateNetwork", "RestrictAddressFamilies", "User"];

/// A setting that a template changes, with the reason.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) setting: &'a str,
    pub(crate) value: String,
    pub(crate) because: &'a str,
}

/// Whether the sandbox has a setting of this name.
pub(crate) fn knows(name: &str) -> bool {
    names().contains(&name)
}

/// The sandbox's settings.
pub(crate) fn names() -> Vec<&'static str> {
    BASE.iter().map(|(name, _)| *name).chain(DERIVED.iter().copied()).collect()
}

/// The unit `text` with a sandbox behind it. A service without `network` gets none but UNIX sockets.
///
/// Returns what is wrong with the unit.
pub(crate) fn confine(text: &str, network: bool, changes: &[Change<'_>]) -> Result<String, String> {
    let mut section = "";
    let mut has_user = changes.iter().any(|change| change.setting == "User");
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| section == "[Service]") else { continue };
        has_user |=
            name == "User" && !["", "root", "0"].contains(&value) || name == "DynamicUser" && value == "yes";
        if knows(name) && name != "User" {
            return Err(format!(
                "sets {name}=, which the sandbox sets; change it under `widen`, with the reason"
            ));
        }
    }
    if !has_user {
        return Err(
            "has neither User= nor DynamicUser=yes; a service that must be root says why under `widen`, \
                    as the setting User"
                .into(),
        );
    }
    let families = if network { "AF_UNIX AF_INET AF_INET6" } else { "AF_UNIX" };
    let mut settings: Vec<(&str, &str)> = BASE.to_vec();
    settings.push(("RestrictAddressFamilies", families));
    if !network {
        settings.extend([("IPAddressDeny", "any"), ("PrivateNetwork", "yes")]);
    }
    let mut out = text.trim_end().to_owned() + "\n\n# The sandbox of every service.\n[Service]\n";
    for (name, value) in settings {
        if !changes.iter().any(|change| change.setting == name) {
            let _ = writeln!(out, "{name}={value}");
        }
    }
    for Change { setting, value, because } in changes {
        let because = because.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "# Wider here: {because}.\n{setting}={value}");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_confined() {
        let unit = "[Service]\nExecStart=/usr/bin/a\nDynamicUser=yes\n";
        let alone = confine(unit, false, &[]).unwrap();
        assert!(
            alone.contains("\nRestrictAddressFamilies=AF_UNIX\n") && alone.contains("\nPrivateNetwork=yes\n")
        );
        let change = Change { setting: "ProtectHome", value: "no".into(), because: "it serves\n homes" };
        let wide = confine(unit, true, &[change]).unwrap();
        assert!(wide.contains("AF_INET6\n") && !wide.contains("PrivateNetwork"));
        assert!(
            wide.contains("# Wider here: it serves homes.\nProtectHome=no\n")
                && !wide.contains("ProtectHome=yes")
        );
    }

    #[test]
    fn units_can_t_widen_in_silence() {
        for (unit, want) in [
            ("[Service]\nUser=a\nProtectHome=no\n", "ProtectHome="),
            ("[Service]\nExecStart=/a\n", "User"),
            ("[Service]\nUser=root\n", "User"),
        ] {
            assert!(confine(unit, true, &[]).unwrap_err().contains(want), "{unit}");
        }
    }
}
