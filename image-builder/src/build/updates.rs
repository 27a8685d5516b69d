//! Updates in a build: what the machine's update agent follows, and the root that it trusts from the start.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use twinhull_release::{Kind, Root};
use twinhull_spec::{FleetLock, Reboot, Spec, Updates};
use twinhull_sysutil::size;
use twinhull_tree::{Node, Tree};

/// Where the agent looks, below /usr.
const DIR: &str = "lib/twinhull/update";
/// Programs that are a system bus.
const BUSES: [&str; 2] = ["usr/bin/dbus-broker-launch", "usr/bin/dbus-daemon"];
/// The root's name there.
const ROOT: &str = "root.json";

/// Puts the agent's configuration and the root into `overlay`, if the spec wants updates. `tree` has to have the time
/// zone.
pub(super) fn add(spec: &Spec, base: &Path, tree: &Tree, overlay: &mut Tree) -> Result<()> {
    let Some(updates) = &spec.updates else { return Ok(()) };
    let path = base.join(&updates.root);
    let root = read(&path, &spec.image.id).with_context(|| format!("updates.root: {}", path.display()))?;
    let zone = &updates.time_zone;
    ensure!(
        zone == "UTC" || tree.exists(format!("usr/share/zoneinfo/{zone}")),
        "updates.time-zone: the tree has no time zone {zone}; check the spelling, or add tzdata to its packages"
    );
    ensure!(
        BUSES.iter().any(|bus| tree.exists(bus)),
        "updates: the tree has no system bus, which the update agent needs; add dbus-broker to it"
    );
    let mut config = json!({
        "urls": updates.urls, "channel": updates.channel, "root": ROOT, "reboot": strategy(updates),
        "reboot-through": updates.reboot_through,
    });
    if let Some(bandwidth) = &updates.bandwidth {
        let bandwidth = size::parse(bandwidth).map_err(anyhow::Error::msg).context("updates.bandwidth")?;
        config["bandwidth"] = bandwidth.into();
    }
    overlay.insert(format!("{DIR}/config.json"), Node::file(format!("{config:#}\n")))?;
    overlay.insert(format!("{DIR}/{ROOT}"), Node::file(root))?;
    Ok(())
}

/// The strategy in the agent's words, those of `twinhull-reboot`.
fn strategy(updates: &Updates) -> Value {
    let windows = (!updates.windows.is_empty()).then(|| {
        let windows: Vec<Value> = updates.windows.iter().map(|text| window(text)).collect();
        json!({ "time-zone": updates.time_zone, "windows": windows })
    });
    match (updates.reboot, &updates.fleet_lock, windows) {
        (Reboot::Manual, ..) => "manual".into(),
        (_, Some(FleetLock { url, group }), within) => {
            json!({ "fleet-lock": { "server": { "url": url, "group": group }, "within": within } })
        }
        (_, None, Some(windows)) => json!({ "windows": windows }),
        (_, None, None) => "immediate".into(),
    }
}

/// `Sat Sun 02:00 3h`, which was checked with the spec, taken apart.
fn window(text: &str) -> Value {
    let mut words: Vec<&str> = text.split(' ').collect();
    let (length, start) = (words.pop(), words.pop());
    let mut window = json!({ "start": start, "length": length });
    if !words.is_empty() {
        window["days"] = words.into();
    }
    window
}

/// The root's text, once it is known to be one for this image.
fn read(path: &Path, image: &str) -> Result<String> {
    let envelope = crate::release::read_document(Kind::Root, path)?;
    let envelope = envelope.context("it does not exist")?;
    let contents: Root = envelope.contents()?;
    ensure!(
        contents.image == image,
        "it is the root of {}, the image is {image}; `image-builder keygen` makes one for each image",
        contents.image
    );
    envelope.open::<Root>(&contents.root)?;
    Ok(envelope.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_said_in_the_agents_words() {
        let written = json!({
            "urls": ["http://u"], "root": "r",
            "windows": ["Sat Sun 02:00 3h", "22:30 90m"], "time-zone": "Europe/Berlin",
        });
        let mut updates: Updates = serde_json::from_value(written).unwrap();
        let windows = json!({
            "time-zone": "Europe/Berlin",
            "windows": [
                {"days": ["Sat", "Sun"], "start": "02:00", "length": "3h"},
                {"start": "22:30", "length": "90m"},
            ],
        });
        assert_eq!(strategy(&updates), json!({ "windows": windows }));
        updates.fleet_lock = Some(FleetLock { url: "http://l".into(), group: "web".into() });
        let server = json!({ "url": "http://l", "group": "web" });
        assert_eq!(strategy(&updates), json!({ "fleet-lock": { "server": server, "within": windows } }));
        updates.windows.clear();
        assert_eq!(strategy(&updates), json!({ "fleet-lock": { "server": server, "within": null } }));
        updates.reboot = Reboot::Manual;
        assert_eq!(strategy(&updates), json!("manual"));
    }
}
