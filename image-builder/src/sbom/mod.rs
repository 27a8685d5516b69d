//! The bill of materials of an image as SPDX 2.3: written beside the image by `build`, and by `sbom` for an
//! image that exists. Both give the same text when the image keeps dpkg's database and the copyright files.
//!
//! Nothing in it depends on when and where it is made: the time is that of the image, the name space is made
//! from a digest of the rest.

mod components;
mod licence;
mod spdx;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use twinhull_sysutil::digest;
use uuid::Uuid;

use crate::guest;
use crate::image::snapshot::Snapshot;
use crate::image::{Image, os_field};
use crate::packages::Package;
use components::Component;
use spdx::{Checksum, CreationInfo, Document, ExternalRef, Relationship};

pub(crate) use components::components as read_components;

/// What comes before the name space in a document as it is written.
const NAMESPACE: &str = "\"documentNamespace\": \"";

/// What a bill of materials is made from.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Name of the image.
    pub(crate) id: String,
    /// Version of the image.
    pub(crate) version: String,
    /// Time of the build, seconds since 1970.
    pub(crate) epoch: i64,
    /// File name of the image; none for an image that is no disk.
    pub(crate) file: Option<String>,
    /// dm-verity root hash.
    pub(crate) root_hash: Option<String>,
    /// SHA-256 of the UKI.
    pub(crate) uki_sha256: Option<String>,
    /// os-release of the image.
    pub(crate) os_release: String,
    /// SHA-256 of our own programs by name.
    pub(crate) programs: BTreeMap<String, String>,
    /// Version of our own programs.
    pub(crate) programs_version: Option<String>,
    /// Packages of the distribution.
    pub(crate) components: Vec<Component>,
}

/// The text of the bill of materials.
pub(crate) fn text(facts: &Facts) -> Result<String> {
    seal(&(serde_json::to_string_pretty(&document(facts))? + "\n"))
}

/// The document `text` with the name space that its content has: what is not the same has another one, what is the
/// same has the same.
pub(crate) fn seal(text: &str) -> Result<String> {
    let (before, rest) = text.split_once(NAMESPACE).context("the document has no name space")?;
    let (_, after) = rest.split_once('"').context("the document's name space has no end")?;
    let sha256 = digest::sha256(format!("{before}{NAMESPACE}\"{after}").as_bytes());
    let uuid = Uuid::new_v8(std::array::from_fn(|n| sha256[n]));
    Ok(format!("{before}{NAMESPACE}urn:uuid:{uuid}\"{after}"))
}

fn document(facts: &Facts) -> Document {
    let name = format!("{}_{}", facts.id, facts.version);
    let image_id = spdx::id(&["image", &facts.id]);
    let mut relationships = vec![Relationship::new(spdx::DOCUMENT, "DESCRIBES", &image_id)];
    let mut image = spdx::Package::new(image_id.clone(), facts.id.clone());
    image.version_info = Some(facts.version.clone());
    image.package_file_name = facts.file.clone();
    image.primary_package_purpose = Some("OPERATING-SYSTEM");
    image.external_refs.extend(facts.root_hash.iter().map(|hash| ExternalRef {
        reference_category: "OTHER",
        reference_type: "dm-verity-root-hash",
        reference_locator: hash.clone(),
    }));
    let mut packages = vec![image];
    if let Some(sha256) = &facts.uki_sha256 {
        let mut uki = spdx::Package::new(spdx::id(&["uki", &facts.id]), format!("{name}.efi"));
        uki.version_info = Some(facts.version.clone());
        uki.checksums.push(Checksum::sha256(sha256.clone()));
        uki.summary = Some("unified kernel image with kernel, initrd and command line".into());
        packages.push(uki);
    }
    for (program, sha256) in &facts.programs {
        let mut package = spdx::Package::new(spdx::id(&["twinhull", program]), program.clone());
        package.version_info = facts.programs_version.clone();
        package.checksums.push(Checksum::sha256(sha256.clone()));
        package.license_declared = env!("CARGO_PKG_LICENSE").into();
        package.primary_package_purpose = Some("APPLICATION");
        packages.push(package);
    }
    let distro = Distro::new(&facts.os_release);
    let ids: Vec<String> = facts.components.iter().map(|c| spdx::id(&["deb", &c.name, &c.arch])).collect();
    for (component, id) in facts.components.iter().zip(&ids) {
        packages.push(package(component, id.clone(), &distro));
    }
    relationships.extend(packages[1..].iter().map(|p| Relationship::new(&image_id, "CONTAINS", &p.id)));
    let needed = components::dependencies(&facts.components);
    let needed = needed.into_iter().map(|(from, to)| Relationship::new(&ids[from], "DEPENDS_ON", &ids[to]));
    relationships.extend(needed);
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: spdx::DOCUMENT,
        name,
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: spdx::time(facts.epoch),
            creators: vec![concat!("Tool: image-builder-", env!("CARGO_PKG_VERSION")).into()],
        },
        packages,
        relationships,
    }
}

/// The distribution as package URLs name it.
struct Distro {
    id: String,
    release: Option<String>,
}

impl Distro {
    fn new(os_release: &str) -> Self {
        let field = |name: &str| os_field(os_release, name);
        let id = field("ID").unwrap_or_else(|| "debian".into());
        let release = field("VERSION_CODENAME")
            .or_else(|| field("VERSION_ID").map(|version| format!("{id}-{version}")));
        Distro { id, release }
    }
}

fn package(component: &Component, id: String, distro: &Distro) -> spdx::Package {
    let mut package = spdx::Package::new(id, component.name.clone());
    package.version_info = Some(component.version.clone());
    if let Some(maintainer) = &component.maintainer {
        package.supplier = supplier(maintainer);
    }
    let valid = |url: &String| {
        (url.starts_with("https://") || url.starts_with("http://"))
            && url.bytes().all(|b| b.is_ascii_graphic())
    };
    package.homepage = component.homepage.clone().filter(valid);
    let (source, version) = &component.source;
    package.source_info = Some(format!("built from source package {source} {version}"));
    package.summary = component.summary.clone();
    if let Some(licence) = &component.licence {
        package.license_declared = licence.clone();
    }
    let mut purl = format!(
        "pkg:deb/{}/{}@{}?arch={}",
        encode(&distro.id),
        encode(&component.name),
        encode(&component.version),
        encode(&component.arch)
    );
    if let Some(release) = &distro.release {
        purl.push_str(&format!("&distro={}", encode(release)));
    }
    package.external_refs.push(ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
    });
    package
}

/// `NAME <ADDRESS>` as SPDX has it: a person, or an organisation where the name says so.
fn supplier(maintainer: &str) -> String {
    let clean = |text: &str| text.trim().trim_matches('"').replace(['(', ')', '\n'], " ").trim().to_owned();
    let (name, address) = match maintainer.rsplit_once('<') {
        Some((name, rest)) => (clean(name), rest.trim_end_matches('>').trim()),
        None => (clean(maintainer), ""),
    };
    if name.is_empty() {
        return spdx::NOASSERTION.into();
    }
    let words = ["maintainers", "team", "group", "developers", "project", "packagers", "debian "];
    let lower = name.to_lowercase();
    let kind = if words.iter().any(|w| lower.contains(w)) { "Organization" } else { "Person" };
    if address.is_empty() { format!("{kind}: {name}") } else { format!("{kind}: {name} ({address})") }
}

/// Percent-encoding of package URLs, in which a colon stays.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b".-_~:".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The bill of materials of the image at `path`.
pub(crate) fn of_image(path: &Path) -> Result<String> {
    let image = Image::open(path)?;
    let snapshot = Snapshot::take(&image, false)?;
    let manifest = image.manifest.as_ref();
    let components = match components::components(&(&image, &snapshot))? {
        Some(components) => components,
        None => {
            let listed = manifest.map(|m| m["packages"].clone());
            let Some(listed) = listed.and_then(|list| serde_json::from_value::<Vec<Package>>(list).ok())
            else {
                bail!(
                    "{}: no dpkg database is in the image and no manifest of it lies beside it, so nobody knows its \
                     packages; keep NAME_VERSION.manifest.json beside the image",
                    path.display()
                );
            };
            listed.into_iter().map(|p| Component::named(p.name, p.version, p.arch)).collect()
        }
    };
    let os_release = snapshot.os_release(&image)?;
    let from_os = |name: &str| os_field(&os_release, name);
    let stem = || path.file_stem().map_or_else(|| "image".into(), |s| s.to_string_lossy().into_owned());
    let (label, version) = image.label.clone().unzip();
    let id = from_os("IMAGE_ID").or(label).unwrap_or_else(stem);
    let version = from_os("IMAGE_VERSION").or(version).unwrap_or_else(|| "0".into());
    let listed = manifest.and_then(|m| m["programs"].as_object());
    let programs = match listed {
        Some(all) => all.iter().filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned()))).collect(),
        None => guest::programs_in(&image, &snapshot)?,
    };
    let builder = manifest.and_then(|m| m["builder"].as_str()?.strip_prefix("image-builder "));
    text(&Facts {
        file: image.root_hash.is_some().then(|| format!("{id}_{version}.raw")),
        id,
        version,
        epoch: i64::try_from(image.reader.build_time()).unwrap_or(0),
        root_hash: image.root_hash.clone(),
        uki_sha256: image.boot.as_ref().and_then(|b| Some(b.uki.as_ref()?.sha256.clone())),
        programs,
        programs_version: builder.map(str::to_owned),
        os_release,
        components,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            id: "box".into(),
            version: "1".into(),
            epoch: 1_700_000_000,
            os_release: "ID=debian\nVERSION_CODENAME=trixie\n".into(),
            programs: [("agent".to_owned(), "00".repeat(32))].into(),
            components: vec![Component::named("libstdc++6".into(), "1:2~rc+b1".into(), "amd64".into())],
            ..Facts::default()
        }
    }

    #[test]
    fn the_same_facts_give_the_same_text() {
        let one = text(&facts()).unwrap();
        assert_eq!(one, text(&facts()).unwrap());
        let other = text(&Facts { version: "2".into(), ..facts() }).unwrap();
        let namespace = |text: &str| {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            json["documentNamespace"].as_str().unwrap().to_owned()
        };
        assert_ne!(namespace(&one), namespace(&other));
        assert!(namespace(&one).starts_with("urn:uuid:"));
        assert!(
            one.contains("\"pkg:deb/debian/libstdc%2B%2B6@1:2~rc%2Bb1?arch=amd64&distro=trixie\""),
            "{one}"
        );
        assert!(
            one.contains("2023-11-14T22:13:20Z")
                && one.contains("\"licenseDeclared\": \"MIT OR Apache-2.0\"")
        );
    }

    #[test]
    fn suppliers() {
        for (maintainer, want) in [
            ("Jane Doe <jane@example.org>", "Person: Jane Doe (jane@example.org)"),
            ("GNU Libc Maintainers <x@example.org>", "Organization: GNU Libc Maintainers (x@example.org)"),
            ("Jane (JD) Doe", "Person: Jane  JD  Doe"),
            ("<only@example.org>", "NOASSERTION"),
        ] {
            assert_eq!(supplier(maintainer), want);
        }
    }
}
