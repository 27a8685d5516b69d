//! Twinhull's own format: YAML, strict, with all that user data can say.

use super::fields::Fields;
use super::{Set, UserData, credentials, files, phone_home, services, settings, units, users};
use crate::machine::Hostname;
use crate::yaml::{Node, Problem, Value};

const KEYS: &[&str] = &[
    "twinhull",
    "hostname",
    "users",
    "files",
    "units",
    "services",
    "credentials",
    "time-zone",
    "ntp",
    "phone-home",
];

pub(super) fn parse(node: &Node, problems: &mut Vec<Problem>) -> UserData {
    let mut data = UserData::default();
    if node.value == Value::Null {
        return data;
    }
    let Some(fields) = Fields::new(node, "user data", KEYS, problems) else { return data };
    if let Some(version) = fields.node("twinhull")
        && version.text() != Some("1")
    {
        problems.push(Problem::new(&version.place, "`twinhull` is the version of the format; it is 1"));
    }
    data.hostname = Set::read(&fields, "hostname", Hostname::new, problems);
    data.time_zone = Set::read(&fields, "time-zone", settings::time_zone, problems);
    let servers = fields.each("ntp", settings::time_server, problems);
    data.ntp = fields.node("ntp").map(|node| Set { value: servers, place: node.place.clone() });
    data.users = users::parse(fields.list("users", problems), problems);
    data.files = files::parse(fields.list("files", problems), problems);
    data.units = units::parse(fields.list("units", problems), problems);
    if let Some(node) = fields.node("services") {
        data.services = services::parse(node, problems);
    }
    let keys = ["content", "content-base64", "encrypted"];
    data.credentials = credentials::parse(fields.list("credentials", problems), keys, problems);
    data.phone_home = phone_home::native(&fields, problems);
    data
}
