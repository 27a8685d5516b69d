//! Lines of tmpfiles.d(5), quoted so that any name survives.

use twinhull_tree::Metadata;

/// A fragment being written.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    text: String,
    yields: bool,
}

impl Fragment {
    /// A fragment that starts with a comment.
    pub(super) fn new(comment: &str) -> Self {
        Fragment { text: format!("# {comment}\n"), yields: false }
    }

    /// The same, but what is there already keeps its mode and owner.
    pub(super) fn yielding(self) -> Self {
        Fragment { yields: true, ..self }
    }

    /// `d`: a directory with owner and mode.
    pub(super) fn directory(&mut self, path: &[u8], meta: &Metadata) {
        self.line("d", path, Some(meta), b"");
    }

    /// `L`: a symbolic link where nothing is.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) {
        self.line("L", path, None, target);
    }

    /// `L+`: a symbolic link in place of whatever is there.
    pub(super) fn force_link(&mut self, path: &[u8], target: &[u8]) {
        self.line("L+", path, None, target);
    }

    /// `C`: a copy of `source` where nothing is.
    pub(super) fn copy(&mut self, path: &[u8], meta: &Metadata, source: &[u8]) {
        // `C` sets the mode of what is there, whatever it has in front. Without one, a copy has the source's.
        self.line("C", path, Some(meta).filter(|_| !self.yields), source);
    }

    fn line(&mut self, kind: &str, path: &[u8], meta: Option<&Metadata>, argument: &[u8]) {
        let new = if self.yields { ":" } else { "" };
        let (mode, owner) = match meta {
            Some(m) => (format!("{new}{:04o}", m.mode), format!("{new}{} {new}{}", m.uid, m.gid)),
            None => ("-".into(), "- -".into()),
        };
        self.text.push_str(&format!("{kind} {} {mode} {owner} -", quote(path)));
        if !argument.is_empty() {
            // The argument is the rest of the line: specifiers and escapes count, quotes don't.
            self.text.push(' ');
            self.text.push_str(&escape(argument, false));
        }
        self.text.push('\n');
    }

    /// The fragment's text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn quote(path: &[u8]) -> String {
    let plain = path.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\%".contains(b));
    if plain { String::from_utf8_lossy(path).into_owned() } else { format!("\"{}\"", escape(path, true)) }
}

fn escape(bytes: &[u8], quoted: bool) -> String {
    let mut out = String::new();
    for &b in bytes {
        match b {
            b'%' => out.push_str("%%"),
            b'\\' | b'"' => out.push_str(&format!("\\{}", b as char)),
            b' ' if quoted => out.push(' '),
            b if b.is_ascii_graphic() => out.push(b as char),
            b => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted() {
        let mut fragment = Fragment::new("x");
        fragment.link(b"/etc/a b%c", b"../usr/a b%c");
        let meta = Metadata { mode: 0o640, gid: 42, ..Metadata::default() };
        fragment.copy(b"/etc/shadow", &meta, b"/usr/x");
        let mut fragment = fragment.yielding();
        fragment.directory(b"/etc/x", &meta);
        fragment.copy(b"/etc/y", &meta, b"/usr/y");
        assert_eq!(
            fragment.into_text(),
            "# x\nL \"/etc/a b%%c\" - - - - ../usr/a\\x20b%%c\nC /etc/shadow 0640 0 42 - /usr/x\n\
             d /etc/x :0640 :0 :42 -\nC /etc/y - - - - /usr/y\n"
        );
    }
}
