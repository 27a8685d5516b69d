//! A URL that is told that the machine is up, and what it is told. It happens on the real root, see
//! [`crate::check_in`].

use super::Set;
use super::fields::Fields;
use crate::yaml::Problem;

const SCHEME: &str = "http://";

/// Longest URL.
const LIMIT: usize = 2048;

/// Who is told, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneHome {
    /// An `http://` URL; `$INSTANCE_ID` in it becomes the instance's.
    pub url: String,
    /// The fields of the form that is sent.
    pub fields: Vec<Told>,
}

impl PhoneHome {
    /// The URL without what may be a secret.
    pub fn server(&self) -> &str {
        let rest = self.url.strip_prefix(SCHEME).unwrap_or_default();
        let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
        server.rsplit('@').next().unwrap_or_default()
    }
}

/// A field of the form, by cloud-init's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// `instance_id`.
    InstanceId,
    /// `hostname`, up to its first dot.
    Hostname,
    /// `fqdn`, all of the host name.
    Fqdn,
    /// `pub_key_ed25519`, the SSH host key.
    HostKey,
}

impl Told {
    /// All of them.
    pub const ALL: [Told; 4] = [Told::HostKey, Told::InstanceId, Told::Hostname, Told::Fqdn];

    /// cloud-init's name.
    pub fn name(self) -> &'static str {
        match self {
            Told::InstanceId => "instance_id",
            Told::Hostname => "hostname",
            Told::Fqdn => "fqdn",
            Told::HostKey => "pub_key_ed25519",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        Told::ALL.into_iter().find(|told| told.name() == text).ok_or_else(|| {
            let names: Vec<_> = Told::ALL.iter().map(|told| format!("`{}`", told.name())).collect();
            let keys = "the machine has one SSH host key, of type ed25519";
            match text.starts_with("pub_key_") {
                true => format!("this can't be told: {keys}"),
                false => format!("this can't be told; what can be is {}", names.join(", ")),
            }
        })
    }
}

/// Twinhull's own `phone-home: URL`.
pub(super) fn native(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Set<PhoneHome>> {
    let told = |url: &str| Ok::<_, &str>(PhoneHome { url: check(url)?, fields: Told::ALL.to_vec() });
    Set::read(fields, "phone-home", told, problems)
}

/// cloud-config's `phone_home: {url: URL, post: all}`.
pub(super) fn cloud_config(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Set<PhoneHome>> {
    let node = fields.node("phone_home")?;
    // How often is our own business: what counts is that it arrives.
    let inner = Fields::new(node, "`phone_home`", &["url", "post", "tries"], problems)?;
    let url = inner.required_checked("url", check, problems);
    let all = inner.node("post").is_none_or(|post| post.text() == Some("all"));
    let fields = if all { Told::ALL.to_vec() } else { inner.each("post", Told::parse, problems) };
    Some(Set { value: PhoneHome { url: url?, fields }, place: node.place.clone() })
}

fn check(url: &str) -> Result<String, &'static str> {
    let rest = url.strip_prefix(SCHEME).ok_or(
        "this must be an `http://` URL: the agent has no TLS; for `https://`, make a unit with curl of it, after \
         boot-complete.target",
    )?;
    let good = url.len() <= LIMIT && url.bytes().all(|b| b.is_ascii_graphic());
    if good && !rest.starts_with(['/', '?', '#']) && !rest.is_empty() {
        return Ok(url.to_owned());
    }
    Err("this isn't a URL as in http://host/path, of at most 2048 printable characters")
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_can_be_called() {
        let long = format!("http://a/{}", "x".repeat(2048));
        for (url, want) in [
            ("http://10.0.0.1:8080/built?x=$INSTANCE_ID", Ok("10.0.0.1:8080")),
            ("http://user:s3cret@[2001:db8::1]/", Ok("[2001:db8::1]")),
            ("https://a/", Err("the agent has no TLS")),
            ("http://", Err("isn't a URL")),
            ("http:///x", Err("isn't a URL")),
            ("http://a b", Err("isn't a URL")),
            (&long, Err("isn't a URL")),
        ] {
            let text = format!("#twinhull\nphone-home: '{url}'\n");
            match (parse(text.as_bytes()), want) {
                (Ok(Some(data)), Ok(server)) => assert_eq!(data.phone_home.unwrap().value.server(), server),
                (Err(problems), Err(want)) => {
                    assert!(problems.len() == 1 && problems[0].message.contains(want), "{problems:?}");
                    assert!(!format!("{problems:?}").contains("s3cret"));
                }
                (got, _) => panic!("{url}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_can_be_told() {
        for (home, want) in [
            ("{url: 'http://a/', post: all}", Ok(4)),
            ("{url: 'http://a/'}", Ok(4)),
            ("{url: 'http://a/', post: [fqdn, pub_key_ed25519], tries: 10}", Ok(2)),
            ("{url: 'http://a/', post: [pub_key_rsa]}", Err("one SSH host key, of type ed25519")),
            ("{url: 'http://a/', post: [name]}", Err("what can be is `pub_key_ed25519`")),
            ("{post: all}", Err("`phone_home` needs `url`")),
            ("{url: 'http://a/', body: x}", Err("has no key `body`")),
        ] {
            let text = format!("#cloud-config\nphone_home: {home}\n");
            match (parse(text.as_bytes()), want) {
                (Ok(Some(data)), Ok(n)) => assert_eq!(data.phone_home.unwrap().value.fields.len(), n),
                (Err(problems), Err(want)) => assert!(format!("{problems:?}").contains(want), "{problems:?}"),
                (got, _) => panic!("{home}: {got:?}"),
            }
        }
    }
}
