//! The other codes against the crate that defines them.

use super::*;

/// A whole stripe, encoded by the code itself.
pub(super) fn stripe(
    coder: &Coder,
    data_shards: usize,
    count: ParityShards,
    bytes: usize,
    random: &mut SmallRng,
) -> Vec<Vec<u8>> {
    let mut data = vec![vec![0; bytes]; data_shards];
    data.iter_mut().for_each(|shard| random.fill_bytes(shard));
    let mut parity = vec![vec![0xa5; bytes]; usize::from(count.0)];
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    coder
        .encode(&slices(&data), &mut outputs)
        .expect("good shards");
    data.append(&mut parity);
    data
}

#[test]
fn every_geometry_encodes_and_rebuilds_as_the_crate_does() {
    let mut random = SmallRng::seed_from_u64(8);
    for count in (1..=4).filter_map(ParityShards::new) {
        for data_shards in 1..=DATA_SHARDS_MAX {
            let coder = Coder::new(Codec::ReedSolomon(count), data_shards).expect("good");
            let stripe = stripe(&coder, data_shards, count, 29, &mut random);
            let parity_shards = usize::from(count.0);
            let reference = galois_8::ReedSolomon::new(data_shards, parity_shards).expect("good");
            assert!(reference.verify(&stripe).expect("good shards"), "{coder:?}");
            for lost in losses(stripe.len(), u32::from(count.0)) {
                check_reconstruct(&coder, &stripe, &lost, &lost);
                check_reconstruct(&coder, &stripe, &lost, lost.get(1..).unwrap_or_default());
            }
        }
    }
}

#[test]
fn one_parity_is_the_plain_sum_only_where_the_documentation_says() {
    for data_shards in 1..=DATA_SHARDS_MAX {
        let coder = Coder::new(Codec::ReedSolomon(ParityShards::ONE), data_shards).expect("good");
        let is_plain = (0..data_shards).all(|role| {
            let mut data = vec![vec![0_u8]; data_shards];
            data[role] = vec![1];
            let mut parity = [0];
            coder
                .encode(&slices(&data), &mut [&mut parity])
                .expect("good shards");
            parity == [1]
        });
        assert_eq!(
            is_plain,
            [1, 3, 7].contains(&data_shards),
            "k={data_shards}"
        );
    }
}
