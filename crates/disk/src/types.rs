//! Partition types (UAPI.2 Discoverable Partitions Specification) and attribute bits.

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

/// CPU architecture of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// x86-64.
    #[serde(rename = "x86-64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "arm64")]
    Arm64,
}

impl Arch {
    /// systemd's name: `x86-64`, `arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86-64",
            Arch::Arm64 => "arm64",
        }
    }

    /// Debian's name: `amd64`, `arm64`.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }

    /// The suffix of EFI file names: `x64`, `aa64`.
    pub fn efi(self) -> &'static str {
        match self {
            Arch::X86_64 => "x64",
            Arch::Arm64 => "aa64",
        }
    }
}

/// EFI system partition.
pub const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
/// GRUB's code for machines with a BIOS.
pub const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
/// /var.
pub const VAR: Uuid = uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d");
/// Swap space.
pub const SWAP: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
/// Data of Linux without a purpose of its own.
pub const LINUX_DATA: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");

/// Attribute bit: the partition is read-only.
pub const READ_ONLY: u64 = 1 << 60;
/// Attribute bit: systemd-gpt-auto-generator must leave the partition alone.
pub const NO_AUTO: u64 = 1 << 63;

/// /usr of an architecture.
pub fn usr(arch: Arch) -> Uuid {
    match arch {
        Arch::X86_64 => uuid!("8484680c-9521-48c6-9c11-b0720656f69e"),
        Arch::Arm64 => uuid!("b0e01050-ee5f-4390-949a-9101b17104e9"),
    }
}

/// The hash tree of /usr of an architecture.
pub fn usr_verity(arch: Arch) -> Uuid {
    match arch {
        Arch::X86_64 => uuid!("77ff5f63-e7b6-4633-acf4-1565b864c0e6"),
        Arch::Arm64 => uuid!("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"),
    }
}

/// What a partition type is called in output for people; `None` for types Twinhull doesn't use.
pub fn name(kind: Uuid) -> Option<&'static str> {
    let known = [
        (ESP, "esp"),
        (BIOS_BOOT, "bios"),
        (VAR, "var"),
        (SWAP, "swap"),
        (usr(Arch::X86_64), "usr"),
        (usr(Arch::Arm64), "usr"),
        (usr_verity(Arch::X86_64), "usr-verity"),
        (usr_verity(Arch::Arm64), "usr-verity"),
    ];
    known.iter().find(|(uuid, _)| *uuid == kind).map(|(_, name)| *name)
}
