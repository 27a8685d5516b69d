//! VMware: variables `guestinfo.*` of the virtual machine, each with an `.encoding` beside it.
//!
//! The keys are those of cloud-init's source for VMware; `guestinfo.ignition.config.data` is where Ignition's users put user
//! data.

mod rpc;

use std::io::Read;

use base64::Engine as _;

use super::{Found, Host, UserDataState};
use crate::http::{METADATA_LIMIT, USER_DATA_LIMIT};
use crate::yaml::{self, Node, Value};
use crate::{Error, Result, network};

/// Where user data may be, the first one that is there.
const USER_DATA: [&str; 2] = ["userdata", "ignition.config.data"];

/// Asks for the machine's metadata and user data; `None` when it has neither.
pub fn fetch(host: &Host<'_>) -> Result<Option<Found>> {
    let metadata = value(host, "metadata", METADATA_LIMIT)?;
    let user_data =
        USER_DATA.iter().find_map(|key| value(host, key, USER_DATA_LIMIT).transpose()).transpose();
    if metadata.is_none() && matches!(user_data, Ok(None)) {
        return Ok(None);
    }
    let wrong = |problem: String| Error::Document { place: "guestinfo.metadata".into(), problem };
    let node =
        yaml::parse(&metadata.unwrap_or_default(), METADATA_LIMIT).map_err(|p| wrong(p.to_string()))?;
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        return Err(wrong(format!("it should be a mapping, but it is {}", node.value.kind())));
    }
    let mut found = Found { name: "vmware", place: "guestinfo".into(), ..Found::default() };
    let uuid = host.uuid();
    found.take_instance_id(node.text_at("instance-id").or(uuid.as_deref()), "instance-id");
    found.take_hostname(node.text_at("local-hostname").or_else(|| node.text_at("hostname")));
    found.take_keys(node.get("public-keys"));
    if let Some(lines) = node.text_at("public-keys-data") {
        found.take_key_lines(lines);
    }
    match network_of(&node) {
        Ok(None) => {}
        Ok(Some(config)) => found.network = network::parse(&config, &host.cards(), &mut found.notes),
        Err(problem) => found.notes.push(format!("network is left out: {problem}")),
    }
    found.user_data = UserDataState::of(user_data);
    Ok(Some(found))
}

/// A variable as it was before it was encoded.
fn value(host: &Host<'_>, key: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let Some(text) = rpc::get(host, key)? else { return Ok(None) };
    let encoding = rpc::get(host, &format!("{key}.encoding"))?.unwrap_or_default();
    let wrong = |problem| Error::Document { place: format!("guestinfo.{key}"), problem };
    decode(&text, encoding.trim(), limit).map(Some).map_err(wrong)
}

/// Network configuration: a mapping, with or without `config` around it, or one that is encoded once more.
fn network_of(metadata: &Node) -> Result<Option<Node>, String> {
    let Some(node) = metadata.get("network") else { return Ok(None) };
    let decoded;
    let node = match node.text() {
        Some(text) => {
            let encoding = metadata.text_at("network.encoding").unwrap_or_default();
            let bytes = decode(text, encoding, METADATA_LIMIT)?;
            decoded = yaml::parse(&bytes, METADATA_LIMIT).map_err(|p| p.to_string())?;
            &decoded
        }
        None => node,
    };
    Ok(Some(node.get("config").unwrap_or(node).clone()))
}

/// Undoes an encoding. What comes out has at most `limit` bytes.
fn decode(text: &str, encoding: &str, limit: usize) -> Result<Vec<u8>, String> {
    let (base64, gzip) = match encoding {
        "" => (false, false),
        "base64" | "b64" => (true, false),
        "gzip+base64" | "gz+b64" => (true, true),
        other => {
            return Err(format!(
                "its encoding `{}` isn't known; use base64 or gzip+base64",
                yaml::printable(other)
            ));
        }
    };
    let mut bytes = text.as_bytes().to_vec();
    if base64 {
        bytes.retain(|b| !b.is_ascii_whitespace());
        bytes = base64::engine::general_purpose::STANDARD
            .decode(bytes)
            .map_err(|_| "it should be base64, but isn't".to_owned())?;
    }
    if gzip {
        let packed = std::mem::take(&mut bytes);
        flate2::read::MultiGzDecoder::new(packed.as_slice())
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| "its gzip data is damaged or cut off".to_owned())?;
    }
    if bytes.len() > limit {
        return Err(format!("it has more than {limit} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
