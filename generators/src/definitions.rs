//! The definitions that systemd-repart gets on this boot: those of the image, but for what isn't to be made now.

use std::path::PathBuf;

use crate::encryption::Encryption;
use crate::{Context, Result};

/// The image's definitions.
const FOLDER: &str = "/usr/lib/repart.d";
/// Those of this boot, when they differ.
const RUNTIME: &str = "/run/twinhull/repart.d";
/// The definition of swap, which only images that want it have.
const SWAP: &str = "55-swap.conf";
/// That of /var.
const VAR: &str = "60-var.conf";

/// Whether the image wants swap.
pub(crate) fn want_swap(context: &Context) -> bool {
    context.path(FOLDER).join(SWAP).exists()
}

/// The folder of definitions for a disk that has a /var or doesn't; with `encryption`, a new one gets it.
///
/// Swap is made before /var or never: behind a /var, it would keep that from growing for good.
pub(crate) fn folder(context: &Context, has_var: bool, encryption: Option<&Encryption>) -> Result<PathBuf> {
    let all = context.path(FOLDER);
    let without_swap = has_var && want_swap(context);
    if !without_swap && encryption.is_none() {
        return Ok(all);
    }
    let folder = context.path(RUNTIME);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    for entry in fs_err::read_dir(&all)? {
        let entry = entry?;
        if without_swap && entry.file_name() == SWAP {
            continue;
        }
        let mut text = fs_err::read_to_string(entry.path())?;
        if let Some(encryption) = encryption.filter(|_| entry.file_name() == VAR) {
            // The file has one section.
            text.push_str(encryption.definition());
        }
        fs_err::write(folder.join(entry.file_name()), text)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_var_is_encrypted_when_that_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context { root: dir.path().to_owned(), units: dir.path().join("units"), initrd: true };
        let all = context.path(FOLDER);
        fs_err::create_dir_all(&all).unwrap();
        fs_err::write(all.join(SWAP), "[Partition]\nType=swap\n").unwrap();
        fs_err::write(all.join(VAR), "[Partition]\nType=var\n").unwrap();
        fs_err::create_dir_all(context.path("/dev")).unwrap();
        fs_err::write(context.path("/dev/tpmrm0"), "").unwrap();
        fs_err::create_dir_all(context.path("/usr/lib/twinhull")).unwrap();
        fs_err::write(context.path("/usr/lib/twinhull/encryption"), "").unwrap();
        let encryption = Encryption::of(&context).unwrap();
        let folder = folder(&context, false, encryption.as_ref()).unwrap();
        let text = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text(VAR), "[Partition]\nType=var\nEncrypt=tpm2\n");
        assert_eq!(text(SWAP), "[Partition]\nType=swap\n");
    }

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
                let folder = folder(&context, has_var, None).unwrap();
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
