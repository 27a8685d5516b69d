//! Reads a spec and shows what is wrong with it: the `check` command, and the first thing that `build` does.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use twinhull_spec::{Diagnostics, Spec};

/// Exit code for a spec with mistakes.
pub(crate) const MISTAKES: u8 = 2;

/// Checks the spec in the file `spec` and says on standard output that it is good, or shows its mistakes: on
/// standard error, with `json` on standard output.
pub(crate) fn run(spec: &Path, json: bool) -> Result<ExitCode> {
    let (result, _) = read(spec)?;
    if json {
        let report = match &result {
            Ok(_) => json!({ "ok": true, "errors": [], "omitted": 0 }),
            Err(found) => json!({ "ok": false, "errors": found.to_json(), "omitted": found.omitted }),
        };
        print(std::io::stdout(), &format!("{report:#}\n"))?;
    }
    match result {
        Ok(good) => {
            if !json {
                let image = &good.image;
                let line =
                    format!("{}: ok ({} {}, {})\n", spec.display(), image.id, image.version, image.arch);
                print(std::io::stdout(), &line)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(found) => {
            if !json {
                show(&found)?;
            }
            Ok(ExitCode::from(MISTAKES))
        }
    }
}

/// The spec in the file `spec` with its text. Mistakes are shown on standard error; what comes back then is
/// the program's exit code.
pub(crate) fn load(spec: &Path) -> Result<Result<(Spec, String), ExitCode>> {
    let (result, text) = read(spec)?;
    Ok(match result {
        Ok(good) => Ok((good, text)),
        Err(found) => {
            show(&found)?;
            Err(ExitCode::from(MISTAKES))
        }
    })
}

/// Reads at most one byte more than a spec may have, so that the checks can tell.
fn read(spec: &Path) -> Result<(Result<Spec, Diagnostics>, String)> {
    let mut bytes = Vec::new();
    fs_err::File::open(spec)?.take(twinhull_spec::MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    let base = spec.parent().unwrap_or(Path::new(""));
    let result = twinhull_spec::parse_bytes(&spec.display().to_string(), &bytes, Some(base));
    // A good spec is UTF-8; the text of another is not used.
    Ok((result, String::from_utf8(bytes).unwrap_or_default()))
}

pub(crate) fn show(found: &Diagnostics) -> Result<()> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let stderr = std::io::stderr();
    let color = !no_color && stderr.is_terminal();
    print(stderr, &found.render(color))
}

/// Writes `text`. A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(mut to: impl std::io::Write, text: &str) -> Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "image: {id: a, version: 1}\ntree: {dir: .}\n";

    #[test]
    fn exit_codes() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("spec.yaml");
        assert!(run(&spec, false).is_err(), "a file that isn't there is no mistake in a spec");
        for (text, code) in [(GOOD, ExitCode::SUCCESS), ("image: 1\n", ExitCode::from(2))] {
            fs_err::write(&spec, text).unwrap();
            for json in [false, true] {
                assert_eq!(run(&spec, json).unwrap(), code, "{text}");
            }
        }
        assert_eq!(load(&spec).unwrap().unwrap_err(), ExitCode::from(2));
    }

    #[test]
    fn the_text_comes_with_the_spec() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("spec.yaml");
        fs_err::write(&spec, GOOD).unwrap();
        let (good, text) = load(&spec).unwrap().unwrap();
        assert_eq!((good.image.id.as_str(), text.as_str()), ("a", GOOD));
        fs_err::write(&spec, [GOOD.as_bytes(), &vec![b'#'; 2 << 20]].concat()).unwrap();
        assert!(load(&spec).unwrap().is_err(), "too large");
    }
}
