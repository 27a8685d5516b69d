//! What the agent must know of the image: its account files, and which folders of /etc it links as a whole.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::accounts::{Accounts, FILES};
use crate::rooted::Meta;
use crate::{Error, Result};

const FACTORY: &str = "usr/share/factory/etc";

/// The image below a root.
#[derive(Debug)]
pub struct Image {
    root: PathBuf,
    linked: BTreeSet<String>,
}

/// A folder of links into the image, as a real one.
#[derive(Debug, Default)]
pub struct Unfolded {
    /// Folders to make, outermost first.
    pub folders: Vec<(String, Meta)>,
    /// Links to make, as path and target.
    pub links: Vec<(String, String)>,
}

impl Image {
    /// Looks at the image.
    pub fn open(root: &std::path::Path) -> Result<Self> {
        let path = root.join("usr/lib/tmpfiles.d/00-twinhull-etc.conf");
        let text =
            fs_err::read_to_string(&path).map_err(|e| Error::Image { path, problem: e.to_string() })?;
        let link = |line: &str| {
            let mut words = line.split_whitespace();
            let kind = words.next()?;
            (kind == "L" || kind == "L+").then(|| words.next().map(str::to_owned)).flatten()
        };
        Ok(Image { root: root.to_owned(), linked: text.lines().filter_map(link).collect() })
    }

    fn factory(&self, path: &str) -> PathBuf {
        self.root.join(FACTORY).join(path.strip_prefix("/etc/").unwrap_or(path))
    }

    /// A file by its absolute path; `None` when there is none. Returns what is wrong with one of more than `limit` bytes.
    pub fn limited(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        let path = self.root.join(path.trim_start_matches('/'));
        match fs_err::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.to_string()),
            Ok(found) if found.len() > limit => {
                return Err(format!("it has {} bytes; {limit} are the most", found.len()));
            }
            Ok(_) => {}
        }
        fs_err::read(&path).map(Some).map_err(|e| e.to_string())
    }

    /// Account files with what they have as mode and owner.
    pub fn accounts(&self) -> Result<(Accounts, [Meta; 4])> {
        let mut texts = [const { String::new() }; 4];
        let mut metas = [Meta::root(0o644), Meta::root(0o644), Meta::root(0o640), Meta::root(0o640)];
        for ((name, text), meta) in FILES.iter().zip(&mut texts).zip(&mut metas) {
            let path = self.factory(name);
            let unusable = |e: std::io::Error| Error::Image { path: path.clone(), problem: e.to_string() };
            match fs_err::read_to_string(&path) {
                Ok(read) => *text = read,
                // An image without gshadow is one that doesn't use it.
                Err(e) if *name == "gshadow" && e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unusable(e)),
            }
            let found = fs_err::metadata(&path).map_err(unusable)?;
            *meta = Meta { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() };
        }
        let [a, b, c, d] = &texts;
        Ok((Accounts::parse([a, b, c, d]), metas))
    }

    /// Whether the image has a program at an absolute path; /bin and /sbin are links into /usr.
    pub fn has_program(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        [path.to_owned(), format!("usr/{path}")]
            .iter()
            .any(|p| fs_err::metadata(self.root.join(p)).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0))
    }

    /// Whether the image has a unit, or the template of an instance.
    pub fn has_unit(&self, name: &str) -> Option<String> {
        let template = name
            .split_once('@')
            .and_then(|(base, rest)| Some(format!("{base}@.{}", rest.rsplit_once('.')?.1)));
        [Some(name.to_owned()), template].into_iter().flatten().find_map(|n| {
            let path = format!("usr/lib/systemd/system/{n}");
            self.root.join(&path).exists().then(|| format!("/{path}"))
        })
    }

    /// What the image's unit says.
    pub fn unit_text(&self, name: &str) -> Option<String> {
        let path = self.has_unit(name)?;
        fs_err::read_to_string(self.root.join(path.trim_start_matches('/'))).ok()
    }

    /// Whether the image has a time zone of this name.
    pub fn has_time_zone(&self, name: &str) -> bool {
        fs_err::metadata(self.root.join("usr/share/zoneinfo").join(name)).is_ok_and(|m| m.is_file())
    }

    /// Whether a file of /etc is one that the image makes a folder, or has one of its ancestors as a file.
    pub fn in_the_way(&self, path: &str) -> Option<String> {
        if self.factory(path).is_dir() {
            return Some(path.to_owned());
        }
        ancestors(path).find(|a| fs_err::symlink_metadata(self.factory(a)).is_ok_and(|m| !m.is_dir()))
    }

    /// The mode of a folder of /etc that the image has, too.
    fn folder(&self, path: &str) -> Option<Meta> {
        let meta = fs_err::symlink_metadata(self.factory(path)).ok().filter(std::fs::Metadata::is_dir)?;
        Some(Meta { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() })
    }

    /// The folders above a file of /etc that the image has, too, outermost first.
    pub fn folders_above(&self, path: &str) -> Vec<(String, Meta)> {
        ancestors(path).map_while(|folder| self.folder(&folder).map(|meta| (folder, meta))).collect()
    }

    /// What must be made so that a file of /etc can be below a folder that the image links as a whole: the
    /// folders, with their mode, and for each of their other entries a link to the image's.
    pub fn unfold(&self, path: &str) -> Unfolded {
        let Unfolded { mut folders, mut links } = Unfolded::default();
        let mut below_linked = false;
        for folder in ancestors(path) {
            below_linked |= self.linked.contains(&folder);
            let Some(meta) = self.folder(&folder) else { break };
            if !below_linked {
                continue;
            }
            folders.push((folder.clone(), meta));
            let Ok(entries) = fs_err::read_dir(self.factory(&folder)) else { continue };
            let mut names: Vec<String> =
                entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
            names.sort();
            for name in names {
                let at = format!("{folder}/{name}");
                let on_the_way = path == at || path.starts_with(&format!("{at}/"));
                if !on_the_way {
                    let up = "../".repeat(folder.matches('/').count());
                    let inner = at.strip_prefix("/etc/").unwrap_or(&at);
                    links.push((at.clone(), format!("{up}{FACTORY}/{inner}")));
                }
            }
        }
        Unfolded { folders, links }
    }
}

/// `/etc/a/b/c`: `/etc/a`, `/etc/a/b`.
fn ancestors(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').skip(2).map(|(at, _)| path[..at].to_owned())
}
