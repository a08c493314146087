//! Frames, and what a scan makes of damage.

use super::*;
use proptest::prelude::*;

const LOG: Sequence = Sequence(9);
const START: usize = 64;

fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; START];
    for (number, payload) in (1..).zip(payloads) {
        let record = Record {
            kind: AMENDMENT,
            number,
            payload,
        };
        record.encode(LOG, bytes.len() as u64, &mut bytes).unwrap();
    }
    bytes
}

fn numbers(bytes: &[u8]) -> Vec<Option<u64>> {
    Scan::new(bytes, LOG, START)
        .map(|piece| match piece {
            Piece::Record { record, .. } => Some(record.number),
            Piece::Gap { .. } => None,
        })
        .collect()
}

#[test]
fn a_record_elsewhere_or_of_another_log_is_none() {
    let bytes = file(&[b"one".to_vec()]);
    let record = &bytes[START..];
    assert!(Record::decode(record, LOG, 64).is_ok());
    assert!(Record::decode(record, LOG, 72).is_err());
    assert!(Record::decode(record, Sequence(8), 64).is_err());
}

#[test]
fn a_flipped_bit_costs_one_record_and_the_others_are_found() {
    let payloads: Vec<Vec<u8>> = (0..3).map(|n| vec![n; 13]).collect();
    let bytes = file(&payloads);
    let one = framed_bytes(13);
    for place in START + one..START + 2 * one {
        let mut rotten = bytes.clone();
        rotten[place] ^= 1;
        assert_eq!(numbers(&rotten), [Some(1), None, Some(3)], "{place}");
    }
}

#[test]
fn a_cut_tail_is_a_gap_without_a_successor() {
    let bytes = file(&[vec![1; 20], vec![2; 20]]);
    let one = framed_bytes(20);
    for end in START + one + 1..bytes.len() {
        let mut scan = Scan::new(&bytes[..end], LOG, START);
        assert!(matches!(scan.next(), Some(Piece::Record { .. })), "{end}");
        let gap = Piece::Gap {
            offset: (START + one) as u64,
            record_follows: false,
        };
        assert_eq!(scan.next(), Some(gap), "{end}");
        assert_eq!(scan.next(), None, "{end}");
    }
}

#[test]
fn a_payload_that_looks_like_records_hides_none() {
    let bytes = file(&[b"12345678WREC".repeat(4000), vec![7; 9]]);
    assert_eq!(numbers(&bytes), [Some(1), Some(2)]);
    let mut rotten = bytes;
    rotten[START] ^= 1;
    // The search is bounded; it never invents a record.
    assert!(numbers(&rotten).iter().flatten().all(|number| *number == 2));
}

proptest! {
    #[test]
    fn records_are_read_back(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8),
    ) {
        let bytes = file(&payloads);
        let found: Vec<Vec<u8>> = Scan::new(&bytes, LOG, START).map(|piece| match piece {
            Piece::Record { record, .. } => record.payload.to_vec(),
            Piece::Gap { .. } => panic!("a gap"),
        }).collect();
        prop_assert_eq!(found, payloads);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(numbers(&bytes).iter().all(Option::is_none));
    }
}
