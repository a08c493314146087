//! Certificates made for one test: an authority, and leaves that are good, expired or for another name.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What is wrong with a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Nothing.
    Good,
    /// Its validity ended long ago.
    Expired,
    /// It names another host.
    OtherHost,
    /// It is signed by itself, not by the authority.
    SelfSigned,
}

/// An authority that a gateway can be told to trust.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// Never, while the system has randomness.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // With the name that is given by default, issuer and leaf would look like one and the same.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("signs itself"),
        }
    }

    /// What `[upstream] ca_file` is given.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server configuration with a leaf for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// Never, while the system has randomness.
    pub fn server(&self, leaf: Leaf) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(leaf);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("certificate and key belong together");
        Arc::new(config)
    }

    /// A leaf and its key as PEM, for server programs.
    pub fn pem_pair(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf_params(Leaf::Good)
            .signed_by(&key, &self.issuer)
            .expect("signs");
        (leaf.pem(), key.serialize_pem())
    }

    fn sign(&self, leaf: Leaf) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = leaf_params(leaf);
        let certificate = match leaf {
            Leaf::SelfSigned => params.self_signed(&key),
            Leaf::Good | Leaf::Expired | Leaf::OtherHost => params.signed_by(&key, &self.issuer),
        };
        let der = certificate.expect("signs").der().clone();
        (
            der,
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn leaf_params(leaf: Leaf) -> CertificateParams {
    let names = match leaf {
        Leaf::OtherHost => vec!["elsewhere.test".to_owned()],
        Leaf::Good | Leaf::Expired | Leaf::SelfSigned => {
            vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
        }
    };
    let mut params = CertificateParams::new(names).expect("names are valid");
    params
        .distinguished_name
        .push(DnType::CommonName, "leaf of one test");
    if leaf == Leaf::Expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    params
}
