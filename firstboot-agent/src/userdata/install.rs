//! [Install] of unit files, which tools write and nothing on an immutable machine reads: enabling a unit means
//! to make the links that `systemctl enable` would.

use super::units::is_unit_name;

/// A line of a unit file that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Section(&'a str),
    Assignment(&'a str, &'a str),
    Other,
}

/// The lines of a unit file with their numbers. Continued lines count as their first.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, Line<'_>)> {
    let mut continued = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim();
        if std::mem::replace(&mut continued, line.ends_with('\\'))
            || line.is_empty()
            || line.starts_with(['#', ';'])
        {
            return None;
        }
        let section = line.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
        let line = match (section, line.split_once('=')) {
            (Some(name), _) => Line::Section(name),
            (None, Some((key, value))) => Line::Assignment(key.trim(), value.trim()),
            (None, None) => Line::Other,
        };
        Some((at + 1, line))
    })
}

/// The links below /etc/systemd/system that enable the unit `name` with this text, or why there are none.
pub fn links(name: &str, text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut here = false;
    for (_, line) in lines(text) {
        let (key, value) = match line {
            Line::Section(section) => {
                here = section == "Install";
                continue;
            }
            Line::Assignment(key, value) if here => (key, value),
            _ => continue,
        };
        let folder = match key {
            "WantedBy" => ".wants/",
            "RequiredBy" => ".requires/",
            "UpheldBy" => ".upholds/",
            "Alias" => "",
            "Also" => return Err("`Also=` of its [Install] isn't followed; list that unit, too".into()),
            "DefaultInstance" => {
                return Err("a template can't be enabled; name an instance, as in app@one.service".into());
            }
            _ => return Err("its [Install] has a setting that isn't known".into()),
        };
        for word in value.split_whitespace() {
            if !is_unit_name(word) {
                return Err(format!(
                    "`{key}=` of its [Install] isn't a list of units; specifiers aren't resolved"
                ));
            }
            let link = if folder.is_empty() { word.to_owned() } else { format!("{word}{folder}{name}") };
            if link != name && !out.contains(&link) {
                out.push(link);
            }
        }
    }
    if out.is_empty() {
        return Err("nothing starts it: its [Install] has no `WantedBy=`".into());
    }
    Ok(out)
}
