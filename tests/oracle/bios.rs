//! GRUB's boot code for machines with a BIOS: the same as grub-mkimage makes, and SeaBIOS starts it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use twinhull_bios::{Core, Modules, SECTOR, Stock};
use twinhull_tests::{newer_path, newer_program, run};

const FOLDER: &str = "/usr/lib/grub/i386-pc";
const MODULES: [&str; 7] = ["biosdisk", "part_gpt", "fat", "search_label", "linux", "serial", "echo"];

fn stock(name: &str) -> Vec<u8> {
    fs_err::read(newer_path(&format!("{FOLDER}/{name}"))).unwrap()
}

fn core(script: &str) -> Core {
    let [boot, diskboot, kernel, decompressor] =
        ["boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img"].map(stock);
    let list = String::from_utf8(stock("moddep.lst")).unwrap();
    let names = Modules::parse(&list).order(&MODULES).unwrap();
    let files: Vec<_> = names.iter().map(|name| stock(&format!("{name}.mod"))).collect();
    let modules: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let stock = Stock { boot: &boot, diskboot: &diskboot, kernel: &kernel, decompressor: &decompressor };
    Core::new(&stock, &modules, script).unwrap()
}

/// Unpacks a core: the lengths say how much, and Python's LZMA is not ours.
const UNPACK: &str = "
import lzma, sys
image = open(sys.argv[1], 'rb').read()[512:]
packed, size = (int.from_bytes(image[at:at + 4], 'little') for at in (8, 12))
start = int(sys.argv[2])
stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[dict(id=lzma.FILTER_LZMA1, dict_size=1 << 24, lc=3, lp=0, pb=2)])
payload = stream.decompress(image[start:start + packed], max_length=size)
assert len(payload) == size, (len(payload), size)
sys.stdout.buffer.write(payload)
";

#[test]
fn grub_mkimage_makes_the_same() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let script = "echo hello\n";
    fs_err::write(dir.path().join("script"), script).unwrap();
    let theirs = dir.path().join("theirs.img");
    let mut mkimage = newer_program("/usr/bin/grub-mkimage", &[dir.path()]);
    mkimage.args(["-d", FOLDER, "-O", "i386-pc", "-p", "", "-c"]).arg(dir.path().join("script"));
    run(mkimage.arg("-o").arg(&theirs).args(MODULES)).ok();
    let ours = dir.path().join("ours.img");
    let (image, _) = core(script).install(1);
    fs_err::write(&ours, &image).unwrap();
    let start = stock("lzma_decompress.img").len();
    let unpacked = |path: &std::path::Path| {
        let out = Command::new("/usr/bin/python3")
            .args(["-c", UNPACK])
            .arg(path)
            .arg(start.to_string())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let (a, b) = (unpacked(&ours), unpacked(&theirs));
    let different = a.iter().zip(&b).position(|(a, b)| a != b);
    assert!(
        a.len() == b.len() && different.is_none(),
        "{} and {} bytes, different at {different:?}",
        a.len(),
        b.len()
    );
    // Around them, only numbers of sectors and the packed length are another encoder's.
    let theirs = fs_err::read(&theirs).unwrap();
    assert_eq!(image[..500], theirs[..500]);
    assert_eq!(image[510..SECTOR + 8], theirs[510..SECTOR + 8]);
    assert_eq!(image[SECTOR + 12..SECTOR + start], theirs[SECTOR + 12..SECTOR + start]);
}

#[test]
fn seabios_starts_it() {
    let script = "serial --unit=0 --speed=115200\nterminal_output serial\necho Twinhull on $grub_platform\n";
    let core = core(script);
    let first = 34;
    let (image, code) = core.install(first);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let (disk, serial) = (dir.path().join("disk.raw"), dir.path().join("serial"));
    let mut bytes = vec![0; 4 << 20];
    bytes[..code.len()].copy_from_slice(&code);
    bytes[510..SECTOR].copy_from_slice(&[0x55, 0xaa]);
    let at = usize::try_from(first).unwrap() * SECTOR;
    bytes[at..at + image.len()].copy_from_slice(&image);
    fs_err::write(&disk, bytes).unwrap();
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-machine",
        "q35",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-m",
        "256",
    ]);
    qemu.arg("-serial").arg(format!("file:{}", serial.display()));
    qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
    let mut qemu = qemu.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let said = || String::from_utf8_lossy(&fs_err::read(&serial).unwrap_or_default()).into_owned();
    while !said().contains("Twinhull on pc") && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(100));
    }
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    assert!(said().contains("Twinhull on pc"), "{}", said());
}
