//! The index files that depmod writes, text and binary.

use super::index::Index;
use super::{Module, ModuleDb, normalize};
use crate::Result;

/// How indices are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Name modules without their compression's suffix (`.ko.xz` becomes `.ko`), for an initrd
    /// that carries them decompressed.
    pub decompressed: bool,
}

/// All index files by name.
pub(super) fn index_files(db: &ModuleDb, options: &IndexOptions) -> Result<Vec<(String, Vec<u8>)>> {
    let lines = dependency_lines(db, options);
    let mut dep_bin = Index::new("modules.dep.bin");
    let mut alias_bin = Index::new("modules.alias.bin");
    let mut symbols_bin = Index::new("modules.symbols.bin");
    let mut dep = String::new();
    let mut alias = "# Aliases extracted from modules themselves.\n".to_owned();
    let mut softdep = "# Soft dependencies extracted from modules themselves.\n".to_owned();
    let mut weakdep = "# Weak dependencies extracted from modules themselves.\n".to_owned();
    let mut symbols = "# Aliases for symbols, used by symbol_request().\n".to_owned();
    let mut devname = "# Device nodes to trigger on-demand module loading.\n".to_owned();
    for ((module, line), priority) in db.modules.iter().zip(&lines).zip(0u32..) {
        let name = &module.name;
        dep.push_str(&format!("{line}\n"));
        dep_bin.insert(name, line, priority)?;
        for pattern in &module.aliases {
            alias.push_str(&format!("alias {pattern} {name}\n"));
            if brackets_close(pattern) {
                alias_bin.insert(&normalize(pattern), name, priority)?;
            }
        }
        for rest in &module.softdeps {
            softdep.push_str(&format!("softdep {name} {rest}\n"));
        }
        for rest in &module.weakdeps {
            weakdep.push_str(&format!("weakdep {name} {rest}\n"));
        }
        for symbol in &module.exports {
            symbols.push_str(&format!("alias symbol:{symbol} {name}\n"));
            symbols_bin.insert(&format!("symbol:{symbol}"), name, priority)?;
        }
        devname.extend(device_line(module));
    }
    let mut builtin_bin = Index::new("modules.builtin.bin");
    for name in &db.builtin.names {
        builtin_bin.insert(name, "", 0)?;
    }
    let mut builtin_alias_bin = Index::new("modules.builtin.alias.bin");
    for (pattern, name) in &db.builtin.aliases {
        if brackets_close(pattern) {
            builtin_alias_bin.insert(&normalize(pattern), name, 0)?;
        }
    }
    Ok([
        ("modules.dep", dep.into_bytes()),
        ("modules.dep.bin", dep_bin.write()?),
        ("modules.alias", alias.into_bytes()),
        ("modules.alias.bin", alias_bin.write()?),
        ("modules.softdep", softdep.into_bytes()),
        ("modules.weakdep", weakdep.into_bytes()),
        ("modules.symbols", symbols.into_bytes()),
        ("modules.symbols.bin", symbols_bin.write()?),
        ("modules.builtin.bin", builtin_bin.write()?),
        ("modules.builtin.alias.bin", builtin_alias_bin.write()?),
        ("modules.devname", devname.into_bytes()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into())
}

/// The lines of `modules.dep`, without their ends.
fn dependency_lines(db: &ModuleDb, options: &IndexOptions) -> Vec<String> {
    let path = |module: &Module| match (options.decompressed, module.path.rfind(".ko")) {
        (true, Some(at)) => module.path.get(..at + 3).unwrap_or(&module.path).to_owned(),
        _ => module.path.clone(),
    };
    let line = |module: &Module| {
        let needs = module.needs.iter().filter_map(|n| db.modules.get(*db.by_name.get(n)?));
        needs.fold(path(module) + ":", |line, other| line + " " + &path(other))
    };
    db.modules.iter().map(line).collect()
}

/// Whether every bracket of a pattern has its partner; depmod leaves others out of its index.
fn brackets_close(pattern: &str) -> bool {
    let mut inside = false;
    for c in pattern.chars() {
        match c {
            '[' => inside = true,
            ']' if !inside => return false,
            ']' => inside = false,
            _ => {}
        }
    }
    !inside
}

/// The line of `modules.devname` for a module that has both a device's name and its number.
fn device_line(module: &Module) -> Option<String> {
    let (mut device, mut number) = (None, None);
    for alias in &module.aliases {
        if let Some(name) = alias.strip_prefix("devname:") {
            device = Some(name);
        } else if let Some(found) = device_number(alias) {
            number = Some(found);
        }
        if let (Some(device), Some((kind, major, minor))) = (device, number) {
            return Some(format!("{} {device} {kind}{major}:{minor}\n", module.name));
        }
    }
    None
}

/// Type, major and minor number in `char-major-10-200` or `block-major-7-0`.
fn device_number(alias: &str) -> Option<(char, u32, u32)> {
    let (kind, rest) = match alias.strip_prefix("char-major-") {
        Some(rest) => ('c', rest),
        None => ('b', alias.strip_prefix("block-major-")?),
    };
    let (major, minor) = rest.split_once('-')?;
    let digits = minor.len() - minor.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((kind, major.parse().ok()?, minor.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::{Builtin, order};
    use super::*;
    use crate::lookup_index;

    fn files(decompressed: bool) -> Vec<(String, Vec<u8>)> {
        let mut modules = [
            Module {
                name: "tun".into(),
                path: "kernel/tun.ko.xz".into(),
                aliases: vec![
                    "devname:net/tun".into(),
                    "char-major-10-200".into(),
                    "x-[a-c]-*".into(),
                    "]".into(),
                ],
                softdeps: vec!["pre: base".into()],
                direct: Some(vec!["base".into()]),
                ..Module::default()
            },
            Module {
                name: "base".into(),
                path: "kernel/base.ko.xz".into(),
                exports: vec!["run".into()],
                direct: Some(Vec::new()),
                ..Module::default()
            },
        ];
        order::resolve(&mut modules);
        let builtin =
            Builtin { names: vec!["ext4".into()], aliases: vec![("fs-ext4".into(), "ext4".into())] };
        let db = ModuleDb::new("6.1", modules.into(), builtin);
        index_files(&db, &IndexOptions { decompressed }).unwrap()
    }

    #[test]
    fn text_and_binary_say_the_same() {
        let files: std::collections::BTreeMap<_, _> = files(true).into_iter().collect();
        let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
        assert_eq!(text("modules.dep"), "kernel/tun.ko: kernel/base.ko\nkernel/base.ko:\n");
        assert!(text("modules.devname").ends_with("tun net/tun c10:200\n"));
        assert!(text("modules.softdep").ends_with("softdep tun pre: base\n"));
        let look = |file: &str, name: &str| lookup_index(&files[file], name).unwrap();
        assert_eq!(look("modules.alias.bin", "x_b_9"), [(0, "tun".to_owned())]);
        assert_eq!(look("modules.symbols.bin", "symbol:run"), [(1, "base".to_owned())]);
        assert_eq!(look("modules.dep.bin", "tun"), [(0, "kernel/tun.ko: kernel/base.ko".to_owned())]);
        assert_eq!(look("modules.builtin.bin", "ext4"), [(0, String::new())]);
        assert_eq!(look("modules.builtin.alias.bin", "fs_ext4"), [(0, "ext4".to_owned())]);
    }

    #[test]
    fn compressed_names_stay_unless_asked_otherwise() {
        let (name, dep) = files(false).swap_remove(0);
        assert_eq!(name, "modules.dep");
        assert!(dep.starts_with(b"kernel/tun.ko.xz: kernel/base.ko.xz\n"));
    }
}
