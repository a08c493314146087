//! Amendments and doubts as bytes.

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use weir_policies::freshness::Exchange;
use weir_policies::time::UnixSeconds;

proptest! {
    #[test]
    fn an_amendment_is_read_back(
        key: u128, variant: u64, sequence: u64, times: [i64; 2], flags: [bool; 2],
        lifetime_max: Option<u64>,
        values in proptest::collection::vec("[ -~\u{80}-\u{ff}]{0,40}", 0..8),
    ) {
        let mut headers = HeaderMap::new();
        for (number, value) in values.iter().enumerate() {
            let name = HeaderName::try_from(format!("x-{}", number % 3)).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let bound = Bound {
            slot: Slot { key, variant },
            sequence: Sequence(sequence),
            amendment: Amendment {
                headers,
                exchange: Exchange { requested: UnixSeconds(times[0]), responded: UnixSeconds(times[1]) },
                invalidated: flags[0],
                pinned: flags[1],
                lifetime_max,
            },
        };
        let bytes = bound.encode();
        prop_assert_eq!(generation_in(&bytes), Ok((bound.slot, bound.sequence)));
        prop_assert_eq!(Bound::decode(&bytes), Ok(bound));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Bound::decode(&bytes).is_err());
        prop_assert!(generation_in(&bytes).is_err());
        prop_assert!(Doubt::decode(&bytes).is_err());
    }
}

#[test]
fn a_doubt_is_read_back_and_widens() {
    let doubt = |sequence, number| Doubt {
        sequence: Sequence(sequence),
        number,
    };
    assert_eq!(Doubt::decode(&doubt(5, 7).encode()), Ok(doubt(5, 7)));
    assert_eq!(doubt(5, 7).wider(doubt(6, 3)), doubt(6, 7));
}

#[test]
fn an_unknown_mandatory_field_is_refused_and_an_optional_one_passed_over() {
    let doubt = Doubt {
        sequence: Sequence(1),
        number: 2,
    };
    let with = |kind| {
        let mut writer = FieldWriter {
            bytes: doubt.encode(),
        };
        writer.put(kind, b"news");
        Doubt::decode(&writer.bytes)
    };
    assert_eq!(with(OPTIONAL | 0x77), Ok(doubt));
    assert_eq!(with(0x77), Err(FormatError::UnknownMandatory(0x77)));
}
