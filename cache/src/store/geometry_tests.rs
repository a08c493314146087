//! Geometries: their numbers, which of them are valid, and how long shards are.

use super::*;
use crate::parity::ParityShards;
use crate::store::layout;
use proptest::prelude::*;
use std::collections::BTreeSet;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const UNITS: [StripeUnit; 2] = [StripeUnit::Small, StripeUnit::Large];

fn reed_solomon(parity_shards: u8) -> Codec {
    Codec::ReedSolomon(ParityShards::new(parity_shards).unwrap())
}

/// Every geometry that this version may write.
fn all() -> Vec<Geometry> {
    let mut all: Vec<_> = (1..=12).map(Geometry::copies).collect();
    let codecs = [Codec::PQ].into_iter().chain((1..=4).map(reed_solomon));
    for codec in codecs {
        let parity_shards = codec.parity_shards() as u8;
        for n in parity_shards + 2..=(parity_shards + 10).min(12) {
            all.extend(UNITS.map(|unit| Geometry::striped(codec, n, unit)));
        }
    }
    all
}

#[test]
fn the_numbers_on_disk_are_what_they_always_were() {
    assert_eq!(Geometry::ONE_DISK.0, 0x0006);
    assert_eq!(Geometry::copies(1), Geometry::ONE_DISK);
    assert_eq!(Geometry::copies(3).0, 0x0206);
    let six = Geometry::striped(Codec::PQ, 6, StripeUnit::Large);
    assert_eq!(six.0, 0x1536);
    assert_eq!(
        Geometry::striped(Codec::PQ, 12, StripeUnit::Small).0,
        0x1b94
    );
    assert_eq!(
        Geometry::striped(reed_solomon(1), 3, StripeUnit::Small).0,
        0x2214
    );
    assert_eq!(
        Geometry::striped(reed_solomon(4), 12, StripeUnit::Large).0,
        0x5b76
    );
}

#[test]
fn a_geometry_is_read_as_it_was_made() {
    let six = Geometry::striped(Codec::PQ, 6, StripeUnit::Large);
    assert_eq!(six.codec(), Some(Codec::PQ));
    assert_eq!(
        (six.disks(), six.data_shards(), six.parity_shards()),
        (6, 4, 2)
    );
    assert_eq!(six.unit_bytes(), 256 * KIB);
    assert_eq!(six.stripe_bytes(), MIB);
    assert!(six.is_striped());
    let copies = Geometry::copies(3);
    assert_eq!(copies.codec(), None);
    assert_eq!(
        (copies.disks(), copies.data_shards(), copies.parity_shards()),
        (3, 1, 2)
    );
    assert!(!copies.is_striped());
    let small = Geometry::striped(reed_solomon(1), 3, StripeUnit::Small);
    assert_eq!(small.unit_bytes(), 64 * KIB);
    assert_eq!(small.codec(), Some(reed_solomon(1)));
}

#[test]
fn of_all_numbers_only_those_that_can_be_made_are_valid() {
    let valid: BTreeSet<u16> = (0..=u16::MAX)
        .filter(|bits| Geometry(*bits).is_valid())
        .collect();
    let made: BTreeSet<u16> = all().iter().map(|geometry| geometry.0).collect();
    assert_eq!(valid, made);
    // Copies, P+Q, and Reed–Solomon with 1 to 4 parities.
    assert_eq!(made.len(), 12 + 18 + 18 + 18 + 16 + 14);
}

#[test]
fn what_makes_no_sense_is_made_invalid_not_a_panic() {
    for n in 0..=u8::MAX {
        assert_eq!(Geometry::copies(n).is_valid(), n.max(1) <= 12, "{n} copies");
        for codec in [Codec::PQ, reed_solomon(1), reed_solomon(4)] {
            let parity_shards = codec.parity_shards() as u8;
            let is_made = (parity_shards + 2..=(parity_shards + 10).min(12)).contains(&n);
            let geometry = Geometry::striped(codec, n, StripeUnit::Small);
            assert_eq!(geometry.is_valid(), is_made, "{codec:?} over {n}");
        }
    }
}

#[test]
fn larger_objects_have_larger_units() {
    let check = |length, unit| assert_eq!(StripeUnit::for_length(length), unit, "{length:?}");
    check(None, StripeUnit::Small);
    check(Some(0), StripeUnit::Small);
    check(Some(4 * MIB), StripeUnit::Small);
    check(Some(4 * MIB + 1), StripeUnit::Large);
    check(Some(u64::MAX), StripeUnit::Large);
}

#[test]
fn shards_are_as_long_as_their_units() {
    let small = Geometry::striped(Codec::PQ, 6, StripeUnit::Small);
    let large = Geometry::striped(Codec::PQ, 12, StripeUnit::Large);
    let copies = Geometry::copies(3);
    let cases = [
        (small, 0, 0),
        (small, 1, 4 * KIB),
        (small, 16 * KIB, 4 * KIB),
        (small, 16 * KIB + 1, 8 * KIB),
        (small, 256 * KIB - 1, 64 * KIB),
        (small, 256 * KIB, 64 * KIB),
        (small, 256 * KIB + 1, 68 * KIB),
        (large, 25 * MIB, 2560 * KIB),
        (large, 25 * MIB + 40 * KIB + 1, 2568 * KIB),
        (copies, 0, 0),
        (copies, 12_345, 12_345),
        (copies, u64::MAX, u64::MAX),
    ];
    for (geometry, length, bytes) in cases {
        assert_eq!(
            geometry.shard_bytes(length),
            bytes,
            "{length} in {geometry:x?}"
        );
    }
}

#[test]
fn a_shard_is_accounted_with_header_data_and_footer() {
    let six = Geometry::striped(Codec::PQ, 6, StripeUnit::Large);
    assert_eq!(six.footprint_bytes(0), 8 * KIB);
    assert_eq!(six.footprint_bytes(1), 12 * KIB);
    // 256 MiB per shard: a table of 32 KiB, and a page for what follows it.
    assert_eq!(
        six.footprint_bytes(1024 * MIB),
        4 * KIB + 256 * MIB + 36 * KIB
    );
    assert_eq!(six.footprint_bytes(u64::MAX) % 4096, 0);
}

#[test]
fn the_digests_of_all_tables_can_take_another_page() {
    // So many blocks that the table and the footer of one disk just fit into a page.
    let blocks = (4096 - crate::store::footer::FOOTER_FIXED_BYTES_MAX) / 8;
    let length = blocks * crate::store::BLOCK_BYTES;
    let one = Geometry::ONE_DISK.footprint_bytes(length);
    assert_eq!(Geometry::copies(2).footprint_bytes(length), one + 4 * KIB);
}

proptest! {
    #[test]
    fn one_disk_is_accounted_as_before(length: u64, short in 0_u64..1 << 30) {
        for length in [length, short] {
            prop_assert_eq!(
                Geometry::ONE_DISK.footprint_bytes(length),
                layout::Geometry::ONE_DISK.footprint_bytes(length)
            );
        }
    }

    #[test]
    fn padding_is_less_than_a_page_per_shard(place: prop::sample::Index, length in 0_u64..1 << 40) {
        let geometry = *place.get(&all());
        let k = u64::from(geometry.data_shards());
        let all_data = geometry.shard_bytes(length) * k;
        prop_assert!(all_data >= length);
        prop_assert!(all_data - length < 4096 * k);
    }

    #[test]
    fn no_bits_and_no_length_panic(bits: u16, length: u64, longest in u64::MAX - 5..=u64::MAX) {
        let geometry = Geometry(bits);
        for length in [length, longest] {
            prop_assert!(geometry.footprint_bytes(length) >= geometry.shard_bytes(length));
        }
        prop_assert!(geometry.parity_shards() < geometry.disks());
    }
}
