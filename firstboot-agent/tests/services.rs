//! Parameters of the image's services, set by user data.

// Helpers of tests aren't tests to clippy.
#![allow(clippy::unwrap_used)]

mod common;

use common::Machine;

/// What an image with these services has in it.
fn services(text: &str) -> String {
    let modules = ["app", "timesyncd"].map(|name| twinhull_modules::builtin::get(name).unwrap().unwrap());
    let modules: Vec<_> = modules.iter().map(|module| &**module).collect();
    let mut report = twinhull_source::Report::new(text);
    let root = twinhull_source::yaml::read(text, &mut report).root.unwrap();
    let request = twinhull_modules::Request {
        modules: &modules,
        services: &root,
        path: "services",
        targets: &Default::default(),
        base: None,
    };
    let output = twinhull_modules::plan(&request, &mut report);
    assert!(report.is_empty());
    output.files[twinhull_modules::machine::PATH].content.clone()
}

#[test]
fn a_machine_sets_parameters_of_the_image_s_services() {
    let machine = Machine::new("local", "");
    let path = twinhull_modules::machine::PATH.trim_start_matches('/');
    let set = |text: &str| {
        machine.seed(&[
            ("meta-data", "instance-id: i\n"),
            ("user-data", &format!("#twinhull\nservices:\n  {text}\n")),
        ]);
        // As the first boot of a machine.
        let _ = std::fs::remove_dir_all(machine.root.join("var/lib/twinhull"));
        machine.boots()
    };
    let out = set("time: {servers: [b.example]}");
    assert!(out.contains("line 3, column 3: no service of this image has parameters"), "{out}");
    machine.write(
        path,
        &services("time: {template: timesyncd.client, servers: [a.example]}\nbot: {template: app.service, command: [/usr/bin/bot]}\n"),
    );
    set("time: {servers: [b.example, 192.0.2.1]}\n  bot: {memory-max: 64M}");
    assert!(
        machine.read("etc/systemd/timesyncd.conf.d/40-time.conf").contains("\nNTP=b.example 192.0.2.1\n")
    );
    assert!(machine.read("etc/systemd/system/bot.service").contains("\nMemoryMax=64M\n"));
    // The sentences of a spec's check, at the place in the user data.
    for (text, want) in [
        (
            "time: {servers: []}",
            "line 3, column 19: services.time.servers: without a server there is nobody to ask; write one",
        ),
        ("bot: {command: [/bin/sh]}", "line 3, column 18: services.bot.command: is fixed in the image"),
        ("bot: {memory-max: lots}", "line 3, column 21: services.bot.memory-max: \"lots\" is not a size"),
        (
            "bat: {memory-max: 1M}",
            "line 3, column 3: the image has no service of this name; did you mean `bot`?",
        ),
    ] {
        let out = set(text);
        assert!(out.contains(want) && out.contains("not used at all"), "{text}: {out}");
        assert!(!machine.has("etc/systemd/system/bot.service") && !out.contains("ghp"), "{text}: {out}");
    }
    machine.write(path, "{}");
    let out = set("time: {servers: [b.example]}");
    assert!(out.contains("services.json of the image can't be read"), "{out}");
}
