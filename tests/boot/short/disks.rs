//! What lives on the disk: state that persists, data that can't be altered, disks that aren't ours.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use twinhull_fsimg::Part;
use twinhull_fsimg::erofs::reader::Reader;
use twinhull_tests::{hello, partition, program, run, tool};

use crate::support::{Guest, values};

/// The default image packed with Zstandard, which needs another part of the kernel than the default.
fn zstd_image(dir: &Path) -> PathBuf {
    let hello = fs_err::read_to_string(twinhull_tests::top().join("examples/hello.yaml")).unwrap();
    let spec = dir.join("zstd.yaml");
    fs_err::write(&spec, format!("{hello}\ndisk:\n  compression: zstd:3\n  cluster: 32K\n")).unwrap();
    run(program("image-builder").arg("build").arg(&spec).arg("--quiet").arg("--out").arg(dir)).ok();
    dir.join("hello_1.0.0.raw")
}

#[test]
fn altered_data_can_not_be_read() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = zstd_image(dir.path());
    let (offset, len) = partition("hello_1.0.0");
    let reader =
        Reader::new(Part::new(fs_err::File::open(&image).unwrap().into_file(), offset, len).unwrap())
            .unwrap();
    assert_eq!(reader.algorithms, ["zstd"]);
    // A file no boot reads: the text of a licence.
    let mut stored = Vec::new();
    let walked = reader.walk(|path, inode| -> twinhull_fsimg::Result<()> {
        if path == b"/share/common-licenses/GPL-3" {
            stored = reader.places(inode)?;
        }
        Ok(())
    });
    walked.unwrap();
    let at = offset + stored.first().expect("the licence has data").0 + 5000;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&image).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    // A version on trial would panic; this one is known to be good.
    let esp = format!("{}@@{}", image.display(), partition("esp").0);
    tool("mren", ["-i", &esp, "::EFI/Linux/hello_1.0.0+3.efi", "hello_1.0.0.efi"]).ok();
    let guest = Guest::of(image);
    let ran = guest.exec(
        "echo intact=$(cat /usr/share/common-licenses/GPL-2 | wc -l); cat /usr/share/common-licenses/GPL-3 >/dev/null; echo code=$?; \
         echo kernel=$(journalctl -b -k --no-pager | grep -c 'verity.*corrupt'); echo status=$(dmsetup status usr 2>/dev/null || true)",
    );
    let got = values(&ran.stdout);
    assert_eq!(got["code"], "1", "altered data was read: {}", ran.text());
    assert_ne!(got["intact"], "0");
    assert_ne!(got["kernel"], "0", "{}", ran.text());
}

#[test]
fn a_second_disk_with_the_same_labels_is_not_touched() {
    let guest = Guest::in_format("bmap");
    let other = guest.dir.path().join("other.raw");
    tool("cp", ["--sparse=always".as_ref(), hello().path.as_os_str(), other.as_os_str()]).ok();
    // Same labels, other identifiers: another machine's disk, attached for rescue.
    tool("sgdisk", ["-G", other.to_str().unwrap()]).ok();
    let guest = guest.args(["--extra-disk", other.to_str().unwrap()]);
    let ran = guest
        .exec(
            "systemctl is-system-running --wait; boot=$(/usr/lib/twinhull/twinhull-disk boot-disk); echo boot=$boot; \
             echo loader=$(cat /run/twinhull/boot-partition) esp=$(udevadm info -q property -n ${boot}1 | sed -n s/^ID_PART_ENTRY_UUID=//p); \
             echo var=$(findmnt -no SOURCE /var); ls /efi >/dev/null; echo efi=$(findmnt -no SOURCE /efi | tail -n 1); \
             for disk in /sys/block/vd?; do echo ${disk##*/}=$(ls -d $disk/vd* | wc -l); done",
        )
        .ok();
    let got = values(&ran.stdout);
    // The disk is found by the partition that systemd-boot came from, not only by that of /usr.
    let (loader, esp) = got["loader"].split_once(" esp=").unwrap();
    assert_eq!(loader, esp, "{}", ran.text());
    let boot = got["boot"].trim_start_matches("/dev/").to_owned();
    let other = if boot == "vda" { "vdb" } else { "vda" };
    assert_eq!(got["var"], format!("/dev/{boot}7"), "{}", ran.text());
    assert_eq!(got["efi"], format!("/dev/{boot}1"), "{}", ran.text());
    assert_eq!(got[&boot], "7");
    assert_eq!(got[other], "6", "a partition was made on the other disk: {}", ran.text());
}

/// The default image with `more` in its spec.
fn image_with(dir: &Path, more: &str) -> PathBuf {
    let hello = fs_err::read_to_string(twinhull_tests::top().join("examples/hello.yaml")).unwrap();
    let spec = dir.join("disks.yaml");
    fs_err::write(&spec, format!("{hello}\n{more}")).unwrap();
    run(program("image-builder").arg("build").arg(&spec).arg("--quiet").arg("--out").arg(dir)).ok();
    dir.join("hello_1.0.0.raw")
}

#[test]
fn a_second_boot_keeps_disks_and_loses_etc() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = image_with(
        dir.path(),
        "disk: {swap: 64M}\ndata-disks:\n\
         - {name: store, disk: /dev/disk/by-id/virtio-store, mount: /srv/store}\n\
         - {name: old, disk: /dev/disk/by-id/virtio-old, mount: /srv/old}\n\
         - {name: gone, disk: /dev/disk/by-id/virtio-gone, mount: /srv/gone}\n",
    );
    let disk = |name: &str| dir.path().join(format!("{name}.raw"));
    for name in ["store", "old"] {
        fs_err::File::create(disk(name)).unwrap().set_len(256 << 20).unwrap();
    }
    tool("mke2fs", ["-q", "-t", "ext4", "-L", "precious", disk("old").to_str().unwrap()]).ok();
    let before = fs_err::read(disk("old")).unwrap();
    let mut guest = Guest::of(image).patient();
    let overlay = guest.dir.path().join("disk.qcow2").display().to_string();
    guest = guest.args(["--persist", &overlay]);
    for name in ["store", "old"] {
        let drive = format!("if=none,id={name},format=raw,file={}", disk(name).display());
        let device = format!("virtio-blk-pci,drive={name},serial={name}");
        guest = guest.args(["--qemu-arg", "-drive", "--qemu-arg", &drive]);
        guest = guest.args(["--qemu-arg", "-device", "--qemu-arg", &device]);
    }
    let facts = "echo state=$(systemctl is-system-running --wait); echo id=$(cat /etc/machine-id); \
                 echo key=$(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); echo kept=$(cat /var/lib/kept); echo etc=$(cat /etc/lost); \
                 echo boots=$(journalctl --list-boots | wc -l); echo size=$(findmnt -bno SIZE /var); \
                 echo swap=$(swapon --show=SIZE --noheadings --bytes); \
                 echo store=$(findmnt -no FSTYPE /srv/store); echo old=$(findmnt -no FSTYPE /srv/old); \
                 echo mine=$(cat /srv/store/mine); echo var=$(findmnt -no SOURCE /var); \
                 echo uuid=$(blkid -o value -s UUID /dev/disk/by-partlabel/twinhull-data-store); \
                 echo told=$(journalctl -b --no-pager | grep -c 'ext4 with the label precious'); \
                 echo gone=$(journalctl -b --no-pager | grep -c \"virtio-gone isn't there\")";
    let script =
        format!("{facts}; echo kept | tee /srv/store/mine >/var/lib/kept; echo lost >/etc/lost; sync");
    let first = guest.exec(&script).ok();
    // The disk has become larger in the meantime; /var follows.
    let second = guest.args(["--disk-size", "5G"]).exec(facts).ok();
    let (first, second) = (values(&first.stdout), values(&second.stdout));
    for got in [&first, &second] {
        assert_eq!(got["state"], "running", "{got:?}");
        assert!((60 << 20..=64 << 20).contains(&got["swap"].parse::<u64>().unwrap()), "{got:?}");
        assert_eq!((got["store"].as_str(), got["old"].as_str()), ("ext4", ""), "{got:?}");
        assert!(got["var"].ends_with('8'), "{got:?}");
        assert_ne!(got["told"], "0", "{got:?}");
        assert_ne!(got["gone"], "0", "{got:?}");
    }
    assert_eq!((first["mine"].as_str(), first["id"].len()), ("", 32), "{first:?}");
    assert!(first["key"].contains("ED25519"), "{first:?}");
    for same in ["uuid", "id", "key"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    let left = [&second["mine"], &second["kept"], &second["etc"]];
    assert_eq!(left, ["kept", "kept", ""], "{second:?}");
    assert!(second["boots"].parse::<u32>().unwrap() >= 2, "the journal is not persistent: {second:?}");
    assert!(second["size"].parse::<u64>().unwrap() > 3 << 30, "{second:?}");
    assert!(fs_err::read(disk("old")).unwrap() == before, "the foreign disk was changed");
}

#[test]
fn an_encrypted_var_opens_with_the_tpm_or_with_the_key() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = image_with(dir.path(), "disk: {swap: 64M, encryption: machine-key}");
    let overlay = dir.path().join("disk.qcow2").display().to_string();
    let guest = || Guest::of(image.clone()).args(["--persist", &overlay]);
    let facts = "echo state=$(systemctl is-system-running --wait); echo var=$(findmnt -no SOURCE /var); \
                 echo mine=$(cat /var/lib/mine); echo size=$(findmnt -bno SIZE /var); \
                 echo crypt=$(dmsetup table --target crypt | cut -d' ' -f 1,4,5 | sort | tr '\\n' ' '); \
                 echo swap=$(swapon --show=NAME --noheadings) is=$(readlink -f /dev/mapper/twinhull-swap); \
                 echo by=$(journalctl -qo cat -u twinhull-repart | grep 'is opened by'); \
                 echo raw=$(blkid -po value -s TYPE /dev/vda8)";
    let first = guest().args(["--tpm", "--credential", "twinhull.var-key=correct horse"]);
    let first = first.exec(&format!("{facts}; echo kept >/var/lib/mine; sync")).ok();
    let second = guest().args(["--tpm", "--disk-size", "5G"]).exec(facts).ok();
    // The TPM is lost, and the machine gets another one, which is bound as the guide says.
    fs_err::remove_dir_all(format!("{overlay}.tpm")).unwrap();
    let enroll = "systemd-cryptenroll --wipe-slot=tpm2 /dev/disk/by-partlabel/var && \
                  systemd-cryptenroll --unlock-key-file=/run/credentials/@system/twinhull.var-key \
                  --tpm2-device=auto --tpm2-pcrs=7 /dev/disk/by-partlabel/var";
    let key = ["--tpm", "--disk-size", "5G", "--credential", "twinhull.var-key=correct horse"];
    let third = guest().args(key).exec(&format!("{facts}; {enroll} 2>&1")).ok();
    let fourth = guest().args(["--tpm", "--disk-size", "5G"]).exec(facts).ok();
    for (ran, mine, least, by) in [
        (&first, "", 900 << 20, "the TPM"),
        (&second, "kept", 3 << 30, "the TPM"),
        (&third, "kept", 3 << 30, "the credential twinhull.var-key"),
        (&fourth, "kept", 3 << 30, "the TPM"),
    ] {
        let got = values(&ran.stdout);
        assert_eq!(got["state"], "running", "{}", ran.text());
        assert_eq!(got["var"], "/dev/mapper/twinhull-var", "{got:?}");
        let crypt = "twinhull-swap: crypt aes-xts-plain64 twinhull-var: crypt aes-xts-plain64";
        assert_eq!((got["crypt"].as_str(), got["raw"].as_str()), (crypt, "crypto_LUKS"), "{got:?}");
        let (swap, is) = got["swap"].split_once(" is=").unwrap();
        assert!(swap == is && is.starts_with("/dev/dm-"), "{got:?}");
        assert_eq!(
            (got["mine"].as_str(), got["by"].as_str()),
            (mine, format!("/var is opened by {by}").as_str())
        );
        assert!(got["size"].parse::<u64>().unwrap() > least, "{got:?}");
    }
    let wrong = ["--disk-size", "5G", "--no-reboot", "--credential", "twinhull.var-key=wrong"];
    let stranger = guest().args(wrong);
    assert_ne!(stranger.exec("true").code, 0);
    let serial = stranger.serial();
    for want in [
        "the TPM isn't there, the credential twinhull.var-key doesn't open it",
        "twinhull: the initrd failed",
    ] {
        assert!(serial.contains(want), "{want}: {serial}");
    }
}
