//! HTTP clients of machines that are up: HTTP/1.1 and 2, TLS with the system's certificates.
//!
//! In a crate of its own, as a client without a cryptographic provider doesn't come up, and whoever forgets it finds out
//! on a machine. Programs in the initrd have another client without all this (docs/adr/0028-tls.md).

use std::sync::OnceLock;

use reqwest::Certificate;
use reqwest::blocking::{Client, ClientBuilder};

/// A builder of clients. Certificates are read once, from where OpenSSL has them or from `SSL_CERT_FILE`; without any,
/// `https` fails when it is used, and nothing else does.
pub fn builder() -> ClientBuilder {
    static ROOTS: OnceLock<Vec<Certificate>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        // Fails when somebody was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
    });
    Client::builder().tls_certs_only(roots.iter().cloned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn clients_come_up_wherever_there_are_certificates_or_not() {
        super::builder().build().unwrap();
        let client = super::builder().tls_certs_only([]).build().unwrap();
        let error = client.get("https://127.0.0.1:1/").send().unwrap_err();
        assert!(error.is_connect(), "{error:?}");
    }
}
