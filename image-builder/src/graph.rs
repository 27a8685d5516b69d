//! `graph`: services with what they refer to and which targets want them, as text, for Graphviz, or drawn.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use twinhull_modules::output::Output;

use crate::check::{self, print};
use crate::svg;

/// Arguments of `graph`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        image-builder graph server.yaml\n  \
                        image-builder graph server.yaml --svg > server.svg\n  \
                        image-builder graph server.yaml --dot | dot -Tpng > server.png")]
pub(crate) struct GraphArgs {
    /// The spec file
    spec: PathBuf,
    /// Print it for Graphviz
    #[arg(long)]
    dot: bool,
    /// Print a drawing
    #[arg(long, conflicts_with = "dot")]
    svg: bool,
}

/// Prints services with what they refer to and which targets want them.
pub(crate) fn run(args: &GraphArgs) -> Result<ExitCode> {
    let output = match check::load(&args.spec)? {
        Ok((spec, _)) => spec.services,
        Err(code) => return Ok(code),
    };
    let text = match args {
        GraphArgs { dot: true, .. } => dot(&Graph::of(&output)),
        GraphArgs { svg: true, .. } => svg::draw(&Graph::of(&output)),
        _ => tree(&output),
    };
    print(std::io::stdout(), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Targets and services, and what leads from one to another.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// By name: what kind of thing it is. Of a target, nothing.
    pub(crate) nodes: BTreeMap<String, Option<String>>,
    /// From, to, and why.
    pub(crate) edges: Vec<(String, String, String)>,
}

impl Graph {
    fn of(output: &Output) -> Self {
        let mut graph = Graph::default();
        for (name, service) in &output.services {
            graph.nodes.insert(name.clone(), Some(service.template.clone()));
            for (parameter, names) in &service.refers {
                graph.edges.extend(names.iter().map(|to| (name.clone(), to.clone(), parameter.clone())));
            }
        }
        for (target, units) in &output.wants {
            graph.nodes.insert(target.clone(), None);
            for (name, service) in &output.services {
                if service.units.iter().any(|unit| units.contains(unit)) {
                    graph.edges.push((target.clone(), name.clone(), "wants".into()));
                }
            }
        }
        graph
    }
}

fn tree(output: &Output) -> String {
    let mut out = String::new();
    for (target, units) in &output.wants {
        let _ = writeln!(out, "{target}");
        for unit in units {
            let _ = writeln!(out, "  wants {unit}");
        }
    }
    for (name, service) in &output.services {
        let _ = writeln!(out, "{name} ({})", service.template);
        for (parameter, names) in &service.refers {
            let _ = writeln!(out, "  {parameter}: {}", names.join(", "));
        }
    }
    out
}

fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph services {\n  rankdir=LR;\n");
    for (name, kind) in &graph.nodes {
        let _ = match kind {
            Some(template) => writeln!(out, "  \"{name}\" [label=\"{name}\\n{template}\"];"),
            None => writeln!(out, "  \"{name}\" [shape=box];"),
        };
    }
    for (from, to, why) in &graph.edges {
        let _ = writeln!(out, "  \"{from}\" -> \"{to}\" [label=\"{why}\"];");
    }
    out + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        let text = "image: {id: a, version: 1}\ntree: {dir: .}\nmodules: [nginx]\nservices:\n  \
            w: {template: nginx.server}\n  s: {template: nginx.site, server: w, hosts: [a.org]}\n";
        twinhull_spec::from_str(text).unwrap().services
    }

    #[test]
    fn services_and_targets_in_each_form() {
        let output = output();
        assert!(tree(&output).contains("multi-user.target\n  wants w.service\n"));
        let dot = dot(&Graph::of(&output));
        assert!(dot.contains("\"multi-user.target\" -> \"w\" [label=\"wants\"]"), "{dot}");
        assert!(dot.contains("\"s\" -> \"w\" [label=\"server\"]"), "{dot}");
    }
}
