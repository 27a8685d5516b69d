//! First boot on a network as QEMU's own can't be: without a DHCP server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use twinhull_tests::run;

use crate::support::{Guest, values};

/// A network with a card for a guest, and a metadata service at the address that such services have.
struct Network {
    name: String,
}

impl Network {
    /// With `documents` as paths and texts; anything else is a 404.
    fn new(documents: Vec<(&'static str, String)>) -> Self {
        let network = Network { name: format!("twinhull-{}", std::process::id()) };
        network.ip("netns", &["add", &network.name]);
        for line in [
            "tuntap add guest mode tap",
            "addr add 169.254.169.254/16 dev guest",
            "addr add fe80::1/64 dev guest nodad",
            "addr add 2a01:4f8:1::1/64 dev guest nodad",
            "link set guest up",
        ] {
            let words: Vec<_> = line.split(' ').collect();
            network.ip("-n", &[&[network.name.as_str()], &words[..]].concat());
        }
        let space = fs_err::File::open(format!("/run/netns/{}", network.name)).unwrap();
        // What a thread binds belongs to the network that the thread is in.
        let bind = move || {
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&space), None).unwrap();
            TcpListener::bind("[::]:80").unwrap()
        };
        let listener = std::thread::spawn(bind).join().unwrap();
        std::thread::spawn(move || serve(&listener, &documents));
        network
    }

    fn ip(&self, command: &str, words: &[&str]) {
        run(Command::new("ip").arg(command).args(words)).ok();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn serve(listener: &TcpListener, documents: &[(&'static str, String)]) {
    for stream in listener.incoming().flatten() {
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let _ = lines.find(String::is_empty);
        let found = documents.iter().find(|(at, _)| *at == path);
        let (status, body) = found.map_or(("404 Not Found", ""), |(_, text)| ("200 OK", text));
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = (&stream).write_all((head + body).as_bytes());
    }
}

/// A server of Hetzner's without a public IPv4 address, whose IPv6 address only the metadata know: it gets them all the
/// same, by link-local addresses.
#[test]
fn ipv6_only_and_static_without_dhcp() {
    let mac = "52:54:00:12:34:56";
    let metadata = format!(
        "instance-id: 46\nhostname: six\npublic-keys: [ssh-ed25519 AAAAx me]\nnetwork-config:\n  version: 1\n  config:\n  \
         - type: physical\n    name: eth0\n    mac_address: '{mac}'\n    subnets:\n    \
         - {{type: static, ipv6: true, address: '2a01:4f8:1::2/64', gateway: 'fe80::1'}}\n"
    );
    let user_data = "#cloud-config\nwrite_files: [{path: /etc/motd, content: told}]\n".to_owned();
    let network = Network::new(vec![("/hetzner/v1/metadata", metadata), ("/hetzner/v1/userdata", user_data)]);
    let guest = Guest::new().args([
        "--no-network",
        "--qemu-arg=-netdev",
        "--qemu-arg=tap,id=six,ifname=guest,script=no,downscript=no",
        "--qemu-arg=-device",
        &format!("--qemu-arg=virtio-net-pci,netdev=six,mac={mac}"),
        "--qemu-arg=-smbios",
        "--qemu-arg=type=1,manufacturer=Hetzner",
    ]);
    let inner = guest.command();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &network.name]).arg(inner.get_program()).args(inner.get_args());
    command.arg("--exec").arg(
        "echo state=$(systemctl is-system-running --wait); echo name=$(cat /proc/sys/kernel/hostname); \
         echo motd=$(cat /etc/motd); echo key=$(cat /etc/ssh/authorized_keys.d/root); \
         for i in $(seq 30); do ip -6 -o addr show scope global | grep -v tentative | grep -q 2a01 && break; sleep 1; done; \
         echo six=$(ip -6 -o addr show scope global); echo route=$(ip -6 route show default); \
         echo four=$(ip -4 -o addr show scope global) $(ip -4 -o addr show scope link); \
         bash -c 'exec 3<>/dev/tcp/2a01:4f8:1::1/80; echo \"GET /x HTTP/1.0\" >&3; echo >&3; read -r line <&3; echo \"reached=$line\"'",
    );
    let ran = run(&mut command);
    let (got, serial) = (values(&ran.ok().stdout), guest.serial());
    for (key, want) in [
        ("state", "running"),
        ("name", "six"),
        ("motd", "told"),
        ("key", "ssh-ed25519 AAAAx me"),
        // What the initrd asked with is gone.
        ("four", ""),
        ("reached", "HTTP/1.1 404 Not Found"),
    ] {
        assert_eq!(got.get(key).map(String::as_str), Some(want), "{key}: {got:?}\n{serial}");
    }
    assert!(got["six"].contains("2a01:4f8:1::2/64") && got["route"].contains("via fe80::1"), "{got:?}");
}
