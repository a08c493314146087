//! The codes against an independent field and an independent implementation, on every kernel that this CPU has.

mod locate;
mod reed_solomon;

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use reed_solomon_erasure::galois_8;

use super::*;

/// Around every vector width, and one that no width divides.
const LENGTHS: [usize; 17] = [
    0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 128, 129, 255, 421,
];

/// P and Q as the definition says, in the field of another crate.
fn expected_parity(data: &[Vec<u8>]) -> [Vec<u8>; 2] {
    let bytes = data[0].len();
    let (mut p, mut q) = (vec![0; bytes], vec![0; bytes]);
    for (index, shard) in data.iter().enumerate() {
        for (at, byte) in shard.iter().enumerate() {
            p[at] ^= byte;
            q[at] ^= galois_8::mul(galois_8::exp(2, index), *byte);
        }
    }
    [p, q]
}

/// A whole stripe with right parity, by role.
fn stripe(data_shards: usize, bytes: usize, random: &mut SmallRng) -> Vec<Vec<u8>> {
    let mut shards = vec![vec![0; bytes]; data_shards];
    for shard in &mut shards {
        random.fill_bytes(shard);
    }
    let parity = expected_parity(&shards);
    shards.extend(parity);
    shards
}

fn slices(shards: &[Vec<u8>]) -> Vec<&[u8]> {
    shards.iter().map(Vec::as_slice).collect()
}

fn check_encode(kernel: Kernel, stripe: &[Vec<u8>]) {
    let data_shards = stripe.len() - 2;
    let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel).expect("a good geometry");
    let bytes = stripe[0].len();
    // Not zeros: that all is overwritten must show.
    let (mut p, mut q) = (vec![0xa5; bytes], vec![0x5a; bytes]);
    let data = slices(&stripe[..data_shards]);
    coder
        .encode(&data, &mut [&mut p, &mut q])
        .expect("good shards");
    let name = kernel.name();
    assert!(
        p == stripe[data_shards],
        "P, {name}, k={data_shards}, {bytes} bytes"
    );
    assert!(
        q == stripe[data_shards + 1],
        "Q, {name}, k={data_shards}, {bytes} bytes"
    );
}

/// Loses the shards with these roles, wants some of them back, and compares.
fn check_reconstruct(coder: &Coder, stripe: &[Vec<u8>], lost: &[usize], wanted: &[usize]) {
    let mut buffers: Vec<Vec<u8>> = stripe.iter().map(|shard| vec![0xa5; shard.len()]).collect();
    let sort = |(role, (bytes, buffer))| match (lost.contains(&role), wanted.contains(&role)) {
        (true, true) => Shard::Wanted(buffer),
        (true, false) => Shard::Absent,
        (false, _) => Shard::Present(bytes),
    };
    let pairs = stripe
        .iter()
        .map(Vec::as_slice)
        .zip(buffers.iter_mut().map(Vec::as_mut_slice));
    let mut shards: Vec<Shard<'_>> = pairs.enumerate().map(sort).collect();
    coder
        .reconstruct(&mut shards)
        .expect("a loss that the code survives");
    for role in wanted {
        let (found, expected) = (&buffers[*role], &stripe[*role]);
        assert!(
            found == expected,
            "role {role} of {coder:?}, lost {lost:?}, {} bytes",
            expected.len()
        );
    }
}

/// All ways to lose up to this many of so many roles.
fn losses(roles: usize, lost_max: u32) -> impl Iterator<Item = Vec<usize>> {
    let sets = (0..1_u32 << roles).filter(move |set| set.count_ones() <= lost_max);
    sets.map(move |set| (0..roles).filter(|role| set >> role & 1 == 1).collect())
}

/// All ways to want some of what was lost.
fn wishes(lost: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    (0..1_u32 << lost.len()).map(move |set| {
        let indexes = (0..lost.len()).filter(|index| set >> index & 1 == 1);
        indexes.map(|index| lost[index]).collect()
    })
}

#[test]
fn the_published_vector_is_met() {
    let data: [&[u8]; 5] = [&[0x48], &[0x45], &[0x4c], &[0x4c], &[0x4f]];
    for kernel in Kernel::available() {
        let coder = Coder::on_kernel(Codec::PQ, 5, kernel).expect("a good geometry");
        let (mut p, mut q) = ([0], [0]);
        coder
            .encode(&data, &mut [&mut p, &mut q])
            .expect("good shards");
        assert_eq!((p, q), ([0x42], [0x31]), "{}", kernel.name());
    }
}

#[test]
fn the_best_kernel_is_one_of_the_available_and_portable_is_always_there() {
    let all: Vec<Kernel> = Kernel::available().collect();
    println!(
        "kernels: {:?}",
        all.iter().map(|kernel| kernel.name()).collect::<Vec<_>>()
    );
    assert_eq!(all.first(), Some(&Kernel::PORTABLE));
    assert_eq!(all.last(), Some(&Kernel::best()));
}

#[test]
fn every_kernel_encodes_every_geometry_and_length_as_defined() {
    let mut random = SmallRng::seed_from_u64(1);
    for data_shards in 1..=DATA_SHARDS_MAX {
        for bytes in LENGTHS {
            let stripe = stripe(data_shards, bytes, &mut random);
            Kernel::available().for_each(|kernel| check_encode(kernel, &stripe));
        }
    }
}

#[test]
fn every_kernel_rebuilds_every_loss_of_every_geometry() {
    let mut random = SmallRng::seed_from_u64(2);
    for data_shards in 1..=DATA_SHARDS_MAX {
        for bytes in [1, 8, 67, 141] {
            let stripe = stripe(data_shards, bytes, &mut random);
            for kernel in Kernel::available() {
                let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel).expect("good");
                for lost in losses(data_shards + 2, 2) {
                    for wanted in wishes(&lost) {
                        check_reconstruct(&coder, &stripe, &lost, &wanted);
                    }
                }
            }
        }
    }
}

#[test]
fn an_empty_stripe_is_whole() {
    for codec in [Codec::PQ, Codec::ReedSolomon(ParityShards::ONE)] {
        let coder = Coder::new(codec, 1).expect("a good geometry");
        let (mut p, mut q) = ([], []);
        let mut parities = [p.as_mut_slice(), q.as_mut_slice()];
        let parity = &mut parities[..codec.parity_shards()];
        coder.encode(&[&[]], parity).expect("nothing to do");
        let mut shards = vec![Shard::Present(&[]), Shard::Wanted(&mut [])];
        shards.resize_with(1 + codec.parity_shards(), || Shard::Absent);
        coder.reconstruct(&mut shards).expect("nothing to do");
        let all = vec![&[] as &[u8]; 1 + codec.parity_shards()];
        assert_eq!(coder.locate(&all), Ok(Verdict::Consistent));
    }
}

proptest! {
    #[test]
    fn kernels_agree_on_any_stripe(
        seed: u64, data_shards in 1..=DATA_SHARDS_MAX, bytes in 0..3_000_usize, first: usize, second: usize,
    ) {
        let stripe = stripe(data_shards, bytes, &mut SmallRng::seed_from_u64(seed));
        let roles = data_shards + 2;
        let lost = [first % roles, second % roles];
        for kernel in Kernel::available() {
            check_encode(kernel, &stripe);
            let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel).expect("good");
            check_reconstruct(&coder, &stripe, &lost, &lost);
            check_reconstruct(&coder, &stripe, &lost, &lost[..1]);
        }
    }

    #[test]
    fn shards_need_no_alignment(
        seed: u64, data_shards in 1..=DATA_SHARDS_MAX, bytes in 0..600_usize,
        offsets in proptest::collection::vec(0..64_usize, 12),
    ) {
        let stripe = stripe(data_shards, bytes, &mut SmallRng::seed_from_u64(seed));
        let place = |(shard, offset): (&Vec<u8>, &usize)| {
            let mut moved = vec![0; *offset];
            moved.extend_from_slice(shard);
            moved
        };
        let moved: Vec<Vec<u8>> = stripe.iter().zip(&offsets).map(place).collect();
        let data: Vec<&[u8]> = moved.iter().zip(&offsets).take(data_shards)
            .map(|(shard, offset)| &shard[*offset..]).collect();
        for kernel in Kernel::available() {
            let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel).expect("good");
            let margin = 70;
            let mut parity = [vec![0xa5; bytes + 2 * margin], vec![0xa5; bytes + 2 * margin]];
            let [p, q] = &mut parity;
            let (from_p, from_q) = (offsets[10], offsets[11]);
            coder.encode(&data, &mut [&mut p[from_p..from_p + bytes], &mut q[from_q..from_q + bytes]])
                .expect("good shards");
            for (index, offset) in [from_p, from_q].into_iter().enumerate() {
                let found = &parity[index];
                prop_assert_eq!(&found[offset..offset + bytes], &stripe[data_shards + index][..]);
                let around = found[..offset].iter().chain(&found[offset + bytes..]);
                prop_assert!(around.into_iter().all(|byte| *byte == 0xa5), "wrote beyond the shard");
            }
        }
    }
}

#[test]
fn codec_numbers_are_what_disks_say() {
    assert_eq!(Codec::from_id(0), None, "0 is whole copies");
    let expected = [
        (1, Codec::PQ, 2),
        (2, Codec::ReedSolomon(ParityShards::ONE), 1),
    ];
    for (id, codec, parity_shards) in expected {
        assert_eq!(codec.id(), id);
        assert_eq!(codec.parity_shards(), parity_shards);
    }
    let known = (0..=255).filter_map(|id| Some((id, Codec::from_id(id)?)));
    let known: Vec<(u8, Codec)> = known.collect();
    assert_eq!(known.len(), 1 + PARITY_SHARDS_MAX);
    assert!(known.iter().all(|(id, codec)| codec.id() == *id));
    assert_eq!(ParityShards::new(0), None);
    assert_eq!(ParityShards::new(5), None);
}

#[test]
fn wrong_geometries_are_refused() {
    for codec in (0..6).filter_map(Codec::from_id) {
        for data_shards in [0, DATA_SHARDS_MAX + 1, 253, usize::MAX] {
            let refused = Coder::new(codec, data_shards).map(drop);
            assert_eq!(refused, Err(ParityError::DataShards { data_shards }));
        }
    }
}

#[test]
fn wrong_counts_and_lengths_are_errors_and_write_nothing() {
    for codec in [
        Codec::PQ,
        Codec::ReedSolomon(ParityShards::new(2).expect("two")),
    ] {
        let coder = Coder::new(codec, 2).expect("a good geometry");
        let unequal = |found_bytes| {
            Err(ParityError::UnequalLengths {
                bytes: 3,
                found_bytes,
            })
        };
        let count = |shards, found| Err(ParityError::ShardCount { shards, found });
        let (good, short): (&[u8], &[u8]) = (&[1, 2, 3], &[1, 2]);
        let (mut p, mut q, mut long) = ([7; 3], [7; 3], [7; 4]);

        assert_eq!(coder.encode(&[good], &mut [&mut p, &mut q]), count(2, 1));
        assert_eq!(coder.encode(&[good; 3], &mut [&mut p, &mut q]), count(2, 3));
        assert_eq!(coder.encode(&[good; 2], &mut [&mut p]), count(2, 1));
        assert_eq!(
            coder.encode(&[good, short], &mut [&mut p, &mut q]),
            unequal(2)
        );
        assert_eq!(
            coder.encode(&[good; 2], &mut [&mut p, &mut long]),
            unequal(4)
        );

        let mut shards = [
            Shard::Present(good),
            Shard::Wanted(&mut p),
            Shard::Present(short),
        ];
        assert_eq!(coder.reconstruct(&mut shards), count(4, 3));
        let [first, wanted, third] = shards;
        assert_eq!(
            coder.reconstruct(&mut [first, wanted, third, Shard::Absent]),
            unequal(2)
        );
        let mut shards = [
            Shard::Present(good),
            Shard::Wanted(&mut p),
            Shard::Absent,
            Shard::Absent,
        ];
        let lost = ParityError::TooManyMissing {
            missing: 3,
            parity_shards: 2,
        };
        assert_eq!(coder.reconstruct(&mut shards), Err(lost));

        assert_eq!(coder.locate(&[good; 3]).map(drop), count(4, 3));
        assert_eq!(
            coder.locate(&[good, good, good, short]).map(drop),
            unequal(2)
        );
        assert_eq!(
            (p, q, long),
            ([7; 3], [7; 3], [7; 4]),
            "a refused call wrote"
        );
    }
}
