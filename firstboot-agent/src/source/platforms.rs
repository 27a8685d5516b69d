//! The clouds that the agent knows, as a table. What recognises them is in twinhull-provision-generator's.

use super::{Found, Host, aws, azure, digitalocean, gcp, hetzner, openstack, oracle, scaleway, vultr};
use crate::Result;
use crate::http::Service;

/// A cloud.
#[derive(Debug)]
pub struct Platform {
    /// The generator's word for it.
    pub name: &'static str,
    /// Where its metadata service answers; the first one that does counts.
    pub bases: &'static [&'static str],
    /// Asks the service.
    pub fetch: fn(&Host<'_>, &mut Service<'_>) -> Result<Found>,
}

/// The address that most of them have in common.
const USUAL: &[&str] = &["http://169.254.169.254"];

/// All of them.
pub const PLATFORMS: &[Platform] = &[
    Platform { name: "aws", bases: &["http://169.254.169.254", "http://[fd00:ec2::254]"], fetch: aws::fetch },
    Platform { name: "azure", bases: USUAL, fetch: azure::fetch },
    Platform { name: "digitalocean", bases: USUAL, fetch: digitalocean::fetch },
    Platform { name: "gcp", bases: &["http://169.254.169.254", "http://[fd20:ce::254]"], fetch: gcp::fetch },
    Platform { name: "hetzner", bases: USUAL, fetch: hetzner::fetch },
    Platform { name: "openstack", bases: USUAL, fetch: openstack::fetch },
    Platform {
        name: "oracle",
        bases: &["http://169.254.169.254", "http://[fd00:c1::a9fe:a9fe]"],
        fetch: oracle::fetch,
    },
    Platform {
        name: "scaleway",
        bases: &["http://169.254.42.42", "http://[fd00:42::42]"],
        fetch: scaleway::fetch,
    },
    Platform { name: "vultr", bases: USUAL, fetch: vultr::fetch },
];
