//! Seeds, good and odd.

use super::*;

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
