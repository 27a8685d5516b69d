//! Everything a guest needs before QEMU starts, and what became of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::accel;
use crate::attend::attend;
use crate::cloud::disk::{self as cloud_disk, Content};
use crate::cloud::http::Server;
use crate::cloud::platform::Platform;
use crate::cloud::public_keys;
use crate::cloud::routes::Routes;
use crate::disk::{self, Format};
use crate::exec::{self, Channel};
use crate::firmware::Firmware;
use crate::options::{Cloud, Options};
use crate::pipe::{PIPE_WORD, pipe_command};
use crate::qemu::{self, Plan};
use crate::signals::Signals;
use crate::tpm::{self, Tpm};
use crate::{fill, smbios, source, web};

/// Why a guest is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It powered off (or rebooted, with [`Options::no_reboot`]), or QEMU was left by its monitor.
    PowerOff,
    /// The command of [`Options::exec`] ended with [`Outcome::status`].
    Exec,
    /// The command of [`Options::exec`] never reported its end.
    NoReport,
    /// QEMU itself failed.
    Failed,
    /// [`Options::timeout`] was over.
    Timeout,
    /// [`Options::kill_after`] came.
    PowerCut,
    /// runvm was told to stop by this signal.
    Signal(u8),
}

/// What became of a guest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The exit status `runvm` ends with: the command's, 0, 124 after a time-out, 125 after a power cut, 1 after a
    /// failure, 128 and the signal's number after a signal.
    pub status: u8,
    /// Why the guest is no more.
    pub end: End,
    /// The command's output, with [`Options::capture`].
    pub output: Vec<u8>,
    /// The serial console's output; of a long one the end.
    pub serial: String,
    /// The requests to the metadata service, as `METHOD PATH STATUS`.
    pub requests: Vec<String>,
}

/// Boots the guest `options` describe and returns when it is gone.
///
/// Returns an error when the guest could not be started. Call it on a thread that stays: the kernel
/// kills QEMU when the calling thread ends.
pub fn run(options: &Options) -> Result<Outcome> {
    options.check()?;
    let signals = Signals::watch(options.handle_signals)?;
    match (start(options, &signals), signals.pending()) {
        // What failed, failed because it was told to stop.
        (Err(_), Some(signal)) => Ok(ended(End::Signal(signal))),
        (outcome, _) => outcome,
    }
}

/// Prepares all a guest needs, then starts it.
fn start(options: &Options, signals: &Signals) -> Result<Outcome> {
    let program = qemu::find()?;
    let firmware = Firmware::of(options)?;
    let strings = strings(options)?;
    let pieces = cloud_pieces(options)?;

    let work = work_dir()?;
    let dir = work.path();
    let image = source::image(options, dir, signals)?;
    let overlay_path = match &options.persist {
        Some(path) => std::path::absolute(path)?,
        None => dir.join("disk.qcow2"),
    };
    let overlay = disk::overlay(&image, &overlay_path, options.persist.is_some(), options.disk_size)?;
    let vars = if options.persist.is_some() { overlay.vars } else { dir.join("vars") };
    if let Firmware::Uefi(uefi) = &firmware
        && !(overlay.reused && vars.exists())
    {
        uefi.copy_vars(&vars, options.secure_boot.as_deref())?;
    }
    let control = exec::socket_dir(dir)?;
    let sockets = control.as_ref().map_or(dir, TempDir::path);
    let state =
        options.persist.as_ref().map_or_else(|| dir.join("tpm"), |_| tpm::state_beside(&overlay_path));
    let _tpm = options.tpm.then(|| Tpm::start(&state, sockets, signals)).transpose()?;
    let cidata = pieces.disk.as_ref().map(|_| dir.join("cidata.img"));
    if let (Some(content), Some(path)) = (&pieces.disk, &cidata) {
        cloud_disk::write(content, path)?;
    }
    let server = pieces.routes.map(|routes| Server::start(routes, options.fault)).transpose()?;
    let pipe_to = |service: &str| pipe_command(options.helper.as_deref(), service);
    let pipe = server.as_ref().map(|s| pipe_to(&s.port().to_string())).transpose()?;
    let web_dir = dir.join("web");
    let mut web = options.web.as_ref().map(|web| web::Server::start(web, &web_dir, signals)).transpose()?;
    let web_pipe = match &web {
        Some(_) => {
            let socket = web::Server::socket(&web_dir);
            Some(pipe_to(socket.to_str().context(
                "the folder for temporary files is not UTF-8, which QEMU cannot take; set TMPDIR to another",
            )?)?)
        }
        None => None,
    };
    let channel = match &options.exec {
        Some(_) => Some(Channel::listen(dir, options.capture)?),
        None => None,
    };
    let accel = accel::choose(options.accel, &program, &firmware, signals)?;
    if let Some(signal) = signals.pending() {
        return Ok(ended(End::Signal(signal)));
    }

    let plan = Plan {
        options,
        program,
        accel,
        firmware,
        vars,
        disk: overlay.path,
        extra: extra_disks(options)?,
        cidata,
        pipe,
        web: web_pipe,
        tpm: options.tpm.then(|| tpm::socket(sockets)),
        strings,
        // A log of the caller's may be a pipe or a terminal, which cannot be read back.
        serial: dir.join("serial.log"),
        dir: dir.to_owned(),
        sockets: channel.as_ref().map_or(dir, Channel::dir).to_owned(),
        control: sockets.to_owned(),
    };
    plan.write_strings()?;
    let mut outcome = attend(&plan, channel, web.as_mut(), signals)?;
    if let Some(server) = server {
        outcome.requests = server.log();
    }
    Ok(outcome)
}

/// The command line [`run`] would start QEMU with, quoted for a shell. Nothing is made; what has no name
/// before the guest is started is a word in capitals.
pub fn dry_run(options: &Options) -> Result<String> {
    options.check()?;
    let pieces = cloud_pieces(options)?;
    let program = qemu::find()?;
    let firmware = Firmware::of(options)?;
    let accel = accel::choose(options.accel, &program, &firmware, &Signals::default())?;
    let dir = PathBuf::from("/TEMPORARY");
    let disk = options.persist.clone().map(std::path::absolute).transpose()?;
    let helper =
        options.helper.clone().or_else(|| source::sibling("runvm")).unwrap_or_else(|| "runvm".into());
    let plan = Plan {
        options,
        program,
        accel,
        vars: disk.as_deref().map_or_else(|| dir.join("vars"), disk::vars_beside),
        disk: disk.unwrap_or_else(|| dir.join("disk.qcow2")),
        firmware,
        extra: extra_disks(options)?,
        cidata: pieces.disk.map(|_| dir.join("cidata.img")),
        pipe: pieces.routes.map(|_| format!("'{}' {PIPE_WORD} PORT", helper.display())),
        web: options.web.as_ref().map(|_| {
            let socket = web::Server::socket(&dir.join("web"));
            format!("'{}' {PIPE_WORD} '{}'", helper.display(), socket.display())
        }),
        tpm: options.tpm.then(|| tpm::socket(&dir)),
        strings: strings(options)?,
        serial: dir.join("serial.log"),
        sockets: dir.clone(),
        control: dir.clone(),
        dir,
    };
    Ok(plan.argv().iter().map(|word| shell_quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" "))
}

fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a cloud is made of: a service or a disk.
#[derive(Default)]
struct CloudPieces {
    routes: Option<Routes>,
    disk: Option<Content>,
}

fn cloud_pieces(options: &Options) -> Result<CloudPieces> {
    let mut pieces = CloudPieces::default();
    match options.cloud {
        Some(Cloud::Nocloud) => pieces.disk = Some(cloud_disk::nocloud(options)?),
        Some(Cloud::ConfigDrive) => pieces.disk = Some(cloud_disk::config_drive(options)?),
        _ => pieces.routes = Platform::chosen(options).map(|p| p.routes(options)).transpose()?,
    }
    Ok(pieces)
}

/// The OEM strings of this guest.
fn strings(options: &Options) -> Result<Vec<String>> {
    let words = Platform::chosen(options).and_then(|p| p.cmdline).into_iter();
    let words: Vec<_> = words.chain(options.cmdline_extra.as_deref()).collect();
    let mut strings = Vec::new();
    if !words.is_empty() {
        strings.push(smbios::cmdline_extra(&words.join(" ")));
    }
    if options.cloud.is_none() {
        let keys = public_keys(options)?;
        if !keys.is_empty() {
            let value = format!("{}\n", keys.join("\n"));
            strings.push(smbios::credential("ssh.authorized_keys.root", value.as_bytes()));
        }
        if let Some(name) = &options.hostname {
            strings.push(smbios::credential("system.hostname", name.as_bytes()));
        }
    }
    if options.autologin {
        strings.push(smbios::credential(
            "systemd.unit-dropin.serial-getty@ttyS0.service~50-runvm-autologin",
            b"[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noreset --noclear \
              --keep-baud 115200,57600,38400,9600 - ${TERM}\n",
        ));
    }
    if let Some(command) = &options.exec {
        strings.extend(exec::strings(command)?);
    }
    if let Some(free) = options.fill_disk {
        strings.extend(fill::strings(free));
    }
    strings.extend(options.credentials.iter().map(|(name, value)| smbios::credential(name, value)));
    smbios::check(&strings)?;
    Ok(strings)
}

fn extra_disks(options: &Options) -> Result<Vec<(PathBuf, Format)>> {
    let disks = options.extra_disks.iter().map(|path| {
        let path = fs_err::canonicalize(path).context("an extra disk cannot be used")?;
        let format = Format::of(&path)?;
        Ok((path, format))
    });
    disks.collect()
}

/// Our directory, which the overlay may fill: not in `/tmp`, as that is often memory.
fn work_dir() -> Result<TempDir> {
    let base = match std::env::var_os("TMPDIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ if Path::new("/var/tmp").is_dir() => "/var/tmp".into(),
        _ => std::env::temp_dir(),
    };
    let made = tempfile::Builder::new().prefix("runvm-").tempdir_in(&base);
    made.with_context(|| {
        format!("no temporary directory could be made in {}; set TMPDIR to another", base.display())
    })
}

pub(crate) fn ended(end: End) -> Outcome {
    let status = match end {
        End::PowerOff | End::Exec => 0,
        End::NoReport | End::Failed => 1,
        End::Timeout => 124,
        End::PowerCut => 125,
        End::Signal(signal) => 128_u8.saturating_add(signal),
    };
    Outcome { status, end, output: Vec::new(), serial: String::new(), requests: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_depend_on_the_cloud() {
        let options = Options { hostname: Some("h".into()), autologin: true, ..Options::default() };
        let plain = strings(&options).unwrap();
        assert_eq!(plain[0], "io.systemd.credential:system.hostname=h");
        assert!(plain[1].contains("serial-getty@ttyS0.service"));
        let cloudy = Options { cloud: Some(Cloud::Hetzner), autologin: false, ..options };
        assert!(strings(&cloudy).unwrap().is_empty());
    }

    #[test]
    fn the_command_line_is_quoted() {
        assert_eq!(shell_quoted("a=b,c"), "a=b,c");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted(""), "''");
    }
}
