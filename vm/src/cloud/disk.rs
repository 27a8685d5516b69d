//! `NoCloud`: a small FAT disk labelled `CIDATA`, with the files in its root directory.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

use super::{hostname, public_keys, quoted, quoted_list, read, read_template};
use crate::options::Options;

/// FAT keeps labels in capitals; readers of `NoCloud` disks take either.
const LABEL: [u8; 11] = *b"CIDATA     ";

/// Smallest disk, and what the file system itself may need.
const SPARE: usize = 1 << 20;

fn meta_data(options: &Options) -> Result<String> {
    Ok(format!(
        "instance-id: {}\nlocal-hostname: {}\npublic-keys: {}\n",
        quoted(options.instance_id.as_deref().unwrap_or("i-runvm")),
        quoted(hostname(options)),
        quoted_list(&public_keys(options)?),
    ))
}

/// The disk's files.
fn files(options: &Options) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let meta_data = match &options.metadata {
        Some(path) => read_template(path, options).context("the metadata cannot be used")?,
        None => meta_data(options)?.into_bytes(),
    };
    let user_data =
        options.user_data.as_deref().map(read).transpose().context("the user data cannot be used")?;
    let mut files = vec![("meta-data", meta_data), ("user-data", user_data.unwrap_or_default())];
    if let Some(path) = &options.network_config {
        let text = read_template(path, options).context("the network configuration cannot be used")?;
        files.push(("network-config", text));
    }
    Ok(files)
}

fn disk(files: &[(&str, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let size = (SPARE + content + content / 8).next_multiple_of(SPARE);
    let mut image = Cursor::new(vec![0; size]);
    format_volume(&mut image, FormatVolumeOptions::new().volume_label(LABEL))?;
    let system = FileSystem::new(&mut image, FsOptions::new())?;
    for (name, bytes) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.write_all(bytes)?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(image.into_inner())
}

/// Writes the disk to `to`.
pub(crate) fn write(options: &Options, to: &Path) -> Result<()> {
    let image = disk(&files(options)?).context("the NoCloud disk could not be made")?;
    fs_err::write(to, image).context("the NoCloud disk could not be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Cloud;

    #[test]
    fn the_files_read_back_with_exactly_these_names() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("u");
        let network = dir.path().join("n");
        fs_err::write(&user, vec![b'#'; 3 << 20]).unwrap();
        fs_err::write(&network, "mac: @MAC@").unwrap();
        let options = Options {
            cloud: Some(Cloud::Nocloud),
            user_data: Some(user),
            network_config: Some(network),
            ..Options::default()
        };
        let image = disk(&files(&options).unwrap()).unwrap();
        let system = FileSystem::new(Cursor::new(image), FsOptions::new()).unwrap();
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
        let found: Vec<_> =
            system.root_dir().iter().map(|e| e.unwrap()).map(|e| (e.file_name(), e.len())).collect();
        assert_eq!(
            found,
            [("meta-data".into(), 63), ("user-data".into(), 3 << 20), ("network-config".into(), 22)]
        );
        let mut text = String::new();
        std::io::Read::read_to_string(&mut system.root_dir().open_file("meta-data").unwrap(), &mut text)
            .unwrap();
        assert_eq!(text, "instance-id: \"i-runvm\"\nlocal-hostname: \"runvm\"\npublic-keys: []\n");
    }
}
