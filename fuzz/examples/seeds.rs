//! Makes the seeds: small files of every format, by our own writers. `cargo run --example seeds` in this folder.

use std::io::{Cursor, Write};

use twinhull_fsimg::{erofs, ext4, verity};
use twinhull_tree::{DeviceNumber, Kind, Node, Tree};

/// Clouds' documents that have a bit of everything.
const METADATA: &[(&str, &str)] = &[
    (
        "openstack",
        r#"{"links":[{"id":"a","type":"phy","ethernet_mac_address":"fa:16:3e:00:00:01","mtu":1450},{"id":"b","type":"bond","bond_links":["a"],"bond_mode":"802.3ad","bond_miimon":100},{"id":"v","type":"vlan","vlan_id":7,"vlan_link":"b"}],"networks":[{"link":"v","type":"ipv4","ip_address":"10.0.0.2","netmask":"255.0.0.0","routes":[{"network":"0.0.0.0","netmask":"0.0.0.0","gateway":"10.0.0.1"}]},{"link":"a","type":"ipv6_slaac"}],"services":[{"type":"dns","address":"9.9.9.9"}]}"#,
    ),
    (
        "oracle",
        r#"[{"macAddr":"02:00:17:05:d1:db","privateIp":"10.3.0.2","subnetCidrBlock":"10.3.0.0/20","virtualRouterIp":"10.3.0.1","vlanTag":0},{"macAddr":"02:00:17:05:d1:dc","privateIp":"10.4.0.2","subnetCidrBlock":"10.4.0.0/20","virtualRouterIp":"10.4.0.1","vlanTag":12}]"#,
    ),
    (
        "digitalocean",
        r#"{"droplet_id":1,"hostname":"a","public_keys":["ssh-rsa AAAAx"],"interfaces":{"public":[{"mac":"04:01:2a:0f:2a:01","ipv4":{"ip_address":"192.0.2.2","netmask":"255.255.255.0","gateway":"192.0.2.1"},"anchor_ipv4":{"ip_address":"10.0.0.2","netmask":"255.255.0.0"}}]},"dns":{"nameservers":["9.9.9.9"]}}"#,
    ),
    (
        "azure",
        r#"{"compute":{"vmId":"a","publicKeys":[{"keyData":"ssh-rsa AAAAx"}],"userData":"I3g="},"network":{"interface":[{"macAddress":"000D3AF806EC","ipv4":{"ipAddress":[{},{"privateIpAddress":"10.0.0.5"}],"subnet":[{"prefix":"24"}]},"ipv6":{"ipAddress":[]}}]}}"#,
    ),
    (
        "hetzner",
        "instance-id: 1\nnetwork-config:\n  version: 1\n  config:\n  - {type: physical, mac_address: '96:00:00:08:19:da', subnets: [{type: static, address: '2001:db8::1/64', gateway: 'fe80::1'}]}\n",
    ),
];

/// User data of each format.
const USER_DATA: &[(&str, &str)] = &[
    (
        "native",
        "#twinhull\nhostname: a\ntime-zone: UTC\nntp: [a.example]\nusers: [{name: ann, uid: 1000, sudo: true, ssh-keys: [ssh-rsa AAAAx]}]\nfiles: [{path: /etc/a, content-base64: aGk=, mode: 0600}]\nunits: [{name: a.service, enable: true, content: \"[Service]\\nExecStart=a\"}]\ncredentials: [{name: a, content: b}]\n",
    ),
    (
        "cloud-config",
        "#cloud-config\nfqdn: a.b\nssh_pwauth: false\nusers:\n- default\n- {name: ann, groups: 'adm, b', lock_passwd: false, passwd: $6$a$b, sudo: ['ALL=(ALL) ALL']}\nwrite_files:\n- {path: /etc/a, encoding: gz+b64, content: H4sIAAAAAAAC/8vI5AIAejpB6gMAAAA=, permissions: '0600', owner: 'root:root'}\nntp: {pools: [a]}\n",
    ),
    (
        "ignition",
        r#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/etc/hostname","mode":420,"contents":{"source":"data:;base64,aGk="}}],"directories":[{"path":"/var/a"}],"links":[{"path":"/etc/b","target":"c"}]},"systemd":{"units":[{"name":"a.service","enabled":true,"contents":"[Install]\nWantedBy=b.target\n"}]},"passwd":{"users":[{"name":"core"}]}}"#,
    ),
    ("systemd", "#systemd-userdata\n{\"systemd.credentials\":[{\"name\":\"a\",\"text\":\"b\"},{\"name\":\"c\",\"data\":\"aGk=\"}]}\n"),
    (
        "mime",
        "Content-Type: multipart/mixed; boundary=\"b\"\r\nMIME-Version: 1.0\r\n\r\n--b\r\nContent-Type: text/cloud-config\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhost=\r\nname: =61\r\n--b\r\n\r\n#twinhull\r\n--b--\r\n",
    ),
    ("base64", "I3R3aW5odWxsCmhvc3RuYW1lOiBib3h5CnVzZXJzOiBbe25hbWU6IGFufV0K"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let put = |target: &str, name: &str, bytes: &[u8]| -> std::io::Result<()> {
        std::fs::create_dir_all(seeds.join(target))?;
        std::fs::write(seeds.join(target).join(name), bytes)
    };
    let mut tree = Tree::new();
    for n in 0..12_usize {
        tree.insert(format!("/d{}/f{n}", n % 3), Node::file("some words\n".repeat(n * n * 30)))?;
    }
    let mut node = Node::file("with attributes");
    node.meta.xattrs.insert(b"user.note".to_vec(), b"value".to_vec());
    tree.insert("/noted", node)?;
    tree.insert("/link", Node::symlink("d1/f1"))?;
    let null = Kind::CharDevice(DeviceNumber { major: 1, minor: 3 });
    tree.insert("/null", Node { meta: Default::default(), kind: null })?;
    for packing in ["none", "lz4", "zstd:3"] {
        let options = erofs::Options {
            compression: packing.parse().ok().map(|algorithm| erofs::Compression { algorithm, cluster: 16_384 }),
            ..erofs::Options::new([7; 16], 0)
        };
        let mut out = Cursor::new(Vec::new());
        let len = erofs::write(&tree, &options, &mut out, &mut |_| ())?;
        let name = packing.split(':').next().unwrap_or(packing);
        put("erofs", name, &out.get_ref()[..len as usize])?;
        let mut index = Vec::new();
        twinhull_delta::write_index(&out.get_ref().as_slice(), &mut index)?;
        put("index", name, &index)?;
    }

    let mut out = Cursor::new(Vec::new());
    ext4::write(&tree, &ext4::Options { uuid: [7; 16], build_time: 0 }, &mut out, &mut |_| ())?;
    put("ext4", "small", out.get_ref())?;

    let volume = twinhull_fuzz::file(&[0; 64 << 10]);
    fatfs::format_volume(&mut &volume, fatfs::FormatVolumeOptions::new())?;
    {
        let fs = fatfs::FileSystem::new(volume.try_clone()?, fatfs::FsOptions::new())?;
        let folder = fs.root_dir().create_dir("EFI")?.create_dir("Linux")?;
        folder.create_file("a rather long name+3.efi")?.write_all(b"content")?;
    }
    put("fat", "small", &read(volume)?)?;

    let mut disk = twinhull_fuzz::file(&[0; 128 << 10]);
    let partition = |number: u32, label: &str| twinhull_disk::table::Partition {
        number,
        kind: twinhull_disk::types::ESP,
        uuid: uuid::Uuid::from_u128(u128::from(number)),
        offset: 40 * 512 + u64::from(number) * 4096,
        size: 4096,
        label: label.into(),
        flags: 0,
    };
    let partitions = vec![partition(1, "esp"), partition(2, "hello_1.0.0")];
    twinhull_disk::table::write(&mut disk, &twinhull_disk::table::Table { uuid: uuid::Uuid::nil(), partitions })?;
    put("gpt", "two-partitions", &read(disk)?)?;

    let mut data = twinhull_fuzz::file(&[7; 8192]);
    let options = verity::Options { uuid: [1; 16], salt: vec![2; 32] };
    verity::write(&data, 0, 8192, 8192, &options)?;
    data.flush()?;
    put("verity", "two-blocks", &read(data)?)?;

    for (name, document) in METADATA {
        put("metadata", name, document.as_bytes())?;
    }
    for (name, document) in USER_DATA {
        put("userdata", name, document.as_bytes())?;
    }

    put("pe", "stub", &stub())?;
    put("signatures", "stub", &stub())?;
    put("pe", "uki", &twinhull_uki::build(&stub(), &[(".cmdline", b"quiet"), (".osrel", b"ID=x\n")])?)?;
    Ok(())
}

fn read(mut file: std::fs::File) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The smallest PE32+ file with one section that has room for more section headers.
fn stub() -> Vec<u8> {
    let mut out = vec![0; 1024];
    out[0..2].copy_from_slice(b"MZ");
    out[0x3c] = 0x40;
    out[0x40..0x44].copy_from_slice(b"PE\0\0");
    out[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
    out[0x46..0x48].copy_from_slice(&1_u16.to_le_bytes());
    out[0x54..0x56].copy_from_slice(&240_u16.to_le_bytes());
    out[0x56..0x58].copy_from_slice(&0x22e_u16.to_le_bytes());
    let optional = 0x58;
    out[optional..optional + 2].copy_from_slice(&0x20b_u16.to_le_bytes());
    for (at, value) in [(16, 0x1000_u32), (32, 0x1000), (36, 0x200), (56, 0x2000), (60, 0x400), (108, 16)] {
        out[optional + at..optional + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let section = optional + 240;
    out[section..section + 5].copy_from_slice(b".text");
    for (at, value) in [(8, 0x10_u32), (12, 0x1000), (16, 0x200), (20, 0x400), (36, 0x6000_0020)] {
        out[section + at..section + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    out.resize(0x600, 0xc3);
    out
}
