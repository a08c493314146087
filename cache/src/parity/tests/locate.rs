//! Who is named when shards lie.

use super::*;

fn coder(data_shards: usize) -> Coder {
    Coder::new(Codec::PQ, data_shards).expect("a good geometry")
}

/// Changes so many bytes, at least one, each to something else.
fn damage(shard: &mut [u8], positions: usize, random: &mut SmallRng) {
    for _ in 0..positions {
        let at = random.random_range(0..shard.len());
        shard[at] ^= random.random_range(1..=255_u8);
    }
    // The same position may have been hit twice, which can undo the damage.
    shard[0] ^= 0x80;
}

#[test]
fn an_intact_stripe_is_consistent() {
    let mut random = SmallRng::seed_from_u64(3);
    for data_shards in 1..=DATA_SHARDS_MAX {
        for bytes in [1, 100, 4095, 4096, 4097, 10_000] {
            let stripe = stripe(data_shards, bytes, &mut random);
            let verdict = coder(data_shards).locate(&slices(&stripe));
            assert_eq!(verdict, Ok(Verdict::Consistent));
        }
    }
}

#[test]
fn a_shard_of_nothing_but_garbage_is_named() {
    let mut random = SmallRng::seed_from_u64(4);
    for data_shards in 1..=DATA_SHARDS_MAX {
        for role in 0..data_shards + 2 {
            let mut stripe = stripe(data_shards, 5_000, &mut random);
            random.fill_bytes(&mut stripe[role]);
            for kernel in Kernel::available() {
                let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel).expect("good");
                assert_eq!(coder.locate(&slices(&stripe)), Ok(Verdict::OneBad { role }));
            }
        }
    }
}

#[test]
fn one_flipped_bit_is_named_wherever_it_is() {
    let data_shards = 4;
    let stripe = stripe(data_shards, 4_200, &mut SmallRng::seed_from_u64(5));
    for role in 0..data_shards + 2 {
        for at in [0, 31, 32, 4_095, 4_096, 4_199] {
            for bit in 0..8 {
                let mut stripe = stripe.clone();
                stripe[role][at] ^= 1 << bit;
                let verdict = coder(data_shards).locate(&slices(&stripe));
                assert_eq!(
                    verdict,
                    Ok(Verdict::OneBad { role }),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn two_shards_damaged_in_different_places_are_never_reduced_to_one() {
    let mut random = SmallRng::seed_from_u64(6);
    for data_shards in 1..=DATA_SHARDS_MAX {
        for lost in losses(data_shards + 2, 2).filter(|lost| lost.len() == 2) {
            let mut stripe = stripe(data_shards, 9_000, &mut random);
            stripe[lost[0]][17] ^= 1;
            stripe[lost[1]][8_999] ^= 1;
            let verdict = coder(data_shards).locate(&slices(&stripe));
            assert_eq!(verdict, Ok(Verdict::Unlocatable), "lost {lost:?}");
        }
    }
}

/// The arithmetic behind the odds that [`Verdict::OneBad`] states: of all damages to one byte of two shards, exactly k
/// in 255 name some third shard, and none names one of the two.
#[test]
fn two_damaged_bytes_at_one_position_name_a_third_shard_k_times_in_255() {
    for data_shards in [1, 4, DATA_SHARDS_MAX] {
        for lost in losses(data_shards + 2, 2).filter(|lost| lost.len() == 2) {
            // Only the quotient of the two damages matters; each of the 255 is equally likely.
            let mut misled = 0;
            for second in 1..=255_u8 {
                let mut shards = vec![[0_u8]; data_shards + 2];
                shards[lost[0]] = [1];
                shards[lost[1]] = [second];
                let shards: Vec<&[u8]> = shards.iter().map(<[u8; 1]>::as_slice).collect();
                match coder(data_shards).locate(&shards).expect("good shards") {
                    Verdict::Consistent => panic!("damage to {lost:?} is not seen"),
                    Verdict::OneBad { role } => {
                        assert!(!lost.contains(&role), "half of {lost:?} is the whole truth");
                        misled += 1;
                    }
                    Verdict::Unlocatable => {}
                }
            }
            assert_eq!(misled, data_shards, "k={data_shards}, lost {lost:?}");
        }
    }
}

#[test]
fn reed_solomon_says_only_whether_all_fits() {
    let mut random = SmallRng::seed_from_u64(7);
    for count in (1..=4).filter_map(ParityShards::new) {
        let coder = Coder::new(Codec::ReedSolomon(count), 3).expect("a good geometry");
        let stripe = reed_solomon::stripe(&coder, 3, count, 5_000, &mut random);
        assert_eq!(coder.locate(&slices(&stripe)), Ok(Verdict::Consistent));
        for role in 0..stripe.len() {
            let mut stripe = stripe.clone();
            stripe[role][4_999] ^= 1;
            assert_eq!(coder.locate(&slices(&stripe)), Ok(Verdict::Unlocatable));
        }
    }
}

proptest! {
    #[test]
    fn every_single_bad_shard_is_found_and_can_be_repaired(
        seed: u64, data_shards in 1..=DATA_SHARDS_MAX, bytes in 1..9_000_usize, role: usize, positions in 0..40_usize,
    ) {
        let mut random = SmallRng::seed_from_u64(seed);
        let right = stripe(data_shards, bytes, &mut random);
        let role = role % right.len();
        let mut damaged = right.clone();
        damage(&mut damaged[role], positions, &mut random);
        let expected = if damaged == right { Verdict::Consistent } else { Verdict::OneBad { role } };
        prop_assert_eq!(coder(data_shards).locate(&slices(&damaged)), Ok(expected));
        check_reconstruct(&coder(data_shards), &right, &[role], &[role]);
    }

    #[test]
    fn two_bad_shards_are_never_blamed_on_one(
        seed: u64, data_shards in 1..=DATA_SHARDS_MAX, first: usize, second: usize,
    ) {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut stripe = stripe(data_shards, 1_000, &mut random);
        let roles = stripe.len();
        let (first, second) = (first % roles, second % roles);
        prop_assume!(first != second);
        random.fill_bytes(&mut stripe[first]);
        random.fill_bytes(&mut stripe[second]);
        // About 992 positions are damaged in both: a third shard is named by chance with k/255^992.
        prop_assert_eq!(coder(data_shards).locate(&slices(&stripe)), Ok(Verdict::Unlocatable));
    }
}
