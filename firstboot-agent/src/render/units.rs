//! Units of user data, as steps.

use super::{Action, Plan};
use crate::image::Image;
use crate::userdata::{Enable, Unit, install_links};
use crate::yaml::Problem;

const FOLDER: &str = "/etc/systemd/system";

pub(super) fn plan(image: &Image, unit: &Unit, plan: &mut Plan, problems: &mut Vec<Problem>) {
    let name = &unit.name;
    if let Some(content) = &unit.content {
        plan.etc(format!("{FOLDER}/{name}"), content.as_str(), 0o644, false);
    }
    for part in &unit.drop_ins {
        plan.etc(format!("{FOLDER}/{name}.d/{}", part.name), part.content.as_str(), 0o644, false);
    }
    let links = match &unit.enable {
        Enable::No => return,
        Enable::Masked => {
            plan.step(format!("{FOLDER}/{name}"), Action::Link("/dev/null".into()), false);
            return;
        }
        Enable::Links(links) => links.clone(),
        Enable::AsTheImageSays => match image.unit_text(name).map(|text| install_links(name, &text)) {
            Some(Ok(links)) => links,
            Some(Err(problem)) => {
                problems
                    .push(Problem::new(&unit.place, format!("unit `{name}` can't be enabled: {problem}")));
                return;
            }
            // Said below.
            None => vec![String::new()],
        },
    };
    let path = match &unit.content {
        Some(_) => None,
        None => match image.has_unit(name) {
            Some(path) => Some(path),
            None => {
                let message = format!("unit `{name}` has no contents, and this image has no such unit");
                problems.push(Problem::new(&unit.place, message));
                return;
            }
        },
    };
    for link in links {
        let up = "../".repeat(link.matches('/').count());
        let target = path.clone().unwrap_or_else(|| format!("{up}{name}"));
        plan.step(format!("{FOLDER}/{link}"), Action::Link(target), false);
    }
}
