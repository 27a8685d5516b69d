//! `build --check-reproducible`: builds a second time under other circumstances and compares the two images, down
//! to the first file and field that differ.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use twinhull_disk::{table, types};
use twinhull_fsimg::{FileSystem, FileType, Inode, Part, fat};
use twinhull_spec::Spec;
use twinhull_sysutil::atomic;
use twinhull_sysutil::command::Cmd;
use twinhull_uki as uki;

use crate::cli::BuildArgs;

/// Circumstances that must not matter: one processor, another umask, time zone, locale and home, and nothing kept.
const ENVIRONMENT: &[(&str, &str)] =
    &[("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8"), ("HOME", "/nonexistent"), ("USER", "somebody")];

/// Set for the second build, which then ends when the first one is interrupted.
pub(crate) const SECOND: &str = "TWINHULL_SECOND_BUILD";

/// Builds the spec of `args` again, with `cache` as its cache folder, and compares the result with `image`.
///
/// Returns an error that names the first difference.
pub(crate) fn check(args: &BuildArgs, spec: &Spec, cache: &Path, image: &Path) -> Result<()> {
    let dir = tempfile::Builder::new().prefix(".reproduce-").tempdir_in(&args.out)?;
    atomic::note_unfinished(dir.path());
    let result = check_in(dir.path(), args, spec, cache, image);
    atomic::forget_unfinished(dir.path());
    result
}

/// As [`check`], with `dir` for the second build.
fn check_in(dir: &Path, args: &BuildArgs, spec: &Spec, cache: &Path, image: &Path) -> Result<()> {
    let program = std::env::current_exe()?;
    let mut cmd = Cmd::new("sh");
    if spec.boot.secure_boot.as_ref().is_some_and(|s| s.key.is_some()) {
        // The key may need a PIN and variables of a token's module.
        cmd = cmd.inherit_env();
    }
    let mut cmd = cmd
        .env(SECOND, "1")
        .args([
            "-c",
            "umask 077; command -v taskset >/dev/null && exec taskset 1 \"$0\" \"$@\"; exec \"$0\" \"$@\"",
        ])
        .arg(&program)
        .arg("build")
        .arg(&args.spec)
        .args(["--quiet", "--cache-limit", "0", "--offline", "--out"])
        .arg(dir)
        .arg("--cache-dir")
        .arg(cache);
    if let Some(guest) = &args.guest_dir {
        cmd = cmd.arg("--guest-dir").arg(guest);
    }
    if let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") {
        cmd = cmd.env("SOURCE_DATE_EPOCH", epoch);
    }
    for (name, value) in ENVIRONMENT {
        cmd = cmd.env(*name, *value);
    }
    cmd.output().context("the second build failed")?;
    let name = image.file_name().context("the image has no name")?;
    match difference(image, &dir.join(name))? {
        None => {}
        Some(what) => bail!("the build is not reproducible: {what}"),
    }
    let manifest = |dir: &Path| fs_err::read(dir.join(name).with_extension("manifest.json"));
    // The image's name ends in its version, which may have dots; the manifest is named likewise.
    if manifest(&args.out)? != manifest(dir)? {
        bail!("the build is not reproducible: the images are equal, their manifests are not");
    }
    Ok(())
}

/// The first difference between two images, in words; none when they have the same bytes.
fn difference(one: &Path, two: &Path) -> Result<Option<String>> {
    let (a, b) = (fs_err::File::open(one)?.into_file(), fs_err::File::open(two)?.into_file());
    let Some(offset) = first_difference(&a, &b)? else { return Ok(None) };
    let table = table::read(one, &a)?;
    let other = table::read(two, &b)?;
    if table != other {
        let pairs = table.partitions.iter().zip(&other.partitions);
        let changed = pairs.filter(|(x, y)| x != y).map(|(x, _)| x.label.as_str()).next();
        return Ok(Some(format!(
            "the partition tables differ{}",
            changed.map(|label| format!(", first in the partition {label}")).unwrap_or_default()
        )));
    }
    let inside = table.partitions.iter().find(|p| (p.offset..p.offset + p.size).contains(&offset));
    let Some(partition) = inside else { return Ok(Some(format!("byte {offset} of the disk differs"))) };
    let mut text = format!("byte {} of the partition {} differs", offset - partition.offset, partition.label);
    let detail = if partition.kind == types::ESP {
        esp_difference(&a, &b, partition)?
    } else if partition.label.ends_with("_verity") {
        None
    } else {
        usr_difference(&a, &b, partition)?
    };
    if let Some(detail) = detail {
        // Writing to a String can't fail.
        let _ = write!(text, ": {detail}");
    }
    Ok(Some(text))
}

fn first_difference(a: &std::fs::File, b: &std::fs::File) -> Result<Option<u64>> {
    let (mut a, mut b) = (std::io::BufReader::new(a), std::io::BufReader::new(b));
    let (mut x, mut y) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let got = (read_full(&mut a, &mut x)?, read_full(&mut b, &mut y)?);
        let common = got.0.min(got.1);
        if let Some(n) = (0..common).find(|n| x[*n] != y[*n]) {
            return Ok(Some(at + n as u64));
        }
        if got.0 != got.1 {
            return Ok(Some(at + common as u64));
        }
        if common == 0 {
            return Ok(None);
        }
        at += common as u64;
    }
}

fn read_full(from: &mut impl Read, buf: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match from.read(&mut buf[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// The first file of two file systems that differs, and in what.
fn usr_difference(
    a: &std::fs::File,
    b: &std::fs::File,
    partition: &table::Partition,
) -> Result<Option<String>> {
    let open = |file: &std::fs::File| -> Result<_> {
        Ok(FileSystem::new(Part::new(file.try_clone()?, partition.offset, partition.size)?)?)
    };
    let (a, b) = (open(a)?, open(b)?);
    let list = |reader: &FileSystem<Part>| -> Result<Vec<(Vec<u8>, Inode)>> {
        let mut all = Vec::new();
        reader.walk(|path, inode| -> twinhull_fsimg::Result<()> {
            all.push((path.to_vec(), inode.clone()));
            Ok(())
        })?;
        Ok(all)
    };
    let (ours, theirs) = (list(&a)?, list(&b)?);
    for ((path, x), (other, y)) in ours.iter().zip(&theirs) {
        let shown = String::from_utf8_lossy(path);
        if path != other {
            return Ok(Some(format!("one has {shown}, the other {}", String::from_utf8_lossy(other))));
        }
        // What a directory's size, links and data say is said better by what is in it.
        let is_file = x.kind != FileType::Directory;
        let fields = [
            ("type", x.kind != y.kind),
            ("mode", x.mode != y.mode),
            ("owner", (x.uid, x.gid) != (y.uid, y.gid)),
            ("time", x.mtime != y.mtime),
            ("size", is_file && x.size != y.size),
            ("number of links", is_file && x.links != y.links),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, differs)| *differs) {
            return Ok(Some(format!("the {field} of {shown}")));
        }
        if a.xattrs(x)? != b.xattrs(y)? {
            return Ok(Some(format!("the extended attributes of {shown}")));
        }
        let (mut one, mut two) = (Vec::new(), Vec::new());
        a.open(x)?.read_to_end(&mut one)?;
        b.open(y)?.read_to_end(&mut two)?;
        if is_file && one != two {
            let at = one.iter().zip(&two).position(|(p, q)| p != q).unwrap_or(one.len().min(two.len()));
            return Ok(Some(format!("byte {at} of {shown}")));
        }
    }
    Ok((ours.len() != theirs.len()).then(|| "one has more files than the other".into()))
}

/// The first file of two ESPs that differs, and the section when it is a UKI.
fn esp_difference(
    a: &std::fs::File,
    b: &std::fs::File,
    partition: &table::Partition,
) -> Result<Option<String>> {
    let files = |file| fat::read(file, partition.offset, partition.size, |_| true);
    let (ours, theirs) = (files(a)?, files(b)?);
    for (x, y) in ours.iter().zip(&theirs) {
        if x.path != y.path {
            return Ok(Some(format!("one has {}, the other {}", x.path, y.path)));
        }
        if x.data == y.data {
            continue;
        }
        let sections = uki::sections("UKI", &x.data).unwrap_or_default();
        let differs = sections.iter().map(|s| s.name.as_str()).find(|name| {
            let of = |data| uki::section("UKI", data, name).ok().flatten();
            of(&x.data) != of(&y.data)
        });
        return Ok(Some(match differs {
            Some(section) => format!("the section {section} of {}", x.path),
            None => x.path.clone(),
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_fsimg::erofs;
    use twinhull_tree::{Node, Tree};

    type Change<'a> = &'a dyn Fn(&mut Tree);

    /// A disk with one usr partition that holds `tree`.
    fn disk(path: &Path, tree: &Tree) {
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .unwrap();
        file.set_len(4 << 20).unwrap();
        let partition = table::Partition {
            number: 1,
            kind: types::usr(types::Arch::X86_64),
            uuid: uuid::Uuid::from_u128(1),
            offset: 1 << 20,
            size: 2 << 20,
            label: "x_1".into(),
            flags: 0,
        };
        table::write(
            &mut file,
            &table::Table { uuid: uuid::Uuid::from_u128(2), partitions: vec![partition] },
        )
        .unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(1 << 20)).unwrap();
        erofs::write(tree, &erofs::Options::new([0; 16], 0), &mut file, &mut |_| ()).unwrap();
    }

    #[test]
    fn the_first_difference_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let tree = |change: Change<'_>| {
            let mut tree = Tree::new();
            tree.insert("/bin/a", Node::program("first")).unwrap();
            tree.insert("/bin/b", Node::program("second".repeat(2000))).unwrap();
            change(&mut tree);
            tree
        };
        disk(&one, &tree(&|_| ()));
        let cases: [(&str, Change<'_>); 5] = [
            ("", &|_| ()),
            ("the mode of /bin/a", &|t| t.get_mut("/bin/a").unwrap().meta.mode = 0o700),
            ("the time of /bin/b", &|t| t.get_mut("/bin/b").unwrap().meta.mtime.secs = 5),
            ("byte 2 of /bin/a", &|t| t.insert("/bin/a", Node::program("fiXst")).unwrap()),
            ("one has /bin/b, the other /bin/ab", &|t| t.insert("/bin/ab", Node::program("")).unwrap()),
        ];
        for (expected, change) in cases {
            disk(&two, &tree(change));
            match difference(&one, &two).unwrap() {
                None => assert_eq!(expected, ""),
                Some(found) => {
                    assert!(
                        !expected.is_empty() && found.contains(expected) && found.contains("x_1"),
                        "{found}"
                    );
                }
            }
        }
    }
}
