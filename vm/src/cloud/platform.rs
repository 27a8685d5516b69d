//! The clouds that are a metadata service, as a table: where it answers, what the firmware says, which network
//! the guest is in, and what the service has to say.
//!
//! A service of ours can only stand inside the user network's own subnet. So the subnet is the /24 around it:
//! DHCP hands out .15 in it with the gateway .2 and the name server .3, and .100 is the server of `--serve`.
//! Azure's second service is far from its first one, and both have to be inside.

use anyhow::Result;

use super::{documents, hetzner, routes::Routes};
use crate::options::{Cloud, Options};
use crate::smbios::comma_escaped;

/// A cloud.
#[derive(Debug)]
pub(crate) struct Platform {
    /// Its name in the options.
    cloud: Cloud,
    /// Where its service answers, and where it is told something.
    pub(crate) services: &'static [&'static str],
    /// The network card's address, unless another is asked for.
    pub(crate) mac: &'static str,
    /// What the firmware says: values of `-smbios`, with `@ID@` for the instance id.
    dmi: &'static [&'static str],
    /// The instance id, unless another is asked for.
    id: &'static str,
    /// Words for the kernel command line.
    pub(crate) cmdline: Option<&'static str>,
    /// All that the service has to say.
    routes: fn(&Platform, &Options) -> Result<Routes>,
}

const USUAL: &[&str] = &["169.254.169.254"];

/// In the network that guests have without a cloud.
const OWN: &[&str] = &["10.0.2.101"];

const PLATFORMS: &[Platform] = &[
    Platform {
        cloud: Cloud::Aws,
        services: USUAL,
        mac: "06:aa:00:00:00:01",
        dmi: &[
            "type=1,manufacturer=Amazon EC2,product=t3.micro,serial=ec2a0000-1111-2222-3333-444444444444,\
             uuid=ec2a0000-1111-2222-3333-444444444444",
            "type=3,manufacturer=Amazon EC2,asset=Amazon EC2",
        ],
        id: "i-0123456789abcdef0",
        cmdline: None,
        routes: documents::aws,
    },
    Platform {
        cloud: Cloud::Azure,
        services: &["169.254.169.254", "168.63.129.16"],
        mac: "00:0d:3a:f8:06:ec",
        dmi: &[
            "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,version=7.0",
            "type=3,manufacturer=Microsoft Corporation,asset=7783-7084-3265-9085-8269-3286-77",
        ],
        id: "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
        cmdline: None,
        routes: documents::azure,
    },
    Platform {
        cloud: Cloud::Digitalocean,
        services: USUAL,
        mac: "04:01:2a:0f:2a:01",
        dmi: &["type=1,manufacturer=DigitalOcean,product=Droplet,serial=@ID@"],
        id: "2756294",
        cmdline: None,
        routes: documents::digitalocean,
    },
    Platform {
        cloud: Cloud::Gcp,
        services: USUAL,
        mac: "42:01:0a:9c:00:05",
        dmi: &[
            "type=1,manufacturer=Google,product=Google Compute Engine,serial=GoogleCloud-0123456789ABCDEF",
        ],
        id: "5203547826734216219",
        cmdline: None,
        routes: documents::gcp,
    },
    Platform {
        cloud: Cloud::Hetzner,
        services: USUAL,
        mac: "96:00:00:08:19:da",
        dmi: &["type=1,manufacturer=Hetzner,product=vServer,serial=@ID@"],
        id: "42",
        cmdline: None,
        routes: hetzner::routes,
    },
    Platform {
        cloud: Cloud::Matchbox,
        services: OWN,
        mac: "52:54:00:12:34:56",
        dmi: &["type=1,manufacturer=QEMU,uuid=16e7d8a7-bfa9-428b-9117-363341bb330b"],
        id: "",
        cmdline: Some("twinhull.matchbox=http://10.0.2.101"),
        routes: documents::matchbox,
    },
    Platform {
        cloud: Cloud::NocloudNet,
        services: OWN,
        mac: "52:54:00:12:34:56",
        dmi: &["type=1,manufacturer=QEMU,serial=ds=nocloud;s=http://10.0.2.101/"],
        id: "i-runvm",
        cmdline: None,
        routes: documents::nocloud,
    },
    Platform {
        cloud: Cloud::Openstack,
        services: USUAL,
        mac: "fa:16:3e:ed:9a:59",
        dmi: OPENSTACK,
        id: "83679162-1378-4288-a2d4-70e13ec132aa",
        cmdline: None,
        routes: documents::openstack_service,
    },
    Platform {
        cloud: Cloud::Oracle,
        services: USUAL,
        mac: "02:00:17:05:d1:db",
        dmi: &[
            "type=1,manufacturer=QEMU,product=Standard PC",
            "type=3,manufacturer=QEMU,asset=OracleCloud.com",
        ],
        id: "ocid1.instance.oc1.eu-frankfurt-1.runvm",
        cmdline: None,
        routes: documents::oracle,
    },
    Platform {
        cloud: Cloud::Scaleway,
        services: &["169.254.42.42"],
        mac: "de:00:00:12:34:56",
        dmi: &["type=1,manufacturer=Scaleway,product=SCW-DEV1-S,serial=@ID@"],
        id: "11111111-2222-3333-4444-555555555555",
        cmdline: None,
        routes: documents::scaleway,
    },
    Platform {
        cloud: Cloud::Vultr,
        services: USUAL,
        mac: "56:00:03:1b:4e:ca",
        dmi: &["type=1,manufacturer=Vultr,product=VHP,serial=@ID@"],
        id: "42506325",
        cmdline: None,
        routes: documents::vultr,
    },
];

const OPENSTACK: &[&str] =
    &["type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=29.0.1"];

/// The instance id that was asked for, or else `usual`.
pub(crate) fn instance_id<'a>(options: &'a Options, usual: &'a str) -> &'a str {
    options.instance_id.as_deref().unwrap_or(usual)
}

impl Platform {
    /// The entry of a cloud; those that are a disk have none.
    pub(crate) fn of(cloud: Cloud) -> Option<&'static Platform> {
        PLATFORMS.iter().find(|p| p.cloud == cloud)
    }

    /// The entry of the guest's cloud.
    pub(crate) fn chosen(options: &Options) -> Option<&'static Platform> {
        options.cloud.and_then(Platform::of)
    }

    /// All that its service has to say to a guest.
    pub(crate) fn routes(&self, options: &Options) -> Result<Routes> {
        (self.routes)(self, options)
    }

    /// The guest's instance id.
    pub(crate) fn instance_id<'a>(&'a self, options: &'a Options) -> &'a str {
        instance_id(options, self.id)
    }

    /// The first three numbers of every address around the guest.
    fn prefix(&self) -> &'static str {
        self.services[0].rsplit_once('.').map_or("", |(prefix, _)| prefix)
    }

    /// An address beside the service.
    pub(crate) fn beside(&self, last: u8) -> String {
        format!("{}.{last}", self.prefix())
    }

    /// What follows `-netdev user,id=net0`.
    pub(crate) fn netdev(&self) -> String {
        if self.services == OWN {
            return String::new();
        }
        let net =
            if self.services.len() > 1 { "168.0.0.0/7".into() } else { format!("{}/24", self.beside(0)) };
        let (gateway, dns, guest) = (self.beside(2), self.beside(3), self.beside(15));
        format!(
            ",net={net},host={gateway},dns={dns},dhcpstart={guest},\
             ipv6-net=fec0::/64,ipv6-host=fec0::1,ipv6-dns=fec0::3"
        )
    }
}

/// Values of `-smbios` that make the guest recognise its cloud.
pub(crate) fn dmi(options: &Options) -> Vec<String> {
    let (texts, id) = match (Platform::chosen(options), options.cloud) {
        (Some(platform), _) => (platform.dmi, platform.instance_id(options)),
        (None, Some(Cloud::ConfigDrive)) => (OPENSTACK, ""),
        (None, _) => return Vec::new(),
    };
    let fill = |text: &&str| text.replace("@ID@", &comma_escaped(id));
    texts.iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::routes::Request;

    #[test]
    fn every_service_answers_what_the_agent_asks() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs_err::write(&path, text).unwrap();
            path
        };
        let base = Options {
            user_data: Some(path("u", "#twinhull\n")),
            ssh_keys: vec![path("k", "ssh-ed25519 AAAA me\n")],
            hostname: Some("web-1".into()),
            ..Options::default()
        };
        for (cloud, request, want) in [
            (Cloud::Aws, "GET /latest/meta-data/instance-id HTTP/1.1\r\n", "401"),
            (Cloud::Aws, "PUT /latest/api/token HTTP/1.1\r\n", "400"),
            (
                Cloud::Aws,
                "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n",
                "200",
            ),
            (
                Cloud::Aws,
                "GET /latest/user-data HTTP/1.1\r\nx-aws-ec2-metadata-token: runvm==\r\n",
                "#twinhull",
            ),
            (Cloud::Azure, "GET /metadata/instance?api-version=2021-08-01 HTTP/1.1\r\n", "400"),
            (Cloud::Azure, "GET /metadata/instance HTTP/1.1\r\nMetadata: true\r\n", "400"),
            (
                Cloud::Azure,
                "GET /metadata/instance?api-version=2021-08-01 HTTP/1.1\r\nMetadata: true\r\n",
                "\"userData\":\"I3R3aW5odWxsCg==\"",
            ),
            (Cloud::Azure, "POST /provisioning/health HTTP/1.1\r\nContent-Type: application/json\r\n", "200"),
            (Cloud::Digitalocean, "GET /metadata/v1.json HTTP/1.1\r\n", "\"user_data\":\"#twinhull\\n\""),
            (Cloud::Gcp, "GET /computeMetadata/v1/instance/id HTTP/1.1\r\n", "403"),
            (
                Cloud::Gcp,
                "GET /computeMetadata/v1/instance/hostname HTTP/1.1\r\nMetadata-Flavor: Google\r\n",
                "web-1",
            ),
            (Cloud::Matchbox, "GET /metadata?uuid=x HTTP/1.1\r\n", "HOSTNAME=web-1"),
            (Cloud::Matchbox, "GET /ignition?uuid=x HTTP/1.1\r\n", "404"),
            (Cloud::NocloudNet, "GET /meta-data HTTP/1.1\r\n", "local-hostname: \"web-1\""),
            (Cloud::Openstack, "GET /openstack/latest/network_data.json HTTP/1.1\r\n", "fa:16:3e:ed:9a:59"),
            (Cloud::Oracle, "GET /opc/v2/instance/ HTTP/1.1\r\n", "403"),
            (
                Cloud::Oracle,
                "GET /opc/v2/vnics/ HTTP/1.1\r\nAuthorization: Bearer Oracle\r\n",
                "02:00:17:05:D1:DB",
            ),
            (Cloud::Scaleway, "GET /conf?format=json HTTP/1.1\r\n", "ssh-ed25519 AAAA me"),
            (Cloud::Scaleway, "GET /user_data/cloud-init HTTP/1.1\r\n", "#twinhull"),
            (Cloud::Scaleway, "PATCH /state HTTP/1.1\r\nContent-Type: application/json\r\n", "200"),
            (
                Cloud::Vultr,
                "GET /v1.json HTTP/1.1\r\nMetadata-Token: cloudinit\r\n",
                "\"user-data\":\"#twinhull\\n\"",
            ),
        ] {
            let options = Options { cloud: Some(cloud), ..base.clone() };
            let routes = Platform::of(cloud).unwrap().routes(&options).unwrap();
            let (status, body) = routes.answer(&Request::parse(request.as_bytes()).unwrap());
            let got = format!("{status}\n{}", String::from_utf8_lossy(body));
            assert!(got.contains(want), "{request}{got}");
        }
    }

    #[test]
    fn without_user_data_there_is_none() {
        for platform in PLATFORMS {
            let options = Options { cloud: Some(platform.cloud), ..Options::default() };
            let routes = format!("{:?}", platform.routes(&options).unwrap());
            assert!(!routes.contains("twinhull\\n"), "{:?}", platform.cloud);
            assert!(!dmi(&options).is_empty(), "{:?}", platform.cloud);
            assert!(!dmi(&options).concat().contains('@'), "{:?}", platform.cloud);
        }
    }

    #[test]
    fn metadata_files_replace_documents_or_single_values() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        let options =
            |cloud| Options { cloud: Some(cloud), metadata: Some(path.clone()), ..Options::default() };
        let routes = |cloud| Platform::of(cloud).unwrap().routes(&options(cloud));
        fs_err::write(&path, "{\"droplet_id\": 7, \"mac\": \"@MAC@\"}").unwrap();
        let got = routes(Cloud::Digitalocean).unwrap();
        let text = String::from_utf8_lossy(got.at("/metadata/v1.json").unwrap()).into_owned();
        assert!(text.contains("04:01:2a:0f:2a:01") && text.contains('7'), "{text}");
        fs_err::write(&path, "{ no JSON").unwrap();
        let got = routes(Cloud::Digitalocean).unwrap();
        assert_eq!(got.at("/metadata/v1.json").unwrap(), b"{ no JSON");
        assert!(routes(Cloud::Aws).unwrap_err().to_string().contains("JSON object"));
        fs_err::write(&path, "{\"/latest/meta-data/local-hostname\": null, \"/latest/x\": \"y\"}").unwrap();
        let got = routes(Cloud::Aws).unwrap();
        assert_eq!(
            (got.at("/latest/meta-data/local-hostname"), got.at("/latest/x")),
            (None, Some(&b"y"[..]))
        );
    }
}
