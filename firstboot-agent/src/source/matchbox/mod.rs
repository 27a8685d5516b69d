//! matchbox: a service of one's own that knows machines by UUID and MAC address, for bare metal. Its address is
//! on the kernel command line.
//!
//! `/metadata` has `KEY=value` lines of the group that matches. User data are what `/ignition` renders for the
//! machine, or else what `/generic` does, which can be any text.

use crate::Result;
use crate::http::{Http, METADATA_LIMIT, Service, USER_DATA_LIMIT};
use crate::source::{Found, Host, UserDataState};
use crate::{Error, yaml};

/// The word on the kernel command line.
const OPTION: &str = "twinhull.matchbox";

/// Asks the service.
pub fn fetch(host: &Host<'_>, http: &Http<'_>) -> Result<Found> {
    let base = host.option(OPTION).or_else(|| host.option("twinhull.metadata-url")).unwrap_or_default();
    if !base.starts_with("http://") {
        return Err(Error::Address {
            what: OPTION,
            value: yaml::printable(&base),
            problem: "it must begin with http://, because there is no TLS in the initrd",
        });
    }
    let service = Service::new(http, &[&base]);
    let uuid = host.uuid();
    let mac = host.cards().first().map(ToString::to_string);
    let query = query(uuid.as_deref(), mac.as_deref());
    let lines = service.get(&format!("/metadata?{query}"), METADATA_LIMIT)?;
    let mut found = parse(&String::from_utf8_lossy(lines.as_deref().unwrap_or_default()));
    if lines.is_none() {
        found.notes.push(format!("no group of matchbox matches {query}"));
    }
    found.instance_id = found.instance_id.or(uuid).or(mac);
    for kind in ["ignition", "generic"] {
        if matches!(found.user_data, UserDataState::None) {
            found.user_data = UserDataState::of(service.get(&format!("/{kind}?{query}"), USER_DATA_LIMIT));
        }
    }
    found.name = "matchbox";
    found.place = service.place().to_owned();
    Ok(found)
}

/// What matchbox tells machines apart by.
fn query(uuid: Option<&str>, mac: Option<&str>) -> String {
    let mac = mac.map(|m| m.replace(':', "-"));
    let pairs = [("uuid", uuid), ("mac", mac.as_deref())];
    let pairs = pairs.iter().filter_map(|(key, value)| value.map(|v| format!("{key}={v}")));
    pairs.collect::<Vec<_>>().join("&")
}

/// Reads the lines; keys are a group's, in capitals.
pub fn parse(text: &str) -> Found {
    let mut found = Found::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key.trim() {
            "INSTANCE_ID" => found.instance_id = Some(yaml::printable(value.trim())),
            "HOSTNAME" | "DOMAIN_NAME" => found.take_hostname(Some(value)),
            "SSH_AUTHORIZED_KEY" | "SSH_AUTHORIZED_KEYS" => found.take_key_lines(value),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
