//! The spec as types. Defaults are here; what they mean is in docs/reference/spec.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twinhull_modules::Output;

/// A whole spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// What the image is called.
    pub image: Image,
    /// Where the OS tree comes from.
    pub tree: TreeSource,
    /// How the image behaves as a system.
    #[serde(default)]
    pub system: System,
    /// How it boots.
    #[serde(default)]
    pub boot: Boot,
    /// How the disk is laid out.
    #[serde(default)]
    pub disk: Disk,
    /// Built-in modules by name, others by their folders.
    #[serde(default)]
    pub modules: Vec<String>,
    /// What the services become: files, units, needed commands. The checks work it out.
    #[serde(default, skip_deserializing)]
    pub services: Output,
    /// What targets want, by their names; without any, multi-user.target wants every service.
    #[serde(default)]
    pub targets: BTreeMap<String, Target>,
    /// Further disks.
    #[serde(default)]
    pub data_disks: Vec<DataDisk>,
    /// Where newer versions come from; without it, from nowhere.
    pub updates: Option<Updates>,
}

/// A value of `targets:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// Names of services.
    #[serde(default)]
    pub wants: Vec<String>,
}

/// An item of `data-disks:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataDisk {
    /// Name, which is in the label of its partition.
    pub name: String,
    /// Link in /dev/disk, or `LABEL=` and the label of a file system.
    pub disk: String,
    /// Where it is mounted.
    pub mount: String,
    /// What happens to other data on it.
    #[serde(default)]
    pub foreign_data: ForeignData,
}

/// `foreign-data:` of a data disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignData {
    /// It stays, and the disk isn't used.
    #[default]
    Keep,
    /// It goes.
    Wipe,
}

/// `updates:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Updates {
    /// Release folders, without the image's name at the end.
    pub urls: Vec<String>,
    /// File with the first root, relative to the spec.
    pub root: String,
    /// Channel to follow.
    #[serde(default = "default_channel")]
    pub channel: String,
    /// When to reboot.
    #[serde(default)]
    pub reboot: Reboot,
    /// What a reboot goes through.
    #[serde(default)]
    pub reboot_through: Through,
    /// Reboot windows; without any, it is always open.
    #[serde(default)]
    pub windows: Vec<String>,
    /// Time zone of the windows.
    #[serde(default = "default_zone")]
    pub time_zone: String,
    /// Lock server to ask before a reboot.
    pub fleet_lock: Option<FleetLock>,
    /// Most that is fetched in a second, as a size: `4M`.
    pub bandwidth: Option<String>,
}

/// `updates.fleet-lock:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FleetLock {
    /// Where it is.
    pub url: String,
    /// The machines' group.
    #[serde(default = "default_group")]
    pub group: String,
}

fn default_group() -> String {
    "default".into()
}

fn default_zone() -> String {
    "UTC".into()
}

fn default_channel() -> String {
    "stable".into()
}

/// `updates.reboot:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// As soon as nothing speaks against it.
    #[default]
    Immediate,
    /// When somebody does it.
    Manual,
}

/// `updates.reboot-through:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// The firmware.
    #[default]
    Firmware,
    /// From kernel to kernel where that can be.
    Kexec,
    /// With the kernel that runs where that can be.
    SoftReboot,
}

/// `image:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// Name: lower-case letters, digits, `-` and `.`, at most 20 characters.
    pub id: String,
    /// Version: letters, digits and `.~^-`, at most 16 characters.
    pub version: String,
    /// CPU architecture.
    #[serde(default = "default_arch")]
    pub arch: String,
    /// Kernel release to use when the tree has several.
    pub kernel: Option<String>,
    /// Latest time stamp of any file, seconds since 1970.
    pub timestamp: Option<i64>,
}

fn default_arch() -> String {
    "x86-64".into()
}

/// `tree:`, exactly one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TreeSource {
    /// Packages of a Debian suite.
    Debian(Debian),
    /// A tar archive, relative to the spec.
    Tar(String),
    /// A folder, relative to the spec.
    Dir(String),
}

/// `tree.debian:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debian {
    /// Suite, for example `trixie`.
    pub suite: String,
    /// Packages besides the base system's.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Kernel package.
    pub kernel: Option<String>,
    /// Mirror; mmdebstrap's own default without one.
    pub mirror: Option<String>,
}

/// `system:`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct System {
    /// Host name where no cloud gives one.
    pub hostname: Option<String>,
    /// Units to enable besides the base system's.
    #[serde(default)]
    pub enable: Vec<String>,
    /// Items of the minimisation pass that stay in the image.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// `boot:`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Boot {
    /// Which machines' drivers go into the initrd.
    pub profile: Profile,
    /// Further kernel modules for the initrd.
    pub modules: Vec<String>,
    /// Words for the kernel command line.
    pub cmdline: Vec<String>,
    /// Which firmware the disk starts with; the default depends on the processor, see [`Boot::has_bios`].
    pub firmware: Option<Vec<Firmware>>,
    /// What a failed initrd does.
    pub emergency: Emergency,
    /// Whether a boot that isn't provisioned is good.
    pub provisioning: Provisioning,
    /// Signatures of what the firmware starts.
    pub secure_boot: Option<SecureBoot>,
}

impl Boot {
    /// Whether the disk of an image for the processor `arch` starts on machines with a BIOS, too.
    pub fn has_bios(&self, arch: &str) -> bool {
        self.firmware.as_ref().map_or(arch == "x86-64", |list| list.contains(&Firmware::Bios))
    }
}

/// `boot.firmware:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// UEFI, which starts systemd-boot.
    Uefi,
    /// A BIOS, which starts GRUB's code and that the bridge.
    Bios,
}

/// `boot.secure-boot:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecureBoot {
    /// Certificate file, relative to the spec.
    pub certificate: String,
    /// Private key: a file relative to the spec, or a PKCS #11 URI. Without one, the image is signed later.
    pub key: Option<String>,
    /// Folder with PK.auth, KEK.auth and db.auth, relative to the spec.
    pub enroll_files: Option<String>,
    /// Where systemd-boot enrols them by itself.
    #[serde(default)]
    pub enroll: Enroll,
}

/// `boot.secure-boot.enroll:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enroll {
    /// Where somebody chooses it in the boot menu.
    Manual,
    /// In virtual machines.
    #[default]
    IfSafe,
    /// On every machine in setup mode.
    Force,
}

impl Enroll {
    /// As the spec and systemd-boot write it.
    pub fn name(self) -> &'static str {
        match self {
            Enroll::Manual => "manual",
            Enroll::IfSafe => "if-safe",
            Enroll::Force => "force",
        }
    }
}

/// `boot.profile:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// virtio only.
    Virtio,
    /// Every cloud Twinhull knows.
    #[default]
    Cloud,
    /// Real machines too.
    BareMetal,
}

/// `boot.provisioning:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provisioning {
    /// It is.
    #[default]
    Optional,
    /// It isn't.
    Required,
    /// It doesn't get beyond its initrd.
    Strict,
}

/// `boot.emergency:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emergency {
    /// Say why and reboot, so that boot counting can choose another version.
    #[default]
    Reboot,
    /// Wait for a person.
    Shell,
}

/// `disk:`; sizes as `512M`, `2G`. Without one, the builder takes what the content needs with room to grow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Disk {
    /// EFI system partition.
    pub esp: Option<String>,
    /// Each usr slot.
    pub usr: Option<String>,
    /// File system of the usr slots.
    pub filesystem: Filesystem,
    /// How /usr is compressed: `none` or an algorithm with its level.
    pub compression: Option<String>,
    /// Largest cluster of compressed data.
    pub cluster: Option<String>,
    /// Room for /var in the image file itself.
    pub var: Option<String>,
    /// Swap partition.
    pub swap: Option<String>,
    /// Whether /var and swap are encrypted.
    pub encryption: Encryption,
}

/// `disk.encryption:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// They aren't.
    #[default]
    None,
    /// By a key that the machine's TPM keeps or that the machine is given.
    MachineKey,
}

/// `disk.filesystem:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// EROFS.
    #[default]
    Erofs,
    /// ext4, never compressed.
    Ext4,
}
