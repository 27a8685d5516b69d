//! The work of one boot, in the initrd: look, decide, render, store, apply.
//!
//! ```text
//!  look ──► nothing or trouble ──► what is stored, if anything
//!    │
//!    └────► a machine ──► a medium that says something else? ──► what is stored
//!              │
//!              ├──► same instance, or the first ──► render ──► store ──► apply
//!              └──► another instance ──► render ──► forget id and host keys ──► store ──► apply
//! ```
//!
//! User data that can't be had or used never takes keys and network with it: what was stored for this
//! instance is used instead, or none.

use std::collections::BTreeMap;

use log::Level;
use sha2::{Digest, Sha256};

use crate::check_in::{self, Report};
use crate::console::{self, Console};
use crate::image::Image;
use crate::machine::Machine;
use crate::outcome::{Basis, Outcome};
use crate::render::{Action, Plan, Refused, render};
use crate::rooted::Rooted;
use crate::source::{self, Host, UserDataState};
use crate::store::{State, Store, Stored};
use crate::userdata::{self, UserData};
use crate::{Error, Result, identity};

/// The most problems of user data that the console shows; a serial line takes seconds for a few hundred.
const MANY: usize = 40;

/// Provisions the machine whose root is at `root`, and leaves for the rest of this boot what became of it.
pub fn run(root: &std::path::Path, host: &Host<'_>, now: u64, console: &mut Console<'_>) -> Result<()> {
    let mut outcome = Outcome::default();
    let done = provision(root, host, now, &mut outcome, console);
    if let Err(error) = &done {
        console.fail(error.to_string());
    }
    // A boot that must be provisioned and doesn't say that it is counts as one that isn't.
    if let Err(error) = outcome.save(host, console) {
        console.fail(error.to_string());
    }
    done
}

fn provision(
    root: &std::path::Path,
    host: &Host<'_>,
    now: u64,
    outcome: &mut Outcome,
    console: &mut Console<'_>,
) -> Result<()> {
    let store = Store::new(root);
    store.prepare()?;
    let image = Image::open(root)?;
    let rooted = Rooted::open(root).map_err(Error::file("the root", root))?;
    let stored = store.load().unwrap_or_else(|error| {
        console.fail(format!("{error}; this boot goes on as if nothing were stored"));
        None
    });
    let found = found(host, root, stored.as_ref(), console);
    let mut reports = Vec::new();
    let mut home = None;
    match (found, stored) {
        (Some(Heard { mut machine, place, user_data, report }), stored) => {
            outcome.basis = Basis::Source;
            outcome.source = Some(machine.source.clone());
            outcome.place = Some(place);
            reports.extend(report);
            let same = stored.as_ref().is_some_and(|s| same_instance(&s.state.machine, &machine));
            let changed = stored.is_some() && !same;
            if let Some(stored) = stored.as_ref().filter(|_| same) {
                machine.instance_id =
                    machine.instance_id.or_else(|| stored.state.machine.instance_id.clone());
            }
            let uids = stored.as_ref().map(|s| s.state.uids.clone()).unwrap_or_default();
            let stored_facts = stored.as_ref().map(|s| facts(&s.state, s.user_data.as_deref()));
            let kept = stored.filter(|_| same).and_then(|s| s.user_data);
            let known = same.then_some(stored_facts);
            let (plan, user_data) = plan(&image, &machine, user_data, kept, &uids, outcome, console)?;
            home = check_in::Home::of(&plan, &machine);
            let state = State {
                version: 1,
                machine,
                fetched: now,
                user_data: user_data.is_some(),
                uids: plan.uids.clone(),
            };
            let saved = if known.flatten() == Some(facts(&state, user_data.as_deref())) {
                Ok(())
            } else {
                store.save(&Stored { state, user_data }, &plan, || {
                    if !changed {
                        return Ok(());
                    }
                    // Before the swap: if the power goes in between, the next boot does this again.
                    console.event(
                        Level::Info,
                        console::NEW_MACHINE,
                        vec![],
                        "the instance id has changed: this is a new machine; it gets a new machine id and SSH host keys",
                    );
                    store.forget_identity()
                })
            };
            match saved {
                // A full /var must not keep a known machine from booting: /etc is in memory.
                Err(error) if same => console.fail(format!("what the source said can't be stored: {error}")),
                result => result?,
            }
            apply(&plan, &rooted, &store, console)?;
        }
        (None, Some(stored)) => {
            let machine = &stored.state.machine;
            outcome.basis = Basis::Stored;
            outcome.source = Some(machine.source.clone());
            console.event(
                Level::Info,
                console::STORED,
                described(machine),
                format!("using what an earlier boot stored: {}", machine.summary()),
            );
            let data = stored.user_data.map_or(UserDataState::None, UserDataState::Some);
            let (plan, _) = plan(&image, machine, data, None, &stored.state.uids, outcome, console)?;
            home = check_in::Home::of(&plan, machine);
            apply(&plan, &rooted, &store, console)?;
        }
        (None, None) => {}
    }
    identity::apply(host, &store, &rooted, console)?;
    // Without a key there is no way in by SSH, but there is a machine.
    if let Err(error) = identity::host_key(root, &store, console) {
        console.fail(error.to_string());
    }
    // After the host key, which may be told.
    reports.extend(home.map(|home| home.report(&store)));
    if let Err(error) = check_in::prepare(&reports, host, &store, &rooted) {
        console.fail(error.to_string());
    }
    if console.failed() && host.option("twinhull.provision").as_deref() == Some("strict") {
        return Err(Error::Strict);
    }
    Ok(())
}

/// Everything of a provision but the time it was fetched: what decides whether it has to be stored again.
fn facts(state: &State, user_data: Option<&[u8]>) -> (String, Option<Vec<u8>>) {
    let timeless = State { fetched: 0, ..state.clone() };
    (serde_json::to_string(&timeless).unwrap_or_default(), user_data.map(<[u8]>::to_vec))
}

/// Metadata that lacks its id once is odd, but no reason to take a machine's host keys away.
fn same_instance(stored: &Machine, found: &Machine) -> bool {
    let known = stored.instance_id.is_some() && found.instance_id.is_some();
    stored.source == found.source && (!known || stored.instance_id == found.instance_id)
}

/// What a source said.
struct Heard {
    machine: Machine,
    place: String,
    user_data: UserDataState,
    report: Option<Report>,
}

/// The fields of a machine.
fn described(machine: &Machine) -> Vec<console::Field> {
    let id = machine.instance_id.clone().map(|id| ("TWINHULL_INSTANCE", id));
    [("TWINHULL_SOURCE", machine.source.clone())].into_iter().chain(id).collect()
}

/// Whether a medium says what is stored. Anybody may have put it in, and an instance id is no secret.
fn says_the_same(stored: &Stored, machine: &Machine, data: &UserDataState) -> bool {
    let data = match data {
        UserDataState::Some(bytes) => Some(bytes.as_slice()),
        UserDataState::None | UserDataState::Failed(_) => None,
    };
    *machine == stored.state.machine && data == stored.user_data.as_deref()
}

/// What the platform says, unless it mustn't be heard.
fn found(
    host: &Host<'_>,
    root: &std::path::Path,
    stored: Option<&Stored>,
    console: &mut Console<'_>,
) -> Option<Heard> {
    let source = match source::look(host, root, stored.is_some(), console) {
        Ok(Some(source)) => source,
        Ok(None) => {
            console.event(Level::Info, console::NO_SOURCE, vec![], "no metadata source here");
            return None;
        }
        // Not a failure for strict mode when the machine is known already.
        Err(error) if stored.is_some() => {
            let fields = console::fields(&error);
            console.event(Level::Warn, console::UNREACHABLE, fields, error.to_string());
            return None;
        }
        Err(error) => {
            console.event(
                Level::Error,
                console::UNREACHABLE,
                console::fields(&error),
                format!("{error}; the machine comes up without keys, network and user data from there"),
            );
            return None;
        }
    };
    let mut machine = source.machine();
    let name = source.name;
    if let Some(stored) = stored
        && source.removable
        && !says_the_same(stored, &machine, &source.user_data)
    {
        console.warn(format!(
            "{name}: {} says something else (instance id {}) than what this machine is (instance id {}); after the first \
             boot a medium can't change that, so it is ignored; remove /var/lib/twinhull/provision to have it read anew",
            source.place,
            machine.instance_id.as_deref().unwrap_or("none"),
            stored.state.machine.instance_id.as_deref().unwrap_or("none"),
        ));
        return None;
    }
    let data = source.user_data;
    let size = match &data {
        UserDataState::Some(bytes) => format!("user data {} bytes", bytes.len()),
        UserDataState::None => "no user data".into(),
        UserDataState::Failed(_) => "user data not available".into(),
    };
    let mut fields = described(&machine);
    fields.push(("TWINHULL_PLACE", source.place.clone()));
    console.event(
        Level::Info,
        console::FOUND,
        fields,
        format!("{name}: {}, {size}, from {}", machine.summary(), source.place),
    );
    for note in source.notes {
        console.warn(format!("{name}: {note}"));
    }
    if let Some(stored) = stored
        && same_instance(&stored.state.machine, &machine)
        && machine.keep(&stored.state.machine, &source.missed)
    {
        console.warn(format!("{name}: what an earlier boot stored takes the place of what is left out"));
    }
    Some(Heard { machine, place: source.place, user_data: data, report: source.report })
}

/// A plan with the best user data there is, and that user data.
fn plan(
    image: &Image,
    machine: &Machine,
    data: UserDataState,
    kept: Option<Vec<u8>>,
    uids: &BTreeMap<String, u32>,
    outcome: &mut Outcome,
    console: &mut Console<'_>,
) -> Result<(Plan, Option<Vec<u8>>)> {
    let mut attempts = Vec::new();
    match data {
        UserDataState::None => {}
        UserDataState::Some(bytes) => {
            attempts.push(bytes);
            attempts.extend(kept);
        }
        UserDataState::Failed(why) => {
            let line = format!("user data: {why}");
            if kept.is_some() {
                console.warn(line)
            } else {
                console.fail(line)
            }
            attempts.extend(kept);
        }
    }
    for (n, bytes) in attempts.iter().enumerate() {
        let problems = match attempt(image, machine, bytes, uids) {
            Ok((plan, data)) => {
                if n > 0 {
                    console.warn("user data: what an earlier boot stored is used instead");
                }
                if let Some(data) = data {
                    outcome.user_data = Some(data.summary());
                    console.event(
                        Level::Info,
                        console::USER_DATA,
                        vec![],
                        format!("user data: {}", data.summary()),
                    );
                    for note in &data.notes {
                        console.info(format!("user data, {}: {}", note.place.spoken(), note.message));
                    }
                }
                return Ok((plan, Some(bytes.clone())));
            }
            Err(Refused::UserData(problems)) => problems,
            Err(Refused::Error(error)) => return Err(error),
        };
        for problem in problems.iter().take(MANY) {
            console.fail(format!("user data, {}: {}", problem.place.spoken(), problem.message));
        }
        if problems.len() > MANY {
            console.fail(format!(
                "user data: {} more; `firstboot-agent validate` shows them all",
                problems.len() - MANY
            ));
        }
        if n + 1 == attempts.len() {
            console.event(
                Level::Error,
                console::REFUSED,
                vec![],
                "user data is not used at all; keys and network of the platform are",
            );
        }
    }
    match render(image, machine, None, uids) {
        Ok(plan) => Ok((plan, None)),
        Err(Refused::Error(error)) => Err(error),
        // Without user data there is nothing to refuse.
        Err(Refused::UserData(_)) => Err(Error::Strict),
    }
}

fn attempt(
    image: &Image,
    machine: &Machine,
    bytes: &[u8],
    uids: &BTreeMap<String, u32>,
) -> Result<(Plan, Option<UserData>), Refused> {
    let data = userdata::parse(bytes).map_err(Refused::UserData)?;
    let plan = render(image, machine, data.as_ref(), uids)?;
    Ok((plan, data))
}

fn apply(plan: &Plan, rooted: &Rooted, store: &Store, console: &mut Console<'_>) -> Result<()> {
    let before = store.written();
    let mut written = before.clone();
    for step in &plan.steps {
        let done = match &step.action {
            Action::Dir(meta) => rooted.dir(&step.path, *meta),
            Action::Link(target) => rooted.link(&step.path, target),
            Action::File(content, meta, missing) => {
                let digest = digest(content, meta);
                let there = rooted.is(&step.path, rustix::fs::FileType::RegularFile);
                let keep = step.path.starts_with("/var/") && there && before.get(&step.path) == Some(&digest);
                if keep {
                    continue;
                }
                let done = rooted.file(&step.path, content, *meta, *missing);
                if done.is_ok() && step.path.starts_with("/var/") {
                    written.insert(step.path.clone(), digest);
                }
                done
            }
        };
        match done {
            Ok(()) => {}
            Err(error) if step.vital => {
                return Err(Error::file("a file of the machine's identity", &step.path)(error));
            }
            Err(error) => console.fail(format!("{} could not be written: {error}", step.path)),
        }
    }
    if written != before
        && let Err(error) = store.set_written(&written)
    {
        console.fail(format!("what was written below /var can't be remembered: {error}"));
    }
    Ok(())
}

fn digest(content: &[u8], meta: &crate::rooted::Meta) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:o} {} {}\n", meta.mode, meta.uid, meta.gid));
    hash.update(content);
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
