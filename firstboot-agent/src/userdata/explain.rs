//! What user data would do, said on a workstation: part by part, what was recognised, what each thing becomes,
//! and what is refused. Paths and sizes, never contents.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Enable, Part, Reading, UserData};
use crate::yaml::{Problem, printable};

/// One thing of user data and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// What it is.
    pub what: &'static str,
    /// Which one.
    pub name: String,
    /// What becomes of it.
    pub becomes: String,
}

/// All of them.
pub fn things(data: &UserData) -> Vec<Thing> {
    let mut out = Vec::new();
    let mut add =
        |what, name: &str, becomes: String| out.push(Thing { what, name: name.to_owned(), becomes });
    let keys = |n: usize, user: &str| match n {
        0 => String::new(),
        n => format!("{n} key{} in /etc/ssh/authorized_keys.d/{user}", if n == 1 { "" } else { "s" }),
    };
    if let Some(hostname) = &data.hostname {
        add("host name", hostname.value.as_str(), "/etc/hostname".into());
    }
    if let Some(zone) = &data.time_zone {
        add("time zone", &zone.value, "link /etc/localtime".into());
    }
    if let Some(ntp) = &data.ntp {
        add("time servers", &ntp.value.join(" "), crate::render::NTP.into());
    }
    if !data.root_keys.is_empty() {
        add("keys", "root", keys(data.root_keys.len(), "root"));
    }
    for user in &data.users {
        let mut becomes = vec!["account".to_owned()];
        becomes.extend(user.uid.map(|uid| format!("uid {uid}")));
        becomes.extend((!user.groups.is_empty()).then(|| format!("in {}", user.groups.join(", "))));
        becomes.extend(user.shell.as_ref().map(|shell| format!("shell {shell}")));
        becomes.extend(Some(keys(user.ssh_keys.len(), &user.name)).filter(|k| !k.is_empty()));
        becomes.extend(user.password_hash.as_ref().map(|_| "password".to_owned()));
        becomes.extend(user.sudo.as_ref().map(|_| format!("/etc/sudoers.d/90-twinhull-{}", user.name)));
        add("user", &user.name, becomes.join(", "));
    }
    for file in &data.files {
        let becomes =
            format!("{:04o} {}:{}, {} bytes", file.mode, file.owner, file.group, file.content.len());
        add("file", &file.path, becomes);
    }
    for folder in &data.directories {
        add("folder", &folder.path, format!("{:04o} {}:{}", folder.mode, folder.owner, folder.group));
    }
    for link in &data.links {
        add("link", &link.path, format!("to {}", link.target));
    }
    for unit in &data.units {
        let mut becomes = unit.paths();
        match &unit.enable {
            Enable::No => {}
            Enable::Links(links) => {
                becomes.extend(links.iter().map(|l| format!("link /etc/systemd/system/{l}")))
            }
            Enable::AsTheImageSays => becomes.push("links as [Install] of the image's unit says".into()),
            Enable::Masked => becomes.push("masked".into()),
        }
        add("unit", &unit.name, becomes.join(", "));
    }
    for service in &data.services {
        let names: Vec<_> = service.parameters.iter().map(|p| p.name.as_str()).collect();
        add("service", &service.name, format!("with its own {}", names.join(", ")));
    }
    for credential in &data.credentials {
        add(
            "credential",
            &credential.name,
            format!("{}, 0600, {} bytes", credential.path(), credential.content.len()),
        );
    }
    if let Some(home) = &data.phone_home {
        let fields: Vec<_> = home.value.fields.iter().map(|told| told.name()).collect();
        add(
            "call home",
            home.value.server(),
            format!("POST of {}, once the machine is up", fields.join(", ")),
        );
    }
    out
}

/// `cloud-config, out of base64 and gzip`.
fn title(part: &Part) -> String {
    let layers: Vec<_> = part.layers.iter().map(|l| l.name()).collect();
    match layers[..] {
        [] => part.format.name().to_owned(),
        _ => format!("{}, in {}", part.format.name(), layers.join(", in ")),
    }
}

/// For people.
pub fn text(reading: &Reading, out: &mut dyn Write) -> io::Result<()> {
    if reading.parts.is_empty() && reading.problems.is_empty() {
        return writeln!(out, "empty: that counts as no user data");
    }
    if reading.mime {
        let layers: String = reading.layers.iter().map(|l| format!(", in {}", l.name())).collect();
        writeln!(out, "MIME message{layers}")?;
    }
    for part in &reading.parts {
        match part.number {
            0 => writeln!(out, "{}", title(part))?,
            n => writeln!(out, "part {n}: {}", title(part))?,
        }
        for Thing { what, name, becomes } in things(&part.data) {
            writeln!(out, "  {what} {}: {}", printable(&name), printable(&becomes))?;
        }
        for note in &part.data.notes {
            writeln!(out, "  no effect, {note}")?;
        }
        for problem in &part.problems {
            writeln!(out, "  refused, {problem}")?;
        }
    }
    for problem in &reading.problems {
        writeln!(out, "refused, {problem}")?;
    }
    if !reading.all_problems().is_empty() {
        writeln!(out, "A machine would use none of it.")?;
    }
    Ok(())
}

/// For programs.
pub fn as_json(reading: &Reading) -> Value {
    let problems = |list: &[Problem]| -> Vec<Value> {
        list.iter().map(|p| json!({ "place": p.place.to_string(), "message": p.message })).collect()
    };
    let parts: Vec<Value> = reading
        .parts
        .iter()
        .map(|part| {
            let things: Vec<Value> = things(&part.data)
                .into_iter()
                .map(|t| json!({ "what": t.what, "name": t.name, "becomes": t.becomes }))
                .collect();
            json!({
                "part": part.number,
                "format": part.format.name(),
                "layers": part.layers.iter().map(|l| l.name()).collect::<Vec<_>>(),
                "things": things,
                "without-effect": problems(&part.data.notes),
                "refused": problems(&part.problems),
            })
        })
        .collect();
    json!({
        "usable": reading.all_problems().is_empty(),
        "mime": reading.mime,
        "layers": reading.layers.iter().map(|l| l.name()).collect::<Vec<_>>(),
        "parts": parts,
        "refused": problems(&reading.problems),
    })
}
