//! Which boot entry is tried first: systemd-boot's own order (sd-boot(7), "Boot Counting"; UAPI.1, "Sorting"), for entries of
//! images. Their sort key and version are the name and version of the image, which their file names say.

use twinhull_release::compare;
use twinhull_slots::{Assessment, BootFile};

/// Puts boot entries into the order in which they are tried. Entries without tries left come last, but they come: a machine
/// whose versions are all bad still starts.
///
/// Of several names of one version only the one with the fewest tries left stays. A power cut while an entry is renamed
/// can leave both names of the file; renaming it again must not replace the other, whose clusters are its own.
/// Empty files, which fsck makes of one of such names, are left out.
pub fn order(files: Vec<BootFile>) -> Vec<BootFile> {
    let left = |file: &BootFile| file.name.counter.map_or(u32::MAX, |(left, _)| left);
    let mut entries: Vec<BootFile> = Vec::new();
    for file in files.into_iter().filter(|file| file.len > 0) {
        let twin = entries.iter_mut().find(|other| {
            other.name.id == file.name.id && other.name.version.eq_ignore_ascii_case(&file.name.version)
        });
        match twin {
            Some(twin) if left(twin) <= left(&file) => {}
            Some(twin) => *twin = file,
            None => entries.push(file),
        }
    }
    let failed = |file: &BootFile| matches!(file.name.assessment(), Assessment::Failed { .. });
    entries.sort_by(|a, b| {
        failed(a)
            .cmp(&failed(b))
            .then_with(|| a.name.id.cmp(&b.name.id))
            .then_with(|| compare(&b.name.version, &a.name.version))
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_slots::EntryName;

    fn file(name: &str, len: u64) -> BootFile {
        BootFile { file: name.to_owned(), len, name: EntryName::parse(name).unwrap() }
    }

    #[test]
    fn it_is_systemd_boots() {
        for (found, want) in [
            (vec!["box_1.efi"], vec!["box_1.efi"]),
            (vec!["box_1.efi", "box_2+3.efi"], vec!["box_2+3.efi", "box_1.efi"]),
            (vec!["box_1.efi", "box_2+0-3.efi"], vec!["box_1.efi", "box_2+0-3.efi"]),
            // All are bad: the newest starts all the same.
            (vec!["box_1+0-3.efi", "box_2+0-3.efi"], vec!["box_2+0-3.efi", "box_1+0-3.efi"]),
            (
                vec!["box_9.efi", "box_10.efi", "box_10~rc1.efi"],
                vec!["box_10.efi", "box_10~rc1.efi", "box_9.efi"],
            ),
            (vec!["web_9.efi", "box_1.efi"], vec!["box_1.efi", "web_9.efi"]),
            (vec![], vec![]),
        ] {
            let names: Vec<String> =
                order(found.iter().map(|name| file(name, 7)).collect()).into_iter().map(|f| f.file).collect();
            assert_eq!(names, want);
        }
    }

    #[test]
    fn of_two_names_of_a_file_the_one_with_fewer_tries_counts() {
        for (found, want) in [
            (
                vec![("box_2+3.efi", 7), ("box_2+2-1.efi", 7), ("box_1.efi", 7)],
                vec!["box_2+2-1.efi", "box_1.efi"],
            ),
            (
                vec![("box_2+1-2.efi", 7), ("box_2+0-3.efi", 7), ("box_1.efi", 7)],
                vec!["box_1.efi", "box_2+0-3.efi"],
            ),
            (vec![("box_2+2-1.efi", 7), ("box_2.efi", 7)], vec!["box_2+2-1.efi"]),
            // fsck has cut one off.
            (vec![("box_2+3.efi", 7), ("box_2+2-1.efi", 0)], vec!["box_2+3.efi"]),
            (vec![("box_2+3.efi", 0)], vec![]),
        ] {
            let names: Vec<String> = order(found.iter().map(|(name, len)| file(name, *len)).collect())
                .into_iter()
                .map(|f| f.file)
                .collect();
            assert_eq!(names, want);
        }
    }
}
