//! The bill of materials: spdx-tools, the reference implementation, accepts it, and it says what dpkg says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use twinhull_fsimg::erofs;
use twinhull_tests::{Ran, hello, program, run};
use twinhull_tree::{Node, Tree};

/// What spdx-tools says of a file; `cargo xtask test` installs it and says where.
fn validate(bill: &Path) -> Ran {
    let dir = std::env::var_os("TWINHULL_SPDX_TOOLS").map(PathBuf::from);
    let dir = dir.expect("TWINHULL_SPDX_TOOLS is not set; run the tests with `cargo xtask test`");
    let mut command = std::process::Command::new(dir.join("bin/python"));
    run(command
        .args(["-m", "spdx_tools.spdx.clitools.pyspdxtools", "--version", "SPDX-2.3", "--infile"])
        .arg(bill))
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_bill_of_the_default_image_is_valid_and_complete() {
    let beside = hello().path.with_extension("spdx.json");
    validate(&beside).ok();
    let bill = read(&beside);
    let purls = |package: &Value| {
        package["externalRefs"][0]["referenceLocator"]
            .as_str()
            .is_some_and(|l| l.starts_with("pkg:deb/debian/"))
    };
    let all = bill["packages"].as_array().unwrap();
    let ours: BTreeSet<(&str, &str)> = all
        .iter()
        .filter(|p| purls(p))
        .map(|p| (p["name"].as_str().unwrap(), p["versionInfo"].as_str().unwrap()))
        .collect();
    let listed = hello().manifest["packages"].as_array().unwrap();
    let listed: BTreeSet<(&str, &str)> =
        listed.iter().map(|p| (p["name"].as_str().unwrap(), p["version"].as_str().unwrap())).collect();
    assert_eq!(ours, listed);
    let kinds = |kind: &str| {
        bill["relationships"].as_array().unwrap().iter().filter(|r| r["relationshipType"] == kind).count()
    };
    assert_eq!((kinds("DESCRIBES"), kinds("CONTAINS")), (1, all.len() - 1));
    assert!(kinds("DEPENDS_ON") > listed.len());
    assert_eq!(all[0]["externalRefs"][0]["referenceLocator"], hello().manifest["root_hash"]);
    assert!(all.iter().any(|p| p["name"] == "firstboot-agent"));
}

#[test]
fn sbom_says_of_the_image_what_build_wrote_beside_it() {
    let ran = run(program("image-builder").arg("sbom").arg(&hello().path)).ok();
    let beside = fs_err::read_to_string(hello().path.with_extension("spdx.json")).unwrap();
    assert!(ran.stdout == beside, "the image and the tree tell different stories");
}

/// Odd fields, an image without anything but dpkg's database, and a validator that would complain.
#[test]
fn odd_packages_make_a_valid_bill() {
    let dir = tempfile::tempdir().unwrap();
    let (image, bill) = (dir.path().join("odd.erofs"), dir.path().join("odd.spdx.json"));
    let mut tree = Tree::new();
    let status = "Package: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2~rc+b1\n\
                  Maintainer: \"J. (X) Doe\" <j@example.org>\nHomepage: not a url\nDepends: nobody, a\nDescription: ünï\n\n\
                  Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nMaintainer: Team\n\
                  Homepage: https://example.org/a\nProvides: b\n";
    tree.insert("share/factory/var/lib/dpkg/status", Node::file(status)).unwrap();
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                     Files: *\nLicense: GPL-2+ or Expat, and ISC\n\nFiles: x\nLicense: Zlib\n";
    tree.insert("share/doc/a/copyright", Node::file(copyright)).unwrap();
    let mut file = fs_err::File::create(&image).unwrap();
    let options = erofs::Options::new([1; 16], 1_700_000_000);
    let length = erofs::write(&tree, &options, &mut file, &mut |_| ()).unwrap();
    file.set_len(length).unwrap();
    let text = run(program("image-builder").arg("sbom").arg(&image)).ok().stdout;
    fs_err::write(&bill, &text).unwrap();
    validate(&bill).ok();
    assert!(text.contains("(GPL-2.0-or-later OR MIT) AND ISC AND Zlib"), "{text}");
    // The validator is one that finds mistakes.
    fs_err::write(&bill, text.replace("GPL-2.0-or-later", "GPL-Two")).unwrap();
    assert_ne!(validate(&bill).code, 0);
    fs_err::write(&image, text).unwrap();
    assert_eq!(run(program("image-builder").arg("sbom").arg(&image)).code, 1);
}
