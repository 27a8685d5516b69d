//! User data in every format and wrapping: reading, saying what it would do, and that what is accepted is safe.
#![no_main]

use firstboot_agent::userdata::{self, Enable, explain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let reading = userdata::read(data);
    let mut said = Vec::new();
    explain::text(&reading, &mut said).expect("memory can be written");
    let _ = explain::as_json(&reading);
    let Ok(Some(data)) = userdata::parse(data) else { return };
    let files = data.files.iter().map(|f| f.path.clone()).chain(data.directories.iter().map(|d| d.path.clone()));
    let links = data.links.iter().map(|l| l.path.clone());
    let units = data.units.iter().flat_map(|u| u.paths());
    for path in files.chain(links).chain(units).chain(data.credentials.iter().map(|c| c.path())) {
        assert!(path.starts_with("/etc/") || path.starts_with("/var/"), "{path}");
        assert!(!path[1..].split('/').any(|part| matches!(part, "" | "." | "..")), "{path}");
    }
    for unit in &data.units {
        if let Enable::Links(links) = &unit.enable {
            assert!(links.iter().all(|l| l.split('/').count() <= 2 && !l.contains("..")), "{links:?}");
        }
    }
    // One line of an account file is one account, and one of sudoers one rule.
    for user in &data.users {
        let fields = [Some(&user.name), user.gecos.as_ref(), user.shell.as_ref(), user.password_hash.as_ref()];
        assert!(fields.into_iter().flatten().all(|f| !f.contains([':', '\n'])), "{user:?}");
        assert!(user.sudo.iter().flat_map(|s| &s.0).all(|rule| !rule.contains('\n')), "{user:?}");
    }
    let contents: usize = data.files.iter().map(|f| f.content.len()).sum();
    assert!(contents <= 10 << 20, "{contents} bytes of files");
});
