//! Signing in two steps: `prepare` writes the bytes to be signed, somebody signs them where the key is, and `attach`
//! puts the signatures into the image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use twinhull_disk::table::{self, Partition};
use twinhull_disk::types;
use twinhull_fsimg::fat;
use twinhull_secureboot::{self as secureboot, Certificate};
use twinhull_sysutil::atomic::{self, Replacement};
use twinhull_sysutil::{digest, sparse};
use twinhull_tree::Content;

use super::{Attach, Prepare};
use crate::sbom;
use crate::signatures::is_program;

/// Version of the list's format.
const FORMAT: u32 = 1;
/// The list of programs, which `prepare` writes and `attach` reads.
const LIST: &str = "signing.json";
/// The certificate beside it.
const CERTIFICATE: &str = "certificate.der";
/// Largest list, signature or document that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// What is to be signed.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    /// Name of the image's file, for people.
    image: String,
    /// SHA-256 of the certificate.
    certificate_sha256: String,
    programs: Vec<Program>,
}

/// A program, which may be on the ESP several times.
#[derive(Debug, Serialize, Deserialize)]
struct Program {
    /// What its files here are called, before `.tbs` and `.sig`.
    name: String,
    paths: Vec<String>,
    /// SHA-256 of the whole program before it is signed.
    sha256: String,
}

/// The ESP of an image.
fn esp(path: &Path, file: &File) -> Result<Partition> {
    let found = table::read(path, file)?.partitions.into_iter().find(|p| p.kind == types::ESP);
    found.with_context(|| format!("{} has no EFI system partition", path.display()))
}

fn read_esp(path: &Path, file: &File, esp: &Partition) -> Result<Vec<fat::Entry>> {
    fat::read(file, esp.offset, esp.size, |_| true)
        .with_context(|| format!("the ESP of {} can't be read", path.display()))
}

/// Writes what is to be signed and returns the files.
pub(super) fn prepare(args: &Prepare) -> Result<Vec<PathBuf>> {
    let certificate = Certificate::read(&args.certificate)?;
    let file = fs_err::File::open(&args.image)?.into_file();
    let esp = esp(&args.image, &file)?;
    let mut programs: BTreeMap<String, (Program, Vec<u8>)> = BTreeMap::new();
    for entry in read_esp(&args.image, &file, &esp)?.into_iter().filter(|e| is_program(&e.path)) {
        let sha256 = digest::sha256_hex(&entry.data);
        let tbs = secureboot::to_be_signed(&entry.data).with_context(|| entry.path.clone())?;
        let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        let (program, _) = programs
            .entry(sha256.clone())
            .or_insert_with(|| (Program { name: String::new(), paths: Vec::new(), sha256 }, tbs));
        // The last of several names: the fallback's says nothing.
        program.name = name;
        program.paths.push(entry.path);
    }
    ensure!(!programs.is_empty(), "{} has no EFI programs on its ESP", args.image.display());
    let there = fs_err::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!there, "{} has files already; name another folder", args.out.display());

    let mut programs: Vec<(Program, Vec<u8>)> = programs.into_values().collect();
    programs.sort_by(|(a, _), (b, _)| a.paths.cmp(&b.paths));
    let names: std::collections::BTreeSet<&String> = programs.iter().map(|(p, _)| &p.name).collect();
    ensure!(names.len() == programs.len(), "two different programs on the ESP have the same name: {names:?}");
    let mut files = vec![(CERTIFICATE.to_owned(), certificate.der().to_vec())];
    files.extend(programs.iter().map(|(program, tbs)| (format!("{}.tbs", program.name), tbs.clone())));
    let list = List {
        format: FORMAT,
        image: args.image.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        certificate_sha256: certificate.sha256(),
        programs: programs.into_iter().map(|(program, _)| program).collect(),
    };
    // Last, so that a folder with a list is whole.
    files.push((LIST.to_owned(), (serde_json::to_string_pretty(&list)? + "\n").into_bytes()));
    fs_err::create_dir_all(&args.out)?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = args.out.join(name);
        atomic::replace(&path, &bytes, 0o644)?;
        written.push(path);
    }
    Ok(written)
}

/// Puts the signatures into the image and returns the files that changed.
pub(super) fn attach(args: &Attach) -> Result<Vec<PathBuf>> {
    let path = args.dir.join(LIST);
    let list: List = serde_json::from_slice(&read(&path)?)
        .with_context(|| format!("{} is not what `prepare` wrote", path.display()))?;
    ensure!(list.format == FORMAT, "{} is of format {}; this program knows 1", path.display(), list.format);
    let path = args.dir.join(CERTIFICATE);
    let certificate = Certificate::parse(&read(&path)?, &path)?;
    ensure!(
        certificate.sha256() == list.certificate_sha256,
        "{} is not the certificate that {LIST} was made for; run `prepare` again",
        path.display()
    );

    let source = fs_err::File::open(&args.image)?.into_file();
    let esp = esp(&args.image, &source)?;
    let mut files = read_esp(&args.image, &source, &esp)?;
    let mut changes = Vec::new();
    for program in &list.programs {
        sign(program, &args.dir, &certificate, &mut files, &mut changes)?;
    }
    let unsigned = files.iter().filter(|f| is_program(&f.path)).find(|f| !named(&list, &f.path));
    if let Some(file) = unsigned {
        bail!("{} came to the ESP after `prepare`; run `prepare` again", file.path);
    }
    write_image(&args.image, &source, &esp, files)?;
    let mut written = vec![args.image.clone()];
    written.extend(follow(&args.image, &changes)?);
    Ok(written)
}

fn named(list: &List, path: &str) -> bool {
    list.programs.iter().any(|program| program.paths.iter().any(|p| p == path))
}

/// A program before and after signing.
struct Change {
    before: String,
    after: String,
    length_before: usize,
    length_after: usize,
}

/// Puts the signature of `program` into its copies among `files`.
fn sign(
    program: &Program,
    dir: &Path,
    certificate: &Certificate,
    files: &mut [fat::Entry],
    changes: &mut Vec<Change>,
) -> Result<()> {
    ensure!(
        !program.name.contains('/') && !program.name.is_empty(),
        "{LIST} names {:?}, which is no file's name",
        program.name
    );
    let path = dir.join(format!("{}.sig", program.name));
    let signature = read(&path).with_context(|| {
        format!(
            "{0} is not signed; `openssl dgst -sha256 -sign KEY -out {0}.sig {0}.tbs` signs it",
            program.name
        )
    })?;
    for wanted in &program.paths {
        let file = files.iter_mut().find(|f| f.path == *wanted);
        let file = file.with_context(|| format!("{wanted} is no longer on the ESP; run `prepare` again"))?;
        let before = digest::sha256_hex(&file.data);
        ensure!(
            before == program.sha256,
            "{wanted} is not what it was when `prepare` ran; is it signed already? Otherwise run `prepare` again"
        );
        let signed = secureboot::attach(&file.data, certificate, &signature)
            .with_context(|| format!("{} can't be used", path.display()))?;
        changes.push(Change {
            before,
            after: digest::sha256_hex(&signed),
            length_before: file.data.len(),
            length_after: signed.len(),
        });
        file.data = signed;
    }
    Ok(())
}

/// Replaces the image by one with `files` on its ESP.
fn write_image(path: &Path, source: &File, esp: &Partition, files: Vec<fat::Entry>) -> Result<()> {
    let options = fat::options(source, esp.offset, esp.size)?;
    let files: Vec<(String, Content)> = files.into_iter().map(|f| (f.path, f.data.into())).collect();
    let mut output = Replacement::new(path)?;
    let file = output.as_file_mut()?;
    sparse::copy(source, file)?;
    // The new file system is written as if on an empty disk, which is what makes it that of a build.
    sparse::clear(file, esp.offset, esp.size)?;
    file.seek(SeekFrom::Start(esp.offset))?;
    fat::write(&files, &options, file).with_context(|| format!("{} was not signed", path.display()))?;
    Ok(output.commit(0o644)?)
}

/// Lets the documents beside the image say what the UKI has become; everything else in them stays as it was written.
fn follow(image: &Path, changes: &[Change]) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for ending in ["spdx.json", "manifest.json"] {
        let path = image.with_extension(ending);
        if !path.exists() {
            continue;
        }
        let old =
            String::from_utf8(read(&path)?).with_context(|| format!("{} is no text", path.display()))?;
        let mut text = old.clone();
        for change in changes {
            // Length and digest stand together in the manifest; the bill of materials has the digest alone.
            let lines =
                |length: usize, sha256: &str| format!("\"length\": {length},\n    \"sha256\": \"{sha256}\"");
            let (before, after) =
                (lines(change.length_before, &change.before), lines(change.length_after, &change.after));
            text = text.replace(&before, &after).replace(&change.before, &change.after);
        }
        if text == old {
            eprintln!("note: {} doesn't describe this image and stays as it is", path.display());
            continue;
        }
        text = match ending {
            "spdx.json" => sbom::seal(&text)?,
            _ => text.replace("\"signed\": false", "\"signed\": true"),
        };
        atomic::replace(&path, text.as_bytes(), 0o644)?;
        written.push(path);
    }
    Ok(written)
}

/// Reads a file that is not very large.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_FILE, "{} is larger than {MAX_FILE} bytes", path.display());
    Ok(bytes)
}
