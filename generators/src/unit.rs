//! Writing units into a generator's folder.

use crate::{Context, Result};

impl Context {
    /// Writes the unit `name`.
    pub(crate) fn write_unit(&self, name: &str, text: &str) -> Result<()> {
        let header = "# Made by a Twinhull generator at boot.\n";
        Ok(fs_err::write(self.units.join(name), format!("{header}{text}"))?)
    }

    /// Writes a drop-in of the unit `name`.
    pub(crate) fn write_drop_in(&self, name: &str, text: &str) -> Result<()> {
        let dir = format!("{name}.d");
        fs_err::create_dir_all(self.units.join(&dir))?;
        self.write_unit(&format!("{dir}/50-twinhull.conf"), text)
    }

    /// Makes `target` want (`wants`) or require (`requires`) `unit`.
    pub(crate) fn pull_in(&self, target: &str, how: &str, unit: &str) -> Result<()> {
        let dir = self.units.join(format!("{target}.{how}"));
        fs_err::create_dir_all(&dir)?;
        Ok(fs_err::os::unix::fs::symlink(format!("../{unit}"), dir.join(unit))?)
    }
}

/// Escapes a path for a unit name, as `systemd-escape --path` does.
pub(crate) fn escape_path(path: &str) -> String {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return "-".into();
    }
    let mut out = String::new();
    for (index, byte) in trimmed.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b if b.is_ascii_alphanumeric() || b == b'_' || b == b':' || (b == b'.' && index > 0) => {
                out.push(b as char)
            }
            b => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(escape_path("/dev/disk/by-partuuid/a-b"), "dev-disk-by\\x2dpartuuid-a\\x2db");
        assert_eq!(escape_path("/"), "-");
    }
}
