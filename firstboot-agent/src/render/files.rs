//! Files, folders, links and credentials of user data, as steps.

use std::collections::BTreeSet;

use super::{Action, Plan, Refused};
use crate::accounts::Accounts;
use crate::image::{Image, Unfolded};
use crate::rooted::Meta;
use crate::userdata::UserData;
use crate::yaml::{Place, Problem};

pub(super) fn plan(
    image: &Image,
    data: &UserData,
    plan: &mut Plan,
    problems: &mut Vec<Problem>,
) -> Result<(), Refused> {
    let UserData { files, directories, links, credentials, .. } = data;
    if files.is_empty() && directories.is_empty() && links.is_empty() && credentials.is_empty() {
        return Ok(());
    }
    let (mut accounts, _) = image.accounts().map_err(Refused::Error)?;
    // Problems with users have been found already; here only numbers are looked up.
    accounts.add(data, &mut plan.uids, "/bin/sh", &mut Vec::new());
    let asked: Vec<&str> =
        files.iter().map(|f| f.path.as_str()).chain(links.iter().map(|l| l.path.as_str())).collect();
    let asked = asked.as_slice();
    // Outer folders first, so that inner ones and files find them as they are to be.
    let mut directories: Vec<_> = directories.iter().collect();
    directories.sort_by(|a, b| a.path.cmp(&b.path));
    for folder in directories {
        let Some((uid, gid)) = ids(&accounts, &folder.owner, &folder.group, &folder.place, problems) else {
            continue;
        };
        let meta = Meta { mode: folder.mode, uid, gid };
        if folder.path.starts_with("/etc/") {
            // A file below it says what would be in the way of the folder.
            let inner = format!("{}/.twinhull", folder.path);
            if let Some(way) = image.in_the_way(&inner) {
                problems.push(in_the_way(&way, "folder", &folder.path, &folder.place));
                continue;
            }
            unfold(image, &folder.path, asked, plan);
            plan.step(&folder.path, Action::Dir(meta), false);
            unfold(image, &inner, asked, plan);
        } else {
            home(&folder.path, plan);
            plan.step(&folder.path, Action::Dir(meta), false);
        }
    }
    for link in links {
        if let Some(way) = image.in_the_way(&link.path) {
            problems.push(in_the_way(&way, "link", &link.path, &link.place));
            continue;
        }
        unfold(image, &link.path, asked, plan);
        plan.step(&link.path, Action::Link(link.target.clone()), false);
    }
    for file in files {
        let Some((uid, gid)) = ids(&accounts, &file.owner, &file.group, &file.place, problems) else {
            continue;
        };
        if file.path.starts_with("/etc/") {
            if let Some(way) = image.in_the_way(&file.path) {
                problems.push(in_the_way(&way, "file", &file.path, &file.place));
                continue;
            }
            unfold(image, &file.path, asked, plan);
        }
        home(&file.path, plan);
        let missing = if file.path.starts_with("/var/home/") {
            Meta { mode: 0o755, uid, gid }
        } else if file.path.starts_with("/var/roothome/") {
            Meta::root(0o700)
        } else {
            Meta::root(0o755)
        };
        let meta = Meta { mode: file.mode, uid, gid };
        plan.step(&file.path, Action::File(file.content.clone(), meta, missing), false);
    }
    for credential in credentials {
        let path = credential.path();
        unfold(image, &path, asked, plan);
        let action = Action::File(credential.content.clone(), Meta::root(0o600), Meta::root(0o700));
        plan.step(path, action, false);
    }
    Ok(())
}

fn in_the_way(way: &str, what: &str, path: &str, place: &Place) -> Problem {
    Problem::new(place, format!("the image has {way}, so there can't be a {what} {path}"))
}

fn ids(
    accounts: &Accounts,
    owner: &str,
    group: &str,
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Option<(u32, u32)> {
    let (uid, gid) = (accounts.user(owner).map(|(uid, _)| uid), accounts.group(group));
    for (missing, what, name) in [(uid.is_none(), "user", owner), (gid.is_none(), "group", group)] {
        if missing {
            problems.push(Problem::new(place, format!("there is no {what} `{name}`")));
        }
    }
    uid.zip(gid)
}

/// The folder of homes is root's, whoever's home is in it.
fn home(path: &str, plan: &mut Plan) {
    if path.starts_with("/var/home/") {
        plan.step("/var/home", Action::Dir(Meta::root(0o755)), false);
    }
}

/// Makes real folders of those above a path that the image links as a whole. What user data make themselves
/// needs no link to the image's.
pub(super) fn unfold(image: &Image, path: &str, asked: &[&str], plan: &mut Plan) {
    let Unfolded { folders, links } = image.unfold(path);
    for (path, meta) in folders {
        plan.step(path, Action::Dir(meta), false);
    }
    let asked: BTreeSet<&str> = asked.iter().copied().collect();
    let needed = |at: &str| {
        let below = format!("{at}/");
        !asked.contains(at) && !asked.range(below.as_str()..).next().is_some_and(|f| f.starts_with(&below))
    };
    for (path, target) in links.into_iter().filter(|(at, _)| needed(at)) {
        plan.step(path, Action::Link(target), false);
    }
}
