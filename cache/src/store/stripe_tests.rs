//! Where bytes lie, compared with a layout that is simply written out.

use super::*;
use crate::parity::Codec;
use crate::store::geometry::StripeUnit;
use proptest::prelude::*;

const UNITS: [StripeUnit; 2] = [StripeUnit::Small, StripeUnit::Large];
/// What parity looks like here, all of it: no body does.
const PARITY: u8 = 0xEE;
const GIB: u64 = 1 << 30;

/// Copies and stripes of every width.
fn geometries() -> Vec<Geometry> {
    let striped = (4..=12).flat_map(|n| UNITS.map(|unit| Geometry::striped(Codec::PQ, n, unit)));
    (1..=3).map(Geometry::copies).chain(striped).collect()
}

/// A body in which 8 bytes say where they are.
fn body(length: usize) -> Vec<u8> {
    let mut body = vec![0; length.next_multiple_of(8)];
    for (word, place) in (1_u64..).zip(body.chunks_exact_mut(8)) {
        place.copy_from_slice(&word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    }
    body.truncate(length);
    body
}

/// The shards of a body, written stripe by stripe and role by role: the design, word for word.
fn written_out(geometry: Geometry, key: u128, body: &[u8]) -> Vec<Vec<u8>> {
    let n = usize::from(geometry.disks());
    let k = usize::from(geometry.data_shards());
    let unit = geometry.unit_bytes() as usize;
    let mut shards = vec![Vec::new(); n];
    for (stripe, data) in body.chunks(k * unit).enumerate() {
        let tail_unit = match geometry.is_striped() {
            true => data.len().div_ceil(k).div_ceil(4096) * 4096,
            false => data.len(),
        };
        for (index, shard) in shards.iter_mut().enumerate() {
            let band = stripe / 256;
            let base = (key % n as u128) as usize;
            let role = (index + base + band) % n;
            let end = shard.len() + unit.min(tail_unit);
            if !geometry.is_striped() {
                shard.extend_from_slice(data);
            } else if role >= k {
                shard.resize(end, PARITY);
            } else if let Some(own) = data.chunks(unit.min(tail_unit)).nth(role) {
                shard.extend_from_slice(own);
            }
            shard.resize(end, 0);
        }
    }
    shards
}

/// Reads a range by its pieces, each of which has to be within one unit.
fn read(map: &StripeMap, shards: &[Vec<u8>], offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in map.pieces(offset, length) {
        let start = piece.shard_offset as usize;
        let end = start + piece.bytes;
        assert!(piece.bytes > 0);
        assert_eq!(map.stripe_at(piece.shard_offset), piece.stripe);
        let (_, unit_start) = map.stripe_start(piece.stripe);
        assert!(piece.shard_offset >= unit_start);
        assert!(end as u64 <= unit_start + map.unit_bytes(piece.stripe));
        bytes.extend_from_slice(&shards[usize::from(piece.index)][start..end]);
    }
    bytes
}

/// The whole object comes back, and the stripes add up to it and to the length of the shards.
fn check_whole(geometry: Geometry, key: u128, length: usize) {
    let body = body(length);
    let shards = written_out(geometry, key, &body);
    let map = StripeMap::new(geometry, key, length as u64);
    let what = format!("{length} bytes in {geometry:x?}, key {key}");
    assert!(read(&map, &shards, 0, u64::MAX) == body, "{what}");
    for shard in &shards {
        assert_eq!(
            shard.len() as u64,
            geometry.shard_bytes(length as u64),
            "{what}"
        );
    }
    let (mut object, mut shard) = (0, 0);
    for stripe in 0..map.stripes() {
        assert_eq!(map.stripe_start(stripe), (object, shard), "{what}");
        assert!(map.data_bytes(stripe) > 0, "{what}");
        object += map.data_bytes(stripe);
        shard += map.unit_bytes(stripe);
    }
    assert_eq!(
        (object, shard),
        (length as u64, geometry.shard_bytes(length as u64)),
        "{what}"
    );
    assert_eq!(map.data_bytes(map.stripes()), 0, "{what}");
    assert_eq!(map.unit_bytes(map.stripes()), 0, "{what}");
}

#[test]
fn objects_of_every_critical_length_come_back() {
    for geometry in geometries() {
        let unit = geometry.unit_bytes() as usize;
        let stripe = geometry.stripe_bytes() as usize;
        let k = usize::from(geometry.data_shards());
        for around in [0, 4096, k * 4096, unit, stripe, stripe + k * 4096] {
            for length in [around.saturating_sub(1), around, around + 1] {
                check_whole(geometry, length as u128, length);
            }
        }
    }
}

#[test]
fn roles_rotate_from_band_to_band() {
    let geometry = Geometry::striped(Codec::PQ, 4, StripeUnit::Small);
    let length = 257 * geometry.stripe_bytes() + 5;
    check_whole(geometry, 3, length as usize);
    let map = StripeMap::new(geometry, 3, length);
    let first_of = |stripe| map.index_of(0, stripe);
    assert_eq!((first_of(0), first_of(255), first_of(256)), (1, 1, 0));
}

#[test]
fn the_roles_of_a_stripe_are_a_permutation() {
    for geometry in geometries() {
        let n = geometry.disks();
        for (key, stripe) in [(0, 0), (7, 255), (8, 256), (u128::MAX, u64::MAX)] {
            let map = StripeMap::new(geometry, key, u64::MAX);
            let mut roles: Vec<u8> = (0..n).map(|index| map.role_of(index, stripe)).collect();
            for (index, role) in (0..n).zip(&roles) {
                assert_eq!(map.index_of(*role, stripe), index);
            }
            roles.sort_unstable();
            assert_eq!(roles, (0..n).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_disk_plays_every_role_equally_often() {
    for geometry in geometries() {
        let n = geometry.disks();
        let map = StripeMap::new(geometry, 12_345, u64::MAX);
        let mut turns = vec![vec![0; usize::from(n)]; usize::from(n)];
        for band in 0..u64::from(n) * 3 {
            for index in 0..n {
                let role = map.role_of(index, band * 256 + 17);
                turns[usize::from(index)][usize::from(role)] += 1;
            }
        }
        assert!(turns.iter().flatten().all(|count| *count == 3), "{turns:?}");
    }
}

#[test]
fn first_units_of_different_objects_are_on_different_disks() {
    let geometry = Geometry::striped(Codec::PQ, 6, StripeUnit::Small);
    let mut first: Vec<u8> = (0..6)
        .map(|key| StripeMap::new(geometry, key, 1).pieces(0, 1).next())
        .map(|piece| piece.unwrap().index)
        .collect();
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn ranges_outside_of_the_object_are_empty_or_cut() {
    for geometry in geometries() {
        let map = StripeMap::new(geometry, 1, 1000);
        let bytes = |offset, length| map.pieces(offset, length).map(|piece| piece.bytes).sum();
        let check = |offset, length, expected: usize| {
            let found: usize = bytes(offset, length);
            assert_eq!(found, expected, "{offset}+{length} in {geometry:x?}");
        };
        check(0, 0, 0);
        check(999, 0, 0);
        check(999, 5, 1);
        check(1000, 5, 0);
        check(u64::MAX, u64::MAX, 0);
        check(3, u64::MAX, 997);
        assert_eq!(StripeMap::new(geometry, 1, 0).pieces(0, 1).count(), 0);
        assert_eq!(StripeMap::new(geometry, 1, 0).stripes(), 0);
    }
}

#[test]
fn the_end_of_a_huge_object_is_found_at_once() {
    for geometry in geometries() {
        for length in [20 * GIB, 20 * GIB + 1, u64::MAX - 1, u64::MAX] {
            let map = StripeMap::new(geometry, u128::MAX, length);
            let last = map.pieces(length - 1, u64::MAX).collect::<Vec<_>>();
            assert_eq!(last.len(), 1);
            assert_eq!((last[0].bytes, last[0].stripe), (1, map.stripes() - 1));
            assert!(last[0].shard_offset < geometry.shard_bytes(length));
            let (start, _) = map.stripe_start(last[0].stripe);
            assert_eq!(start + map.data_bytes(last[0].stripe), length);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_of_any_object_comes_back(
        place: prop::sample::Index,
        key: u128,
        length in 1_usize..3 << 20,
        ranges in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..600_000), 1..8),
    ) {
        let geometry = *place.get(&geometries());
        let body = body(length);
        let shards = written_out(geometry, key, &body);
        let map = StripeMap::new(geometry, key, length as u64);
        for (start, bytes) in ranges {
            let start = start.index(length);
            let end = (start + bytes).min(length);
            let found = read(&map, &shards, start as u64, bytes as u64);
            prop_assert!(found == body[start..end], "{start}..{end}");
        }
    }

    #[test]
    fn neighbors_in_the_object_meet_without_a_gap(
        place: prop::sample::Index, key: u128, length in 1_u64.., offset: prop::sample::Index,
    ) {
        let geometry = *place.get(&geometries());
        let map = StripeMap::new(geometry, key, length);
        let offset = offset.index(usize::MAX) as u64 % length;
        let mut next = offset;
        for piece in map.pieces(offset, 20 << 20) {
            let role = map.role_of(piece.index, piece.stripe);
            let (object_start, shard_start) = map.stripe_start(piece.stripe);
            let unit_start = object_start + u64::from(role) * map.unit_bytes(piece.stripe);
            prop_assert_eq!(unit_start + (piece.shard_offset - shard_start), next);
            next += piece.bytes as u64;
        }
        prop_assert_eq!(next, offset.saturating_add(20 << 20).min(length));
    }

    #[test]
    fn no_geometry_panics_not_even_an_invalid_one(
        bits: u16, key: u128, length: u64, offset: u64, stripe: u64, number: u8,
    ) {
        let map = StripeMap::new(Geometry(bits), key, length);
        prop_assert!(map.pieces(offset, length).take(50).all(|piece| piece.bytes > 0));
        prop_assert!(map.role_of(number, stripe) < Geometry(bits).disks());
        prop_assert!(map.index_of(number, stripe) < Geometry(bits).disks());
        prop_assert!(map.unit_bytes(stripe) <= map.data_bytes(stripe).saturating_add(4096));
        let (object, shard) = map.stripe_start(stripe);
        prop_assert!(shard <= object);
    }
}
