//! What help and reports look like, word for word. `cargo insta review` shows what changed.

use twinhull_tests::{hello, program, run, top};

fn filtered(text: &str) -> String {
    let top = top().display().to_string();
    text.replace(&top, "TOP").lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn help() {
    for (name, args) in [
        ("image-builder", &["--help"][..]),
        ("image-builder-build", &["build", "--help"]),
        ("image-builder-convert", &["convert", "--help"]),
        ("image-builder-check", &["check", "--help"]),
        ("image-builder-inspect", &["inspect", "--help"]),
        ("runvm", &["--help"]),
    ] {
        let program_name = if name == "runvm" { "runvm" } else { "image-builder" };
        let ran = run(program(program_name).args(args).env("COLUMNS", "100")).ok();
        insta::assert_snapshot!(format!("help-{name}"), filtered(&ran.stdout));
    }
}

#[test]
fn check_shows_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("wrong.yaml");
    fs_err::copy(top().join("tests/fixtures/wrong.yaml"), &spec).unwrap();
    let ran = run(program("image-builder").arg("check").arg("wrong.yaml").current_dir(dir.path()));
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!("check-wrong", filtered(&ran.stderr));
    let ran = run(program("image-builder").arg("check").arg("examples/hello.yaml").current_dir(top())).ok();
    insta::assert_snapshot!("check-hello", filtered(&ran.stdout));
}

#[test]
fn inspect_is_a_table() {
    let ran = run(program("image-builder").arg("inspect").arg(&hello().path)).ok();
    // Hashes and sizes change with Debian's packages; the shape does not.
    let mut shape = String::new();
    for line in ran.stdout.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        shape.push_str(&words.join(" "));
        shape.push('\n');
    }
    insta::assert_snapshot!("inspect", shape);
}
