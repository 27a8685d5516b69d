//! Hetzner Cloud: YAML from a link-local address.

use crate::http::{Http, METADATA_LIMIT, USER_DATA_LIMIT};
use crate::machine::{self, Hostname, SshKey};
use crate::network::{self, Interface, Mac};
use crate::source::{Source, UserDataState};
use crate::yaml::{self, Value};
use crate::{Error, Result};

/// Where the service answers.
pub const BASE: &str = "http://169.254.169.254";

/// Largest packet in Hetzner's private networks.
const PRIVATE_MTU: u32 = 1450;

/// What Hetzner says.
#[derive(Debug, Clone, Default)]
pub struct Hetzner {
    base: String,
    instance_id: Option<String>,
    hostname: Option<Hostname>,
    ssh_keys: Vec<SshKey>,
    network: Vec<Interface>,
    user_data: UserDataState,
    notes: Vec<String>,
}

impl Hetzner {
    /// Asks the service at `base`. Metadata is required; user data and private networks are not.
    pub fn fetch(http: &Http<'_>, base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let url = format!("{base}/hetzner/v1/metadata");
        let metadata = http.required(&url, METADATA_LIMIT)?;
        let user_data = match http.get(&format!("{base}/hetzner/v1/userdata"), USER_DATA_LIMIT) {
            Ok(None) => UserDataState::None,
            Ok(Some(bytes)) => UserDataState::Some(bytes),
            Err(error) => UserDataState::Failed(error.to_string()),
        };
        let private = http.get(&format!("{base}/hetzner/v1/metadata/private-networks"), METADATA_LIMIT);
        let mut found = Hetzner::parse(&metadata, private.as_ref().ok().and_then(Option::as_deref))
            .map_err(|problem| Error::Document { place: url, problem })?;
        if let Err(error) = private {
            found.notes.push(format!("private networks are left out: {error}"));
        }
        found.base = base.to_owned();
        found.user_data = user_data;
        Ok(found)
    }

    /// Reads the documents.
    pub fn parse(metadata: &[u8], private: Option<&[u8]>) -> Result<Self, String> {
        let node = yaml::parse(metadata, METADATA_LIMIT).map_err(|p| p.to_string())?;
        if !matches!(node.value, Value::Map(_)) {
            return Err(format!("the metadata should be a mapping, but it is {}", node.value.kind()));
        }
        let mut found = Hetzner::default();
        let notes = &mut found.notes;
        found.instance_id = node.text_at("instance-id").map(yaml::printable);
        if found.instance_id.is_none() {
            notes.push("the metadata has no instance-id".into());
        }
        if let Some(text) = node.text_at("hostname") {
            match Hostname::new(text) {
                Ok(hostname) => found.hostname = Some(hostname),
                Err(problem) => notes.push(format!("the host name is left out: {problem}")),
            }
        }
        found.ssh_keys = machine::ssh_keys(node.get("public-keys"), notes);
        if let Some(config) = node.get("network-config") {
            found.network = network::parse(config, &[], notes);
        }
        for interface in &mut found.network {
            // There is no DHCPv6, and router advertisements don't say what the metadata says.
            interface.dhcp6 = false;
            interface.accept_ra = Some(false);
        }
        if let Some(private) = private {
            private_networks(private, &mut found.network, notes);
        }
        Ok(found)
    }
}

/// Cards in private networks get their address by DHCP; they come and go while the machine runs.
fn private_networks(bytes: &[u8], network: &mut Vec<Interface>, notes: &mut Vec<String>) {
    let node = match yaml::parse(bytes, METADATA_LIMIT) {
        Ok(node) => node,
        Err(problem) => {
            notes.push(format!("private networks are left out: {problem}"));
            return;
        }
    };
    for item in node.items() {
        let Some(Ok(mac)) = item.text_at("mac_address").map(str::parse::<Mac>) else {
            notes.push(format!("{}: a private network without a MAC address is left out", item.place));
            continue;
        };
        if network.iter().all(|i| i.mac != mac) {
            let mut interface = Interface::new(mac);
            interface.dhcp4 = true;
            interface.accept_ra = Some(false);
            interface.mtu = Some(PRIVATE_MTU);
            interface.required = false;
            network.push(interface);
        }
    }
}

impl Source for Hetzner {
    fn name(&self) -> &'static str {
        "hetzner"
    }

    fn place(&self) -> String {
        self.base.clone()
    }

    fn instance_id(&self) -> Option<String> {
        self.instance_id.clone()
    }

    fn hostname(&self) -> Option<Hostname> {
        self.hostname.clone()
    }

    fn ssh_keys(&self) -> Vec<SshKey> {
        self.ssh_keys.clone()
    }

    fn network(&self) -> Vec<Interface> {
        self.network.clone()
    }

    fn user_data(&self) -> UserDataState {
        self.user_data.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests;
