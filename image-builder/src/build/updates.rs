//! Updates in a build: what the machine's update agent follows, and the root that it trusts from the start.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use twinhull_release::{Kind, Root};
use twinhull_spec::{Reboot, Spec};
use twinhull_tree::{Node, Tree};

/// Where the agent looks, below /usr.
const DIR: &str = "lib/twinhull/update";
/// The root's name there.
const ROOT: &str = "root.json";

/// Puts the agent's configuration and the root into `overlay`, if the spec wants updates.
pub(super) fn add(spec: &Spec, base: &Path, overlay: &mut Tree) -> Result<()> {
    let Some(updates) = &spec.updates else { return Ok(()) };
    let path = base.join(&updates.root);
    let root = read(&path, &spec.image.id).with_context(|| format!("updates.root: {}", path.display()))?;
    let reboot = match updates.reboot {
        Reboot::Immediate => "immediate",
        Reboot::Manual => "manual",
    };
    let config = json!({ "urls": updates.urls, "channel": updates.channel, "root": ROOT, "reboot": reboot });
    overlay.insert(format!("{DIR}/config.json"), Node::file(format!("{config:#}\n")))?;
    overlay.insert(format!("{DIR}/{ROOT}"), Node::file(root))?;
    Ok(())
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
