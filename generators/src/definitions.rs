//! The definitions that systemd-repart gets on this boot: those of the image, but for what isn't to be made now.

use std::path::PathBuf;

use crate::{Context, Result};

/// The image's definitions.
const FOLDER: &str = "/usr/lib/repart.d";
/// Those of this boot, when they differ.
const RUNTIME: &str = "/run/twinhull/repart.d";
/// The definition of swap, which only images that want it have.
const SWAP: &str = "55-swap.conf";

/// Whether the image wants swap.
pub(crate) fn want_swap(context: &Context) -> bool {
    context.path(FOLDER).join(SWAP).exists()
}

/// The folder of definitions for a disk that has a /var or doesn't.
///
/// Swap is made before /var or never: behind a /var, it would keep that from growing for good.
pub(crate) fn folder(context: &Context, has_var: bool) -> Result<PathBuf> {
    let all = context.path(FOLDER);
    if !(has_var && want_swap(context)) {
        return Ok(all);
    }
    let folder = context.path(RUNTIME);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    for entry in fs_err::read_dir(&all)? {
        let entry = entry?;
        if entry.file_name() != SWAP {
            fs_err::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_made_before_var_or_never() {
        for (wanted, has_var, names) in [
            (false, false, "60-var.conf"),
            (false, true, "60-var.conf"),
            (true, false, "55-swap.conf 60-var.conf"),
            (true, true, "60-var.conf"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let context =
                Context { root: dir.path().to_owned(), units: dir.path().join("units"), initrd: true };
            let all = context.path(FOLDER);
            fs_err::create_dir_all(&all).unwrap();
            fs_err::write(all.join("60-var.conf"), "").unwrap();
            if wanted {
                fs_err::write(all.join(SWAP), "").unwrap();
            }
            // A second time, because a service may be started again.
            for _ in 0..2 {
                let folder = folder(&context, has_var).unwrap();
                let mut found: Vec<_> = fs_err::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                found.sort();
                assert_eq!(found.join(" "), names, "{wanted} {has_var}");
            }
        }
    }
}
