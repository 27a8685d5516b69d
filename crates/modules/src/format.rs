//! Texts with a well-known form: durations, addresses, host names and the like.

use std::net::IpAddr;

use twinhull_sysutil::size;

/// A well-known form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `5min`, `1h 30min`
    Duration,
    /// `512M`
    Size,
    /// A number from 1 to 65535.
    Port,
    /// An IPv4 or IPv6 address.
    Ip,
    /// Addresses: `10.0.0.0/8`
    Cidr,
    /// A host name.
    Host,
    /// An http or https URL.
    Url,
    /// An absolute path.
    Path,
    /// When: `Mon *-*-* 03:00:00`
    Calendar,
    /// A user of the system.
    User,
    /// A program by name or absolute path.
    Command,
    /// The name of a credential.
    Credential,
    /// A file or folder beside the spec.
    Local,
}

impl Format {
    /// All of them, with the words that module.yaml has for them.
    pub const ALL: [(&'static str, Format); 13] = [
        ("duration", Format::Duration),
        ("size", Format::Size),
        ("port", Format::Port),
        ("ip", Format::Ip),
        ("cidr", Format::Cidr),
        ("host", Format::Host),
        ("url", Format::Url),
        ("path", Format::Path),
        ("calendar", Format::Calendar),
        ("user", Format::User),
        ("command", Format::Command),
        ("credential", Format::Credential),
        ("local", Format::Local),
    ];

    /// With its article.
    pub fn noun(self) -> &'static str {
        match self {
            Format::Duration => "a duration",
            Format::Size => "a size",
            Format::Port => "a port",
            Format::Ip => "an IP address",
            Format::Cidr => "an address range",
            Format::Host => "a host name",
            Format::Url => "a URL",
            Format::Path => "an absolute path",
            Format::Calendar => "a calendar expression",
            Format::User => "a user name",
            Format::Command => "a command",
            Format::Credential => "the name of a credential",
            Format::Local => "a file or folder, relative to the spec's folder",
        }
    }

    /// One that is right.
    pub fn example(self) -> &'static str {
        match self {
            Format::Duration => "5min",
            Format::Size => "512M",
            Format::Port => "8080",
            Format::Ip => "192.0.2.1",
            Format::Cidr => "10.0.0.0/8",
            Format::Host => "www.example.org",
            Format::Url => "https://example.org/",
            Format::Path => "/usr/share/site",
            Format::Calendar => "Mon *-*-* 03:00:00",
            Format::User => "www-data",
            Format::Command => "/usr/bin/tgbots",
            Format::Credential => "dns-token",
            Format::Local => "./site",
        }
    }

    /// A pattern of all texts that are one, and of some that aren't, for editors.
    pub fn pattern(self) -> Option<&'static str> {
        Some(match self {
            Format::Duration => "^[0-9]+(s|sec|m|min|h|hr|d|w)?( +[0-9]+(s|sec|m|min|h|hr|d|w)?)*$",
            Format::Cidr => "^[0-9A-Fa-f.:]+/[0-9]{1,3}$",
            Format::Ip => "^[0-9A-Fa-f.:]+$",
            Format::Host => {
                "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"
            }
            Format::Url => "^https?://[^/?# ]+[^ ]*$",
            Format::Path => "^/([A-Za-z0-9_.+@:~,=-]+(/[A-Za-z0-9_.+@:~,=-]+)*)?$",
            Format::User => "^[a-z_][a-z0-9_-]{0,30}$",
            Format::Command => "^[A-Za-z0-9_/][A-Za-z0-9_.+@:~,=/-]*$",
            Format::Credential => "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
            Format::Size | Format::Port | Format::Calendar | Format::Local => return None,
        })
    }

    /// What to do about a text that isn't one; none when it is.
    pub fn problem(self, text: &str) -> Option<String> {
        let good = text.len() <= 1024
            && match self {
                Format::Duration => duration(text).is_some(),
                Format::Size => size::parse(text).is_ok(),
                Format::Port => text.parse::<u16>().is_ok_and(|port| port > 0),
                Format::Ip => text.parse::<IpAddr>().is_ok(),
                Format::Cidr => cidr(text),
                Format::Host => host(text),
                Format::Url => url(text),
                Format::Path => path(text),
                Format::Calendar => calendar(text),
                Format::User => user(text),
                Format::Command => {
                    path(text) || (is_word(text, "+._-") && !text.starts_with(['-', '.', '+']))
                }
                Format::Credential => text.len() <= 64 && is_word(text, "._-") && !text.starts_with('.'),
                Format::Local => !text.is_empty() && !text.chars().any(char::is_control),
            };
        if good {
            return None;
        }
        Some(match self {
            Format::Path | Format::Command if text.contains("..") => "write the path without `..`".into(),
            Format::Path if !text.starts_with('/') => "begin it with `/`".into(),
            _ => format!("for example {}", self.example()),
        })
    }
}

/// Letters, digits, and the others.
fn is_word(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Seconds of a duration as systemd writes it.
pub(crate) fn duration(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.split_whitespace().try_fold(0u64, |sum, part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let unit = match part.get(digits..)? {
            "" | "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" | "hr" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        sum.checked_add(part.get(..digits)?.parse::<u64>().ok()?.checked_mul(unit)?)
    })
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

fn host(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            label.len() <= 63 && is_word(label, "-") && !label.starts_with('-') && !label.ends_with('-')
        })
}

fn url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"\"'\\<>^`{|};$".contains(c))
}

/// Characters that mean something to systemd or to a configuration file are not in any path here.
fn path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.is_empty()
            || rest.split('/').all(|part| is_word(part, "_-.+@:~,=") && part != "." && part != "..")
    })
}

fn calendar(text: &str) -> bool {
    let short = ["minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"];
    short.contains(&text)
        || (text.contains(':') && text.chars().all(|c| c.is_ascii_alphanumeric() || " *-:,./~".contains(c)))
}

fn user(text: &str) -> bool {
    text.len() <= 31
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_right() {
        for (name, format) in Format::ALL {
            assert_eq!(format.problem(format.example()), None, "{name}");
            let pattern = format.pattern().map(|pattern| regex_lite::Regex::new(pattern).unwrap());
            assert!(pattern.is_none_or(|pattern| pattern.is_match(format.example())), "{name}");
        }
    }

    #[test]
    fn forms() {
        for (format, text, good) in [
            (Format::Duration, "1h 30min", true),
            (Format::Duration, "soon", false),
            (Format::Duration, "", false),
            (Format::Port, "0", false),
            (Format::Ip, "::1", true),
            (Format::Ip, "1.2.3", false),
            (Format::Cidr, "10.0.0.0/33", false),
            (Format::Cidr, "fd00::/8", true),
            (Format::Host, "a_b", false),
            (Format::Host, "-a.org", false),
            (Format::Url, "ftp://x", false),
            (Format::Url, "https://x/y z", false),
            (Format::Url, "http://[::1]:80/", true),
            (Format::Path, "/", true),
            (Format::Path, "/a//b", false),
            (Format::Path, "/a/../b", false),
            (Format::Path, "a", false),
            (Format::Path, "/a b", false),
            (Format::Path, "/a;b", false),
            (Format::Calendar, "daily", true),
            (Format::Calendar, "sometimes", false),
            (Format::User, "Root", false),
            (Format::Command, "nginx", true),
            (Format::Command, "rm -rf", false),
            (Format::Credential, "../x", false),
        ] {
            assert_eq!(format.problem(text).is_none(), good, "{format:?} {text}");
            if let Some(pattern) = format.pattern() {
                let matches = regex_lite::Regex::new(pattern).unwrap().is_match(text);
                assert!(matches || !good, "what is right matches: {format:?} {text}");
            }
        }
    }
}
