//! What services become, as plain data: the builder writes it into the image, and the tools print it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Everything that the services of a spec become.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Files by their absolute paths, units and fragments among them.
    pub files: BTreeMap<String, File>,
    /// Files and folders beside the spec, by where they go.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<String, Copied>,
    /// Commands that the tree must have.
    pub needs: Vec<Need>,
    /// What is listened on.
    pub openings: Vec<Opening>,
    /// Which units targets want.
    pub wants: BTreeMap<String, BTreeSet<String>>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// MODULE.TEMPLATE
    pub template: String,
    /// Its line in the spec.
    pub line: usize,
    /// The services it refers to, by the parameters that do.
    pub refers: BTreeMap<String, Vec<String>>,
    /// Units that start it.
    pub units: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Permissions.
    pub mode: u32,
    /// Content.
    pub content: String,
    /// Whether it goes behind what the tree has at this path.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adds: bool,
    /// Where it comes from, one entry a service that has a part in it.
    pub origins: Vec<Origin>,
}

/// A file or folder beside the spec that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Its path, relative to the spec's folder.
    pub from: String,
    /// The service.
    pub origin: Origin,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The service.
    pub service: String,
    /// MODULE.TEMPLATE
    pub template: String,
    /// The text in the module that it was made from; none for what the builder writes itself.
    pub source: Option<String>,
    /// The line of module.yaml that asks for it.
    pub line: usize,
}

/// A command that a service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Its name or path.
    pub command: String,
    /// The service.
    pub service: String,
    /// MODULE.TEMPLATE
    pub template: String,
    /// Debian packages that have it.
    pub debian: Vec<String>,
}

/// A port that a service listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// The port, for TCP.
    pub port: u16,
    /// The service.
    pub service: String,
}
