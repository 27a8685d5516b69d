//! Values that are right by themselves but don't fit each other.

use serde_json::Value;

use crate::schema::keys::{CMDLINE_MAX, is_hostname};
use twinhull_source::diagnostic::{Code, Report, quoted};
use twinhull_source::yaml::{Content, Node};

/// UTF-16 units of a GPT label.
const LABEL_MAX: usize = 36;

/// Looks at the values of a spec together; `value` holds only those that are right.
pub(crate) fn check(root: &Node, value: &Value, report: &mut Report<'_>) {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let image = root.get("image");
    let (id, version) = (text("/image/id"), text("/image/version"));
    if let (Some(id), Some(version)) = (id, version)
        && let Some(node) = image.and_then(|image| image.get("version"))
    {
        label(id, version, node, report);
    }
    let no_name = root.get("system").is_none_or(|system| system.get("hostname").is_none());
    if let Some(id) = id
        && let Some(node) = image.and_then(|image| image.get("id"))
        && no_name
        && !is_hostname(id)
    {
        report
            .add(
                Code::Conflict,
                &node.span,
                "image.id",
                format!("image.id: {} is also the host name, but it is no host name", quoted(id)),
            )
            .hint("set system.hostname");
    }
    if text("/disk/filesystem") == Some("ext4") {
        packing_of_ext4(root, report);
    }
    data_disks(root, report);
    if text("/updates/reboot") == Some("manual") {
        strategy_of_nobody(root, report);
    }
    firmware(root, value, report);
    let secure_boot = root.get("boot").and_then(|boot| boot.get("secure-boot"));
    if let Some(node) = secure_boot.and_then(|keys| keys.get("enroll"))
        && secure_boot.is_some_and(|keys| keys.get("enroll-files").is_none())
    {
        let message = "boot.secure-boot.enroll: there is nothing to enrol".to_owned();
        report
            .add(Code::Conflict, &node.span, "boot.secure-boot.enroll", message)
            .hint("set enroll-files; `image-builder secure-boot enroll-files` makes such a folder");
    }
    if let Some(words) = value.pointer("/boot/cmdline").and_then(Value::as_array)
        && let Some(node) = root.get("boot").and_then(|boot| boot.get("cmdline"))
    {
        let length: usize = words.iter().filter_map(Value::as_str).map(|word| word.len() + 1).sum();
        if length > CMDLINE_MAX {
            let message =
                format!("boot.cmdline has {length} characters with its spaces; {CMDLINE_MAX} are allowed");
            report
                .add(Code::TooLong, &node.span, "boot.cmdline", message)
                .hint("the kernel reads 2048, and the builder's own words need room");
        }
    }
}

/// UEFI is always there, and a BIOS only beside x86-64.
fn firmware(root: &Node, value: &Value, report: &mut Report<'_>) {
    let Some(node) = root.get("boot").and_then(|boot| boot.get("firmware")) else { return };
    let list = value.pointer("/boot/firmware").and_then(Value::as_array);
    let has = |name: &str| list.is_some_and(|list| list.iter().any(|word| word == name));
    if list.is_some_and(|list| !list.is_empty()) && !has("uefi") {
        let message = "boot.firmware: uefi is missing".to_owned();
        report
            .add(Code::Conflict, &node.span, "boot.firmware", message)
            .hint("every disk starts with UEFI; write [uefi, bios], or leave the key out");
    }
    let arch = value.pointer("/image/arch").and_then(Value::as_str).unwrap_or("x86-64");
    if has("bios") && arch != "x86-64" {
        let message = format!("boot.firmware: machines with {arch} have no BIOS");
        report
            .add(Code::Conflict, &node.span, "boot.firmware", message)
            .hint("write [uefi], or leave the key out");
    }
}

/// ext4 knows no compression.
fn packing_of_ext4(root: &Node, report: &mut Report<'_>) {
    let Some(disk) = root.get("disk") else { return };
    for key in ["compression", "cluster"] {
        if let (Some(node), Some(filesystem)) = (disk.get(key), disk.get("filesystem")) {
            report
                .add(
                    Code::Conflict,
                    &node.span,
                    &format!("disk.{key}"),
                    format!("disk.{key} and disk.filesystem exclude each other: ext4 can't be compressed"),
                )
                .related(&filesystem.span, "ext4 is asked for here")
                .hint(format!("remove disk.{key}, or set disk.filesystem to erofs"));
        }
    }
}

/// The text of a key in an item.
fn text_of<'n>(item: &'n Node, key: &str) -> Option<(&'n str, &'n Node)> {
    let node = item.get(key)?;
    match &node.content {
        Content::Scalar(scalar) => Some((&scalar.text, node)),
        _ => None,
    }
}

/// Two data disks share nothing, and a file system with a label isn't wiped.
fn data_disks(root: &Node, report: &mut Report<'_>) {
    let Some(Node { content: Content::List(items), .. }) = root.get("data-disks") else { return };
    for (n, item) in items.iter().enumerate() {
        for key in ["name", "disk", "mount"] {
            let Some((text, node)) = text_of(item, key) else { continue };
            let same =
                |other: &&Node| text_of(other, key).is_some_and(|(found, _)| place(found) == place(text));
            if let Some((_, first)) = items[..n].iter().find(same).and_then(|other| text_of(other, key)) {
                let path = format!("data-disks[{n}].{key}");
                report
                    .add(
                        Code::Duplicate,
                        &node.span,
                        &path,
                        format!("{path}: {} is there twice", quoted(text)),
                    )
                    .related(&first.span, "first here");
            }
        }
        if let (Some((disk, _)), Some(("wipe", node))) =
            (text_of(item, "disk"), text_of(item, "foreign-data"))
            && disk.starts_with("LABEL=")
        {
            let path = format!("data-disks[{n}].foreign-data");
            let message = format!("{path}: a file system that is found by its label is never wiped");
            report
                .add(Code::Conflict, &node.span, &path, message)
                .hint("remove foreign-data, or name the disk by a link in /dev/disk/by-path");
        }
    }
}

/// Where a path leads on a machine: /srv and /opt are links.
fn place(text: &str) -> String {
    ["/srv/", "/opt/"]
        .into_iter()
        .find(|link| text.starts_with(link))
        .map_or_else(|| text.to_owned(), |_| format!("/var{text}"))
}

/// Windows and locks are for machines that reboot by themselves.
fn strategy_of_nobody(root: &Node, report: &mut Report<'_>) {
    let Some(updates) = root.get("updates") else { return };
    for key in ["windows", "fleet-lock"] {
        if let (Some(node), Some(reboot)) = (updates.get(key), updates.get("reboot")) {
            let message = format!("updates.{key} is for machines that reboot by themselves");
            report
                .add(Code::Conflict, &node.span, &format!("updates.{key}"), message)
                .related(&reboot.span, "this one does when somebody reboots it")
                .hint(format!("remove updates.{key}, or set updates.reboot to immediate"));
        }
    }
}

fn label(id: &str, version: &str, node: &Node, report: &mut Report<'_>) {
    let label = format!("{id}_{version}_verity");
    let length = label.encode_utf16().count();
    if length <= LABEL_MAX {
        return;
    }
    let over = length - LABEL_MAX;
    let message = format!(
        "the partition label {} has {length} characters; a GPT label has at most {LABEL_MAX}",
        quoted(&label)
    );
    report.add(Code::TooLong, &node.span, "image.version", message).hint(format!(
        "shorten image.id ({} characters) and image.version ({}) by {over} together",
        id.len(),
        version.len()
    ));
}
