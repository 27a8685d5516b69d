//! What GRUB is told: rescue commands, one after the other, as GRUB's core runs them without `normal`.
//!
//! There is no `if` among them, and none is needed: variables say which bridge it is, and a `boot` that returns is followed
//! by the good one.

use std::fmt::Write as _;

use crate::{FOLDER, State};

/// GRUB's modules for the script, without those they need.
pub const MODULES: &[&str] =
    &["biosdisk", "part_gpt", "fat", "loadenv", "linux", "serial", "terminal", "echo", "sleep", "reboot"];

/// The script for a disk whose ESP is partition 1 and has the UUID `esp`; `words` go onto the bridge's command line.
pub fn script(esp: &str, words: &str) -> String {
    let file = format!("/{FOLDER}/{}", State::FILE);
    let start = |side: &str| {
        format!(
            "linux /{FOLDER}/{side}/linux {words} twinhull.esp={esp} twinhull.bridge={side}\n\
             initrd /{FOLDER}/{side}/initrd\n\
             boot\n"
        )
    };
    let mut script = String::from("serial --unit=0 --speed=115200\nterminal_output console serial\n");
    // Without a state that can be read, there is the first bridge.
    script += "set good=a\nset next=a\n";
    // The disk that GRUB came from, whatever other disks there are.
    script += "set root=$root,gpt1\n";
    let _ = writeln!(script, "load_env -f {file} good next");
    script += "set bridge=$next\nset next=$good\n";
    let _ = writeln!(script, "save_env -f {file} next");
    script += &start("$bridge");
    script += "echo The bridge $bridge could not be started, so it is $good now.\n";
    script += &start("$good");
    script += "echo No bridge could be started. The machine restarts in 30 seconds.\nsleep 30\nreboot\n";
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_is_taken_back_before_anything_is_started() {
        let script = script("0123", "quiet");
        let at = |text: &str| script.find(text).unwrap_or_else(|| panic!("{text} in {script}"));
        assert!(at("set next=$good\n") < at("save_env -f /twinhull/bridge.env next\n"));
        assert!(
            at("save_env")
                < at("linux /twinhull/$bridge/linux quiet twinhull.esp=0123 twinhull.bridge=$bridge\n")
        );
        assert!(at("linux /twinhull/$bridge") < at("linux /twinhull/$good"));
        assert!(script.ends_with("reboot\n"));
    }
}
