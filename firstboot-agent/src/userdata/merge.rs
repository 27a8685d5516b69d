//! Several documents as one, and what is said twice. A later document never wins silently over an earlier
//! one: formats differ in who would win, so saying something twice is a mistake, and both places are named.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Set, UserData};
use crate::yaml::{Place, Problem};

/// One of many.
pub(super) fn merge(all: Vec<UserData>) -> UserData {
    let mut out = UserData::default();
    for data in all {
        let UserData {
            formats,
            hostname,
            time_zone,
            ntp,
            root_keys,
            users,
            files,
            directories,
            links,
            units,
            services,
            credentials,
            phone_home,
            notes,
        } = data;
        out.formats.extend(formats);
        out.hostname = out.hostname.or(hostname);
        out.time_zone = out.time_zone.or(time_zone);
        out.ntp = out.ntp.or(ntp);
        out.root_keys.extend(root_keys);
        out.users.extend(users);
        out.files.extend(files);
        out.directories.extend(directories);
        out.links.extend(links);
        out.units.extend(units);
        out.services.extend(services);
        out.credentials.extend(credentials);
        out.phone_home = out.phone_home.or(phone_home);
        out.notes.extend(notes);
    }
    out
}

/// What is said twice, or can't be at the same time.
pub(super) fn clashes(all: &[&UserData]) -> Vec<Problem> {
    let mut problems = Vec::new();
    once(all.iter().filter_map(|d| d.hostname.as_ref()), "the host name", &mut problems);
    once(all.iter().filter_map(|d| d.time_zone.as_ref()), "the time zone", &mut problems);
    once(all.iter().filter_map(|d| d.ntp.as_ref()), "the list of time servers", &mut problems);
    once(
        all.iter().filter_map(|d| d.phone_home.as_ref()),
        "who is told that the machine is up",
        &mut problems,
    );
    let mut seen = BTreeMap::new();
    let mut claim = |what: String, place| match seen.entry(what) {
        Entry::Vacant(entry) => _ = entry.insert(place),
        Entry::Occupied(other) => {
            problems.push(Problem::new(place, format!("{} is already at {}", other.key(), other.get())));
        }
    };
    for data in all {
        for user in &data.users {
            claim(format!("user `{}`", user.name), &user.place);
            if let Some(uid) = user.uid {
                claim(format!("a user with uid {uid}"), &user.place);
            }
        }
        data.units.iter().for_each(|unit| claim(format!("unit `{}`", unit.name), &unit.place));
        for service in &data.services {
            for parameter in &service.parameters {
                claim(format!("`{}` of the service `{}`", parameter.name, service.name), &parameter.place);
            }
        }
        let credentials = data.credentials.iter();
        credentials.for_each(|c| claim(format!("credential `{}`", c.name), &c.place));
    }
    paths(all, &mut problems);
    problems
}

fn once<'a, T: 'a>(mut all: impl Iterator<Item = &'a Set<T>>, what: &str, problems: &mut Vec<Problem>) {
    if let Some(first) = all.next() {
        let message = format!("{what} is already at {}", first.place);
        problems.extend(all.map(|more| Problem::new(&more.place, message.clone())));
    }
}

/// A path can be one thing, and below a file there is nothing.
fn paths(all: &[&UserData], problems: &mut Vec<Problem>) {
    let mut taken: BTreeMap<String, (&Place, bool)> = BTreeMap::new();
    let mut doubled = Vec::new();
    for data in all {
        let files = data.files.iter().map(|f| (f.path.clone(), &f.place, false));
        let links = data.links.iter().map(|l| (l.path.clone(), &l.place, false));
        let directories = data.directories.iter().map(|d| (d.path.clone(), &d.place, true));
        let units = data.units.iter().flat_map(|u| u.paths().into_iter().map(|p| (p, &u.place, false)));
        let credentials = data.credentials.iter().map(|c| (c.path(), &c.place, false));
        for (path, place, folder) in files.chain(links).chain(directories).chain(units).chain(credentials) {
            match taken.entry(path) {
                Entry::Vacant(entry) => _ = entry.insert((place, folder)),
                Entry::Occupied(other) => doubled.push((place, other.get().0)),
            }
        }
    }
    for (path, (place, _)) in &taken {
        let above = path.match_indices('/').skip(1).filter_map(|(at, _)| taken.get(&path[..at]));
        doubled.extend(above.filter(|(_, folder)| !folder).map(|(other, _)| (*place, *other)));
    }
    for (one, other) in doubled {
        // The later one is in the way of the earlier one.
        let (first, second) = if one < other { (one, other) } else { (other, one) };
        let message = format!("this file and the one at {first} are in each other's way");
        problems.push(Problem::new(second, message));
    }
}
