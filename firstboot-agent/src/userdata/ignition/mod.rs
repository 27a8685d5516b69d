//! The part of Ignition 3 that an immutable machine can do after it has started: files, folders, links, units
//! and users. Disks and the kernel's command line belong to the image, and nothing is fetched.

mod data_url;
mod passwd;
mod storage;
mod systemd;

use super::UserData;
use super::envelope::Budget;
use super::fields::Fields;
use crate::yaml::{Node, Problem, Value};

/// Versions whose keys are known.
const VERSIONS: &[&str] = &["3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0"];

const CMDLINE: &str = "the kernel's command line is part of the signed image: `boot.cmdline` in its spec";

pub(super) fn parse(node: &Node, budget: &mut Budget, problems: &mut Vec<Problem>) -> UserData {
    let mut data = UserData::default();
    let keys = ["ignition", "storage", "systemd", "passwd", "kernelArguments"];
    let Some(fields) = Fields::new(node, "an Ignition configuration", &keys, problems) else { return data };
    about(fields.node("ignition"), node, problems);
    if let Some(node) = fields.node("storage") {
        storage::parse(node, budget, &mut data, problems);
    }
    if let Some(node) = fields.node("systemd")
        && let Some(fields) = Fields::new(node, "`systemd`", &["units"], problems)
    {
        data.units = systemd::parse(fields.list("units", problems), problems);
    }
    if let Some(node) = fields.node("passwd") {
        data.users = passwd::parse(node, problems);
    }
    if let Some(node) = fields.node("kernelArguments")
        && let Some(fields) =
            Fields::new(node, "`kernelArguments`", &["shouldExist", "shouldNotExist"], problems)
    {
        fields.refuse(&[("shouldExist", CMDLINE), ("shouldNotExist", CMDLINE)], problems);
    }
    data
}

/// `ignition`: the version, and how to fetch more.
fn about(node: Option<&Node>, whole: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = node else {
        problems.push(Problem::new(&whole.place, "an Ignition configuration needs `ignition.version`"));
        return;
    };
    let keys = ["version", "config", "timeouts", "security", "proxy"];
    let Some(fields) = Fields::new(node, "`ignition`", &keys, problems) else { return };
    if let Some((version, place)) = fields.required("version", problems)
        && !VERSIONS.contains(&version)
    {
        let older = if version.starts_with("2.") { "; converters from version 2 to 3 exist" } else { "" };
        let message = format!("versions 3.0.0 to 3.5.0 can be read, this is another one{older}");
        problems.push(Problem::new(place, message));
    }
    let fetched = "nothing is fetched beyond user data: put everything into this document";
    if let Some(node) = fields.node("config")
        && let Some(fields) = Fields::new(node, "`config`", &["merge", "replace"], problems)
    {
        fields.refuse(&[("merge", fetched)], problems);
        if let Some(replace) = fields.node("replace")
            && replace.get("source").is_some()
        {
            fields.refuse(&[("replace", fetched)], problems);
        }
    }
    // Time-outs are of no matter, and neither are empty lists of authorities.
    let authorities =
        node.get("security").and_then(|s| s.get("tls")).and_then(|t| t.get("certificateAuthorities"));
    if let Some(authorities) = authorities
        && matches!(&authorities.value, Value::List(items) if !items.is_empty())
    {
        let message = "`certificateAuthorities` can't be had here: they are for what is fetched, and nothing is; \
                       give the machine's own as files";
        problems.push(Problem::new(&authorities.items()[0].place, message));
    }
    fields.refuse(&[("proxy", fetched)], problems);
}
