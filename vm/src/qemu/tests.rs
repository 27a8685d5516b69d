//! QEMU's command line for guests of every kind.

use super::*;
use crate::firmware::Uefi;
use crate::options::{Cloud, Starts};

fn line(options: &Options, change: impl FnOnce(&mut Plan<'_>)) -> String {
    let secure = options.secure_boot.is_some();
    let uefi = Uefi { code: "/fw/code".into(), vars: "/fw/vars".into(), format: "raw", secure };
    let firmware = if options.firmware == Starts::Bios { Firmware::Bios } else { Firmware::Uefi(uefi) };
    let mut plan = Plan {
        options,
        program: "qemu".into(),
        accel: Chosen::Tcg,
        firmware,
        vars: "/t/vars".into(),
        disk: "/t/a,b".into(),
        extra: Vec::new(),
        cidata: None,
        pipe: None,
        web: None,
        tpm: None,
        strings: Vec::new(),
        serial: "/t/serial".into(),
        dir: "/t".into(),
        sockets: "/t".into(),
        control: "/c".into(),
    };
    change(&mut plan);
    plan.argv().join(OsStr::new(" ")).into_string().unwrap()
}

#[test]
fn the_plain_guest() {
    let line = line(&Options::default(), |_| ());
    for want in [
        "qemu -nodefaults -no-user-config -display none -machine q35,smm=off -accel tcg,thread=multi -cpu max",
        "-smp 2 -m 2097152K",
        "-action watchdog=reset",
        "file=/t/a,,b,cache=unsafe",
        "mac=52:54:00:12:34:56",
        "-chardev file,id=console,path=/t/serial",
    ] {
        assert!(line.contains(want), "{want}: {line}");
    }
    for unwanted in ["-smbios", "virtserialport", "-no-reboot", "hostfwd", "guestfwd", "-mon"] {
        assert!(!line.contains(unwanted), "{unwanted}: {line}");
    }
}

#[test]
fn a_bios_is_qemus_own() {
    let line = line(&Options { firmware: Starts::Bios, ..Options::default() }, |_| ());
    assert!(!line.contains("pflash") && line.contains("bootindex=1"), "{line}");
    let both = Options {
        secure_boot: Some("keys".into()),
        firmware: Starts::Bios,
        image: "x".into(),
        ..Options::default()
    };
    assert!(both.check().unwrap_err().to_string().contains("no Secure Boot"));
}

#[test]
fn secure_boot_needs_smm() {
    let options = Options { secure_boot: Some("keys".into()), ..Options::default() };
    let line = line(&options, |_| ());
    assert!(
        line.contains("-machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on"),
        "{line}"
    );
}

#[test]
fn a_tpm_is_a_socket() {
    let line = line(&Options::default(), |plan| plan.tpm = Some("/t/tpm.sock".into()));
    let want = "-chardev socket,id=tpm,path=/t/tpm.sock -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0";
    assert!(line.contains(want), "{line}");
}

#[test]
fn hetzner_has_dmi_strings_and_a_forwarded_service() {
    let options = Options {
        cloud: Some(Cloud::Hetzner),
        ssh_port: Some(2222),
        forward: vec![(8080, 80)],
        ..Options::default()
    };
    let line = line(&options, |plan| plan.pipe = Some("'/a,b/runvm' internal-pipe 9".into()));
    for want in [
        "guestfwd=tcp:169.254.169.254:80-cmd:'/a,,b/runvm' internal-pipe 9",
        "manufacturer=Hetzner,product=vServer,serial=42",
        "mac=96:00:00:08:19:da",
        "hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80",
    ] {
        assert!(line.contains(want), "{want}: {line}");
    }
}

#[test]
fn a_folder_is_served_beside_the_metadata() {
    let cut = Some(crate::Moment::Text("x".into()));
    let mut options = Options { network_cut: cut, ..Options::default() };
    let web = |plan: &mut Plan<'_>| plan.web = Some("w".into());
    for want in ["user,id=net0,guestfwd=tcp:10.0.2.100:80-cmd:w ", "path=/c/qmp.sock -mon chardev=control"] {
        let line = line(&options, web);
        assert!(line.contains(want), "{want}: {line}");
    }
    options.cloud = Some(Cloud::Hetzner);
    let line = line(&options, |plan| (plan.pipe, plan.web) = (Some("m".into()), Some("w".into())));
    for want in ["169.254.169.254:80-cmd:m,", "169.254.169.100:80-cmd:w "] {
        assert!(line.contains(want), "{want}: {line}");
    }
}

#[test]
fn long_strings_travel_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(smbios::INLINE_MAX + 1);
    let options = Options::default();
    let line = line(&options, |plan| {
        plan.dir = dir.path().to_owned();
        plan.strings = vec!["a=b,c".into(), long.clone()];
        plan.write_strings().unwrap();
    });
    assert!(line.contains("-smbios type=11,value=a=b,,c -smbios type=11,path="), "{line}");
    assert_eq!(fs_err::read_to_string(string_file(dir.path(), 1)).unwrap(), long);
    assert!(!string_file(dir.path(), 0).exists());
}

#[test]
fn exec_has_two_ports_and_disks_their_formats() {
    let options = Options {
        exec: Some("true".into()),
        persist: Some("p".into()),
        network: false,
        qemu_args: vec!["-foo".into()],
        no_reboot: true,
        ..Options::default()
    };
    let line = line(&options, |plan| {
        plan.extra = vec![("/e/one".into(), Format::Raw), ("/e/two".into(), Format::Qcow2)];
        plan.cidata = Some("/t/cidata".into());
    });
    for want in [
        "name=org.twinhull.exec.output",
        "name=org.twinhull.exec.status",
        "id=disk2,format=qcow2,snapshot=on,file=/e/two",
        "id=cidata,format=raw,readonly=on,file=/t/cidata",
        "cache=writeback",
        "-nic none",
        "-no-reboot",
    ] {
        assert!(line.contains(want), "{want}: {line}");
    }
    assert!(line.ends_with(" -foo"), "{line}");
}
