//! The table of keys.

use super::Default::{Derived, Required, Value};
use super::{Choice, Key, Kind, PathKind, Repeat, Text, rules};

const M: u64 = 1 << 20;
const T: u64 = 1 << 40;

/// Most characters that all of `boot.cmdline` may have together.
pub(crate) const CMDLINE_MAX: usize = 1536;

/// The whole spec.
pub(crate) static SPEC: &[Key] = &[
    Key {
        name: "image",
        aka: &["os", "metadata"],
        default: Required,
        kind: Kind::Map(IMAGE),
        docs: "What the image is called.",
    },
    Key {
        name: "tree",
        aka: &["source", "base", "rootfs"],
        default: Required,
        kind: Kind::OneOf(TREE),
        docs: "Where the OS tree comes from: exactly one of these.",
    },
    Key {
        name: "system",
        aka: &[],
        default: Derived("each key's default"),
        kind: Kind::Map(SYSTEM),
        docs: "How the image behaves as a system.",
    },
    Key {
        name: "boot",
        aka: &["kernel"],
        default: Derived("each key's default"),
        kind: Kind::Map(BOOT),
        docs: "How it boots.",
    },
    Key {
        name: "disk",
        aka: &["sizes", "partitions"],
        default: Derived("each key's default"),
        kind: Kind::Map(DISK),
        docs: "How large the partitions are. They can't grow in place later, so leave room for later versions. \
               Sizes are a number of bytes or a number with `K`, `M`, `G` or `T`, in powers of 1024.",
    },
    Key {
        name: "modules",
        aka: &["imports", "module"],
        default: Value("[]"),
        kind: Kind::List(&SERVICE_MODULE, Repeat::Refused),
        docs: "Modules whose templates `services` may use: those that come with `image-builder`, by name, and folders of your \
               own, by a path that begins with `./` or `../`. `image-builder modules` lists the former.",
    },
    Key {
        name: "services",
        aka: &["service", "instances"],
        default: Derived("none"),
        kind: Kind::Services,
        docs: "What the machine does: a mapping from names of your choice to services. Each has a `template`, such as \
               `app.service`, and that template's parameters; see [Modules](modules.md).",
    },
    Key {
        name: "targets",
        aka: &["target", "enable"],
        default: Derived("`multi-user` wants every service"),
        kind: Kind::Named(&TARGET, TARGETS),
        docs: "Which services start, and with which target: a mapping from names of targets to what they want. Once it is \
               there, only what it names starts.",
    },
    Key {
        name: "data-disks",
        aka: &["volumes", "mounts", "extra-disks"],
        default: Value("[]"),
        kind: Kind::Maps(DATA_DISKS),
        docs: "A list of further disks and where they are mounted. An empty disk becomes a GPT with one ext4 partition at the \
               first boot; one with other data is left alone, said and not mounted.",
    },
    Key {
        name: "updates",
        aka: &["update", "upgrade", "ota"],
        default: Derived("the machine stays at this version"),
        kind: Kind::Map(UPDATES),
        docs: "Where the machine finds newer versions of its image, and what it does then.",
    },
];

static TARGETS: &[Key] = &[Key {
    name: "wants",
    aka: &["want", "services", "requires"],
    default: Value("[]"),
    kind: Kind::List(&SERVICE, Repeat::Refused),
    docs: "Names of services that start with the target.",
}];

static SERVICE_MODULE: Text = Text {
    noun: "a module",
    pattern: "^([a-z][a-z0-9-]*|\\.{1,2}/[^\\\\]*)$",
    max: 200,
    words: "the name of a module that comes with image-builder, or a folder beginning with ./ or ../",
    example: "app",
    explain: rules::nothing,
};

static TARGET: Text = Text {
    noun: "a target",
    pattern: "^[a-z][a-z0-9-]*$",
    max: 60,
    words: "a target's name without .target",
    example: "multi-user",
    explain: rules::target,
};

static SERVICE: Text = Text {
    noun: "a service's name",
    pattern: "^[a-z][a-z0-9-]*$",
    max: 40,
    words: "small letters, digits and -",
    example: "web",
    explain: rules::nothing,
};

static DATA_DISKS: &[Key] = &[
    Key {
        name: "name",
        aka: &["id"],
        default: Required,
        kind: Kind::Text(&DATA_NAME),
        docs: "What the disk is called. It is in the label of the partition, `twinhull-data-NAME`, by which the machine knows \
               that the disk is its own: don't change it later.",
    },
    Key {
        name: "disk",
        aka: &["device", "source", "path", "label", "what"],
        default: Required,
        kind: Kind::Text(&DATA_DISK),
        docs: "Which disk. With `LABEL=`, a file system that exists; it is mounted as it is and never formatted.",
    },
    Key {
        name: "mount",
        aka: &["mount-point", "target", "where"],
        default: Required,
        kind: Kind::Text(&MOUNT_POINT),
        docs: "Where it is mounted.",
    },
    Key {
        name: "foreign-data",
        aka: &["wipe", "overwrite", "force", "existing"],
        default: Value("keep"),
        kind: Kind::Choice(FOREIGN_DATA),
        docs: "What happens to a disk that has something else on it.",
    },
];

static UPDATES: &[Key] = &[
    Key {
        name: "urls",
        aka: &["url", "mirrors", "server"],
        default: Required,
        kind: Kind::List(&RELEASES, Repeat::Refused),
        docs: "Release folders, in the order they are tried: BASE of the BASE/IMAGE that `image-builder release` writes.",
    },
    Key {
        name: "root",
        aka: &["key", "keys", "trust"],
        default: Required,
        kind: Kind::Path(PathKind::File),
        docs: "The root that the machine trusts from the start: `1.root.json` of `image-builder keygen`, or a newer one.",
    },
    Key {
        name: "channel",
        aka: &["track", "stream"],
        default: Value("stable"),
        kind: Kind::Text(&CHANNEL),
        docs: "The channel that the machine follows.",
    },
    Key {
        name: "reboot",
        aka: &["restart", "strategy"],
        default: Value("immediate"),
        kind: Kind::Choice(REBOOTS),
        docs: "When it reboots into a version that is installed.",
    },
    Key {
        name: "reboot-through",
        aka: &["through", "kexec", "reboot-mode"],
        default: Value("firmware"),
        kind: Kind::Choice(THROUGH),
        docs: "What that reboot goes through.",
    },
    Key {
        name: "windows",
        aka: &["window", "maintenance", "reboot-windows"],
        default: Derived("any time"),
        kind: Kind::List(&WINDOW, Repeat::Refused),
        docs: "Only then does the machine reboot by itself: the days it opens, every day without any, the time, and how \
               long it stays open, 15 minutes to 24 hours. `Sat Sun 02:00 3h` is open on Saturdays and Sundays from two to \
               five.",
    },
    Key {
        name: "time-zone",
        aka: &["timezone", "tz", "zone"],
        default: Value("UTC"),
        kind: Kind::Text(&ZONE),
        docs: "Time zone of the windows. Any other than `UTC` needs the package `tzdata` in the image.",
    },
    Key {
        name: "fleet-lock",
        aka: &["fleetlock", "lock", "semaphore"],
        default: Derived("the machine asks nobody"),
        kind: Kind::Map(FLEET_LOCK),
        docs: "A FleetLock server that is asked before each reboot, so that few machines are down at a time.",
    },
    Key {
        name: "bandwidth",
        aka: &["rate", "limit", "speed"],
        default: Derived("as fast as it can"),
        kind: Kind::Size { min: 16 << 10, max: T, why: "slower, an update would never be done" },
        docs: "The most that is fetched in a second.",
    },
];

static FLEET_LOCK: &[Key] = &[
    Key {
        name: "url",
        aka: &["server", "base", "address"],
        default: Required,
        kind: Kind::Text(&LOCK_SERVER),
        docs: "Where the server is: `/v1/pre-reboot` comes after its path.",
    },
    Key {
        name: "group",
        aka: &["pool"],
        default: Value("default"),
        kind: Kind::Text(&GROUP),
        docs: "The group of machines that share the server's slots.",
    },
];

static IMAGE: &[Key] = &[
    Key {
        name: "id",
        aka: &["name"],
        default: Required,
        kind: Kind::Text(&IMAGE_ID),
        docs: "Name of the image. It becomes `IMAGE_ID=` in os-release and the first part of file names and \
               partition labels.",
    },
    Key {
        name: "version",
        aka: &["release"],
        default: Required,
        kind: Kind::Text(&IMAGE_VERSION),
        docs: "Version of the image; systems update to the newest by the rules of the UAPI version format. A \
               number such as `1.10` is read as it is written. With the name it must fit a GPT label: \
               `ID_VERSION_verity` has at most 36 UTF-16 units.",
    },
    Key {
        name: "arch",
        aka: &["architecture", "cpu"],
        default: Value("x86-64"),
        kind: Kind::Choice(ARCHES),
        docs: "CPU architecture.",
    },
    Key {
        name: "kernel",
        aka: &["uname"],
        default: Derived("the only kernel of the tree"),
        kind: Kind::Text(&KERNEL_RELEASE),
        docs: "Kernel release to use when the tree has several.",
    },
    Key {
        name: "timestamp",
        aka: &["epoch", "source-date-epoch"],
        default: Derived("the newest file of the tree"),
        kind: Kind::Seconds,
        docs: "Upper bound of all time stamps, in seconds since 1970. `SOURCE_DATE_EPOCH` wins over it.",
    },
];

static TREE: &[Key] = &[
    Key {
        name: "debian",
        aka: &["apt", "mmdebstrap", "ubuntu"],
        default: Derived("one of the three must be there"),
        kind: Kind::Map(DEBIAN),
        docs: "Packages of a Debian suite.",
    },
    Key {
        name: "tar",
        aka: &["archive", "file"],
        default: Derived("one of the three must be there"),
        kind: Kind::Path(PathKind::File),
        docs: "A tar archive.",
    },
    Key {
        name: "dir",
        aka: &["directory", "folder", "path"],
        default: Derived("one of the three must be there"),
        kind: Kind::Path(PathKind::Dir),
        docs: "A folder.",
    },
];

static DEBIAN: &[Key] = &[
    Key {
        name: "suite",
        aka: &["release", "codename", "distribution"],
        default: Required,
        kind: Kind::Text(&SUITE),
        docs: "Suite to take packages from.",
    },
    Key {
        name: "packages",
        aka: &["include", "install"],
        default: Value("[]"),
        kind: Kind::List(&PACKAGE, Repeat::Refused),
        docs: "Packages besides the base system's. Names only: versions are the suite's.",
    },
    Key {
        name: "kernel",
        aka: &["linux"],
        default: Derived("`linux-image-cloud-amd64` or `linux-image-cloud-arm64`"),
        kind: Kind::Text(&KERNEL_PACKAGE),
        docs: "Kernel package.",
    },
    Key {
        name: "mirror",
        aka: &["url", "uri"],
        default: Derived("mmdebstrap's own"),
        kind: Kind::Text(&MIRROR),
        docs: "Where packages are fetched from: an `http`, `https`, `file` or `copy` URL.",
    },
];

static SYSTEM: &[Key] = &[
    Key {
        name: "hostname",
        aka: &["host"],
        default: Derived("`image.id`"),
        kind: Kind::Text(&HOSTNAME),
        docs: "Host name where no cloud gives one.",
    },
    Key {
        name: "enable",
        aka: &["units", "services", "enabled"],
        default: Value("[]"),
        kind: Kind::List(&UNIT, Repeat::Refused),
        docs: "systemd units to enable besides the base system's, by their full names.",
    },
    Key {
        name: "keep",
        aka: &["minimize", "minimise", "docs", "locales"],
        default: Value("[]"),
        kind: Kind::List(&ITEM, Repeat::Refused),
        docs: "What stays in the image of what a server has no use for and is taken out otherwise: `docs` (package \
               documentation; licences always stay), `man` (manual pages), `locales` (translations), `caches`, `sources` \
               (of databases that are there compiled), and, unless `boot.profile` is `bare-metal`, `modules` (drivers \
               for hardware that virtual machines don't have) and `firmware` (that no module asks for).",
    },
];

static BOOT: &[Key] = &[
    Key {
        name: "profile",
        aka: &["platform"],
        default: Value("cloud"),
        kind: Kind::Choice(PROFILES),
        docs: "Which machines' drivers go into the initrd.",
    },
    Key {
        name: "modules",
        aka: &["drivers"],
        default: Value("[]"),
        kind: Kind::List(&MODULE, Repeat::RefusedLikeModules),
        docs: "Further kernel modules for the initrd, without `.ko`.",
    },
    Key {
        name: "cmdline",
        aka: &["options", "append", "kernel-command-line"],
        default: Value("[]"),
        kind: Kind::List(&CMDLINE, Repeat::Allowed),
        docs: "Words for the kernel command line, after the builder's own; of `console=` and `panic=` the last one \
               counts. Words that the builder sets are refused. All together have at most 1536 characters.",
    },
    Key {
        name: "firmware",
        aka: &["bios", "uefi", "firmwares"],
        default: Derived("`[uefi, bios]` on x86-64, `[uefi]` on arm64"),
        kind: Kind::List(&FIRMWARE, Repeat::Refused),
        docs: "Which firmware the disk starts with: `uefi`, which is always among them, and on x86-64 `bios`, which machines \
               without UEFI have and for which the tree must have GRUB's images (package `grub-pc-bin`). Updates and \
               rollback are the same with both.",
    },
    Key {
        name: "emergency",
        aka: &["on-failure"],
        default: Value("reboot"),
        kind: Kind::Choice(EMERGENCIES),
        docs: "What a failed initrd does.",
    },
    Key {
        name: "provisioning",
        aka: &["provision", "first-boot", "firstboot"],
        default: Value("optional"),
        kind: Kind::Choice(PROVISIONINGS),
        docs: "What becomes of a boot on which no source says who the machine is, or something that was asked for can't \
               be had. Trouble with the source of a machine that is known already is no reason for any of it.",
    },
    Key {
        name: "secure-boot",
        aka: &["secureboot", "signing", "sign"],
        default: Derived("nothing is signed"),
        kind: Kind::Map(SECURE_BOOT),
        docs: "Signatures of the UKI and of systemd-boot.",
    },
];

static SECURE_BOOT: &[Key] = &[
    Key {
        name: "certificate",
        aka: &["cert", "crt"],
        default: Required,
        kind: Kind::Path(PathKind::File),
        docs: "Certificate of the signing key, PEM or DER, which machines have in their db.",
    },
    Key {
        name: "key",
        aka: &["private-key", "secret"],
        default: Derived("the image is made ready for signing, and signed later"),
        kind: Kind::Text(&SIGNING_KEY),
        docs: "Private key: a PEM file, relative to the spec's folder, or a PKCS #11 URI. A passphrase or PIN is taken \
               from `TWINHULL_KEY_PIN`.",
    },
    Key {
        name: "enroll-files",
        aka: &["keys", "auth", "enrol-files", "enrollment"],
        default: Derived("none"),
        kind: Kind::Path(PathKind::Dir),
        docs: "Folder with `PK.auth`, `KEK.auth` and `db.auth`, which go onto the ESP for machines in setup mode.",
    },
    Key {
        name: "enroll",
        aka: &["enrol", "secure-boot-enroll"],
        default: Value("if-safe"),
        kind: Kind::Choice(ENROLL),
        docs: "Where systemd-boot enrols these files by itself.",
    },
];

static DISK: &[Key] = &[
    Key {
        name: "esp",
        aka: &["efi"],
        default: Derived("room for three UKIs with a quarter to spare, at least 128M"),
        kind: Kind::Size { min: 34 * M, max: T, why: "a FAT32 file system is not smaller" },
        docs: "EFI system partition.",
    },
    Key {
        name: "usr",
        aka: &["slot", "root"],
        default: Derived("twice today's content"),
        kind: Kind::Size { min: 16 * M, max: 16 * T, why: "no OS tree is so small" },
        docs: "Each of the two usr slots.",
    },
    Key {
        name: "filesystem",
        aka: &["fs", "fstype", "format"],
        default: Value("erofs"),
        kind: Kind::Choice(FILESYSTEMS),
        docs: "File system of the usr slots. EROFS is smaller and faster. ext4 is for kernels without EROFS and for tools \
               that know nothing else; it can't be compressed.",
    },
    Key {
        name: "compression",
        aka: &["compress", "algorithm"],
        default: Value("lz4hc:9"),
        kind: Kind::Text(&COMPRESSION),
        docs: "How /usr is compressed when it is EROFS: `none`, `lz4`, `lz4hc:1` to `lz4hc:12`, or `zstd:1` to `zstd:22`. LZ4 is read by \
               every kernel from 5.15 and makes a boot faster than no compression; Zstandard makes the smallest image \
               and needs a kernel from 6.10.",
    },
    Key {
        name: "cluster",
        aka: &["cluster-size", "pcluster"],
        default: Value("64K"),
        kind: Kind::Choice(CLUSTERS),
        docs: "Largest cluster of compressed data. Larger ones make the image smaller, smaller ones make random reads \
               cheaper.",
    },
    Key {
        name: "var",
        aka: &["data"],
        default: Value("1G"),
        kind: Kind::Size { min: 128 * M, max: 16 * T, why: "its file system needs room for its own tables" },
        docs: "Room for /var in the image file itself; on a larger disk it grows at the first boot.",
    },
    Key {
        name: "swap",
        aka: &["swap-size", "swapfile"],
        default: Derived("no swap"),
        kind: Kind::Size { min: 16 * M, max: T, why: "it would hold next to nothing" },
        docs: "Swap partition, made at the first boot before /var is. A machine that has a /var already, or no room for \
               both, runs without.",
    },
    Key {
        name: "encryption",
        aka: &["encrypt", "encrypted", "luks"],
        default: Value("none"),
        kind: Kind::Choice(ENCRYPTIONS),
        docs: "Whether /var and swap are encrypted, with LUKS2. It is for machines installed with it: one that has an \
               unencrypted /var doesn't boot a version that wants it encrypted.",
    },
];

static ARCHES: &[Choice] = &[
    Choice { name: "x86-64", aka: &["x86_64", "amd64", "x64"], docs: "64-bit Intel and AMD" },
    Choice { name: "arm64", aka: &["aarch64", "armv8"], docs: "64-bit Arm" },
];

static FILESYSTEMS: &[Choice] = &[
    Choice { name: "erofs", aka: &[], docs: "small, compressed, made for reading" },
    Choice { name: "ext4", aka: &["ext3", "ext2"], docs: "every kernel and tool reads it" },
];

static ENCRYPTIONS: &[Choice] = &[
    Choice { name: "none", aka: &["false", "no", "off"], docs: "they are not" },
    Choice {
        name: "machine-key",
        aka: &["true", "yes", "on", "tpm2", "tpm", "var"],
        docs: "the machine's TPM 2.0 keeps the key if there is one, and the credential `twinhull.var-key` is one if the machine gets it",
    },
];

static CLUSTERS: &[Choice] = &[
    Choice { name: "4K", aka: &["4096"], docs: "one block" },
    Choice { name: "16K", aka: &["16384"], docs: "four blocks" },
    Choice { name: "32K", aka: &["32768"], docs: "eight blocks" },
    Choice { name: "64K", aka: &["65536"], docs: "a good middle" },
    Choice { name: "128K", aka: &["131072"], docs: "for disks that are slow" },
    Choice { name: "256K", aka: &["262144"], docs: "for disks that are very slow" },
    Choice { name: "1M", aka: &["1048576", "1024K"], docs: "the smallest image" },
];

static PROFILES: &[Choice] = &[
    Choice { name: "virtio", aka: &["qemu", "kvm", "vm"], docs: "virtio only" },
    Choice { name: "cloud", aka: &["clouds", "aws", "azure", "gcp"], docs: "every cloud Twinhull knows" },
    Choice { name: "bare-metal", aka: &["metal", "baremetal", "hardware"], docs: "real machines too" },
];

static FOREIGN_DATA: &[Choice] = &[
    Choice { name: "keep", aka: &["false", "no", "never"], docs: "it is left alone and not mounted" },
    Choice {
        name: "wipe",
        aka: &["true", "yes", "always"],
        docs: "it is lost, once; a disk that was made by a Twinhull machine is kept all the same",
    },
];

static THROUGH: &[Choice] = &[
    Choice { name: "firmware", aka: &["bios", "uefi", "cold"], docs: "as if the machine were switched on" },
    Choice {
        name: "kexec",
        aka: &["kernel", "fast", "warm"],
        docs: "the new kernel is started by the running one, which saves the time the firmware takes; through the \
               firmware where that can't be, such as with Secure Boot",
    },
    Choice {
        name: "soft-reboot",
        aka: &["soft", "userspace"],
        docs: "the running kernel stays if the new version has the same kernel, initrd and command line; or else as `kexec`",
    },
];

static REBOOTS: &[Choice] = &[
    Choice {
        name: "immediate",
        aka: &["now", "auto", "yes"],
        docs: "as soon as windows and lock server allow it, nobody is logged in (people get ten minutes to leave) and no \
               program inhibits it",
    },
    Choice { name: "manual", aka: &["never", "no"], docs: "when somebody reboots it" },
];

static PROVISIONINGS: &[Choice] = &[
    Choice {
        name: "optional",
        aka: &["ignore", "off", "no"],
        docs: "the machine comes up with what it has, and the boot counts as good",
    },
    Choice {
        name: "required",
        aka: &["unhealthy", "on", "yes"],
        docs: "the machine comes up with what it has, but the boot counts as bad: it is not blessed, and a new version \
               goes back to the one before",
    },
    Choice { name: "strict", aka: &["fatal"], docs: "the initrd fails, see `emergency`" },
];

static EMERGENCIES: &[Choice] = &[
    Choice {
        name: "reboot",
        aka: &["restart"],
        docs: "say why and reboot, so that boot counting can choose another version",
    },
    Choice { name: "shell", aka: &["sh", "bash", "console", "debug"], docs: "wait for a person" },
];

static ENROLL: &[Choice] = &[
    Choice {
        name: "manual",
        aka: &["menu", "off", "never"],
        docs: "where somebody chooses it in the boot menu",
    },
    Choice { name: "if-safe", aka: &["auto", "vm"], docs: "in virtual machines in setup mode" },
    Choice { name: "force", aka: &["always", "yes"], docs: "on every machine in setup mode" },
];

static IMAGE_ID: Text = Text {
    noun: "an image name",
    pattern: "^[a-z0-9][a-z0-9.-]*$",
    max: 20,
    words: "lower-case letters, digits, `-` and `.`, beginning with a letter or a digit",
    example: "web-server",
    explain: rules::image_id,
};

static IMAGE_VERSION: Text = Text {
    noun: "an image version",
    pattern: "^[A-Za-z0-9][A-Za-z0-9.~^-]*$",
    max: 16,
    words: "letters, digits and `.~^-`, beginning with a letter or a digit",
    example: "1.0.0",
    explain: rules::image_version,
};

static KERNEL_RELEASE: Text = Text {
    noun: "a kernel release",
    pattern: "^[A-Za-z0-9][A-Za-z0-9.+~_-]*$",
    max: 64,
    words: "as `uname -r` says, of letters, digits and `.+~_-`",
    example: "6.12.48+deb13-cloud-amd64",
    explain: rules::kernel_release,
};

static SUITE: Text = Text {
    noun: "a suite name",
    pattern: "^[a-z][a-z0-9-]*$",
    max: 64,
    words: "lower-case letters, digits and `-`, beginning with a letter",
    example: "trixie",
    explain: rules::suite,
};

static PACKAGE: Text = Text {
    noun: "a Debian package name",
    pattern: "^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$",
    max: 128,
    words: "at least two of lower-case letters, digits and `+-.`, beginning with a letter or a digit",
    example: "openssh-server",
    explain: rules::package,
};

static KERNEL_PACKAGE: Text = Text {
    noun: "a Debian package name",
    pattern: "^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$",
    max: 128,
    words: "at least two of lower-case letters, digits and `+-.`, beginning with a letter or a digit",
    example: "linux-image-amd64",
    explain: rules::package,
};

static MIRROR: Text = Text {
    noun: "a mirror's URL",
    pattern: r#"^(https?://[A-Za-z0-9.:\[\]-]+(/[^\s"'\\<>|]*)?|(file|copy):/[^\s"'\\<>|]*)$"#,
    max: 1024,
    words: "an http, https, file or copy URL without spaces and quotes",
    example: "https://mirror.example/debian",
    explain: rules::mirror,
};

static RELEASES: Text = Text {
    noun: "a release folder's URL",
    pattern: r#"^https?://[A-Za-z0-9.:\[\]-]+(/[^\s"'\\<>|?#]*)?$"#,
    max: 1024,
    words: "an http or https URL without spaces, quotes, a query and a fragment",
    example: "https://updates.example/releases",
    explain: rules::releases,
};

static DATA_NAME: Text = Text {
    noun: "a name",
    pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    max: 20,
    words: "lower-case letters, digits and `-`, not at either end",
    example: "store",
    explain: rules::nothing,
};

static DATA_DISK: Text = Text {
    noun: "a disk",
    pattern: r"^(/dev/disk/by-(id|path)/[A-Za-z0-9][A-Za-z0-9:._+@=-]*|LABEL=[A-Za-z0-9][A-Za-z0-9._-]{0,35})$",
    max: 250,
    words: "a link in `/dev/disk/by-path` or `/dev/disk/by-id`, or `LABEL=` and the label of a file system",
    example: "/dev/disk/by-path/pci-0000:00:06.0",
    explain: rules::data_disk,
};

static MOUNT_POINT: Text = Text {
    noun: "a mount point",
    pattern: "^(/[A-Za-z0-9][A-Za-z0-9._-]*)+$",
    max: 200,
    words: "an absolute path of letters, digits and `._-`, without `/` at its end",
    example: "/srv/store",
    explain: rules::mount_point,
};

static WINDOW: Text = Text {
    noun: "a reboot window",
    pattern: r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )*([01][0-9]|2[0-3]):[0-5][0-9] ([1-9][0-9]?h|[1-9][0-9]{1,3}m|[1-9][0-9]?h[1-5]?[0-9]m)$",
    max: 64,
    words: "days such as `Sat Sun` or none, a time such as `02:00`, and a length such as `3h`, `90m` or `1h30m`",
    example: "Sat Sun 02:00 3h",
    explain: rules::window,
};

static ZONE: Text = Text {
    noun: "a time zone",
    pattern: "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$",
    max: 64,
    words: "an IANA name",
    example: "Europe/Berlin",
    explain: rules::nothing,
};

static LOCK_SERVER: Text = Text {
    noun: "a lock server's URL",
    pattern: r#"^https?://[A-Za-z0-9.:\[\]-]+(/[^\s"'\\<>|?#]*)?$"#,
    max: 1024,
    words: "an http or https URL without spaces, quotes, a query and a fragment",
    example: "https://locks.example/base",
    explain: rules::releases,
};

static GROUP: Text = Text {
    noun: "a lock server's group",
    pattern: "^[a-zA-Z0-9.-]+$",
    max: 128,
    words: "letters, digits, `.` and `-`",
    example: "web",
    explain: rules::nothing,
};

static CHANNEL: Text = Text {
    noun: "a channel's name",
    pattern: "^[a-z0-9][a-z0-9-]*$",
    max: 64,
    words: "lower-case letters, digits and `-`, beginning with a letter or a digit",
    example: "stable",
    explain: rules::channel,
};

static COMPRESSION: Text = Text {
    noun: "a compression",
    pattern: "^(none|lz4|lz4hc(:([1-9]|1[0-2]))?|zstd(:([1-9]|1[0-9]|2[0-2]))?)$",
    max: 16,
    words: "none, lz4, lz4hc:1 to lz4hc:12, or zstd:1 to zstd:22",
    example: "zstd:9",
    explain: rules::compression,
};

static ITEM: Text = Text {
    noun: "something that can be kept",
    pattern: "^(docs|man|locales|caches|sources|modules|firmware)$",
    max: 16,
    words: "docs, man, locales, caches, sources, modules or firmware",
    example: "man",
    explain: rules::item,
};

static FIRMWARE: Text = Text {
    noun: "a firmware",
    pattern: "^(uefi|bios)$",
    max: 16,
    words: "uefi or bios",
    example: "bios",
    explain: rules::firmware,
};

static HOSTNAME: Text = Text {
    noun: "a host name",
    pattern: "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    max: 64,
    words: "labels of letters, digits and inner `-`, each at most 63 characters, joined by `.`",
    example: "web-1.example",
    explain: rules::hostname,
};

static UNIT: Text = Text {
    noun: "a unit that can be enabled",
    pattern: r"^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?[.](service|socket|target|timer|path|mount|automount|swap|slice)$",
    max: 255,
    words: "a name with one of the suffixes .service, .socket, .target, .timer, .path, .mount, .automount, .swap, .slice",
    example: "nginx.service",
    explain: rules::unit,
};

static MODULE: Text = Text {
    noun: "a kernel module's name",
    pattern: "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    max: 55,
    words: "letters, digits, `_` and `-`, without path and suffix",
    example: "nvme",
    explain: rules::module,
};

static CMDLINE: Text = Text {
    noun: "a word for the kernel command line",
    pattern: r##"^[!#-~]+$"##,
    max: 512,
    words: "printable ASCII without spaces and double quotes; one list item per word",
    example: "net.ifnames=0",
    explain: rules::cmdline,
};

static SIGNING_KEY: Text = Text {
    noun: "a private key",
    pattern: r"^[^\x00-\x1f]+$",
    max: 1024,
    words: "a file name or a PKCS #11 URI",
    example: "keys/db.key",
    explain: rules::signing_key,
};

/// Whether `text` is a host name, for a default that is taken from elsewhere.
pub(crate) fn is_hostname(text: &str) -> bool {
    crate::validate::matches(&HOSTNAME, text)
}
