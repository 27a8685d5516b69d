//! Seeds, good and odd.

use super::*;
use crate::source::tests::{host, told};

fn seed(meta: &str, network: Option<&str>) -> Result<Found> {
    let seed = Seed {
        place: "test/".into(),
        meta_data: meta.as_bytes().to_vec(),
        network_config: network.map(|t| t.as_bytes().to_vec()),
        ..Seed::default()
    };
    parse(seed, &[])
}

#[test]
fn seeds() {
    let found = seed(
        "instance-id: i-1\nlocal-hostname: boxy\npublic-keys: {0: {openssh-key: ssh-rsa AAAAx}}\n",
        Some("version: 2\nethernets: {a: {match: {macaddress: '52:54:00:00:00:01'}, dhcp4: true}}\n"),
    )
    .unwrap();
    assert_eq!(found.machine().summary(), "instance i-1, host name boxy, 1 key, 1 interface");
    assert_eq!(found.notes, [""; 0]);
    let json = seed("{\"instance-id\": \"i-1\", \"hostname\": \"a b\"}", Some("[")).unwrap();
    assert_eq!((json.instance_id.as_deref(), json.notes.len()), (Some("i-1"), 2));
    for (meta, want) in [
        ("", "test/meta-data: `instance-id` is missing"),
        ("instance-id: ''", "`instance-id` is missing"),
        ("- 1", "it is a list"),
        ("instance-id: [", "isn't valid YAML"),
    ] {
        let text = seed(meta, None).unwrap_err().to_string();
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn seed_urls() {
    for (text, want) in [
        ("ds=nocloud;s=http://10.0.2.2:8000/x", Some("http://10.0.2.2:8000/x/")),
        ("ds=nocloud-net;h=a;seedfrom=http://10.0.2.2/?f=\n", Some("http://10.0.2.2/?f=")),
        ("ds=nocloud", None),
        ("serial", None),
    ] {
        assert_eq!(seed_url(text).map(|s| s.unwrap().url).as_deref(), want, "{text}");
    }
    let text = seed_url("ds=nocloud;s=https://x/").unwrap().unwrap_err().to_string();
    assert!(text.contains("no TLS"), "{text}");
}

#[test]
fn folders_and_credentials_may_lack_an_instance_id() {
    let (dir, host) = host(&["52:54:00:00:00:01"], "");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write("sysroot/var/seed/user-data", "#twinhull\n");
    write("sysroot/var/seed/network-config", "{version: 2, ethernets: {any: {dhcp4: true}}}");
    let root = dir.path().join("sysroot");
    let found = from_folder(&host, &root, "/var/seed").unwrap();
    assert!(
        told(&found).starts_with("instance unnamed, 0 keys, 1 interface; #twinhull\n; "),
        "{}",
        told(&found)
    );
    for folder in ["var/seed", "/var/../var/seed", "/var/none"] {
        let text = from_folder(&host, &root, folder).unwrap_err().to_string();
        assert!(text.contains(folder) && text.contains("twinhull.source=file:"), "{text}");
    }
    write("run/credentials/@system/twinhull.user-data", "#twinhull\n");
    let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
    write("sys/class/dmi/id/product_uuid", uuid);
    let found = from_credentials(&host).unwrap();
    assert_eq!(told(&found), format!("instance {uuid}, 0 keys, 0 interfaces; #twinhull\n; "));
    write("run/credentials/@system/twinhull.meta-data", "{instance-id: i-2, local-hostname: boxy}");
    let found = from_credentials(&host).unwrap();
    assert_eq!(told(&found), "instance i-2, host name boxy, 0 keys, 0 interfaces; #twinhull\n; ");
    write("run/credentials/@system/twinhull.meta-data", "[");
    let text = from_credentials(&host).unwrap_err().to_string();
    assert!(text.starts_with("the credentials twinhull.meta-data: 1:"), "{text}");
}
