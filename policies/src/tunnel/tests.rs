//! Which tunnels are allowed, and which name a client's first bytes hold, however they are cut.

use super::client_hello::{Hello, read};
use super::*;
use proptest::prelude::*;

fn spec() -> TunnelSpec {
    TunnelSpec {
        enabled: true,
        ports: vec![443],
        ..TunnelSpec::default()
    }
}

fn check(spec: &TunnelSpec, host: &str, port: u16, expected: Result<(), TunnelRefusal>) {
    let policy = TunnelPolicy::compile(spec).unwrap();
    assert_eq!(policy.judge(host, port), expected, "{host}:{port}");
}

#[test]
fn row_057_only_listed_ports_are_tunneled_to() {
    check(&spec(), "h.example", 443, Ok(()));
    for port in [25, 465, 587, 22, 6379, 80, 8443, 1] {
        check(&spec(), "h.example", port, Err(TunnelRefusal::Port(port)));
    }
    let any = TunnelSpec {
        ports: Vec::new(),
        ..spec()
    };
    check(&any, "h.example", 25, Ok(()));
}

#[test]
fn hosts_are_allowed_and_denied_by_name() {
    let some = TunnelSpec {
        hosts: vec!["*.example.org".into(), "h".into()],
        deny_hosts: vec!["secret.*".into()],
        ..spec()
    };
    check(&some, "a.b.example.org", 443, Ok(()));
    check(&some, "h", 443, Ok(()));
    check(&some, "example.org", 443, Err(TunnelRefusal::HostNotListed));
    check(&some, "192.0.2.1", 443, Err(TunnelRefusal::HostNotListed));
    check(
        &some,
        "secret.example.org",
        443,
        Err(TunnelRefusal::HostDenied),
    );
}

#[test]
fn metadata_services_and_a_gateway_without_tunnels_refuse() {
    let name = "metadata.google.internal";
    check(&spec(), name, 443, Err(TunnelRefusal::MetadataService));
    check(&TunnelSpec::default(), "h", 443, Err(TunnelRefusal::Off));
}

#[test]
fn a_glob_that_is_none_is_named() {
    let wrong = TunnelSpec {
        deny_hosts: vec!["a".into(), "[b".into()],
        ..spec()
    };
    let error = TunnelPolicy::compile(&wrong).unwrap_err();
    assert_eq!((error.key, error.glob.as_str()), ("deny_hosts", "[b"));
}

/// Bytes behind their length, which has `bytes` bytes.
fn vector(bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - bytes..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, content)].concat()
}

fn named(name: &[u8]) -> Vec<u8> {
    let entry = [&[0][..], &vector(2, name)].concat();
    extension(0, &vector(2, &entry))
}

/// A ClientHello with these extensions.
fn hello(extensions: &[u8]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector(1, &[9; 32]),
        &vector(2, &[0x13, 1, 0x13, 2]),
        &vector(1, &[0]),
        &vector(2, extensions),
    ]
    .concat();
    [&[1][..], &vector(3, &body)].concat()
}

/// The records of a handshake message, each with at most so many bytes.
fn records(message: &[u8], bytes_max: usize) -> Vec<u8> {
    let record = |content: &[u8]| [&[22, 3, 1][..], &vector(2, content)].concat();
    message.chunks(bytes_max).flat_map(record).collect()
}

fn check_said(said: &[u8], expected: &Hello) {
    assert_eq!(&read(said), expected, "{said:02x?}");
}

#[test]
fn row_062_the_name_of_a_hello_is_read_wherever_it_stands() {
    let noise = extension(0x0a0a, &[1; 300]);
    let message = hello(&[noise, named(b"Host.Example."), extension(43, &[2, 3, 4])].concat());
    let expected = Hello::Named("host.example".into());
    for bytes_max in [1, 7, 100, 16_384] {
        let said = records(&message, bytes_max);
        check_said(&said, &expected);
        for length in 0..said.len() {
            check_said(&said[..length], &Hello::Incomplete);
        }
        // Early data may follow at once.
        check_said(&[&said[..], &[23, 3, 3, 0, 1, 0]].concat(), &expected);
    }
}

#[test]
fn what_names_nobody_or_is_no_hello_is_told_apart() {
    check_said(&records(&hello(&extension(43, &[])), 500), &Hello::Nameless);
    check_said(&records(&hello(&[]), 500), &Hello::Nameless);
    for other in [
        &b"SSH-2.0-x"[..],
        b"GET / HTTP/1.1",
        &[0x80, 0x2e, 1],
        &[22, 4],
        &[21, 3, 3],
    ] {
        check_said(other, &Hello::Other);
    }
    // A ServerHello, and a record longer than there are.
    check_said(&[22, 3, 3, 0, 4, 2, 0, 0, 0], &Hello::Other);
    check_said(&[22, 3, 3, 0xff, 0xff, 1], &Hello::Other);
}

#[test]
fn a_hello_that_lies_about_itself_is_malformed() {
    let bad_names = [&b""[..], b"a b", b"\xff", b"a..b", b"127.1", b"a\0b"];
    for name in bad_names {
        check_said(&records(&hello(&named(name)), 500), &Hello::Malformed);
    }
    let two = vector(2, &[&[0, 0, 1, b'a'][..], &[0, 0, 1, b'b']].concat());
    check_said(
        &records(&hello(&extension(0, &two)), 500),
        &Hello::Malformed,
    );
    let long = [&0_u16.to_be_bytes()[..], &[0xff, 0xff, 0]].concat();
    check_said(&records(&hello(&long), 500), &Hello::Malformed);
    let cut = records(&hello(&named(b"h.example")), 20);
    let other = [&cut[..25], &[23, 3, 3, 0, 1, 0]].concat();
    check_said(&other, &Hello::Malformed);
}

proptest! {
    /// The gate in front of a tunnel stops reading at the first verdict: more bytes must not change it.
    #[test]
    fn any_bytes_are_read_and_more_of_them_change_no_verdict(
        said in prop::collection::vec(any::<u8>(), 0..400),
        start in prop::sample::select(vec![&b""[..], &[22, 3, 1, 1, 44, 1, 0, 1, 40]]),
    ) {
        let said = [start, &said].concat();
        let last = read(&said);
        for length in 0..said.len() {
            let earlier = read(&said[..length]);
            prop_assert!(earlier == Hello::Incomplete || earlier == last, "{length} of {said:02x?}");
        }
    }
}
