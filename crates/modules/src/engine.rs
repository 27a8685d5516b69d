//! The template engine, locked up: no files, no clock, no undefined names, and a limit on the work and on what
//! comes out.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

/// Instructions that one text may take.
const FUEL: u64 = 200_000;
/// Most bytes that one text may become.
pub(crate) const OUTPUT_MAX: usize = 1 << 20;

/// An engine without templates.
pub(crate) fn new() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(50);
    engine.set_trim_blocks(true);
    engine.set_lstrip_blocks(true);
    engine.set_keep_trailing_newline(true);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    // They make texts that are far larger than what made them.
    for name in ["range", "debug"] {
        engine.remove_global(name);
    }
    for name in ["indent", "pprint", "safe", "urlencode"] {
        engine.remove_filter(name);
    }
    engine.add_filter("unit", |text: String| text.replace('%', "%%"));
    engine.add_filter("exec", exec);
    engine.add_filter("quote", |text: String| quote(&text));
    engine.add_filter("outside", outside);
    engine.add_function("refuse", refuse);
    engine
}

/// A list of words as systemd reads a command line: nothing in it is a variable, specifier or separator.
fn exec(words: Value) -> Result<String, Error> {
    let mut out = Vec::new();
    for word in words.try_iter()? {
        let word = word.to_string();
        if word.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a word of a command has control characters",
            ));
        }
        let word = word.replace('%', "%%").replace('$', "$$");
        let plain =
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "%$_-./:=,@+".contains(c));
        // A first character of these would be a prefix of systemd's.
        let prefix = out.is_empty() && word.starts_with(['@', '-', ':', '+', '!']);
        if prefix {
            return Err(Error::new(ErrorKind::InvalidOperation, "a command begins with a name or a path"));
        }
        out.push(if plain { word } else { quote(&word) });
    }
    Ok(out.join(" "))
}

/// The host names that none of `names` is or, with `*` for one label, stands for.
fn outside(hosts: Vec<String>, names: Vec<String>) -> Vec<String> {
    let covers = |name: &String, host: &String| {
        let above = host.split_once('.').map(|(_, above)| above);
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").zip(above).is_some_and(|(of, above)| of.eq_ignore_ascii_case(above))
    };
    hosts.into_iter().filter(|host| !names.iter().any(|name| covers(name, host))).collect()
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a text found wrong with a parameter, in words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// The parameter's name in the spec.
    pub(crate) parameter: String,
    /// The sentence.
    pub(crate) message: String,
}

/// Ends a text because of what a parameter says, for what only all services together show.
fn refuse(parameter: String, message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Refused { parameter, message }))
}

/// What a text refused, if that is why it failed.
pub(crate) fn refused(error: &Error) -> Option<&Refused> {
    std::error::Error::source(error)?.downcast_ref()
}

/// A parameter's name as templates write it.
pub(crate) fn variable(name: &str) -> String {
    name.replace('-', "_")
}

/// The value of an expression.
pub(crate) fn evaluate(engine: &Environment<'_>, text: &str, context: &Value) -> Result<Value, Error> {
    engine.compile_expression(text)?.eval(context)
}

/// A text with its placeholders filled.
pub(crate) fn fill(engine: &Environment<'_>, text: &str, context: &Value) -> Result<String, Error> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.to_owned());
    }
    engine.render_str(text, context)
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn commands_can_t_break_out() {
        let engine = new();
        for (words, want) in [
            (vec!["/usr/bin/a", "--x=1"], "/usr/bin/a --x=1"),
            (vec!["a", "b c"], "a \"b c\""),
            (vec!["a", "100%", "$HOME"], "a 100%% $$HOME"),
            (vec!["a", ";", "\"\\"], "a \";\" \"\\\"\\\\\""),
        ] {
            assert_eq!(engine.render_str("{{ c | exec }}", context! { c => words }).unwrap(), want);
        }
        for words in [vec!["+a"], vec!["a", "b\nc"]] {
            assert!(engine.render_str("{{ c | exec }}", context! { c => words }).is_err());
        }
    }

    #[test]
    fn hosts_are_covered_by_a_certificate_or_not() {
        let engine = new();
        let names = ["example.org", "*.example.org"];
        for (host, want) in [
            ("example.org", "[]"),
            ("www.Example.org", "[]"),
            ("a.b.example.org", "[\"a.b.example.org\"]"),
            ("org", "[\"org\"]"),
            ("example.com", "[\"example.com\"]"),
        ] {
            let context = context! { hosts => [host], names };
            assert_eq!(engine.render_str("{{ hosts | outside(names) }}", context).unwrap(), want);
        }
    }

    #[test]
    fn work_is_limited_and_names_must_exist() {
        let engine = new();
        let list: Vec<u32> = (0..1000).collect();
        let deep = "{% for a in l %}{% for b in l %}{{ b }}{% endfor %}{% endfor %}";
        for text in [deep, "{{ nothing }}", "{% include 'x' %}", "{{ range(10) }}"] {
            assert!(engine.render_str(text, context! { l => list }).is_err(), "{text}");
        }
    }
}
