//! A machine and its user data, as a plan of files. All that can be refused is refused here, before
//! anything on disk has changed.
//!
//! The agent writes what it plans itself, below /etc and below /var, and leaves nothing to
//! systemd-tmpfiles, which runs right after it: tmpfiles' `L` and `C` lines leave alone what is there, so a
//! planned file wins over the image's, and its other lines leave mode and owner of what is there alone. The
//! exception is a folder that the image links as a whole; it is unfolded into a real one whose other entries
//! are links.
//!
//! Files below /etc are written on every boot, since /etc is empty then. Files below /var are written when
//! they are missing or when what user data says about them has changed: a program's or a person's own
//! changes stay.

mod files;
mod services;
mod units;

use std::collections::BTreeMap;

use crate::accounts::FILES;
use crate::image::Image;
use crate::machine::{Hostname, Machine, SshKey};
use crate::network::networkd;
use crate::rooted::Meta;
use crate::userdata::{PhoneHome, UserData};
use crate::yaml::Problem;
use crate::{Error, Result};

/// Where time servers go. systemd-timesyncd reads the files of all folders in the order of their names and the
/// last one counts, so that user data win over the image.
pub const NTP: &str = "/etc/systemd/timesyncd.conf.d/90-twinhull.conf";

/// Why there is no plan.
#[derive(Debug)]
pub enum Refused {
    /// User data asks for what this image can't do.
    UserData(Vec<Problem>),
    /// Something else.
    Error(Error),
}

/// What to do at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a folder unless it's there.
    Dir(Meta),
    /// Write a file; missing folders above it are made as the second.
    File(Vec<u8>, Meta, Meta),
    /// Make a link.
    Link(String),
}

/// A step of the plan.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// Absolute path, below the root.
    pub path: String,
    /// What to do.
    pub action: Action,
    /// Whether the machine can't do without it.
    pub vital: bool,
}

/// What will be written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Numbers of users, old and new.
    pub uids: BTreeMap<String, u32>,
    /// Host name in the end, where it isn't the image's.
    pub hostname: Option<Hostname>,
    /// Who is told that the machine is up.
    pub phone_home: Option<PhoneHome>,
}

impl Plan {
    fn step(&mut self, path: impl Into<String>, action: Action, vital: bool) {
        self.steps.push(Step { path: path.into(), action, vital });
    }

    fn etc(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>, mode: u32, vital: bool) {
        self.step(path, Action::File(content.into(), Meta::root(mode), Meta::root(0o755)), vital);
    }

    /// Files below a folder, as names and contents; for the copy that is kept.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.steps.iter().filter_map(move |s| match &s.action {
            Action::File(content, ..) => Some((s.path.strip_prefix(folder)?, content.as_slice())),
            _ => None,
        })
    }
}

/// Makes the plan.
pub fn render(
    image: &Image,
    machine: &Machine,
    data: Option<&UserData>,
    uids: &BTreeMap<String, u32>,
) -> Result<Plan, Refused> {
    let nothing = UserData::default();
    let data = data.unwrap_or(&nothing);
    let mut plan = Plan { uids: uids.clone(), ..Plan::default() };
    let mut problems = Vec::new();
    plan.hostname = data.hostname.as_ref().map(|h| &h.value).or(machine.hostname.as_ref()).cloned();
    plan.phone_home = data.phone_home.as_ref().map(|home| home.value.clone());
    if let Some(hostname) = &plan.hostname {
        plan.etc("/etc/hostname", format!("{hostname}\n"), 0o644, true);
    }
    for (name, unit) in networkd::units(&machine.network) {
        plan.etc(format!("/etc/systemd/network/{name}"), unit, 0o644, true);
    }
    clock(image, data, &mut plan, &mut problems);
    users(image, data, &mut plan, &mut problems)?;
    keys(machine, data, &mut plan);
    files::plan(image, data, &mut plan, &mut problems)?;
    for unit in &data.units {
        units::plan(image, unit, &mut plan, &mut problems);
    }
    services::plan(image, data, &mut plan, &mut problems);
    folders_first(image, &mut plan);
    if problems.is_empty() { Ok(plan) } else { Err(Refused::UserData(problems)) }
}

/// Makes the folders of /etc before what is in them: as user data say, or else as the image has them, since
/// nobody corrects the mode of one that is made on the way to a file.
fn folders_first(image: &Image, plan: &mut Plan) {
    let (mut folders, mut above, mut others) = (BTreeMap::new(), Vec::new(), Vec::new());
    for step in std::mem::take(&mut plan.steps) {
        let etc = step.path.starts_with("/etc/");
        if etc {
            above.extend(image.folders_above(&step.path));
        }
        match step.action {
            // Of two for one path, the first one counts.
            Action::Dir(meta) if etc => _ = folders.entry(step.path).or_insert(meta),
            action => others.push(Step { action, ..step }),
        }
    }
    for (path, meta) in above {
        folders.entry(path).or_insert(meta);
    }
    let folder = |(path, meta)| Step { path, action: Action::Dir(meta), vital: false };
    plan.steps = folders.into_iter().map(folder).chain(others).collect();
}

/// Time zone and time servers.
fn clock(image: &Image, data: &UserData, plan: &mut Plan, problems: &mut Vec<Problem>) {
    if let Some(zone) = &data.time_zone {
        // Without that file, the C library takes UTC anyway.
        if zone.value == "UTC" || image.has_time_zone(&zone.value) {
            let target = format!("../usr/share/zoneinfo/{}", zone.value);
            plan.step("/etc/localtime", Action::Link(target), false);
        } else {
            let message =
                "this image has no such time zone; check the spelling, or add tzdata to its packages";
            problems.push(Problem::new(&zone.place, message));
        }
    }
    if let Some(ntp) = data.ntp.as_ref().filter(|ntp| !ntp.value.is_empty()) {
        if image.has_unit("systemd-timesyncd.service").is_some() {
            files::unfold(image, NTP, &[], plan);
            plan.etc(NTP, format!("[Time]\nNTP={}\n", ntp.value.join(" ")), 0o644, false);
        } else {
            let message = "this image has no systemd-timesyncd that could ask time servers; add the package";
            problems.push(Problem::new(&ntp.place, message));
        }
    }
}

fn users(
    image: &Image,
    data: &UserData,
    plan: &mut Plan,
    problems: &mut Vec<Problem>,
) -> Result<(), Refused> {
    if data.users.is_empty() {
        return Ok(());
    }
    let (mut accounts, metas) = image.accounts().map_err(Refused::Error)?;
    let new: Vec<_> = data.users.iter().filter(|u| !accounts.has(&u.name)).map(|u| &u.name).collect();
    let shell = if image.has_program("/bin/bash") { "/bin/bash" } else { "/bin/sh" };
    accounts.add(data, &mut plan.uids, shell, problems);
    for ((name, text), meta) in FILES.iter().zip(accounts.texts()).zip(metas) {
        if !text.is_empty() {
            let action = Action::File(text.into_bytes(), meta, Meta::root(0o755));
            plan.step(format!("/etc/{name}"), action, true);
        }
    }
    for user in &data.users {
        if let Some(shell) = user.shell.as_ref().filter(|s| !image.has_program(s)) {
            let message = format!("user `{}`: this image has no {shell}", user.name);
            problems.push(Problem::new(&user.place, message));
        }
        if let Some(rule) = &user.sudo {
            if image.has_program("/usr/bin/sudo") {
                let lines: String = rule.0.iter().map(|r| format!("{} {r}\n", user.name)).collect();
                plan.etc(format!("/etc/sudoers.d/90-twinhull-{}", user.name), lines, 0o440, true);
            } else {
                let message = format!(
                    "user `{}`: this image has no sudo; leave `sudo` out, or add the package",
                    user.name
                );
                problems.push(Problem::new(&user.place, message));
            }
        }
    }
    for name in new {
        if let Some((uid, gid)) = accounts.user(name) {
            plan.step("/var/home", Action::Dir(Meta::root(0o755)), false);
            plan.step(format!("/var/home/{name}"), Action::Dir(Meta { mode: 0o700, uid, gid }), false);
        }
    }
    Ok(())
}

/// Keys go where sshd looks besides a user's own file, which stays the user's.
fn keys(machine: &Machine, data: &UserData, plan: &mut Plan) {
    let mut keys: BTreeMap<&str, Vec<&SshKey>> = BTreeMap::new();
    if !machine.ssh_keys.is_empty() {
        keys.insert("root", machine.ssh_keys.iter().collect());
    }
    let given = data.users.iter().map(|u| (u.name.as_str(), &u.ssh_keys));
    for (name, more) in given.chain([("root", &data.root_keys)]).filter(|(_, more)| !more.is_empty()) {
        let list = keys.entry(name).or_default();
        for key in more {
            if !list.contains(&key) {
                list.push(key);
            }
        }
    }
    for (name, list) in keys {
        let text: String = list.iter().map(|k| format!("{}\n", k.as_str())).collect();
        plan.etc(format!("/etc/ssh/authorized_keys.d/{name}"), text, 0o644, true);
    }
}
