//! What services of the spec put into the image, and what they need of the tree.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use twinhull_spec::Output;
use twinhull_tree::{Node, Tree};

/// Folders that commands without a path are looked for in.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Makes sure that the tree has what services run, and that they replace nothing of it or of Twinhull's own `overlay`
/// of /usr. All that is wrong is said at once.
pub(super) fn check(output: &Output, tree: &Tree, overlay: &Tree) -> Result<()> {
    let mut wrong = Vec::new();
    let mut missing: BTreeMap<&str, (BTreeSet<&str>, &[String])> = BTreeMap::new();
    for need in output.needs.iter().filter(|need| !has(tree, &need.command)) {
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
    for (path, file) in &output.files {
        let below_usr = path.strip_prefix("/usr/");
        if tree.exists(path) || below_usr.is_some_and(|path| overlay.exists(path)) {
            let services: Vec<_> = file.origins.iter().map(|origin| origin.service.as_str()).collect();
            wrong.push(format!(
                "services.{}: {path} would replace a file that the image has already; give the service another name",
                services.join(", services.")
            ));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n  "));
    }
    Ok(())
}

/// Whether the tree has a command: a path, or a name in one of the usual folders.
fn has(tree: &Tree, command: &str) -> bool {
    if !command.starts_with('/') {
        return PATH.iter().any(|folder| tree.exists(format!("{folder}/{command}")));
    }
    // /bin, /sbin and /lib are links into /usr.
    tree.exists(command) || tree.exists(format!("/usr{command}"))
}

/// Their files, from the root.
pub(super) fn files(output: &Output) -> Result<Tree> {
    let mut tree = Tree::new();
    for (path, file) in &output.files {
        let mut node = Node::file(file.content.clone());
        node.meta.mode = u16::try_from(file.mode)?;
        tree.insert(path.as_str(), node)?;
    }
    Ok(tree)
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
            "image: {{id: a, version: 1}}\ntree: {{dir: .}}\nmodules: [app, nginx]\nservices: {{{services}}}\n"
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
        let said = |tree: Tree| check(&web, &tree, &Tree::new()).map_err(|e| e.to_string());
        assert_eq!(said(tree(&["/usr/sbin/nginx", "/usr/bin/bash"])), Ok(()));
        let problem = said(tree(&["/usr/bin/bash"])).unwrap_err();
        assert_eq!(
            problem,
            "services.web: the tree has no command nginx; Debian packages that have it: nginx, nginx-light, nginx-full"
        );
        let own = output(
            "a: {template: app.service, command: [/bin/a]}, b: {template: app.service, command: [/bin/a]}",
        );
        assert!(check(&own, &tree(&["/usr/bin/a"]), &Tree::new()).is_ok());
        let problem = check(&own, &tree(&[]), &Tree::new()).unwrap_err().to_string();
        assert!(problem.starts_with("services.a, services.b: the tree has no command /bin/a;"), "{problem}");
    }

    #[test]
    fn nothing_is_replaced() {
        let own = output("ssh: {template: app.service, command: [/usr/bin/a]}");
        let unit = "lib/systemd/system/ssh.service";
        let whole = format!("/usr/{unit}");
        assert!(check(&own, &tree(&["/usr/bin/a", &whole]), &Tree::new()).is_err());
        assert!(check(&own, &tree(&["/usr/bin/a"]), &tree(&[unit])).is_err());
        assert!(check(&own, &tree(&["/usr/bin/a"]), &Tree::new()).is_ok());
    }

    #[test]
    fn files_have_their_modes() {
        let tree = files(&output("web: {template: nginx.server}")).unwrap();
        let node = tree.get("/usr/lib/services/web/nginx.conf").unwrap();
        assert_eq!(node.meta.mode & 0o7777, 0o644);
    }
}
