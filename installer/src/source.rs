//! Where an image and its document come from: a web server, a file, or a pipe.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

use crate::document::EXTENSION;
use crate::download::{self, Download, PATIENCE};
use crate::{Error, Result};

/// A place as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `http:` or `https:`.
    Web(Url),
    /// A path.
    File(PathBuf),
    /// `-`.
    Stdin,
}

/// Something to read, and how long it is if that is known.
pub struct Input {
    /// What comes.
    pub reader: Box<dyn Read + Send>,
    /// Length in bytes.
    pub length: Option<u64>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("length", &self.length).finish_non_exhaustive()
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Source::Stdin);
        }
        match text.split_once("://") {
            Some(("http" | "https", _)) => {
                Url::parse(text).map(Source::Web).map_err(|e| format!("{text:?} is no URL: {e}"))
            }
            Some((scheme, _)) if scheme.bytes().all(|c| c.is_ascii_alphanumeric()) => Err(format!(
                "{scheme} is no way to fetch an image; give an http or https URL, a file, or - and pipe it in"
            )),
            _ => Ok(Source::File(text.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Web(url) => url.fmt(f),
            Source::File(path) => path.display().fmt(f),
            Source::Stdin => f.write_str("standard input"),
        }
    }
}

impl Source {
    /// Where the document of an image lies: beside it. `None` for standard input.
    pub fn document(&self) -> Option<Source> {
        match self {
            Source::Web(url) => {
                let mut beside = url.clone();
                beside.set_path(&format!("{}{EXTENSION}", url.path()));
                Some(Source::Web(beside))
            }
            Source::File(path) => {
                let mut beside = path.clone().into_os_string();
                beside.push(EXTENSION);
                Some(Source::File(beside.into()))
            }
            Source::Stdin => None,
        }
    }

    /// Opens it for reading once, from front to back.
    ///
    /// Returns [`Error::Source`].
    pub fn open(&self) -> Result<Input> {
        let failed = |error: io::Error| Error::Source { name: self.to_string(), reason: error.to_string() };
        match self {
            Source::Web(url) => {
                let download = Download::open(download::client(PATIENCE)?, url.clone(), PATIENCE)?;
                Ok(Input { length: download.length(), reader: Box::new(download) })
            }
            Source::File(path) => {
                let file = fs_err::File::open(path).map_err(failed)?;
                let metadata = file.metadata().map_err(failed)?;
                if metadata.is_dir() {
                    return Err(Error::Source { name: self.to_string(), reason: "it is a folder".into() });
                }
                Ok(Input { length: metadata.is_file().then_some(metadata.len()), reader: Box::new(file) })
            }
            Source::Stdin => Ok(Input { reader: Box::new(io::stdin()), length: None }),
        }
    }

    /// Reads all of a small file; `None` if there is none.
    ///
    /// Returns [`Error::Source`], also for more than `limit` bytes.
    pub fn read(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        let failed = |reason: String| Error::Source { name: self.to_string(), reason };
        match self {
            Source::Web(url) => download::small(&download::client(PATIENCE)?, url, limit),
            Source::File(path) => {
                let file = match fs_err::File::open(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                    file => file.map_err(|e| failed(e.to_string()))?,
                };
                let mut bytes = Vec::new();
                file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
                if bytes.len() as u64 > limit {
                    return Err(failed(format!(
                        "it is longer than {limit} bytes; is it the signed document?"
                    )));
                }
                Ok(Some(bytes))
            }
            Source::Stdin => Err(failed("the image comes from there, not its document".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_the_documents_beside_them() {
        for (text, want) in [
            ("https://x.example/a/web_1.raw.zst", "https://x.example/a/web_1.raw.zst.json"),
            ("http://x.example/web.raw.zst?token=1", "http://x.example/web.raw.zst.json?token=1"),
            ("out/web.raw.zst", "out/web.raw.zst.json"),
            ("/srv/a b", "/srv/a b.json"),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.document().unwrap().to_string(), want);
        }
        assert_eq!("-".parse::<Source>().unwrap().document(), None);
        for (text, word) in [("ftp://x/y", "ftp is no way"), ("http://", "is no URL")] {
            assert!(text.parse::<Source>().unwrap_err().contains(word), "{text}");
        }
    }

    #[test]
    fn documents_have_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let source = Source::File(path.clone());
        assert!(source.read(4).unwrap().is_none());
        fs_err::write(&path, "1234").unwrap();
        assert_eq!(source.read(4).unwrap().unwrap(), b"1234");
        assert!(source.read(3).unwrap_err().to_string().contains("longer than 3"));
        assert!(Source::File(dir.path().into()).open().unwrap_err().to_string().contains("folder"));
    }
}
