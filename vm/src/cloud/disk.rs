//! Clouds that are a small FAT disk: `NoCloud`'s, labelled `CIDATA`, with its files in the root directory, and
//! OpenStack's config drive, labelled `CONFIG-2`, with folders.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

use super::{documents, hostname, metadata, public_keys, quoted, quoted_list, read_template, user_data};
use crate::options::Options;

/// Smallest disk, and what the file system itself may need.
const SPARE: usize = 1 << 20;

/// A disk's label and files. FAT keeps labels in capitals; readers of these disks take either.
pub(crate) type Content = (&'static [u8; 11], Vec<(&'static str, Vec<u8>)>);

fn meta_data(options: &Options) -> Result<String> {
    Ok(format!(
        "instance-id: {}\nlocal-hostname: {}\npublic-keys: {}\n",
        quoted(options.instance_id.as_deref().unwrap_or("i-runvm")),
        quoted(hostname(options)),
        quoted_list(&public_keys(options)?),
    ))
}

/// The files of a `NoCloud` seed, which can be on a web server as well.
pub(crate) fn seed(options: &Options) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let meta_data = match metadata(options)? {
        Some(bytes) => bytes,
        None => meta_data(options)?.into_bytes(),
    };
    let mut files = vec![("meta-data", meta_data), ("user-data", user_data(options)?.unwrap_or_default())];
    if let Some(path) = &options.network_config {
        let text = read_template(path, options).context("the network configuration cannot be used")?;
        files.push(("network-config", text));
    }
    Ok(files)
}

/// `NoCloud`'s disk.
pub(crate) fn nocloud(options: &Options) -> Result<Content> {
    Ok((b"CIDATA     ", seed(options)?))
}

/// The config drive.
pub(crate) fn config_drive(options: &Options) -> Result<Content> {
    let mut files = vec![("openstack/latest/meta_data.json", documents::openstack(options)?)];
    files.push((
        "openstack/latest/network_data.json",
        match &options.network_config {
            Some(path) => read_template(path, options).context("the network configuration cannot be used")?,
            None => documents::openstack_network(options),
        },
    ));
    files.extend(user_data(options)?.map(|bytes| ("openstack/latest/user_data", bytes)));
    Ok((b"CONFIG-2   ", files))
}

fn disk((label, files): &Content) -> std::io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let size = (SPARE + content + content / 8).next_multiple_of(SPARE);
    let mut image = Cursor::new(vec![0; size]);
    format_volume(&mut image, FormatVolumeOptions::new().volume_label(**label))?;
    let system = FileSystem::new(&mut image, FsOptions::new())?;
    for (path, bytes) in files {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = system.root_dir();
        for part in folders.split('/').filter(|p| !p.is_empty()) {
            folder = folder.create_dir(part)?;
        }
        let mut file = folder.create_file(name)?;
        file.write_all(bytes)?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(image.into_inner())
}

/// Writes the disk to `to`.
pub(crate) fn write(content: &Content, to: &Path) -> Result<()> {
    let image = disk(content).context("the cloud's disk could not be made")?;
    fs_err::write(to, image).context("the cloud's disk could not be written")
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
        let image = disk(&nocloud(&options).unwrap()).unwrap();
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
    #[test]
    fn the_config_drive_has_folders() {
        let options = Options { cloud: Some(Cloud::ConfigDrive), ..Options::default() };
        let image = disk(&config_drive(&options).unwrap()).unwrap();
        let system = FileSystem::new(Cursor::new(image), FsOptions::new()).unwrap();
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CONFIG-2"));
        let folder = system.root_dir().open_dir("openstack/latest").unwrap();
        let found: Vec<_> = folder.iter().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, [".", "..", "meta_data.json", "network_data.json"]);
    }
}
