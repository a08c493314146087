//! Which certificate authorities upstreams are verified against: the system's, and those of `[upstream] ca_file`
//! besides.
//!
//! Read once for each connector. Everything is read here first because Pingora panics on a certificate it cannot read.

use pingora::protocols::tls::CaType;
use pingora::tls::load_native_certs;
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why upstreams could not be verified; said at start-up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    /// The operating system's store.
    #[error(
        "cannot read the system's certificate store: {0}; install ca-certificates or set SSL_CERT_FILE"
    )]
    System(String),
    /// The configured file.
    #[error("[upstream] ca_file {0}: {1}; it must be a readable PEM file of CA certificates")]
    File(PathBuf, String),
}

/// The trusted authorities.
pub(super) enum Roots {
    /// Just the system's, which Pingora's connector has loaded by itself.
    System,
    /// The system's and the configured ones, given to every peer.
    ///
    /// Pingora builds a store out of them at each handshake (about a millisecond) and resumes no session. That is
    /// the price of trusting more than one source with its connector.
    Listed(Arc<CaType>),
}

impl Roots {
    /// What a peer has to carry.
    pub(super) fn listed(&self) -> Option<Arc<CaType>> {
        match self {
            Self::System => None,
            Self::Listed(roots) => Some(Arc::clone(roots)),
        }
    }
}

/// Reads and checks all trusted certificates.
pub(super) fn load(ca_file: Option<&Path>) -> Result<Roots, RootsError> {
    let mut certificates =
        load_native_certs().map_err(|error| RootsError::System(error.to_string()))?;
    check(&certificates).map_err(RootsError::System)?;
    let Some(path) = ca_file else {
        return Ok(Roots::System);
    };

    let in_file = |why: String| RootsError::File(path.to_owned(), why);
    let own = read_pem(path).map_err(in_file)?;
    check(&own).map_err(in_file)?;
    certificates.extend(own);
    let roots = certificates.iter().map(wrap).collect::<Result<Vec<_>, _>>();
    Ok(Roots::Listed(roots.map_err(in_file)?.into()))
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        Err("holds no certificate".to_owned())
    } else {
        Ok(certificates)
    }
}

/// Whether the TLS library takes them all as authorities.
fn check(certificates: &[CertificateDer<'static>]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    certificates
        .iter()
        .enumerate()
        .try_for_each(|(index, certificate)| {
            store
                .add(certificate.clone())
                .map_err(|error| format!("certificate {}: {error}", index + 1))
        })
}

fn wrap(certificate: &CertificateDer<'static>) -> Result<WrappedX509, String> {
    let bytes = certificate.to_vec();
    // Pingora's parser panics where it disagrees with the one that has just accepted the certificate.
    catch_unwind(|| WrappedX509::new(bytes, parse_x509))
        .map_err(|_| "a certificate cannot be parsed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_roots_are_all_usable_beside_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let authority = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap();
        std::fs::write(&path, authority.cert.pem()).unwrap();
        let system = load_native_certs().unwrap().len();
        let Roots::Listed(roots) = load(Some(&path)).unwrap() else {
            panic!("not listed")
        };
        assert_eq!(roots.len(), system + 1);
    }

    #[test]
    fn a_bad_file_is_named_and_never_panics() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(load(Some(&path)).is_err_and(|error| error.to_string().contains("ca.pem")));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for content in ["", "no certificate", garbage] {
            std::fs::write(&path, content).unwrap();
            let error = load(Some(&path)).err().expect(content);
            assert!(error.to_string().contains("ca.pem"), "{error}");
        }
    }
}
