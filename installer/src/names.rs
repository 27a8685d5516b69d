//! Host names, looked up by ourselves: in a static program the C library's own resolver would load libraries of the rescue
//! system, which needn't be there, nor fit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver by /etc/resolv.conf and /etc/hosts, which are read when the first name is looked up.
#[derive(Default)]
pub(crate) struct Names(Arc<OnceLock<TokioResolver>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.0.clone();
        Box::pin(async move {
            let resolver = match known.get() {
                Some(resolver) => resolver,
                None => {
                    let made = make()?;
                    known.get_or_init(|| made)
                }
            };
            let found = resolver.lookup_ip(name.as_str()).await?;
            let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn make() -> Result<TokioResolver, NetError> {
    // Without a resolv.conf the name server is on this machine, as with the C library.
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        let local = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let config = ResolverConfig::from_name_servers(vec![local]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    builder.build()
}
