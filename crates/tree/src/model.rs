//! The tree itself: nodes, lookups that follow symbolic links, and edits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Content, Error, Result, normalize};

/// How many symbolic links one lookup may follow, the kernel's own limit.
const MAX_LINKS: u32 = 40;

/// Largest file that [`Tree::read`] takes into memory, in bytes.
const READ_LIMIT: u64 = 1 << 30;

/// A point in time; seconds since 1970 may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub secs: i64,
    /// Nanoseconds, below 10^9.
    pub nanos: u32,
}

/// Owner, permissions, time and extended attributes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission bits including setuid, setgid and sticky (`0o7777`), without the file type.
    pub mode: u16,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Metadata {
    /// Metadata of something that belongs to root, with the given permission bits.
    pub fn root(mode: u16) -> Self {
        Metadata { mode, ..Metadata::default() }
    }
}

/// Major and minor number of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The data of a regular file. Nodes that share one `Arc<FileData>` are hard links of each other.
#[derive(Debug)]
pub struct FileData {
    /// Its bytes.
    pub content: Content,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory with its entries by name.
    Directory(BTreeMap<Vec<u8>, Node>),
    /// A regular file.
    File(Arc<FileData>),
    /// A symbolic link with its target as written.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// An empty directory.
    pub fn directory() -> Self {
        Kind::Directory(BTreeMap::new())
    }

    /// A regular file with the given bytes.
    pub fn file(content: impl Into<Content>) -> Self {
        Kind::File(Arc::new(FileData { content: content.into() }))
    }

    /// The kind's name in a sentence, with its article.
    pub fn describe(&self) -> &'static str {
        match self {
            Kind::Directory(_) => "a directory",
            Kind::File(_) => "a regular file",
            Kind::Symlink(_) => "a symbolic link",
            Kind::CharDevice(_) => "a character device",
            Kind::BlockDevice(_) => "a block device",
            Kind::Fifo => "a named pipe",
            Kind::Socket => "a socket",
        }
    }
}

/// One name in the tree.
#[derive(Debug, Clone)]
pub struct Node {
    /// Owner, permissions, time and extended attributes.
    pub meta: Metadata,
    /// What it is.
    pub kind: Kind,
}

impl Node {
    /// A directory of root's, mode 0755.
    pub fn directory() -> Self {
        Node { meta: Metadata::root(0o755), kind: Kind::directory() }
    }

    /// A regular file of root's, mode 0644.
    pub fn file(content: impl Into<Content>) -> Self {
        Node { meta: Metadata::root(0o644), kind: Kind::file(content) }
    }

    /// A program of root's, mode 0755.
    pub fn program(content: impl Into<Content>) -> Self {
        Node { meta: Metadata::root(0o755), kind: Kind::file(content) }
    }

    /// A symbolic link of root's.
    pub fn symlink(target: impl Into<Vec<u8>>) -> Self {
        Node { meta: Metadata::root(0o777), kind: Kind::Symlink(target.into()) }
    }

    /// The entries, when this is a directory.
    pub fn entries(&self) -> Option<&BTreeMap<Vec<u8>, Node>> {
        match &self.kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    /// The file data, when this is a regular file.
    pub fn data(&self) -> Option<&Arc<FileData>> {
        match &self.kind {
            Kind::File(data) => Some(data),
            _ => None,
        }
    }
}

/// A whole file system tree. The root is always a directory.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Node,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { root: Node::directory() }
    }
}

impl Tree {
    /// A tree with nothing but its root directory.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The root directory.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The root directory's metadata, for changing.
    pub fn root_meta_mut(&mut self) -> &mut Metadata {
        &mut self.root.meta
    }

    /// The node at `path`, no symbolic link followed. Paths that no tree can hold give `None`.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Node> {
        let mut node = &self.root;
        for part in normalize(path.as_ref()).ok()? {
            node = node.entries()?.get(part)?;
        }
        Some(node)
    }

    /// As [`Tree::get`], for changing.
    pub fn get_mut(&mut self, path: impl AsRef<[u8]>) -> Option<&mut Node> {
        let mut node = &mut self.root;
        for part in normalize(path.as_ref()).ok()? {
            node = match &mut node.kind {
                Kind::Directory(entries) => entries.get_mut(part)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// Follows every symbolic link in `path`, the last component's too, as if this tree were `/`.
    /// Returns the real path (`/usr/lib/...`) and the node, or `None` when it leads nowhere.
    ///
    /// Returns [`Error::TooManyLinks`] after 40 links.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<Option<(String, &Node)>> {
        let shown = || String::from_utf8_lossy(path.as_ref()).into_owned();
        let mut todo: Vec<Vec<u8>> = path.as_ref().split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut stack: Vec<(&[u8], &Node)> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    stack.pop();
                    continue;
                }
                _ => {}
            }
            let here = stack.last().map_or(&self.root, |(_, n)| n);
            let Some((name, node)) = here.entries().and_then(|e| e.get_key_value(&part)) else {
                return Ok(None);
            };
            if let Kind::Symlink(target) = &node.kind {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::TooManyLinks(shown()));
                }
                if target.starts_with(b"/") {
                    stack.clear();
                }
                todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
            } else {
                stack.push((name, node));
            }
        }
        let mut real = String::new();
        for (name, _) in &stack {
            real.push('/');
            real.push_str(&String::from_utf8_lossy(name));
        }
        Ok(Some((real, stack.last().map_or(&self.root, |(_, n)| n))))
    }

    /// Whether `path` leads to something, symbolic links followed.
    pub fn exists(&self, path: impl AsRef<[u8]>) -> bool {
        matches!(self.resolve(path), Ok(Some(_)))
    }

    /// The bytes of the regular file at `path`, symbolic links followed.
    ///
    /// Returns [`Error::Missing`], [`Error::WrongKind`], or [`Error::TooLarge`] over 1 GiB.
    pub fn read(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let shown = || String::from_utf8_lossy(path.as_ref()).into_owned();
        let (_, node) = self.resolve(&path)?.ok_or_else(|| Error::Missing(shown()))?;
        let data = node.data().ok_or_else(|| Error::WrongKind {
            path: shown(),
            found: node.kind.describe(),
            wanted: "a regular file",
        })?;
        let size = data.content.len();
        if size > READ_LIMIT {
            return Err(Error::TooLarge { path: shown(), size, limit: READ_LIMIT });
        }
        Ok(data.content.read()?)
    }

    /// As [`Tree::read`], decoded as UTF-8 with replacement characters.
    pub fn read_text(&self, path: impl AsRef<[u8]>) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// The entry names of the directory at `path` (symbolic links followed), sorted; empty when
    /// there is no such directory.
    pub fn list(&self, path: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        match self.resolve(path) {
            Ok(Some((_, node))) => node.entries().map(|e| e.keys().cloned().collect()).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Puts `node` at `path`, replacing what was there. Missing parents become directories of
    /// root's with mode 0755; symbolic links in `path` are not followed.
    ///
    /// Returns [`Error::WrongKind`] when a parent is no directory.
    pub fn insert(&mut self, path: impl AsRef<[u8]>, node: Node) -> Result<()> {
        let mut parts = normalize(path.as_ref())?;
        let Some(last) = parts.pop() else {
            if node.entries().is_none() {
                return Err(Error::WrongKind {
                    path: "/".into(),
                    found: node.kind.describe(),
                    wanted: "a directory",
                });
            }
            self.root = node;
            return Ok(());
        };
        let mut here = &mut self.root;
        for part in parts {
            let found = here.kind.describe();
            let Kind::Directory(entries) = &mut here.kind else {
                return Err(not_a_directory(path.as_ref(), found));
            };
            here = entries.entry(part.to_vec()).or_insert_with(Node::directory);
        }
        let found = here.kind.describe();
        let Kind::Directory(entries) = &mut here.kind else {
            return Err(not_a_directory(path.as_ref(), found));
        };
        entries.insert(last.to_vec(), node);
        Ok(())
    }

    /// Takes the node at `path` out of the tree, no symbolic link followed.
    pub fn remove(&mut self, path: impl AsRef<[u8]>) -> Option<Node> {
        let mut parts = normalize(path.as_ref()).ok()?;
        let last = parts.pop()?;
        let mut here = &mut self.root;
        for part in parts {
            here = match &mut here.kind {
                Kind::Directory(entries) => entries.get_mut(part)?,
                _ => return None,
            };
        }
        match &mut here.kind {
            Kind::Directory(entries) => entries.remove(last),
            _ => None,
        }
    }

    /// Every node below (and with) the root with its path (`/usr/bin/true`), parents first, names
    /// in byte order. The root itself is `/`.
    pub fn walk(&self) -> Walk<'_> {
        Walk { stack: vec![(Vec::new(), &self.root)] }
    }

    /// Every node below (and with) `path`, as [`Tree::walk`]; nothing when `path` isn't there.
    pub fn walk_from(&self, path: impl AsRef<[u8]>) -> Walk<'_> {
        let Ok(parts) = normalize(path.as_ref()) else {
            return Walk { stack: Vec::new() };
        };
        let mut prefix = Vec::new();
        for part in parts {
            prefix.push(b'/');
            prefix.extend_from_slice(part);
        }
        Walk { stack: self.get(&prefix).map(|n| (prefix, n)).into_iter().collect() }
    }

    /// Calls `change` with every node and its path, parents first.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&[u8], &mut Node)) {
        fn visit(path: &mut Vec<u8>, node: &mut Node, change: &mut impl FnMut(&[u8], &mut Node)) {
            change(if path.is_empty() { b"/" } else { path }, node);
            if let Kind::Directory(entries) = &mut node.kind {
                for (name, child) in entries {
                    let len = path.len();
                    path.push(b'/');
                    path.extend_from_slice(name);
                    visit(path, child, change);
                    path.truncate(len);
                }
            }
        }
        visit(&mut Vec::new(), &mut self.root, &mut change);
    }
}

fn not_a_directory(path: &[u8], found: &'static str) -> Error {
    Error::WrongKind {
        path: format!("a parent of {}", String::from_utf8_lossy(path)),
        found,
        wanted: "a directory",
    }
}

/// Iterator of [`Tree::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    stack: Vec<(Vec<u8>, &'a Node)>,
}

impl<'a> Iterator for Walk<'a> {
    /// Path inside the tree and the node.
    type Item = (Vec<u8>, &'a Node);

    fn next(&mut self) -> Option<Self::Item> {
        let (path, node) = self.stack.pop()?;
        if let Some(entries) = node.entries() {
            for (name, child) in entries.iter().rev() {
                let mut full = path.clone();
                full.push(b'/');
                full.extend_from_slice(name);
                self.stack.push((full, child));
            }
        }
        Some((if path.is_empty() { b"/".to_vec() } else { path }, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        tree.insert("/usr/lib/os-release", Node::file("ID=x\n")).unwrap();
        tree.insert("/lib", Node::symlink("usr/lib")).unwrap();
        tree.insert("/etc/os-release", Node::symlink("../usr/lib/os-release")).unwrap();
        tree.insert("/loop", Node::symlink("/loop")).unwrap();
        tree
    }

    #[test]
    fn lookups_follow_links_inside_the_tree_only() {
        let tree = sample();
        assert_eq!(tree.read("/etc/os-release").unwrap(), b"ID=x\n");
        assert_eq!(tree.resolve("/lib/os-release").unwrap().unwrap().0, "/usr/lib/os-release");
        assert_eq!(tree.resolve("/../../lib").unwrap().unwrap().0, "/usr/lib");
        assert!(matches!(tree.resolve("/loop"), Err(Error::TooManyLinks(_))));
        assert!(tree.get("/lib/os-release").is_none());
        assert!(!tree.exists("/nowhere/at/all"));
    }

    #[test]
    fn a_file_is_no_parent() {
        let mut tree = sample();
        let error = tree.insert("/usr/lib/os-release/x", Node::file("")).unwrap_err();
        assert!(error.to_string().contains("a regular file"), "{error}");
    }

    #[test]
    fn walks_go_parents_first_in_byte_order() {
        let paths: Vec<String> =
            sample().walk().map(|(p, _)| String::from_utf8_lossy(&p).into_owned()).collect();
        let expected =
            ["/", "/etc", "/etc/os-release", "/lib", "/loop", "/usr", "/usr/lib", "/usr/lib/os-release"];
        assert_eq!(paths, expected);
    }
}
