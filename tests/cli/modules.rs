//! A module of one's own: what `new-module` makes is checked, passes its case, and goes into an image.

use std::process::Command;

use twinhull_tests::{program, run, top};

#[test]
fn a_new_module_loads_passes_its_case_and_builds() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let at = |command: &mut Command, args: &[&str]| run(command.args(args).current_dir(dir.path()));
    at(&mut program("image-builder"), &["new-module", "modules/greeter"]).ok();
    let checked = at(&mut program("image-builder"), &["check", "modules/greeter"]).ok();
    assert_eq!(checked.stdout, "modules/greeter: ok (module greeter, 1 template)\n");
    let tested = at(&mut program("image-builder"), &["test-module", "modules/greeter"]).ok();
    assert_eq!(tested.stdout, "port: ok: A service listens where its spec says.\n");

    let hello = fs_err::read_to_string(top().join("examples/hello.yaml")).unwrap();
    let services = "modules: [files, ./modules/greeter]\nservices:\n  \
        program: {template: files.file, path: /usr/bin/greeter, content: \"#!/bin/sh\\n\", executable: true}\n  \
        hi: {template: greeter.service, port: 2000}\n";
    fs_err::write(dir.path().join("box.yaml"), format!("{hello}\n{services}")).unwrap();
    let built = at(&mut program("image-builder"), &["build", "box.yaml", "--quiet"]).ok();
    assert!(dir.path().join(built.stdout.trim()).exists(), "{}", built.text());

    // A case that isn't so fails, with its place.
    let case = dir.path().join("modules/greeter/tests/port.yaml");
    let text = fs_err::read_to_string(&case).unwrap().replace("listens: [8081]", "listens: [80]");
    fs_err::write(&case, text).unwrap();
    let failed = at(&mut program("image-builder"), &["test-module", "modules/greeter"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (1, "port: FAILED\n"));
    assert!(failed.stderr.contains("tests/port.yaml:9:12"), "{}", failed.stderr);
    assert!(failed.stderr.contains("expect.listens: there is 8081"), "{}", failed.stderr);
}
