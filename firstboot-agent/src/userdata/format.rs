//! Which format a document is in, by how it begins.

/// What user data looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Nothing but white space.
    Empty,
    /// Ours.
    Native,
    /// cloud-init's.
    CloudConfig,
    /// CoreOS's and Flatcar's.
    Ignition,
    /// systemd-imdsd's.
    Systemd,
    /// Several documents in a message.
    Mime,
    /// Something that is known and can't be used: what it is, and what to do instead.
    Refused(&'static str, &'static str),
    /// Nothing that is known.
    Unknown,
}

const COMPRESSED: &str = "compress it with gzip, or not at all";
pub(super) const SCRIPT: &str = "nothing of user data is run: make a unit of it (`units` in Twinhull's own format), or put it into the image";
const INCLUDE: &str = "nothing is fetched beyond user data: put the documents into one MIME message";
const HANDLER: &str = "user data can't bring programs of its own: give the documents themselves";

/// How documents begin that can't be used.
const REFUSED: &[(&str, &str, &str)] = &[
    ("#cloud-config-archive", "a cloud-config archive", "put the documents into one MIME message"),
    ("#cloud-config-jsonp", "a cloud-config patch", "give the document that comes of it"),
    ("#cloud-boothook", "a cloud-init boothook", SCRIPT),
    ("#upstart-job", "an upstart job", SCRIPT),
    ("#include", "a cloud-init include list", INCLUDE),
    ("#part-handler", "a cloud-init part handler", HANDLER),
    ("## template:", "a cloud-init template", "fill it in before: templates aren't rendered on the machine"),
    ("<powershell>", "a script for Windows", SCRIPT),
    ("#!", "a script", SCRIPT),
    ("variant:", "a Butane file", "give what `butane --strict` makes of it"),
    ("#talos", "a configuration of Talos", "it is for another system"),
];

impl Format {
    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::Empty => "empty",
            Format::Native => "twinhull",
            Format::CloudConfig => "cloud-config",
            Format::Ignition => "Ignition",
            Format::Systemd => "systemd-userdata",
            Format::Mime => "MIME",
            Format::Refused(name, _) => name,
            Format::Unknown => "unknown",
        }
    }

    /// Recognises a document that has no layers of gzip or base64 around it.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Format::Empty;
        }
        for (magic, name) in [
            (&b"\x28\xb5\x2f\xfd"[..], "zstd-compressed data"),
            (b"\xfd7zXZ", "xz-compressed data"),
            (b"BZh", "bzip2-compressed data"),
            (b"PK\x03\x04", "a zip archive"),
        ] {
            if bytes.starts_with(magic) {
                return Format::Refused(name, COMPRESSED);
            }
        }
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let head = head.trim_start_matches('\u{feff}').trim_start();
        let first = head.lines().next().unwrap_or_default().trim_end();
        if head.is_empty() {
            return Format::Empty;
        }
        for (line, format) in [
            ("#twinhull", Format::Native),
            ("#cloud-config", Format::CloudConfig),
            ("#systemd-userdata", Format::Systemd),
        ] {
            if first == line {
                return format;
            }
        }
        let lower = head.to_ascii_lowercase();
        for (start, name, instead) in REFUSED {
            if lower.starts_with(start) {
                return Format::Refused(name, instead);
            }
        }
        // With a remark behind it, as some tools write it.
        if first.starts_with("#cloud-config ") {
            return Format::CloudConfig;
        }
        // Python's mbox line comes first in messages of an old tool.
        let header =
            lower.strip_prefix("from nobody ").and_then(|l| l.split_once('\n')).map_or(&*lower, |(_, l)| l);
        if ["content-type:", "mime-version:"].iter().any(|name| header.starts_with(name)) {
            return Format::Mime;
        }
        let whole = String::from_utf8_lossy(bytes);
        if head.starts_with('{') {
            if whole.contains("\"ignition\"") {
                return Format::Ignition;
            }
            if whole.contains("\"systemd.credentials\"") {
                return Format::Systemd;
            }
        }
        let marked = |l: &str| l.strip_prefix("twinhull").is_some_and(|r| r.trim_start().starts_with(':'));
        if whole.lines().any(marked) { Format::Native } else { Format::Unknown }
    }

    /// What a part's content type says, when it says something that its contents may not.
    pub(super) fn of_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "text/x-twinhull" => Format::Native,
            "text/cloud-config" => Format::CloudConfig,
            "application/vnd.coreos.ignition+json" => Format::Ignition,
            "text/x-shellscript"
            | "text/x-shellscript-per-boot"
            | "text/x-shellscript-per-instance"
            | "text/x-shellscript-per-once" => Format::Refused("a script", SCRIPT),
            "text/cloud-boothook" => Format::Refused("a cloud-init boothook", SCRIPT),
            "text/upstart-job" => Format::Refused("an upstart job", SCRIPT),
            "text/x-include-url" | "text/x-include-once-url" => {
                Format::Refused("a cloud-init include list", INCLUDE)
            }
            "text/part-handler" => Format::Refused("a cloud-init part handler", HANDLER),
            "text/cloud-config-archive" => {
                Format::Refused("a cloud-config archive", "give each document a part")
            }
            "text/cloud-config-jsonp" => {
                Format::Refused("a cloud-config patch", "give the document that comes of it")
            }
            "text/jinja2" => {
                Format::Refused("a template", "fill it in before: templates aren't rendered on the machine")
            }
            _ => return None,
        })
    }
}
