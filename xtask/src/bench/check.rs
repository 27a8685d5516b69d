//! `bench check`: how the check of a spec grows with its services. A ratio of 1 means that it is linear.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use twinhull_sysutil::command::Cmd;

use super::report::{self, Pair};
use crate::paths;

/// Services of the small spec and of the large one.
const SERVICES: [usize; 2] = [500, 2000];

pub(crate) fn run(pairs: usize, json: bool) -> Result<()> {
    let bin = paths::build_programs()?;
    let dir = tempfile::tempdir()?;
    let specs = SERVICES.map(|count| dir.path().join(format!("{count}.yaml")));
    for (path, count) in specs.iter().zip(SERVICES) {
        fs_err::write(path, spec(count))?;
    }
    let check = |path: &Path| -> Result<f64> {
        let start = Instant::now();
        Cmd::new(bin.join("image-builder")).arg("check").arg(path).output()?;
        Ok(start.elapsed().as_secs_f64())
    };
    specs.iter().try_for_each(|path| check(path).map(drop))?;
    let (mut whole, mut each) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let [small, large] = [check(&specs[0])?, check(&specs[1])?];
        whole.push(Pair { ours: large, peer: small });
        // Milliseconds a service.
        let per = |seconds: f64, count: usize| seconds * 1e3 / count as f64;
        each.push(Pair { ours: per(large, SERVICES[1]), peer: per(small, SERVICES[0]) });
    }
    if json {
        let ratios = serde_json::json!({ "a_service": report::ratio(&each) });
        let runs = serde_json::json!({ "whole": report::json(&whole), "a_service": report::json(&each) });
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": runs }));
    } else {
        println!("image-builder check, {} services; peer: {} services\n", SERVICES[1], SERVICES[0]);
        println!(
            "{}\n{}\n{}",
            report::head(),
            report::row("whole spec", "s", &whole),
            report::row("a service", "ms", &each)
        );
    }
    Ok(())
}

/// A spec whose services refer to each other: programs, and a proxied path for each on a site for every ten.
fn spec(count: usize) -> String {
    let mut text = String::from(
        "image: {id: many, version: 1}\ntree: {dir: .}\nmodules: [app, nginx]\nservices:\n  web: {template: nginx.server}\n",
    );
    for n in 0..(count - 1) / 21 {
        let _ = writeln!(text, "  site-{n}: {{template: nginx.site, server: web, hosts: [s{n}.example]}}");
        for m in 0..10 {
            let port = 1024 + n * 10 + m;
            let _ = writeln!(
                text,
                "  app-{n}-{m}: {{template: app.service, command: [/usr/bin/a, --port, {port}], listen: [{port}]}}\n  \
                 at-{n}-{m}: {{template: nginx.proxy, site: site-{n}, path: /{m}, to: app-{n}-{m}}}"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specs_are_good() {
        for count in SERVICES {
            let spec = twinhull_spec::from_str(&spec(count)).unwrap();
            assert!(spec.services.services.len() > count - 22, "{}", spec.services.services.len());
        }
    }
}
