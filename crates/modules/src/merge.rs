//! What several services contribute to one field becomes one value, or a mistake that shows both places.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use twinhull_source::{Code, Report, quoted};
use twinhull_sysutil::size;

use crate::format;
use crate::model::{Field, Merge};

/// A contribution.
pub(crate) struct Part {
    pub(crate) service: String,
    pub(crate) path: String,
    pub(crate) place: Range<usize>,
    pub(crate) value: Value,
}

/// The value of a field; nothing when contributions don't go together, which is reported.
pub(crate) fn merge(field: &Field, parts: Vec<Part>, report: &mut Report<'_>) -> Option<Value> {
    match field.merge {
        Merge::Append => Some(parts.into_iter().flat_map(|part| list(part.value)).collect()),
        Merge::Union => {
            let mut values: Vec<_> = parts.into_iter().flat_map(|part| list(part.value)).collect();
            values.sort_by_key(Value::to_string);
            values.dedup();
            Some(Value::Array(values))
        }
        Merge::Unique => {
            let mut seen: HashMap<String, Claim> = HashMap::new();
            let (mut out, mut good) = (Vec::new(), true);
            for part in parts {
                let claim = (part.service, part.place);
                for value in list(part.value) {
                    let Some(first) = seen.get(&value.to_string()) else {
                        seen.insert(value.to_string(), claim.clone());
                        out.push(value);
                        continue;
                    };
                    let what = format!("{}: {} is claimed twice", part.path, show(&value));
                    conflict(&part.path, &claim, first, what, report);
                    good = false;
                }
            }
            good.then_some(Value::Array(out))
        }
        Merge::Min | Merge::Max => {
            let measure = |value: &Value| measure(value).unwrap_or(0.0);
            let by = |a: &Part, b: &Part| measure(&a.value).total_cmp(&measure(&b.value));
            let parts = parts.into_iter();
            let found = if field.merge == Merge::Min { parts.min_by(by) } else { parts.max_by(by) };
            Some(found.map_or(Value::Null, |part| part.value))
        }
        Merge::Agree => {
            let mut parts = parts.into_iter();
            let Some(first) = parts.next() else { return Some(Value::Null) };
            let mut good = true;
            let claim = (first.service, first.place);
            for part in parts.filter(|part| part.value != first.value) {
                let what = format!("{}: {} isn't {}", part.path, show(&part.value), show(&first.value));
                conflict(&part.path, &(part.service, part.place), &claim, what, report);
                good = false;
            }
            good.then_some(first.value)
        }
    }
}

/// Who says something, and where.
pub(crate) type Claim = (String, Range<usize>);

/// Two claims that don't go together, both shown.
pub(crate) fn conflict(path: &str, second: &Claim, first: &Claim, message: String, report: &mut Report<'_>) {
    let (service, place) = first;
    report
        .add(Code::Conflict, &second.1, path, message)
        .related(place, &format!("{service} says so here"))
        .hint(format!("change it in {} or in {service}", second.0));
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        value => vec![value],
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

/// How much a number, duration or size is.
fn measure(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let bytes = size::parse(text).ok();
            bytes.or_else(|| format::duration(text)).map(|number| number as f64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules() {
        for (rule, values, want) in [
            (Merge::Append, vec![json!([1, 2]), json!(1)], Some(json!([1, 2, 1]))),
            (Merge::Union, vec![json!(["b", "a"]), json!("a")], Some(json!(["a", "b"]))),
            (Merge::Unique, vec![json!("a"), json!("b")], Some(json!(["a", "b"]))),
            (Merge::Unique, vec![json!("a"), json!(["b", "a"])], None),
            (Merge::Min, vec![json!("1h"), json!("5min")], Some(json!("5min"))),
            (Merge::Max, vec![json!("64M"), json!("1G")], Some(json!("1G"))),
            (Merge::Max, vec![json!(2), json!(10)], Some(json!(10))),
            (Merge::Agree, vec![json!("x"), json!("x")], Some(json!("x"))),
            (Merge::Agree, vec![json!("x"), json!("y")], None),
            (Merge::Agree, vec![], Some(Value::Null)),
        ] {
            let mut report = Report::new("a: 1\nb: 2\n");
            let field = Field { name: "f".into(), docs: "d".into(), merge: rule };
            let parts = values.into_iter().enumerate().map(|(n, value)| Part {
                service: format!("s{n}"),
                path: format!("services.s{n}"),
                place: 5 * n.min(1)..5 * n.min(1) + 1,
                value,
            });
            assert_eq!(merge(&field, parts.collect(), &mut report), want, "{rule:?}");
            assert_eq!(report.is_empty(), want.is_some(), "{rule:?}");
            if want.is_none() {
                let found = report.finish("x");
                let (place, said) = found.items[0].related.clone().unwrap();
                assert_eq!((found.items[0].place.line, place.line, said.as_str()), (2, 1, "s0 says so here"));
            }
        }
    }
}
