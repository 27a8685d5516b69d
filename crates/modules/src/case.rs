//! What a module says about itself in `tests/`: services, and what must come of them.
//!
//! Each file is one case. It is planned as a spec would be, with the module itself and those it names, and what comes
//! out is compared with `expect`. No tree and no machine is needed.

use std::collections::{BTreeMap, BTreeSet};

use twinhull_source::yaml::{self, Node};
use twinhull_source::{Code, Diagnostics, Report, quoted};

use crate::model::Module;
use crate::output::{File, Output};
use crate::plan::{Request, plan};
use crate::reader::{Entry, Fields, items, text};

const EXPECT: [&str; 5] = ["files", "absent", "listens", "starts", "mistake"];

/// A case that was read, and the modules it names besides its own.
#[derive(Debug)]
pub struct Case {
    /// What it shows.
    pub docs: String,
    /// Names of built-in modules, or folders as a spec would name them.
    pub modules: Vec<String>,
    root: Node,
}

/// Reads the case in `source`, called `file` in mistakes.
pub fn read(file: &str, source: &str) -> Result<Case, Diagnostics> {
    if source.len() > yaml::MAX_SIZE {
        let mut report = Report::new("");
        report.add(Code::TooLarge, &(0..0), "", format!("it is larger than {} bytes", yaml::MAX_SIZE));
        return Err(report.finish(file));
    }
    let mut report = Report::new(source);
    let root = yaml::read(source, &mut report).root;
    let Some(root) = root.filter(|_| report.is_empty()) else {
        if report.is_empty() {
            report.add(Code::MissingKey, &(0..0), "", "the case is empty".into());
        }
        return Err(report.finish(file));
    };
    let top = top(&root, &mut report);
    let docs = top.needed(&mut report, "docs", "say what the case shows");
    let modules = top.texts(&mut report, "modules").into_iter().map(|(name, _)| name.to_owned()).collect();
    for key in ["services", "expect"] {
        if top.get(key).is_none() {
            report
                .add(Code::MissingKey, &(0..0), key, format!("needs the key `{key}`"))
                .hint("services as in a spec, and what must come of them");
        }
    }
    if report.is_empty() { Ok(Case { docs, modules, root }) } else { Err(report.finish(file)) }
}

fn top<'n>(root: &'n Node, report: &mut Report<'_>) -> Fields<'n> {
    Fields::read(report, root, &(0..0), "", &["docs", "modules", "services", "expect"])
}

/// Plans the services of a case with `modules` and compares. What is different is a mistake at the place in `source` that
/// expects it.
pub fn judge(file: &str, source: &str, case: &Case, modules: &[&Module]) -> Result<(), Diagnostics> {
    let mut report = Report::new(source);
    let top = top(&case.root, &mut report);
    let (Some(services), Some(expect)) = (top.get("services"), top.get("expect")) else { return Ok(()) };
    let fields = Fields::read(&mut report, expect.value, &expect.key.span, "expect", &EXPECT);
    let mut found = Report::new(source);
    let request = Request {
        modules,
        services: services.value,
        path: "services",
        targets: &BTreeMap::new(),
        base: None,
    };
    let output = plan(&request, &mut found);
    let found = found.finish(file);
    match fields.get("mistake") {
        Some(entry) => mistake(&entry, &found, &mut report),
        None if !found.items.is_empty() => return Err(found),
        None => compare(&fields, &output, &mut report),
    }
    if report.is_empty() { Ok(()) } else { Err(report.finish(file)) }
}

/// The first mistake must have the text in its message.
fn mistake(entry: &Entry<'_>, found: &Diagnostics, report: &mut Report<'_>) {
    let path = "expect.mistake";
    let Some(want) = text(report, entry.value, path) else { return };
    let said = found.items.first().map(|item| item.message.as_str());
    if said.is_none_or(|said| !said.contains(want)) {
        let said = said.map_or_else(
            || "nothing is wrong".to_owned(),
            |said| format!("what is said is {}", quoted(said)),
        );
        report.add(Code::BadValue, &entry.value.span, path, format!("{path}: {said}"));
    }
}

fn compare(fields: &Fields<'_>, output: &Output, report: &mut Report<'_>) {
    for entry in fields.map(report, "files") {
        let path = format!("expect.files.{}", entry.name);
        let Some(file) = output.files.get(entry.name) else {
            let made: Vec<_> = output.files.keys().map(String::as_str).collect();
            report
                .add(Code::NotFound, &entry.key.span, &path, format!("{path}: no service makes this file"))
                .hint(format!("there are {}", made.join(", ")));
            continue;
        };
        for node in items(report, entry.value, &path) {
            lines(node, file, &path, report);
        }
    }
    for (path, node) in fields.texts(report, "absent") {
        if output.files.contains_key(path) {
            let message = format!("expect.absent: there is a file {path}");
            report.add(Code::BadValue, &node.span, "expect.absent", message);
        }
    }
    let ports = output.openings.iter().map(|opening| opening.port.to_string()).collect();
    same(fields, "listens", &ports, report);
    let units = output.wants.get("multi-user.target").into_iter().flatten().cloned().collect();
    same(fields, "starts", &units, report);
}

/// Every line of `node` must be a line of the file, whatever space is around it.
fn lines(node: &Node, file: &File, path: &str, report: &mut Report<'_>) {
    let Some(want) = text(report, node, path) else { return };
    let missing = want
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !file.content.lines().any(|there| there.trim() == *line));
    if let Some(line) = missing {
        let begin = line.split(['=', ' ']).next().unwrap_or_default();
        let near = file.content.lines().map(str::trim).find(|there| there.starts_with(begin));
        let hint =
            near.map_or_else(|| format!("the file is:\n{}", file.content), |near| format!("it has {near}"));
        let message = format!("{path}: it has no line {}", quoted(line));
        report.add(Code::NotFound, &node.span, path, message).hint(hint);
    }
}

/// The list `name`, if there is one, must have exactly what was found.
fn same(fields: &Fields<'_>, name: &str, found: &BTreeSet<String>, report: &mut Report<'_>) {
    let Some(entry) = fields.get(name) else { return };
    let want: BTreeSet<String> =
        fields.texts(report, name).into_iter().map(|(text, _)| text.to_owned()).collect();
    if want != *found {
        let path = fields.join(name);
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        let found = if found.is_empty() { "nothing".into() } else { found.join(", ") };
        report.add(Code::BadValue, &entry.value.span, &path, format!("{path}: there is {found}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(expect: &str) -> Result<(), String> {
        let text = format!(
            "docs: A program.\nservices:\n  a: {{template: app.service, command: [/usr/bin/a, -v], listen: [81]}}\nexpect:\n{expect}\n"
        );
        let case = read("case.yaml", &text).map_err(|e| e.render(false))?;
        let module = crate::builtin::get("app").unwrap().unwrap();
        judge("case.yaml", &text, &case, &[&module]).map_err(|e| e.render(false))
    }

    #[test]
    fn what_is_so_passes() {
        let unit = "/usr/lib/systemd/system/a.service";
        let all = format!(
            "  files:\n    {unit}: [ExecStart=/usr/bin/a -v, DynamicUser=yes]\n  absent: [/etc/a]\n  listens: [81]\n  \
             starts: [a.service]"
        );
        assert_eq!(judged(&all), Ok(()));
        assert_eq!(
            judged(&format!("  files:\n    {unit}: |\n      [Service]\n      DynamicUser=yes\n")),
            Ok(())
        );
    }

    #[test]
    fn what_is_not_so_is_shown_where_it_is_expected() {
        let unit = "/usr/lib/systemd/system/a.service";
        for (expect, place, want) in [
            (format!("  files:\n    {unit}: [ExecStart=/usr/bin/b]"), "6:", "it has ExecStart=/usr/bin/a -v"),
            ("  files:\n    /etc/a: []".into(), "6:5", "no service makes this file"),
            (format!("  absent: [{unit}]"), "5:12", "there is a file"),
            ("  listens: [80]".into(), "5:12", "there is 81"),
            ("  starts: []".into(), "5:11", "there is a.service"),
            ("  mistake: no".into(), "5:12", "nothing is wrong"),
            ("  listen: [81]".into(), "5:3", "did you mean `listens`?"),
        ] {
            let said = judged(&expect).unwrap_err();
            assert!(said.contains(want) && said.contains(&format!("case.yaml:{place}")), "{expect}:\n{said}");
        }
    }

    #[test]
    fn a_mistake_can_be_what_is_expected() {
        let text = "docs: No port.\nservices:\n  a: {template: app.service, command: []}\nexpect:\n  mistake: needs a program\n";
        let module = crate::builtin::get("app").unwrap().unwrap();
        let case = read("case.yaml", text).unwrap();
        assert!(judge("case.yaml", text, &case, &[&module]).is_ok());
        let other = text.replace("needs a program", "a port");
        let found = judge("case.yaml", &other, &read("case.yaml", &other).unwrap(), &[&module]).unwrap_err();
        assert!(found.render(false).contains("a service needs a program"), "{found}");
        let free = text.replace("  mistake: needs a program\n", "  listens: []\n");
        let found = judge("case.yaml", &free, &read("case.yaml", &free).unwrap(), &[&module]).unwrap_err();
        assert_eq!(found.items[0].place.line, 3, "{found}");
        for text in ["", "docs: x\n", "docs: x\nservices: {}\n", "services: {}\nexpect: {}\n"] {
            assert!(read("case.yaml", text).is_err(), "{text}");
        }
    }
}
