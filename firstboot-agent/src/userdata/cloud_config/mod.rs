//! The part of cloud-config that an immutable machine can do. cloud-init passes over what it doesn't know;
//! here a key is used, or refused with the way out, or accepted because it asks for what is so anyway. A key
//! that isn't known is a mistake.

mod files;
mod keys;
mod users;

use super::envelope::Budget;
use super::fields::Fields;
use super::{Set, UserData, phone_home, settings};
use crate::machine::{Hostname, SshKey};
use crate::yaml::{Node, Problem, Value};

/// Keys that are used.
const USED: &[&str] = &[
    "hostname",
    "fqdn",
    "prefer_fqdn_over_hostname",
    "users",
    "ssh_authorized_keys",
    "write_files",
    "timezone",
    "ntp",
    "phone_home",
];

pub(super) fn parse(node: &Node, budget: &mut Budget, problems: &mut Vec<Problem>) -> UserData {
    let mut data = UserData::default();
    if node.value == Value::Null {
        return data;
    }
    let refused = keys::REFUSED.iter().flat_map(|(names, _)| names.iter());
    let as_it_is = keys::AS_IT_IS.iter().map(|(name, ..)| name);
    let further: Vec<&str> = as_it_is.chain(refused).copied().collect();
    let Some(fields) = Fields::beside(node, "cloud-config", USED, &further, problems) else { return data };
    keys::check(&fields, &mut data.notes, problems);
    data.hostname = hostname(&fields, &mut data.notes, problems);
    data.time_zone = Set::read(&fields, "timezone", settings::time_zone, problems);
    data.ntp = ntp(&fields, problems);
    data.root_keys = fields.each("ssh_authorized_keys", SshKey::new, problems);
    data.users = users::parse(fields.node("users"), &mut data.notes, problems);
    data.files = files::parse(fields.list("write_files", problems), budget, problems);
    data.phone_home = phone_home::cloud_config(&fields, problems);
    data
}

/// As cloud-init does it: `hostname`, or the first label of `fqdn`, unless all of it is preferred.
fn hostname(
    fields: &Fields<'_>,
    notes: &mut Vec<Problem>,
    problems: &mut Vec<Problem>,
) -> Option<Set<Hostname>> {
    let prefer = fields.flag("prefer_fqdn_over_hostname", problems).unwrap_or(false);
    let short = Set::read(fields, "hostname", Hostname::new, problems);
    let long = Set::read(fields, "fqdn", Hostname::new, problems);
    if prefer {
        return long.or(short);
    }
    let Some(long) = long else { return short };
    notes.push(Problem::new(&long.place, "the domain of `fqdn` goes nowhere: /etc/hosts isn't managed"));
    let first = || {
        let label = long.value.as_str().split('.').next().unwrap_or_default();
        Some(Set { value: Hostname::new(label).ok()?, place: long.place.clone() })
    };
    short.or_else(first)
}

fn ntp(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Set<Vec<String>>> {
    let node = fields.node("ntp")?;
    let keys = ["enabled", "servers", "pools", "ntp_client", "peers", "allow", "config"];
    let fields = Fields::new(node, "`ntp`", &keys, problems)?;
    let timesyncd = "systemd-timesyncd sets the clock; for another program, put it into the image";
    fields.refuse(&[("peers", timesyncd), ("allow", timesyncd), ("config", timesyncd)], problems);
    if let Some((client, place)) = fields.text("ntp_client", problems)
        && !matches!(client, "auto" | "systemd-timesyncd")
    {
        problems.push(Problem::new(place, format!("`ntp_client` can't be chosen: {timesyncd}")));
    }
    let mut servers = fields.each("servers", settings::time_server, problems);
    servers.extend(fields.each("pools", settings::time_server, problems));
    if fields.flag("enabled", problems) == Some(false) && !servers.is_empty() {
        problems.push(Problem::new(&node.place, "`ntp` has servers, but says that they aren't to be used"));
    }
    (!servers.is_empty()).then(|| Set { value: servers, place: node.place.clone() })
}
