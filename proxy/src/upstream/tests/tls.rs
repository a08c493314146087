//! TLS origins: certificates good and bad, ends clean and cut.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

/// A certificate authority that the adapter of a test trusts by its `ca_file`.
pub(super) struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("the authority")
    }

    fn named(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            directory,
            issuer: Issuer::new(parameters, key),
        }
    }

    pub(super) fn settings(&self) -> UpstreamSettings {
        UpstreamSettings {
            ca_file: Some(self.directory.path().join("ca.pem")),
            ..settings()
        }
    }

    /// A server that shows a certificate of this authority.
    pub(super) fn acceptor(&self, adjust: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let mut parameters = parameters(&["origin.test", "127.0.0.1"]);
        adjust(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key)
    }
}

fn parameters(names: &[&str]) -> CertificateParams {
    CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

fn acceptor(certificate: &rcgen::Certificate, key: &KeyPair) -> TlsAcceptor {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    server(WebPkiClientVerifier::no_client_auth(), certificate, key)
}

fn server(
    clients: Arc<dyn ClientCertVerifier>,
    certificate: &rcgen::Certificate,
    key: PrivatePkcs8KeyDer<'static>,
) -> TlsAcceptor {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn get(host: &str, origin: &FakeOrigin) -> OriginRequest {
    request(
        Method::GET,
        &format!("https://{host}:{}/file", origin.address.port()),
    )
}

#[tokio::test]
async fn a_verified_origin_is_served_and_its_connection_reused() {
    let authority = Authority::new();
    let acts = vec![Act::Answer(HELLO), Act::Answer(HELLO)];
    let origin = FakeOrigin::start_tls(vec![acts], authority.acceptor(|_| {})).await;
    let adapter = adapter(authority.settings());
    for _ in 0..2 {
        assert_eq!(
            fetch(&adapter, get("origin.test", &origin)).await.unwrap(),
            b"hello"
        );
    }
    assert_eq!(origin.connections(), 1);
    // An address in place of a name is verified as well.
    assert_eq!(
        fetch(&adapter, get("127.0.0.1", &origin)).await.unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn row_135_bad_certificates_are_502_with_the_reason() {
    async fn check(authority: &Authority, tls: TlsAcceptor, expected: &str) {
        let origin = FakeOrigin::start_tls(vec![vec![Act::Answer(HELLO)]], tls).await;
        let outcome = fetch(&adapter(authority.settings()), get("origin.test", &origin)).await;
        assert_eq!(reason(&outcome), "tls");
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.status(), 502);
        assert!(
            origin.requests().is_empty(),
            "nothing is said to an unverified origin"
        );
    }
    let authority = Authority::new();
    let expired = authority.acceptor(|parameters| {
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(2020, 1, 1);
    });
    check(&authority, expired, "has expired").await;
    let early = authority.acceptor(|parameters| parameters.not_before = date_time_ymd(4000, 1, 1));
    check(&authority, early, "not valid yet").await;
    let other =
        authority.acceptor(|p| p.subject_alt_names = parameters(&["other.test"]).subject_alt_names);
    check(&authority, other, "for another name").await;
    let stranger = Authority::named("a stranger").acceptor(|_| {});
    check(&authority, stranger, "unknown issuer").await;
    let impostor = Authority::new().acceptor(|_| {});
    check(&authority, impostor, "not signed by the authority it names").await;
    let key = KeyPair::generate().unwrap();
    let self_signed = parameters(&["origin.test"]).self_signed(&key).unwrap();
    check(&authority, acceptor(&self_signed, &key), "self-signed").await;
}

#[tokio::test]
async fn an_origin_that_demands_a_client_certificate_is_a_tls_error() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let certificate = parameters(&["origin.test"])
        .signed_by(&key, &authority.issuer)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates([certificate.der().clone()]);
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring);
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let tls = server(clients.build().unwrap(), &certificate, key);
    let origin = FakeOrigin::start_tls(vec![vec![Act::Answer(HELLO)]], tls).await;
    let outcome = fetch(&adapter(authority.settings()), get("origin.test", &origin)).await;
    assert_eq!(reason(&outcome), "tls", "{outcome:?}");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn without_a_ca_file_only_the_systems_authorities_count() {
    let authority = Authority::new();
    let origin = FakeOrigin::start_tls(vec![vec![Act::Answer(HELLO)]], authority.acceptor(|_| {}));
    let outcome = fetch(&adapter(settings()), get("origin.test", &origin.await)).await;
    assert_eq!(reason(&outcome), "tls");
}

#[tokio::test]
async fn an_origin_that_speaks_plaintext_is_never_downgraded_to() {
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO)]]).await;
    let mut settings = settings();
    settings.connect_timeout = Duration::from_millis(500);
    let outcome = fetch(&adapter(settings), get("origin.test", &origin)).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| !request.contains("GET"))
    );
}

#[tokio::test]
async fn row_136_a_tls_end_without_close_notify_is_a_truncation() {
    const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nhello";
    const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    for (act, expected) in [
        (Act::AnswerAndClose(UNTIL_CLOSE), "ok"),
        (Act::AnswerAndCut(UNTIL_CLOSE), "truncated"),
        (Act::AnswerAndCut(SHORT), "truncated"),
        (Act::AnswerAndClose(SHORT), "truncated"),
        (Act::AnswerAndReset(UNTIL_CLOSE), "truncated"),
    ] {
        let authority = Authority::new();
        let origin = FakeOrigin::start_tls(vec![vec![act]], authority.acceptor(|_| {})).await;
        let outcome = fetch(&adapter(authority.settings()), get("origin.test", &origin)).await;
        assert_eq!(reason(&outcome), expected, "{act:?}");
    }
}
