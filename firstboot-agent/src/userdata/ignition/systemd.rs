//! `systemd.units` of Ignition. Units are enabled by their [Install], as the tools write them.

use crate::userdata::fields::Fields;
use crate::userdata::install;
use crate::userdata::units::{self, Enable, Unit};
use crate::yaml::{Node, Problem};

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<Unit> {
    items.iter().filter_map(|item| one(item, problems)).collect()
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<Unit> {
    let fields = Fields::new(item, "a unit", &["name", "enabled", "mask", "contents", "dropins"], problems)?;
    let name = fields.required_checked("name", units::name, problems);
    let contents = fields.text("contents", problems).filter(|(text, _)| !text.is_empty());
    if let Some((text, place)) = contents {
        problems.extend(units::check(text, place, true));
    }
    let drop_ins = units::drop_ins(&fields, ["dropins", "name", "contents"], problems);
    let enabled = fields.flag("enabled", problems);
    let masked = fields.flag("mask", problems).unwrap_or(false);
    let name = name?;
    let enable = match (masked, enabled, contents) {
        (true, Some(true), _) | (true, _, Some(_)) => {
            let message = "a masked unit is one that nothing starts: it can't be enabled or have contents";
            problems.push(Problem::new(&item.place, message));
            return None;
        }
        (true, ..) => Enable::Masked,
        (false, Some(true), _) if name.contains("@.") => {
            let message = "a template can't be enabled; name an instance, as in app@one.service";
            problems.push(Problem::new(&item.place, message));
            return None;
        }
        (false, Some(true), Some((text, _))) => match install::links(&name, text) {
            Ok(links) => Enable::Links(links),
            Err(problem) => {
                problems.push(Problem::new(&item.place, format!("this unit can't be enabled: {problem}")));
                return None;
            }
        },
        (false, Some(true), None) => Enable::AsTheImageSays,
        (false, Some(false), None) => {
            let message =
                "a unit of the image isn't disabled by user data; `mask: true` keeps it from starting";
            problems.push(Problem::new(&item.place, message));
            return None;
        }
        (false, ..) => Enable::No,
    };
    if enable == Enable::No && contents.is_none() && drop_ins.is_empty() {
        problems.push(Problem::new(
            &item.place,
            "this unit says nothing: give `contents`, `dropins` or `enabled`",
        ));
    }
    Some(Unit {
        content: contents.map(|(text, _)| text.to_owned()),
        enable,
        drop_ins,
        place: item.place.clone(),
        name,
    })
}
