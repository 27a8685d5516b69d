//! Renders services, one after another, into one set of files. Whatever two services would both own is a
//! conflict that names both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use minijinja::Value;
use twinhull_source::{Code, Report, quoted};

use crate::engine::{OUTPUT_MAX, fill};
use crate::format::Format;
use crate::merge::{Claim, conflict};
use crate::model::{UnitRule, Written};
use crate::output::{Copied, File, Need, Opening, Origin, Output};
use crate::plan::{Instance, broken, truth, value};
use crate::{sandbox, secret};

const UNITS: &str = "/usr/lib/systemd/system";
/// Fragments and drop-ins that all services share.
const SHARED: &str = "50-services.conf";

/// Collects what services become.
pub(crate) struct Writer {
    pub(crate) output: Output,
    files: HashMap<String, Claim>,
    ports: HashMap<u16, Claim>,
    /// What only one service may have, in the words of its template.
    claims: HashMap<String, Claim>,
    /// Lines of shared fragments, by folder and by what each line is about.
    lines: BTreeMap<&'static str, BTreeMap<String, (String, Origin, Claim)>>,
    /// Health checks by the units they are about.
    checks: BTreeMap<String, String>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Writer {
            output: Output::default(),
            files: HashMap::new(),
            ports: HashMap::new(),
            claims: HashMap::new(),
            lines: BTreeMap::new(),
            checks: BTreeMap::new(),
        }
    }

    /// Renders one service, which listens on ports or doesn't; comes back with the units that start it.
    pub(crate) fn instance(
        &mut self,
        instance: &Instance<'_>,
        listens: bool,
        context: &Value,
        report: &mut Report<'_>,
    ) -> Vec<String> {
        let template = instance.template;
        let talks = template.network.as_ref().and_then(|written| value(instance, written, context, report));
        let network = listens || talks.is_some_and(|value| truth(&value));
        for written in &template.claims {
            let what = text(instance, written, context, report).filter(|what| !what.is_empty());
            let Some(what) = what else { continue };
            let claim = (instance.name.to_owned(), instance.place_in(&written.text).clone());
            if let Some(first) = self.claims.get(&what) {
                let path = &instance.path;
                conflict(path, &claim, first, format!("{path}: {what} is used twice"), report);
                continue;
            }
            self.claims.insert(what, claim);
        }
        for rule in &template.files {
            let Some(path) = text(instance, &rule.path, context, report).filter(|path| !path.is_empty())
            else {
                continue;
            };
            let Some(content) = self.render(instance, &rule.template, context, report) else { continue };
            let source = Some(format!("templates/{}", rule.template));
            if self.file(instance, &path, rule.mode, content, source, rule.path.line, report)
                && let Some(file) = self.output.files.get_mut(&path)
            {
                file.adds = rule.adds;
            }
        }
        for rule in &template.copies {
            let from = text(instance, &rule.from, context, report).filter(|from| !from.is_empty());
            let Some(from) = from else { continue };
            let Some(path) = text(instance, &rule.path, context, report) else { continue };
            if self.claim(instance, &path, rule.path.line, report) {
                let origin = origin(instance, None, rule.path.line);
                self.output.copies.insert(path, Copied { from, origin });
            }
        }
        let mut units = Vec::new();
        for rule in &template.units {
            let Some(name) = self.unit(instance, rule, network, context, report) else { continue };
            if rule.start {
                units.push(name);
            }
        }
        for (folder, lines) in [("sysusers.d", &template.sysusers), ("tmpfiles.d", &template.tmpfiles)] {
            for written in lines {
                if let Some(line) = text(instance, written, context, report).filter(|line| !line.is_empty()) {
                    self.line(instance, folder, line, written.line, report);
                }
            }
        }
        for written in &template.needs {
            if let Some(command) =
                text(instance, written, context, report).filter(|command| !command.is_empty())
            {
                self.need(instance, &command);
            }
        }
        if let Some(written) = &template.health
            && let Some(main) = units.first().cloned()
        {
            self.health(instance, written, &main, network, context, report);
        }
        units
    }

    /// Notes what a service listens on; comes back with whether it does.
    pub(crate) fn listens(
        &mut self,
        instance: &Instance<'_>,
        context: &Value,
        report: &mut Report<'_>,
    ) -> bool {
        let Some(written) = &instance.template.listens else { return false };
        let Some(found) = value(instance, written, context, report) else { return false };
        let mut ports = Vec::new();
        flatten(&found, &mut ports);
        let claim = (instance.name.to_owned(), instance.place_in(&written.text).clone());
        let mut listens = false;
        for port in ports {
            listens = true;
            match self.ports.get(&port) {
                Some(first) => {
                    let path = &instance.path;
                    conflict(path, &claim, first, format!("{path}: port {port} is used twice"), report);
                }
                None => {
                    self.ports.insert(port, claim.clone());
                    self.output.openings.push(Opening { port, service: instance.name.to_owned() });
                }
            }
        }
        listens
    }

    fn render(
        &self,
        instance: &Instance<'_>,
        name: &str,
        context: &Value,
        report: &mut Report<'_>,
    ) -> Option<String> {
        let found = instance.module.engine.get_template(name).and_then(|template| template.render(context));
        match found {
            Ok(text) if text.len() <= OUTPUT_MAX => Some(text),
            Ok(_) => {
                let path = &instance.path;
                let message = format!("{path}: templates/{name} becomes larger than {OUTPUT_MAX} bytes");
                report.add(Code::TooLarge, &instance.at, path, message);
                None
            }
            Err(error) => {
                broken(instance, &format!("templates/{name}"), error.line().unwrap_or(1), &error, report);
                None
            }
        }
    }

    fn unit(
        &mut self,
        instance: &Instance<'_>,
        rule: &UnitRule,
        network: bool,
        context: &Value,
        report: &mut Report<'_>,
    ) -> Option<String> {
        let name = text(instance, &rule.name, context, report).filter(|name| !name.is_empty())?;
        let mut content = self.render(instance, &rule.template, context, report)?;
        if content.lines().any(|line| line.trim() == "[Install]") {
            fault(instance, rule.name.line, "makes a unit with an [Install] section", report);
            return None;
        }
        if name.ends_with(".service") {
            let mut changes = Vec::new();
            for widen in &rule.widen {
                let when = widen.when.as_ref().map(|when| value(instance, when, context, report));
                if when.is_none_or(|value| value.is_some_and(|value| truth(&value))) {
                    let value = text(instance, &widen.value, context, report)?;
                    changes.push(sandbox::Change { setting: &widen.setting, value, because: &widen.because });
                }
            }
            content = match sandbox::confine(&content, network, &changes) {
                Ok(content) => content,
                Err(problem) => {
                    fault(instance, rule.name.line, &format!("makes {name}, which {problem}"), report);
                    return None;
                }
            };
        }
        let source = Some(format!("templates/{}", rule.template));
        let path = format!("{UNITS}/{name}");
        self.file(instance, &path, 0o644, content, source, rule.name.line, report).then_some(name)
    }

    /// A unit that fails when the service isn't well, and with it the boot of a version on trial.
    fn health(
        &mut self,
        instance: &Instance<'_>,
        written: &Written,
        main: &str,
        network: bool,
        context: &Value,
        report: &mut Report<'_>,
    ) {
        let found = value(instance, written, context, report).filter(truth);
        let Some(words) = found else { return };
        let command = instance
            .module
            .engine
            .render_str("{{ words | exec }}", minijinja::context! { words => Value::from_serialize(&words) });
        let command = match command {
            Ok(command) => command,
            Err(error) => return broken(instance, "module.yaml", written.line, &error, report),
        };
        let program = words.as_array().and_then(|words| words.first()?.as_str()).unwrap_or_default();
        self.need(instance, program);
        let name = format!("{}-health.service", instance.name);
        let unit = format!(
            "# A version of the image is good when this succeeds: boot-complete.target requires it.\n\
             [Unit]\n\
             Description=Health of {}\n\
             Requires={main}\n\
             After={main}\n\
             Before=systemd-boot-check-no-failures.service boot-complete.target\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n\
             DynamicUser=yes\n\
             # What has only just been started may take a while.\n\
             ExecStart=/bin/sh -c 'until \"$$@\"; do sleep 1; done' health {command}\n\
             TimeoutStartSec=60s\n",
            instance.name
        );
        // What a service listens on at the machine itself is only reached from its network.
        match sandbox::confine(&unit, network, &[]) {
            Ok(unit) => {
                let path = format!("{UNITS}/{name}");
                if self.file(instance, &path, 0o644, unit, None, written.line, report) {
                    self.checks.insert(main.to_owned(), name);
                }
            }
            Err(problem) => fault(instance, written.line, &problem, report),
        }
    }

    fn need(&mut self, instance: &Instance<'_>, command: &str) {
        let debian = instance.module.commands.get(command).cloned().unwrap_or_default();
        self.output.needs.push(Need {
            command: command.to_owned(),
            service: instance.name.to_owned(),
            template: instance.full(),
            debian,
        });
    }

    #[expect(clippy::too_many_arguments, reason = "a file and where it comes from")]
    fn file(
        &mut self,
        instance: &Instance<'_>,
        path: &str,
        mode: u32,
        content: String,
        source: Option<String>,
        line: usize,
        report: &mut Report<'_>,
    ) -> bool {
        if content.contains("PRIVATE KEY-----")
            || content.lines().any(|l| secret::looks_like(l) == Some("a token"))
        {
            let message =
                format!("{}: {path} would hold a secret, which everybody could read", instance.path);
            report
                .add(Code::BadValue, &instance.at, &instance.path, message)
                .hint("let the service read it from a credential");
            return false;
        }
        if !self.claim(instance, path, line, report) {
            return false;
        }
        let origins = vec![origin(instance, source, line)];
        self.output.files.insert(path.to_owned(), File { mode, content, adds: false, origins });
        true
    }

    /// Whether the service may have something at `path`, which is then its own.
    fn claim(&mut self, instance: &Instance<'_>, path: &str, line: usize, report: &mut Report<'_>) -> bool {
        let inside = path.starts_with("/usr/") || path.starts_with("/etc/");
        if !inside || Format::Path.problem(path).is_some() {
            let problem = format!("makes the file {}; files of images are in /usr and /etc", quoted(path));
            fault(instance, line, &problem, report);
            return false;
        }
        let claim = (instance.name.to_owned(), instance.at.clone());
        if let Some(first) = self.files.get(path) {
            let message = format!("{}: {path} has two owners", instance.path);
            conflict(&instance.path, &claim, first, message, report);
            return false;
        }
        self.files.insert(path.to_owned(), claim);
        true
    }

    /// A line of a shared fragment. Services may agree on one, but not contradict each other.
    fn line(
        &mut self,
        instance: &Instance<'_>,
        folder: &'static str,
        line: String,
        at: usize,
        report: &mut Report<'_>,
    ) {
        if line.contains('\n') {
            return fault(instance, at, "makes a line with a line break", report);
        }
        let subject = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let claim = (instance.name.to_owned(), instance.at.clone());
        let lines = self.lines.entry(folder).or_default();
        match lines.get(&subject) {
            Some((other, _, first)) if *other != line => {
                let message =
                    format!("{}: {folder} gets {subject:?} twice, with different content", instance.path);
                conflict(&instance.path, &claim, first, message, report);
            }
            Some(_) => {}
            None => drop(lines.insert(subject, (line, origin(instance, None, at), claim))),
        }
    }

    /// Lets `target` want `units`.
    pub(crate) fn want(&mut self, target: &str, units: BTreeSet<String>) {
        if !units.is_empty() {
            self.output.wants.entry(target.to_owned()).or_default().extend(units);
        }
    }

    /// Everything together, with what services share.
    pub(crate) fn finish(mut self) -> Output {
        for (folder, lines) in self.lines {
            let mut content = String::from("# Of the services in the spec.\n");
            let mut origins = Vec::new();
            for (line, origin, _) in lines.into_values() {
                content += &(line + "\n");
                origins.push(origin);
            }
            let path = format!("/usr/lib/{folder}/{SHARED}");
            self.output.files.insert(path, File { mode: 0o644, content, adds: false, origins });
        }
        let drop_in = |key: &str, units: &BTreeSet<String>| File {
            mode: 0o644,
            content: units.iter().fold("[Unit]\n".to_owned(), |text, unit| format!("{text}{key}={unit}\n")),
            adds: false,
            origins: Vec::new(),
        };
        for (target, units) in &self.output.wants {
            self.output.files.insert(format!("{UNITS}/{target}.d/{SHARED}"), drop_in("Wants", units));
        }
        // A check would start what it is about.
        let wanted = |unit: &String| self.output.wants.values().any(|units| units.contains(unit));
        let checks: BTreeSet<String> =
            self.checks.iter().filter(|(main, _)| wanted(main)).map(|(_, check)| check.clone()).collect();
        if !checks.is_empty() {
            let path = format!("{UNITS}/boot-complete.target.d/50-health.conf");
            self.output.files.insert(path, drop_in("Requires", &checks));
        }
        let key = |need: &Need| (need.command.clone(), need.service.clone());
        self.output.needs.sort_by_key(key);
        self.output.needs.dedup_by_key(|need| key(need));
        self.output
    }
}

/// The ports in a list of lists.
fn flatten(value: &serde_json::Value, ports: &mut Vec<u16>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| flatten(item, ports)),
        value => ports.extend(value.as_u64().and_then(|port| u16::try_from(port).ok())),
    }
}

fn origin(instance: &Instance<'_>, source: Option<String>, line: usize) -> Origin {
    Origin { service: instance.name.to_owned(), template: instance.full(), source, line }
}

/// A text of module.yaml with its placeholders filled, without space around it.
fn text(
    instance: &Instance<'_>,
    written: &Written,
    context: &Value,
    report: &mut Report<'_>,
) -> Option<String> {
    match fill(&instance.module.engine, &written.text, context) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) => {
            broken(instance, "module.yaml", written.line, &error, report);
            None
        }
    }
}

/// A mistake of the module that shows only once it is rendered.
fn fault(instance: &Instance<'_>, line: usize, problem: &str, report: &mut Report<'_>) {
    let (path, module) = (&instance.path, &instance.module.name);
    let message = format!("{path}: module.yaml:{line} of the module {module} {problem}");
    report.add(Code::Internal, &instance.at, path, message).hint("this is a mistake of the module");
}
