//! `sign-image`: the signed document beside a compressed disk image, for `twinhull-install`.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use twinhull_release::{Artefact, DiskImage, Document as _, Envelope, FORMAT, Kind, PublicKey};
use twinhull_sysutil::digest::hex;
use twinhull_sysutil::{atomic, size};

use super::{Outcome, SignImageArgs, keys, sign};
use crate::progress::Progress;

/// Runs `sign-image`.
pub(super) fn run(args: &SignImageArgs, progress: &Progress) -> Result<Outcome> {
    ensure!(
        !args.keys.is_empty() || args.prepare.is_some() || args.attach.is_some(),
        "nothing to sign with; give --key, --attach with --public, or --prepare"
    );
    let keys = keys::read(&args.keys)?;
    let identity = identity(args)?;
    let step = progress.bytes("Reading the image", fs_err::metadata(&args.image)?.len());
    let document = describe(&args.image, identity, &mut |done| step.position(done))
        .with_context(|| format!("{} can't be signed", args.image.display()))?;
    step.done(&format!("a disk of {}", size::human(document.disk_length)));
    let path = beside(&args.image);
    let mut envelope = Envelope::new(&document)?;
    // Others may have signed the same already.
    if let Ok(Some(there)) = Envelope::read(Kind::DiskImage, &path)
        && there.digest() == envelope.digest()
    {
        envelope = there;
    }
    let (out, bytes) = if let Some(out) = &args.prepare {
        (out.clone(), envelope.to_be_signed())
    } else {
        keys.iter().for_each(|key| envelope.sign(key));
        if let (Some(signature), Some(public)) = (&args.attach, &args.public) {
            sign::attach(&mut envelope, signature, PublicKey::read(public)?)?;
        }
        (path, envelope.to_string().into_bytes())
    };
    atomic::replace(&out, &bytes, 0o644).with_context(|| format!("{} was not written", out.display()))?;
    Ok(Outcome { written: vec![out], ..Outcome::default() })
}

/// Where the document of the image at `path` is.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".json");
    beside.into()
}

/// Name, version and processor of an image.
struct Identity {
    image: String,
    version: String,
    arch: String,
}

/// From the options, or the manifest that `build` wrote beside the image.
fn identity(args: &SignImageArgs) -> Result<Identity> {
    let name = args.image.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = [".raw.zst", ".img.zst", ".zst"].iter().find_map(|ending| name.strip_suffix(ending));
    let path = args.image.with_file_name(format!("{}.manifest.json", stem.unwrap_or(name)));
    let given = [&args.id, &args.image_version, &args.arch];
    let manifest: serde_json::Value = if given.iter().all(|option| option.is_some()) {
        serde_json::Value::Null
    } else if path.exists() {
        serde_json::from_str(&fs_err::read_to_string(&path)?)
            .with_context(|| format!("{} is no manifest", path.display()))?
    } else {
        bail!(
            "{} does not exist, which would say what the image is; give --id, --image-version and --arch",
            path.display()
        );
    };
    let value = |option: &Option<String>, key: &str| -> Result<String> {
        match (option, manifest[key].as_str()) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(value)) => Ok(value.to_owned()),
            (None, None) => bail!("{} has no {key}; is it the image's manifest?", path.display()),
        }
    };
    Ok(Identity {
        image: value(&args.id, "id")?,
        version: value(&args.image_version, "version")?,
        arch: value(&args.arch, "arch")?,
    })
}

/// Reads the image once: its length and digest, and the length of the disk in it.
fn describe(path: &Path, identity: Identity, progress: &mut dyn FnMut(u64)) -> Result<DiskImage> {
    let mut file = Hashed { inner: fs_err::File::open(path)?, hash: Sha256::new(), length: 0, progress };
    let mut disk = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(1 << 20, &mut file))?;
    let (mut length, mut buffer, mut magic) = (0_u64, vec![0; 1 << 20], Vec::new());
    loop {
        let n = disk
            .read(&mut buffer)
            .context("it is no whole file of Zstandard; `convert --format raw.zst` writes one")?;
        if n == 0 {
            break;
        }
        if magic.len() < 520 {
            magic.extend_from_slice(&buffer[..n.min(520)]);
        }
        length += n as u64;
    }
    ensure!(
        magic.get(512..520) == Some(b"EFI PART"),
        "the disk in it has no GUID partition table, so it wouldn't boot; is it the image of a partition?"
    );
    drop(disk);
    let document = DiskImage {
        format: FORMAT,
        image: identity.image,
        version: identity.version,
        arch: identity.arch,
        file: Artefact { length: file.length, sha256: hex(&file.hash.finalize()) },
        disk_length: length,
    };
    document.validate().map_err(anyhow::Error::msg)?;
    Ok(document)
}

/// A reader that keeps the digest of all that was read.
struct Hashed<'a, R> {
    inner: R,
    hash: Sha256,
    length: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.length += n as u64;
        (self.progress)(self.length);
        Ok(n)
    }
}
