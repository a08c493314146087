//! Headers: round trips, refusal of what is not understood, every flipped byte noticed.

use super::*;
use crate::store::tlv::{FieldWriter, OPTIONAL};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};
use weir_policies::freshness::Exchange;
use weir_policies::key::CacheKey;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

const IDENTITY: ShardIdentity = ShardIdentity {
    sequence: Sequence(0x0001_0000_0000_0042),
    geometry: Geometry::ONE_DISK,
    index: 0,
};

fn header() -> Header {
    let mut headers = HeaderMap::new();
    headers.append("etag", HeaderValue::from_static("\"x\""));
    headers.append("via", HeaderValue::from_static("1.1 a"));
    headers.append("via", HeaderValue::from_bytes(b"1.1 \xff").unwrap());
    let head = ObjectHead {
        key: CacheKey::from_bytes([7; 32]),
        selection: Selection(vec![
            ("accept".into(), Some(b"*/*".to_vec())),
            ("accept-language".into(), None),
        ]),
        url_as_asked: "HTTP://Host/a".into(),
        url: "http://host/a".into(),
        namespace: String::new(),
        redirects: vec!["http://host/b".into()],
        status: StatusCode::NOT_FOUND,
        headers,
        exchange: Exchange {
            requested: UnixSeconds(-5),
            responded: UnixSeconds(1_800_000_000),
        },
        upstream: Some("[2001:db8::1]:8080".parse().unwrap()),
        origin_id: 513,
        tags: vec!["a".into(), String::new()],
        pinned: true,
        conflict_of: Some(Sequence(9)),
        lifetime_max: None,
        immutable: false,
        invalidated: false,
        stored_at: UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789),
    };
    Header {
        pool: [3; 16],
        identity: IDENTITY,
        geometry: Geometry::ONE_DISK,
        length: Some(99),
        head,
        unknown: Vec::new(),
    }
}

#[test]
fn every_field_is_read_back() {
    let header = header();
    let bytes = header.encode().unwrap();
    assert_eq!(bytes.len(), 4096);
    let read = Header::decode(&bytes, IDENTITY).unwrap();
    assert_eq!(format!("{read:?}"), format!("{header:?}"));
}

#[test]
fn a_long_head_takes_more_pages_and_an_absurd_one_is_refused() {
    let mut header = header();
    header.head.url = "x".repeat(10_000);
    let bytes = header.encode().unwrap();
    assert_eq!(Header::claimed_bytes(&bytes[..64]).unwrap(), 12_288);
    assert_eq!(
        Header::decode(&bytes, IDENTITY).unwrap().head.url.len(),
        10_000
    );
    header.head.url = "x".repeat(1024 * 1024);
    assert!(header.encode().is_err());
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let bytes = header().encode().unwrap();
    for place in (0..bytes.len()).step_by(7).chain(0..64) {
        let mut rotten = bytes.clone();
        rotten[place] ^= 0x10;
        assert!(Header::decode(&rotten, IDENTITY).is_err(), "{place}");
    }
}

#[test]
fn the_header_of_another_shard_is_refused() {
    let bytes = header().encode().unwrap();
    for other in [
        ShardIdentity {
            sequence: Sequence(1),
            ..IDENTITY
        },
        ShardIdentity {
            index: 1,
            ..IDENTITY
        },
        ShardIdentity {
            geometry: Geometry::copies(2),
            ..IDENTITY
        },
    ] {
        assert_eq!(
            Header::decode(&bytes, other).unwrap_err(),
            FormatError::Mismatch("header checksum")
        );
    }
}

#[test]
fn unknown_optional_fields_are_kept_and_mandatory_ones_refused() {
    let mut header = header();
    header.unknown = vec![UnknownField {
        kind: OPTIONAL | 0x0777,
        value: b"later".to_vec(),
    }];
    let read = Header::decode(&header.encode().unwrap(), IDENTITY).unwrap();
    assert_eq!(read.unknown, header.unknown);
    header.unknown = vec![UnknownField {
        kind: 0x0777,
        value: Vec::new(),
    }];
    let error = Header::decode(&header.encode().unwrap(), IDENTITY).unwrap_err();
    assert_eq!(error, FormatError::UnknownMandatory(0x0777));
}

#[test]
fn a_head_without_a_key_is_refused() {
    let mut writer = FieldWriter::default();
    writer.put(0x0002, b"http://host/");
    assert_eq!(
        fields::decode(&writer.bytes).unwrap_err(),
        FormatError::Missing("key")
    );
}

proptest! {
    #[test]
    fn garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 1_u16..12,
        optional: bool,
    ) {
        prop_assert!(Header::decode(&bytes, IDENTITY).is_err());
        let mut writer = FieldWriter::default();
        writer.put(if optional { OPTIONAL | kind } else { kind }, &bytes);
        prop_assert!(fields::decode(&writer.bytes).is_err());
    }
}
