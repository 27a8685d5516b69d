//! A build that is told to stop leaves nothing half-written.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use twinhull_tests::{hello, program, run, top};

#[test]
fn an_interrupted_build_leaves_nothing_behind() {
    // The tree is in the cache then, so what is interrupted is the writing of the image.
    hello();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut build = program("image-builder");
        build.arg("build").arg(top().join("examples/hello.yaml")).args(["--quiet", "--out"]).arg(&out);
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let entries = || {
            fs_err::read_dir(&out).map(|d| d.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect())
        };
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let names: Vec<String> = entries().unwrap_or_default();
            if names.iter().any(|n| n.starts_with(".twinhull-")) {
                break;
            }
            assert!(Instant::now() < deadline, "no image was begun");
            assert!(
                child.try_wait().unwrap().is_none(),
                "the build ended before its image was seen: {names:?}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        run(Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string())).ok();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "signal {:?}", status.signal());
        let left: Vec<String> = entries().unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn an_interrupted_second_build_goes_with_the_first() {
    hello();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut build = program("image-builder");
    build.arg("build").arg(top().join("examples/hello.yaml"));
    build.args(["--quiet", "--check-reproducible", "--out"]).arg(&out);
    let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let second = || -> Vec<String> {
        let names = fs_err::read_dir(&out).map(|d| d.filter_map(|e| e.ok()?.file_name().into_string().ok()));
        names.map(|n| n.filter(|n| n.starts_with(".reproduce-")).collect()).unwrap_or_default()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while second().is_empty() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "no second build was seen");
        std::thread::sleep(Duration::from_millis(1));
    }
    // Long enough for it to be under way, far from its end.
    std::thread::sleep(Duration::from_millis(500));
    run(Command::new("kill").arg(child.id().to_string())).ok();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    // It would have made its folder again and gone on.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(second(), Vec::<String>::new());
    assert!(out.join("hello_1.0.0.raw").exists(), "the first build was finished");
}
