//! What can go wrong while slots are read or changed.

use uuid::Uuid;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk could not be read or written.
    #[error("{what} can't be {verb}: {source}; look for errors of the disk in the kernel's log")]
    Disk {
        /// Which part of the disk.
        what: &'static str,
        /// `read`, `written` or `flushed`.
        verb: &'static str,
        /// What the kernel said; names the device.
        source: std::io::Error,
    },
    /// Neither copy of the partition table is whole.
    #[error(
        "the disk has no whole partition table (primary: {primary}; backup: {backup}); if it is the right disk, \
         start from another one and repair it with gdisk"
    )]
    NoTable {
        /// What is wrong with the primary one.
        primary: String,
        /// What is wrong with the backup.
        backup: String,
    },
    /// A table that is valid, but not one that can be replaced by one write.
    #[error(
        "the partition table can't be changed safely: {0}; nothing was written, repair it with gdisk first"
    )]
    Unsafe(String),
    /// An entry that isn't used or isn't there.
    #[error("the partition table has no partition {number}; read the table again")]
    NoPartition {
        /// Number, from 1.
        number: u32,
    },
    /// A label that GPT can't hold.
    #[error("the partition label {label:?} has {length} characters, GPT allows {limit}; shorten the version")]
    LabelTooLong {
        /// The label.
        label: String,
        /// Its length in UTF-16 units.
        length: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// A UUID that another partition has.
    #[error("the UUID {uuid} is partition {number}'s already: the disk has this very image in another slot")]
    UuidTaken {
        /// The UUID.
        uuid: Uuid,
        /// The partition that has it.
        number: u32,
    },
    /// The disk isn't divided as a Twinhull disk is.
    #[error("these are no slots of a Twinhull disk: {0}; look at the disk with `sfdisk --dump`")]
    NoSlots(String),
    /// An image name or a version that could not be part of labels and file names.
    #[error("{text:?} is no {what}: it must be {rule}; take the one in the image's os-release")]
    BadName {
        /// `image name` or `version`.
        what: &'static str,
        /// The text.
        text: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// No slot has the root hash the machine runs from.
    #[error(
        "no slot of this disk has the root hash {root} of the running system; is it the disk the machine started from?"
    )]
    NotRunning {
        /// The root hash, hexadecimal.
        root: String,
    },
    /// Several partitions have a UUID that is to be found once.
    #[error(
        "the UUIDs of the running slot are there twice on this disk (partitions {0} and {1}), so nobody can say which \
         one runs; give the copy new UUIDs with sgdisk -u"
    )]
    Twice(u32, u32),
    /// The slot that runs has labels that don't say its version.
    #[error(
        "the running slot's labels don't say which version it is ({0}), so its UKI can't be told from others; give it \
         back its labels NAME_VERSION and NAME_VERSION_verity with sgdisk -c"
    )]
    Unlabelled(String),
    /// The running version may still turn out to be bad.
    #[error(
        "the running version {version} is not blessed yet, and the other slot is what the machine would fall back to; \
         update after boot-complete.target was reached"
    )]
    NotBlessed {
        /// The running version.
        version: String,
    },
    /// There is no second slot.
    #[error("the disk has no slot besides the running one; write the image anew to get two")]
    NoTarget,
    /// An image that is larger than the slot.
    #[error(
        "the image's {what} has {size} bytes, the slot has room for {room}; slots can't grow: build it smaller, or \
         write the disk anew with a larger disk.{what}"
    )]
    TooSmall {
        /// `usr` or `usr-verity`.
        what: &'static str,
        /// Bytes needed.
        size: u64,
        /// Bytes there are.
        room: u64,
    },
    /// The version is in another slot already.
    #[error(
        "version {version} is in the slot of partition {number} already; give the new image a version of its own"
    )]
    SameVersion {
        /// The version.
        version: String,
        /// Number of that slot's data partition.
        number: u32,
    },
    /// A length that no image has.
    #[error(
        "an image of {0} bytes can't be: whole blocks of 4096 bytes are needed; take the length from the manifest"
    )]
    BadLength(u64),
    /// A read or write outside of the image.
    #[error(
        "bytes {offset} to {offset} + {len} are outside of the {what} of {room} bytes; take offsets from the manifest"
    )]
    Bounds {
        /// `data` or `hash tree`.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
        /// Bytes there are.
        room: u64,
    },
    /// The slot isn't what its root hash says.
    #[error("the slot doesn't match its root hash: {0}; write it again")]
    NotVerified(#[from] twinhull_fsimg::Error),
    /// The hash tree is right, but for an image of another length.
    #[error(
        "the slot's hash tree covers {found} bytes, the image has {expected}; the image's description is wrong"
    )]
    OtherLength {
        /// Bytes the hash tree covers.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// Somebody else changed the table during the update.
    #[error("partition {number} was changed by another program during the update; start the update again")]
    Changed {
        /// Number, from 1.
        number: u32,
    },
    /// The ESP could not be read or changed.
    #[error("{file} on the ESP can't be {verb}: {source}; check the ESP with fsck.fat if that stays so")]
    Esp {
        /// File or folder, relative to the ESP's root.
        file: String,
        /// `read`, `written` and the like.
        verb: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The ESP has too little room, and nothing more that could go.
    #[error(
        "the UKI needs {needed} bytes, the ESP has {free} to spare; remove files that aren't Twinhull's from it"
    )]
    EspFull {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The UKI could not be had from where it comes from.
    #[error("the UKI can't be read from its source: {0}; fetch it again")]
    Source(std::io::Error),
    /// A UKI that isn't as long as it should be.
    #[error("the UKI is of another length: {found} bytes came, {expected} were announced; fetch it again")]
    WrongLength {
        /// Bytes that came; reading ends one byte behind what was announced.
        found: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// What was read back from the ESP isn't what the release has.
    #[error("{file} on the ESP doesn't have the SHA-256 that the release announces; fetch the UKI again")]
    WrongDigest {
        /// The temporary file.
        file: String,
    },
    /// The boot entry of the running version is missing.
    #[error(
        "the ESP has no boot entry of the running version {version}, so an update could leave the machine without any; \
         is the right ESP mounted? If it is, copy the version's UKI to EFI/Linux first"
    )]
    NoEntry {
        /// The running version.
        version: String,
    },
    /// Two names that may be one file.
    #[error(
        "{0} and {1} on the ESP are most likely one file under two names, as FAT has it after a power cut while a file \
         was renamed, and removing one would destroy both; unmount the ESP and repair it with `fsck.fat -a`"
    )]
    OneFile(String, String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Turns an I/O error into an [`Error::Disk`].
pub(crate) fn disk(what: &'static str, verb: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Disk { what, verb, source }
}
