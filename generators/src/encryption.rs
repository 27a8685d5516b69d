//! An encrypted /var: the keys it is made with, and how it is opened at every boot.
//!
//! The machine's TPM keeps a key when there is a TPM, and the credential `twinhull.var-key` is one when the machine is given
//! it. Both open it when both were there at the first boot, so that the credential is the way back after the TPM
//! is lost. Neither is a failed boot: a machine that is to be encrypted has no other /var. Against whom this helps is in
//! docs/guides/disks.md.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Context, Error, Result, disk};

/// What images with an encrypted /var have; it says which PCRs the TPM's key is bound to.
const SETTINGS: &str = "/usr/lib/twinhull/encryption";

/// The key that the machine is given.
const KEY: &str = "/run/credentials/@system/twinhull.var-key";

/// Its name, for people.
const KEY_NAME: &str = "the credential twinhull.var-key";

/// Where the firmware says that there is a TPM, which the kernel then has to find.
const TPM_TABLE: &str = "/sys/firmware/acpi/tables/TPM2";

/// The TPM, through the kernel's resource manager.
const TPM: &str = "/dev/tpmrm0";

/// How long the kernel may take to find it.
const TPM_PATIENCE: Duration = Duration::from_secs(10);

/// LUKS2 On-Disk Format Specification, 2.1: offsets and first bytes of the binary header and of its copy, which is enough
/// to open what has lost the first one.
const HEADERS: [(u64, &[u8; 6]); 2] = [(0, b"LUKS\xba\xbe"), (16 << 10, b"SKUL\xba\xbe")];

/// Device-mapper's name of /var.
const VAR: &str = "twinhull-var";

/// That of swap.
const SWAP: &str = "twinhull-swap";

/// How /var of this image is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    /// The PCRs, as systemd-repart takes them.
    pcrs: String,
    /// Whether there is a TPM.
    tpm: bool,
    /// Whether the machine was given a key.
    key: bool,
}

impl Encryption {
    /// `None` when the image doesn't want /var encrypted.
    ///
    /// Returns [`Error::Encryption`] when it does and the machine has no key.
    pub(crate) fn of(context: &Context) -> Result<Option<Self>> {
        if !context.path(SETTINGS).exists() {
            return Ok(None);
        }
        let settings = fs_err::read_to_string(context.path(SETTINGS))?;
        let pcrs =
            settings.lines().find_map(|line| line.strip_prefix("tpm2-pcrs=")).unwrap_or("7").to_owned();
        let key = fs_err::metadata(context.path(KEY)).is_ok_and(|data| data.len() > 0);
        let tpm = has_tpm(context, TPM_PATIENCE);
        if !tpm && !key {
            return Err(Error::Encryption(format!(
                "the image wants /var encrypted, and there is no key for it: the machine has no TPM 2.0 and wasn't given {KEY_NAME}"
            )));
        }
        Ok(Some(Encryption { pcrs, tpm, key }))
    }

    /// `Encrypt=` of repart.d(5) for a new /var.
    pub(crate) fn definition(&self) -> &'static str {
        match (self.tpm, self.key) {
            (true, true) => "Encrypt=key-file+tpm2\n",
            (true, false) => "Encrypt=tpm2\n",
            (false, _) => "Encrypt=key-file\n",
        }
    }

    /// systemd-repart's arguments for it.
    pub(crate) fn arguments(&self, context: &Context) -> Vec<String> {
        let mut all = Vec::new();
        if self.tpm {
            all.extend(["--tpm2-device=auto".to_owned(), format!("--tpm2-pcrs={}", self.pcrs)]);
        }
        if self.key {
            all.push(format!("--key-file={}", context.path(KEY).display()));
        }
        all
    }

    /// Opens `partition` and returns the device in which the file system is.
    ///
    /// Returns [`Error::Encryption`] when none of the machine's keys opens it.
    pub(crate) fn open(&self, context: &Context, partition: &Path) -> Result<PathBuf> {
        let device = context.path("/dev/mapper").join(VAR);
        if device.exists() {
            return Ok(device);
        }
        let key = context.path(KEY);
        let mut tried = Vec::new();
        for (whose, there, key, option) in [
            ("the TPM", self.tpm, Path::new("-"), "tpm2-device=auto,"),
            (KEY_NAME, self.key, key.as_path(), ""),
        ] {
            if !there {
                tried.push(format!("{whose} isn't there"));
                continue;
            }
            let options = format!("luks,headless=1,tries=1,discard,{option}");
            match attach(VAR, partition, key, options.trim_end_matches(',')) {
                Ok(()) => {
                    println!("/var is opened by {whose}");
                    return Ok(device);
                }
                Err(Error::Program { .. }) => tried.push(format!("{whose} doesn't open it")),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Encryption(format!(
            "{} with /var is encrypted and stays closed: {}; give the machine a key that opens it as {KEY_NAME}",
            partition.display(),
            tried.join(", ")
        )))
    }
}

/// Opens the partition of swap with a key that nobody knows and makes swap in it.
pub(crate) fn open_swap(context: &Context, partition: &Path) -> Result<PathBuf> {
    let device = context.path("/dev/mapper").join(SWAP);
    if !device.exists() {
        let options = "plain,cipher=aes-xts-plain64,size=512,discard";
        attach(SWAP, partition, Path::new("/dev/urandom"), options)?;
        disk::run(Command::new("mkswap").arg(&device), 0)?;
    }
    // By this name the kernel lists it.
    Ok(fs_err::canonicalize(device)?)
}

fn attach(name: &str, partition: &Path, key: &Path, options: &str) -> Result<()> {
    let mut attach = Command::new("/usr/lib/systemd/systemd-cryptsetup");
    // The plugins of libcryptsetup do the same and aren't in the initrd.
    attach.env("SYSTEMD_CRYPTSETUP_USE_TOKEN_MODULE", "0");
    disk::run(attach.arg("attach").arg(name).arg(partition).arg(key).arg(options), 0)
}

/// Whether there is a TPM. Where the firmware knows one, the kernel gets `patience` to find it.
fn has_tpm(context: &Context, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if context.path(TPM).exists() {
            return true;
        }
        if !context.path(TPM_TABLE).exists() || Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a device or file has a header of LUKS, the first one or its copy.
pub(crate) fn is_encrypted(device: &Path) -> Result<bool> {
    let mut file = fs_err::File::open(device)?;
    for (offset, magic) in HEADERS {
        let mut found = Vec::new();
        file.seek(SeekFrom::Start(offset))?;
        file.by_ref().take(magic.len() as u64).read_to_end(&mut found)?;
        if found == magic {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The device with the file system of /var: `partition`, or what it is opened as.
///
/// Returns [`Error::Encryption`] when it is encrypted and shouldn't be, or the other way round.
pub(crate) fn file_system(
    context: &Context,
    encryption: Option<&Encryption>,
    partition: &Path,
) -> Result<PathBuf> {
    match (encryption, is_encrypted(partition)?) {
        (Some(encryption), true) => encryption.open(context, partition),
        (None, false) => Ok(partition.to_owned()),
        (Some(_), false) => Err(Error::Encryption(format!(
            "the image wants /var encrypted, and {} isn't; install the machine anew, or leave `disk.encryption` out of the spec",
            partition.display()
        ))),
        (None, true) => Err(Error::Encryption(format!(
            "{} with /var is encrypted, and this image can't open it; set `disk.encryption` in the spec",
            partition.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let context = Context { root: dir.path().to_owned(), units: dir.path().join("units"), initrd: true };
        for (path, content) in files {
            let path = context.path(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        (dir, context)
    }

    #[test]
    fn what_the_machine_has_is_what_var_is_encrypted_with() {
        let (pcrs, tpm, key) = ((SETTINGS, "tpm2-pcrs=7\n"), (TPM, ""), (KEY, "secret"));
        for (files, want) in [
            (&[pcrs, tpm][..], "Encrypt=tpm2\n --tpm2-device=auto --tpm2-pcrs=7"),
            (&[pcrs, key], "Encrypt=key-file\n --key-file=KEY"),
            (&[pcrs, tpm, key], "Encrypt=key-file+tpm2\n --tpm2-device=auto --tpm2-pcrs=7 --key-file=KEY"),
            (&[tpm, key], "not wanted"),
            (&[pcrs], "wasn't given the credential twinhull.var-key"),
            (&[pcrs, (KEY, "")], "wasn't given the credential twinhull.var-key"),
        ] {
            let (_dir, context) = machine(files);
            let found = match Encryption::of(&context) {
                Ok(Some(found)) => format!("{} {}", found.definition(), found.arguments(&context).join(" "))
                    .replace(&context.path(KEY).display().to_string(), "KEY"),
                Ok(None) => "not wanted".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(found.ends_with(want), "{files:?}: {found}");
        }
    }

    #[test]
    fn a_tpm_that_the_firmware_knows_is_waited_for() {
        let (_dir, context) = machine(&[(TPM_TABLE, "")]);
        assert!(!has_tpm(&context, Duration::from_millis(10)));
        std::thread::scope(|scope| {
            let late = scope.spawn(|| has_tpm(&context, Duration::from_secs(60)));
            let node = context.path(TPM);
            fs_err::create_dir_all(node.parent().unwrap()).unwrap();
            fs_err::write(node, "").unwrap();
            assert!(late.join().unwrap());
        });
    }

    #[test]
    fn var_is_as_the_image_wants_it_or_not_used() {
        let encryption = Encryption { pcrs: "7".into(), tpm: true, key: false };
        let copy = [&[0; 16 << 10], b"SKUL\xba\xbe".as_slice()].concat();
        for (content, encryption, want) in [
            ("ext4".as_bytes(), None, "ok"),
            (b"", None, "ok"),
            (b"LUKS\xba\xbe\0\x02", None, "set `disk.encryption`"),
            (&copy, None, "set `disk.encryption`"),
            (b"ext4", Some(&encryption), "install the machine anew"),
            (b"LUKS", Some(&encryption), "install the machine anew"),
        ] {
            let (_dir, context) = machine(&[]);
            let partition = context.path("/vda6");
            fs_err::write(&partition, content).unwrap();
            let found = match file_system(&context, encryption, &partition) {
                Ok(device) => {
                    if device == partition {
                        "ok".to_owned()
                    } else {
                        device.display().to_string()
                    }
                }
                Err(error) => error.to_string(),
            };
            assert!(found.contains(want), "{content:?} {encryption:?}: {found}");
        }
    }
}
