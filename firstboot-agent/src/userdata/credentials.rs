//! Credentials for services: `credentials:` of the native format, and `#systemd-userdata`, the JSON that
//! systemd-imdsd reads. They go to the folders where `ImportCredential=` and `LoadCredential=` look.

use super::UserData;
use super::envelope;
use super::fields::Fields;
use crate::yaml::{Node, Place, Problem};

/// A credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: Vec<u8>,
    /// Whether that is encrypted, as `systemd-creds encrypt` does it.
    pub encrypted: bool,
    /// Where the document has it.
    pub place: Place,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, {} bytes)", self.name, self.content.len())
    }
}

impl Credential {
    /// The file it becomes.
    pub fn path(&self) -> String {
        format!("/etc/credstore{}/{}", if self.encrypted { ".encrypted" } else { "" }, self.name)
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    if !text.is_empty() && text.len() <= 255 && !matches!(text, "." | "..") && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err("a credential's name is a file's name without `:`, in ASCII")
}

/// Credentials of a list; the keys are those of text, of base64 and of encrypted contents.
pub(super) fn parse(items: &[Node], keys: [&str; 3], problems: &mut Vec<Problem>) -> Vec<Credential> {
    items.iter().filter_map(|item| one(item, keys, problems)).collect()
}

fn one(item: &Node, keys: [&str; 3], problems: &mut Vec<Problem>) -> Option<Credential> {
    let [text, data, encrypted] = keys;
    let fields = Fields::new(item, "a credential", &["name", text, data, encrypted], problems)?;
    let name = fields.required_checked("name", name, problems);
    let given: Vec<&str> = keys.into_iter().filter(|key| fields.node(key).is_some()).collect();
    let [key] = given[..] else {
        let message = format!("a credential needs exactly one of `{text}`, `{data}` and `{encrypted}`");
        problems.push(Problem::new(&item.place, message));
        return None;
    };
    let content = if key == text {
        fields.text(key, problems).map(|(text, _)| text.as_bytes().to_vec())
    } else {
        let decode =
            |text: &str| envelope::base64(text.as_bytes()).ok_or_else(|| format!("`{key}` isn't base64"));
        fields.checked(key, decode, problems)
    };
    Some(Credential {
        name: name?,
        content: content?,
        encrypted: key == encrypted,
        place: item.place.clone(),
    })
}

/// The document of systemd-imdsd.
pub(super) fn systemd(node: &Node, problems: &mut Vec<Problem>) -> UserData {
    let mut data = UserData::default();
    if let Some(fields) = Fields::new(node, "systemd-userdata", &["systemd.credentials"], problems) {
        let items = fields.list("systemd.credentials", problems);
        data.credentials = parse(items, ["text", "data", "encrypted"], problems);
    }
    data
}
