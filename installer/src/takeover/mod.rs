//! A takeover: a running system becomes another machine without a rescue system.
//!
//! The system's disk can't be written while the system runs from it. So the running kernel is loaded once more by kexec, with
//! an initrd that holds this program, the drivers, the image, and what the machine keeps. Everything that can be found wrong is
//! found wrong before that: the installer's kernel needs neither network nor signature any more. `init` is what it does.

mod error;
mod host;
mod init;
mod initrd;
mod job;
mod keys;
mod memory;
mod modules;
mod network;
mod seed;

use std::fmt;
use std::path::{Path, PathBuf};

use twinhull_release::DiskImage;
use twinhull_sysutil::size::human;

use crate::disk::Found;
use crate::{Error as Failure, Result};

use initrd::Archive;
use job::{Identity, Job};
use keys::Keys;
use memory::Memory;
use network::Network;

pub use error::Error;
pub(crate) use init::{is_it as is_installers_init, run as run_as_init};
pub(crate) use seed::SEED;

/// What a machine that will be taken over is like, and what stays of it.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    release: String,
    kernel: PathBuf,
    cmdline: String,
    program: Vec<u8>,
    modules: Vec<(String, Vec<u8>)>,
    pub(crate) disk: Found,
    used: Vec<String>,
    identity: Identity,
    keys: Keys,
    hostname: Option<String>,
    network: Network,
    machine_id: String,
    /// The cloud that the new system will ask instead of believing what is kept.
    cloud: Option<String>,
}

impl Machine {
    /// Looks at the machine whose root is `root`, `/`. `disk` is the disk that is meant, that of the running system if not
    /// given.
    ///
    /// Returns an [`Error`] for machines that can't be taken over.
    pub(crate) fn look(root: &Path, disk: Option<&Path>) -> Result<Self> {
        host::check(root)?;
        let program = host::program()?;
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let kernel = host::kernel(root, &release)?;
        host::try_kexec(&kernel)?;
        let path = match disk {
            Some(path) => path.to_owned(),
            None => host::disk(root)?,
        };
        let disk = Found::describe(root, &path)?;
        let name = disk.name.clone().ok_or_else(|| Error::NoTable(path.clone()))?;
        let identity = Identity::of(&path, disk.size, job::first_partition(root, &name))?;
        let same = identity.find(root);
        if same.len() != 1 {
            let names = same.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            let way_out = "take the copies out of the machine, or install from a rescue system";
            return Err(Error::Lookalikes { found: same.len(), size: disk.size, names, way_out }.into());
        }
        let text = |path: &str| fs_err::read_to_string(root.join(path)).unwrap_or_default();
        let context =
            twinhull_generators::Context { root: root.to_owned(), units: PathBuf::new(), initrd: false };
        let source = twinhull_generators::provision::detect(&context).word;
        Ok(Machine {
            release: release.clone(),
            kernel,
            cmdline: host::command_line(&text("proc/cmdline")),
            program,
            modules: modules::read(root, &release)?,
            used: disk.users(root)?,
            disk,
            identity,
            keys: keys::collect(root),
            hostname: host::hostname(),
            network: host::network(root)?,
            machine_id: text("etc/machine-id"),
            cloud: (source != "local").then_some(source),
            root: root.to_owned(),
        })
    }

    /// Refuses a machine on which nobody could log in afterwards.
    ///
    /// Returns [`Error::NoKeys`].
    pub(crate) fn check_keys(&self) -> Result<()> {
        if self.keys.lines.is_empty() && self.cloud.is_none() {
            let left_out: String =
                self.keys.left_out.iter().map(|what| format!("\nnot taken: {what}")).collect();
            return Err(Error::NoKeys { left_out }.into());
        }
        Ok(())
    }

    /// Refuses a machine that nobody could reach afterwards.
    ///
    /// Returns [`Error::DefaultRoute`].
    pub(crate) fn check_network(&self) -> Result<()> {
        match &self.network.lost {
            Some(interface) if self.cloud.is_none() => Err(Error::DefaultRoute(interface.clone()).into()),
            _ => Ok(()),
        }
    }

    /// Refuses a machine whose memory is too small for a compressed image of `image` bytes.
    ///
    /// Returns [`Error::Memory`] and [`Error::FreeMemory`].
    pub(crate) fn check_memory(&self, image: u64) -> Result<()> {
        let found = fs_err::read_to_string(self.root.join("proc/meminfo"))?;
        let found = Memory::parse(&found)
            .ok_or_else(|| std::io::Error::other("/proc/meminfo says nothing of memory"))?;
        Ok(found.check(image, self.rest()?)?)
    }

    /// Bytes that are in memory besides the image.
    fn rest(&self) -> Result<u64> {
        let modules: usize = self.modules.iter().map(|(_, bytes)| bytes.len()).sum();
        Ok((modules + self.program.len()) as u64 + fs_err::metadata(&self.kernel)?.len())
    }

    /// Fetches the image and loads everything into memory. The running system goes on as before.
    ///
    /// Returns what is wrong with the image, and [`Error::Kexec`] when the kernel doesn't take it.
    pub(crate) fn load(
        self,
        source: crate::source::Input,
        document: Option<&DiskImage>,
        what: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Loaded> {
        let archive = Archive::fetch(source.reader, document, progress)?;
        if archive.disk_length > self.disk.size {
            let image = archive.disk_length;
            return Err(Failure::TooSmall { path: self.disk.path, disk: self.disk.size, image });
        }
        if seed::place(&archive.head, self.disk.size - self.disk.size % 512)?.is_none() {
            return Err(Error::NoRoom { path: self.disk.path, disk: self.disk.size }.into());
        }
        // Without a document, or with a source of unknown length, only now it is known how long it is.
        if document.is_none() {
            self.check_memory(archive.image.length)?;
        }
        let job = Job {
            disk: self.identity,
            what: what.to_owned(),
            image: document.cloned().unwrap_or_else(|| DiskImage {
                format: twinhull_release::FORMAT,
                image: "unsigned".into(),
                version: "0".into(),
                arch: "x86-64".into(),
                file: archive.image.clone(),
                disk_length: archive.disk_length,
            }),
            seed: seed::files(&self.machine_id, self.hostname.as_deref(), &self.keys.lines, &self.network),
        };
        let initrd = archive.complete(self.program, self.modules, &job)?;
        let kernel = fs_err::File::open(&self.kernel)?;
        twinhull_kexec::load(kernel.file(), &initrd, &self.cmdline).map_err(Error::Kexec)?;
        Ok(Loaded { root: self.root })
    }
}

/// A machine that needs only to restart.
#[derive(Debug)]
pub(crate) struct Loaded {
    root: PathBuf,
}

impl Loaded {
    /// Goes down, into the installer's kernel.
    ///
    /// Returns [`Error::Restart`].
    pub(crate) fn restart(&self) -> Result<()> {
        Ok(host::restart(&self.root)?)
    }
}

impl fmt::Display for Machine {
    /// What is lost, and what stays.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Erased, with everything on it:\n{}", self.disk)?;
        for user in &self.used {
            // The way to free it is for disks that mustn't be in use.
            writeln!(f, "  {}", user.split(" (").next().unwrap_or(user))?;
        }
        writeln!(f, "\nKept:")?;
        let keys = &self.keys;
        match keys.lines.len() {
            0 => writeln!(f, "  no SSH keys")?,
            n => {
                let plural = if n == 1 { "" } else { "s" };
                let (comments, users) = (keys.comments().join(", "), keys.users.join(", "));
                writeln!(f, "  {n} SSH key{plural} of {users}, for root: {comments}")?;
            }
        }
        writeln!(f, "  host name {}", self.hostname.as_deref().unwrap_or("(none)"))?;
        for interface in &self.network.interfaces {
            writeln!(f, "  {interface}")?;
        }
        for what in keys.left_out.iter().chain(&self.network.left_out) {
            writeln!(f, "Not kept: {what}")?;
        }
        if self.network.interfaces.is_empty() {
            writeln!(f, "Note: no network card has an address, so the new system will ask for one by DHCP.")?;
        }
        if let Some(cloud) = &self.cloud {
            writeln!(
                f,
                "Note: on this machine the new system asks {cloud} for keys, host name and addresses, not what is kept here. \
                 Keys that are unknown there won't be in the new system."
            )?;
        }
        write!(
            f,
            "\nThe image is fetched and checked first ({} of modules and programs come with it). Then this machine restarts with its \
             own kernel {}, writes the disk, and restarts again.",
            human(self.rest().unwrap_or(0)),
            self.release
        )
    }
}
