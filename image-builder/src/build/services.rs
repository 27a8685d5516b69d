//! What services of the spec put into the image, and what they need of the tree.

use std::collections::{BTreeMap, BTreeSet};

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_spec::Output;
use twinhull_tree::source::dir;
use twinhull_tree::{Kind, Metadata, Node, Tree};

/// Folders that commands without a path are looked for in.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Their files, from the root; what they copy is in the folder `base`.
///
/// Makes sure that the tree has what they run, and that they replace nothing of it or of Twinhull's own `overlay` of /usr.
/// All that is wrong with that is said at once.
pub(super) fn files(output: &Output, base: &Path, tree: &Tree, overlay: &Tree) -> Result<Tree> {
    let mut files = Tree::new();
    let mut wrong = Vec::new();
    let taken = |path: &[u8]| {
        tree.exists(path) || path.strip_prefix(b"/usr/").is_some_and(|path| overlay.exists(path))
    };
    for (path, file) in &output.files {
        if !file.adds && taken(path.as_bytes()) {
            let services: Vec<_> = file.origins.iter().map(|origin| origin.service.as_str()).collect();
            wrong.push(format!(
                "services.{}: {path} would replace a file that the image has already; give the service another name",
                services.join(", services.")
            ));
            continue;
        }
        // What a package has there stays in front of it.
        let before =
            if file.adds && tree.exists(path) { tree.read_text(path)? + "\n" } else { String::new() };
        let mut node = Node::file(before + &file.content);
        node.meta.mode = u16::try_from(file.mode)?;
        files.insert(path.as_str(), node)?;
    }
    for (path, copied) in &output.copies {
        let (service, from) = (&copied.origin.service, base.join(&copied.from));
        let mut copy = Tree::new();
        copy.insert(path.as_str(), plain(dir::node(&from)?))?;
        for (path, node) in copy.walk().filter(|(_, node)| node.entries().is_none()) {
            let text = String::from_utf8_lossy(&path);
            if taken(&path) || files.exists(&path) {
                wrong.push(format!(
                    "services.{service}: {text} would replace a file that the image has already; copy {} to another place",
                    copied.from
                ));
                continue;
            }
            usable(node).with_context(|| format!("services.{service}: {} for {text}", from.display()))?;
            files.insert(path, node.clone())?;
        }
    }
    let mut missing: BTreeMap<&str, (BTreeSet<&str>, &[String])> = BTreeMap::new();
    for need in output.needs.iter().filter(|need| !has(tree, &need.command) && !has(&files, &need.command)) {
        missing.entry(&need.command).or_insert((BTreeSet::new(), &need.debian)).0.insert(&need.service);
    }
    for (command, (services, packages)) in missing {
        let services: Vec<_> = services.into_iter().collect();
        let advice = match packages {
            [] => "add the package or the file that has it to the tree".into(),
            packages => format!("Debian packages that have it: {}", packages.join(", ")),
        };
        wrong.push(format!(
            "services.{}: the tree has no command {command}; {advice}",
            services.join(", services.")
        ));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n  "));
    Ok(files)
}

/// Whether a tree has a command: a path, or a name in one of the usual folders.
fn has(tree: &Tree, command: &str) -> bool {
    if !command.starts_with('/') {
        return PATH.iter().any(|folder| tree.exists(format!("{folder}/{command}")));
    }
    // /bin, /sbin and /lib are links into /usr.
    tree.exists(command) || tree.exists(format!("/usr{command}"))
}

/// As it is for everybody who builds: root's, readable, without times, and without what version control keeps.
fn plain(mut node: Node) -> Node {
    let executable = node.meta.mode & 0o100 != 0;
    match &mut node.kind {
        Kind::Directory(entries) => {
            entries.remove(b".git".as_slice());
            *entries = std::mem::take(entries).into_iter().map(|(name, node)| (name, plain(node))).collect();
            Node { meta: Metadata::root(0o755), ..node }
        }
        Kind::Symlink(_) => Node { meta: Metadata::root(0o777), ..node },
        _ => Node { meta: Metadata::root(if executable { 0o755 } else { 0o644 }), ..node },
    }
}

/// Whether an image may hold this.
fn usable(node: &Node) -> Result<()> {
    match &node.kind {
        Kind::Symlink(_) => Ok(()),
        Kind::File(data) => {
            // A key file is small; programs may have the words in them.
            let small = data.content.len() <= 64 << 10;
            let secret = small && data.content.read()?.windows(16).any(|w| w == b"PRIVATE KEY-----");
            ensure!(
                !secret,
                "it is a private key, which everybody could read; let the service read it from a credential"
            );
            Ok(())
        }
        other => bail!("it is {}; files, folders and links can be copied", other.describe()),
    }
}

/// Which units they let targets want, as (target, unit).
pub(super) fn wanted(output: &Output) -> impl Iterator<Item = (String, String)> {
    output.wants.iter().flat_map(|(target, units)| units.iter().map(|unit| (target.clone(), unit.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(services: &str) -> Output {
        let text = format!(
            "image: {{id: a, version: 1}}\ntree: {{dir: .}}\nmodules: [app, files, login-shell, nginx]\nservices: {{{services}}}\n"
        );
        twinhull_spec::from_str(&text).unwrap().services
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in paths {
            tree.insert(*path, Node::file("x")).unwrap();
        }
        tree
    }

    #[test]
    fn commands_must_be_there() {
        let web = output("web: {template: nginx.server}");
        let said = |output: &Output, tree: Tree| {
            files(output, Path::new("."), &tree, &Tree::new()).map(drop).map_err(|e| e.to_string())
        };
        assert_eq!(said(&web, tree(&["/usr/sbin/nginx", "/usr/bin/bash"])), Ok(()));
        let problem = said(&web, tree(&["/usr/bin/bash"])).unwrap_err();
        assert_eq!(
            problem,
            "services.web: the tree has no command nginx; Debian packages that have it: nginx, nginx-light, nginx-full"
        );
        let own = output(
            "a: {template: app.service, command: [/bin/a]}, b: {template: app.service, command: [/bin/a]}",
        );
        assert!(said(&own, tree(&["/usr/bin/a"])).is_ok());
        let problem = said(&own, tree(&[])).unwrap_err();
        assert!(problem.starts_with("services.a, services.b: the tree has no command /bin/a;"), "{problem}");
        // A service may bring it.
        let both = output(
            "a: {template: app.service, command: [/bin/a]}, b: {template: files.file, path: /usr/bin/a, content: x, executable: true}",
        );
        assert_eq!(said(&both, tree(&[])), Ok(()));
    }

    #[test]
    fn nothing_is_replaced() {
        let own = output("ssh: {template: app.service, command: [/usr/bin/a]}");
        let unit = "lib/systemd/system/ssh.service";
        let whole = format!("/usr/{unit}");
        let made = |tree: Tree, overlay: Tree| files(&own, Path::new("."), &tree, &overlay);
        assert!(made(tree(&["/usr/bin/a", &whole]), Tree::new()).is_err());
        assert!(made(tree(&["/usr/bin/a"]), tree(&[unit])).is_err());
        assert!(made(tree(&["/usr/bin/a"]), Tree::new()).is_ok());
    }

    #[test]
    fn files_have_their_modes_and_may_follow_what_is_there() {
        let spec = "web: {template: nginx.server}, shell: {template: login-shell.zsh, plugins: []}";
        let tree = tree(&["/usr/sbin/nginx", "/usr/bin/bash", "/usr/bin/zsh", "/etc/zsh/zshrc"]);
        let files = files(&output(spec), Path::new("."), &tree, &Tree::new()).unwrap();
        let node = files.get("/usr/lib/services/web/nginx.conf").unwrap();
        assert_eq!(node.meta.mode & 0o7777, 0o644);
        assert!(files.read_text("/etc/zsh/zshrc").unwrap().starts_with("x\n# Of the service shell."));
    }

    #[test]
    fn copies_are_everybody_s_and_hold_no_keys() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        put("site/index.html", "hello");
        put("site/.git/config", "x");
        std::os::unix::fs::symlink("index.html", dir.path().join("site/home.html")).unwrap();
        let copy = output("site: {template: files.copy, from: site, to: /usr/share/site}");
        let made = |tree: &Tree| files(&copy, dir.path(), tree, &Tree::new());
        let files = made(&Tree::new()).unwrap();
        let all: Vec<_> = (files.walk().filter(|(_, n)| n.entries().is_none()))
            .map(|(path, node)| {
                format!("{} {:o} {}", String::from_utf8_lossy(&path), node.meta.mode, node.meta.uid)
            })
            .collect();
        assert_eq!(all, ["/usr/share/site/home.html 777 0", "/usr/share/site/index.html 644 0"]);
        let problem = made(&tree(&["/usr/share/site/index.html"])).unwrap_err().to_string();
        assert!(problem.contains("services.site: /usr/share/site/index.html would replace"), "{problem}");
        put("site/tls.key", "-----BEGIN EC PRIVATE KEY-----\n");
        let problem = format!("{:#}", made(&Tree::new()).unwrap_err());
        assert!(problem.contains("tls.key") && problem.contains("a private key"), "{problem}");
    }
}
