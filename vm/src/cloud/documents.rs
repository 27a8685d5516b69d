//! What the metadata services say: for each cloud its documents, with the values of this guest.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use serde_json::{Value, json};

use super::platform::{Platform, instance_id};
use super::routes::Routes;
use super::{disk, hostname, metadata, public_keys, user_data};
use crate::options::Options;

/// How a cloud puts user data into a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Text,
    Base64,
}

/// A document, generated or from `--metadata`, with the user data at `place`.
fn document(options: &Options, generated: Value, place: &[&str], data: Data) -> Result<Vec<u8>> {
    let given = metadata(options)?;
    let mut document = match given.as_deref().map(serde_json::from_slice) {
        None => generated,
        Some(Ok(document)) => document,
        // What cannot be read is served all the same, to see what the guest makes of it.
        Some(Err(_)) => return Ok(given.unwrap_or_default()),
    };
    if let Some(bytes) = user_data(options)? {
        let text = match data {
            Data::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
            Data::Text => String::from_utf8(bytes)
                .ok()
                .context("this cloud hands out user data as text, and the file is something else")?,
        };
        let mut at = &mut document;
        for key in place {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[*key];
        }
        *at = text.into();
    }
    Ok(serde_json::to_vec(&document)?)
}

/// Values below a base path, some of them changed by `--metadata`: an object of whole paths and texts, where
/// null takes a value away.
fn values(options: &Options, base: &str, values: &[(&str, String)]) -> Result<Routes> {
    let mut routes = Routes::default();
    for (path, value) in values {
        routes.get(&format!("{base}{path}"), value.as_str());
    }
    let Some(bytes) = metadata(options)? else { return Ok(routes) };
    let changes: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let changes = changes.as_object().context(
        "for this cloud, --metadata is a JSON object of paths and texts, such as {\"/latest/meta-data/x\": \"y\"}",
    )?;
    for (path, value) in changes {
        let path = path.trim_end_matches('/');
        match value {
            Value::Null => routes.remove(path),
            Value::String(text) => routes.get(path, text.as_str()),
            other => routes.get(path, other.to_string()),
        }
    }
    Ok(routes)
}

pub(super) fn aws(platform: &Platform, options: &Options) -> Result<Routes> {
    let keys = public_keys(options)?;
    let card = format!("network/interfaces/macs/{}", options.mac());
    let mut leaves = vec![
        ("instance-id".to_owned(), platform.instance_id(options).to_owned()),
        ("local-hostname".into(), hostname(options).into()),
        ("hostname".into(), hostname(options).into()),
        ("placement/region".into(), "eu-central-1".into()),
        ("network/interfaces/macs".into(), format!("{}/", options.mac())),
        (format!("{card}/device-number"), "0".into()),
        (format!("{card}/local-ipv4s"), platform.beside(15)),
        (format!("{card}/subnet-ipv4-cidr-block"), format!("{}/24", platform.beside(0))),
    ];
    for (at, key) in keys.into_iter().enumerate() {
        leaves.push((format!("public-keys/{at}/openssh-key"), key));
    }
    let list: Vec<_> = (0..options.ssh_keys.len()).map(|at| format!("{at}=key-{at}")).collect();
    if !list.is_empty() {
        leaves.push(("public-keys".into(), list.join("\n")));
    }
    let leaves: Vec<_> = leaves.iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
    let mut routes = values(options, "/latest/meta-data/", &leaves)?;
    if let Some(bytes) = user_data(options)? {
        routes.get("/latest/user-data", bytes);
    }
    // The token is always the same one: nothing here is a secret.
    routes.act("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "runvm==");
    routes.need("X-aws-ec2-metadata-token", "runvm==", "401 Unauthorized");
    Ok(routes)
}

pub(super) fn azure(platform: &Platform, options: &Options) -> Result<Routes> {
    let keys = public_keys(options)?;
    let keys: Vec<_> = keys
        .iter()
        .map(|key| json!({"keyData": key, "path": "/home/azureuser/.ssh/authorized_keys"}))
        .collect();
    let generated = json!({
        "compute": {
            "azEnvironment": "AzurePublicCloud", "location": "westeurope", "name": hostname(options),
            "osProfile": {"adminUsername": "azureuser", "computerName": hostname(options),
                          "disablePasswordAuthentication": "true"},
            "publicKeys": keys, "userData": "", "vmId": platform.instance_id(options), "vmSize": "Standard_B1s",
        },
        "network": {"interface": [{
            "ipv4": {"ipAddress": [{"privateIpAddress": platform.beside(15), "publicIpAddress": ""}],
                     "subnet": [{"address": platform.beside(0), "prefix": "24"}]},
            "ipv6": {"ipAddress": []},
            "macAddress": options.mac().replace(':', "").to_ascii_uppercase(),
        }]},
    });
    let mut routes = Routes::default();
    routes.get("/metadata/instance", document(options, generated, &["compute", "userData"], Data::Base64)?);
    routes.need("Metadata", "true", "400 Bad Request");
    routes.need_query("api-version=");
    routes.act("POST", "/provisioning/health", "Content-Type", "");
    Ok(routes)
}

pub(super) fn digitalocean(platform: &Platform, options: &Options) -> Result<Routes> {
    let id = platform.instance_id(options);
    let generated = json!({
        "droplet_id": id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from),
        "hostname": hostname(options), "public_keys": public_keys(options)?, "region": "fra1",
        "interfaces": {"public": [{
            "ipv4": {"ip_address": platform.beside(15), "netmask": "255.255.255.0", "gateway": platform.beside(2)},
            "ipv6": {"ip_address": "2604:A880:0800:0010:0000:0000:017D:2001", "cidr": 64, "gateway": "FE80::1"},
            "anchor_ipv4": {"ip_address": "10.17.0.9", "netmask": "255.255.0.0", "gateway": "10.17.0.1"},
            "mac": options.mac(), "type": "public",
        }]},
        "reserved_ip": {"ipv4": {"active": false}},
        "dns": {"nameservers": [platform.beside(3)]}, "features": {"dhcp_enabled": false},
    });
    let mut routes = Routes::default();
    routes.get("/metadata/v1.json", document(options, generated, &["user_data"], Data::Text)?);
    Ok(routes)
}

pub(super) fn gcp(platform: &Platform, options: &Options) -> Result<Routes> {
    let card = json!([{
        "gateway": platform.beside(2), "ip": platform.beside(15), "mac": options.mac(), "mtu": 1460,
        "network": "projects/1/networks/default", "subnetmask": "255.255.255.0",
    }]);
    let keys: String = public_keys(options)?.iter().map(|key| format!("me:{key}\n")).collect();
    let mut leaves = vec![
        ("instance/id", platform.instance_id(options).to_owned()),
        ("instance/hostname", hostname(options).into()),
        ("instance/zone", "projects/1/zones/europe-west3-c".into()),
        ("instance/network-interfaces", card.to_string()),
    ];
    if !keys.is_empty() {
        leaves.push(("instance/attributes/ssh-keys", keys));
    }
    let mut routes = values(options, "/computeMetadata/v1/", &leaves)?;
    if let Some(bytes) = user_data(options)? {
        routes.get("/computeMetadata/v1/instance/attributes/user-data", bytes);
    }
    routes.need("Metadata-Flavor", "Google", "403 Forbidden");
    routes.say("Metadata-Flavor: Google");
    Ok(routes)
}

pub(super) fn matchbox(_: &Platform, options: &Options) -> Result<Routes> {
    let mut lines = format!("HOSTNAME={}\n", hostname(options));
    for key in public_keys(options)? {
        lines.push_str(&format!("SSH_AUTHORIZED_KEY={key}\n"));
    }
    if let Some(id) = &options.instance_id {
        lines.push_str(&format!("INSTANCE_ID={id}\n"));
    }
    let mut routes = Routes::default();
    routes.get("/metadata", metadata(options)?.unwrap_or(lines.into_bytes()));
    if let Some(bytes) = user_data(options)? {
        routes.get("/generic", bytes);
    }
    routes.need_query("=");
    Ok(routes)
}

pub(super) fn nocloud(_: &Platform, options: &Options) -> Result<Routes> {
    let mut routes = Routes::default();
    for (name, bytes) in disk::seed(options)? {
        routes.get(&format!("/{name}"), bytes);
    }
    Ok(routes)
}

/// meta_data.json, for the service and for the disk.
pub(super) fn openstack(options: &Options) -> Result<Vec<u8>> {
    let keys = public_keys(options)?;
    let keys: serde_json::Map<String, Value> =
        keys.into_iter().enumerate().map(|(at, key)| (format!("key-{at}"), key.into())).collect();
    if let Some(bytes) = metadata(options)? {
        return Ok(bytes);
    }
    let document = json!({
        "uuid": instance_id(options, "83679162-1378-4288-a2d4-70e13ec132aa"), "name": hostname(options),
        "hostname": hostname(options), "launch_index": 0, "availability_zone": "nova", "public_keys": keys,
    });
    Ok(serde_json::to_vec(&document)?)
}

/// network_data.json of a card with DHCP.
pub(super) fn openstack_network(options: &Options) -> Vec<u8> {
    let document = json!({
        "links": [{"id": "tap0", "type": "ovs", "ethernet_mac_address": options.mac(), "mtu": 1450}],
        "networks": [{"id": "network0", "link": "tap0", "type": "ipv4_dhcp"}],
        "services": [],
    });
    document.to_string().into_bytes()
}

pub(super) fn openstack_service(_: &Platform, options: &Options) -> Result<Routes> {
    let mut routes = Routes::default();
    for (path, bytes) in disk::config_drive(options)?.1 {
        routes.get(&format!("/{path}"), bytes);
    }
    Ok(routes)
}

pub(super) fn oracle(platform: &Platform, options: &Options) -> Result<Routes> {
    let generated = json!({
        "displayName": hostname(options), "hostname": hostname(options), "id": platform.instance_id(options),
        "metadata": {"ssh_authorized_keys": public_keys(options)?.join("\n")},
        "region": "eu-frankfurt-1", "shape": "VM.Standard.E4.Flex",
    });
    let vnics = json!([{
        "macAddr": options.mac().to_ascii_uppercase(), "privateIp": platform.beside(15),
        "subnetCidrBlock": format!("{}/24", platform.beside(0)), "virtualRouterIp": platform.beside(2),
        "vlanTag": 1039, "vnicId": "ocid1.vnic.oc1.eu-frankfurt-1.runvm",
    }]);
    let mut routes = Routes::default();
    routes.get("/opc/v2/instance", document(options, generated, &["metadata", "user_data"], Data::Base64)?);
    routes.get("/opc/v2/vnics", vnics.to_string());
    routes.need("Authorization", "Bearer Oracle", "403 Forbidden");
    Ok(routes)
}

pub(super) fn scaleway(platform: &Platform, options: &Options) -> Result<Routes> {
    let keys = public_keys(options)?;
    let keys: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
    let generated = json!({
        "id": platform.instance_id(options), "name": hostname(options), "hostname": hostname(options),
        "tags": [], "private_ip": null, "ipv6": null, "ssh_public_keys": keys, "private_nics": [],
        "public_ips": [
            {"address": platform.beside(15), "netmask": "24", "gateway": platform.beside(2), "family": "inet",
             "provisioning_mode": "dhcp"},
            {"address": "2001:bc8:1210:1::1", "netmask": "64", "gateway": "fe80::1", "family": "inet6",
             "provisioning_mode": "manual"},
        ],
    });
    let mut routes = Routes::default();
    let document = match metadata(options)? {
        Some(bytes) => bytes,
        None => serde_json::to_vec(&generated)?,
    };
    routes.get("/conf", document);
    if let Some(bytes) = user_data(options)? {
        routes.get("/user_data/cloud-init", bytes);
    }
    routes.act("PATCH", "/state", "Content-Type", "{}");
    Ok(routes)
}

pub(super) fn vultr(platform: &Platform, options: &Options) -> Result<Routes> {
    let id = platform.instance_id(options);
    let generated = json!({
        "hostname": hostname(options), "instance-v2-id": id, "instanceid": id,
        "interfaces": [{
            "ipv4": {"additional": [], "address": platform.beside(15), "gateway": platform.beside(2),
                     "netmask": "255.255.255.0"},
            "ipv6": {"additional": [], "address": "", "network": "", "prefix": ""},
            "mac": options.mac(), "network-type": "public",
        }],
        "public-keys": public_keys(options)?, "region": {"regioncode": "FRA"}, "user-data": [], "user-defined": [],
    });
    let mut routes = Routes::default();
    routes.get("/v1.json", document(options, generated, &["user-data"], Data::Text)?);
    Ok(routes)
}
