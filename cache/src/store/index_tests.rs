//! The index against a plain map, and its size.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn record(key: u128, variant: u64, sequence: u64) -> Record {
    Record::on_one_disk(Slot { key, variant }, Sequence(sequence), sequence * 3)
}

#[test]
fn variants_of_a_key_come_newest_first() {
    let mut index = Index::new();
    for (variant, sequence) in [(0, 5), (7, 9), (3, 6)] {
        assert_eq!(index.insert(record(1, variant, sequence)), Inserted::New);
    }
    index.insert(record(2, 0, 100));
    let order: Vec<u64> = index.find(1).iter().map(|found| found.sequence.0).collect();
    assert_eq!(order, [9, 6, 5]);
}

#[test]
fn the_newest_sequence_of_a_variant_wins_in_any_order() {
    let mut index = Index::new();
    index.insert(record(1, 0, 5));
    assert_eq!(index.insert(record(1, 0, 4)), Inserted::Outdated);
    assert_eq!(
        index.insert(record(1, 0, 6)),
        Inserted::Replaced(record(1, 0, 5))
    );
    assert_eq!(index.take(Slot { key: 1, variant: 0 }, Sequence(5)), None);
    assert_eq!(index.len(), 1);
}

#[test]
fn the_newest_amendment_of_a_generation_counts_and_goes_with_it() {
    let (slot, log) = (Slot { key: 1, variant: 0 }, Sequence(3));
    let place = |number| Place {
        log,
        number,
        offset: 64,
        bytes: 40,
    };
    let mut index = Index::new();
    index.insert(record(1, 0, 5));
    assert!(!index.amend(slot, Sequence(4), place(1), true));
    assert!(index.amend(slot, Sequence(5), place(2), true));
    assert!(!index.amend(slot, Sequence(5), place(1), false));
    assert_eq!(index.place(slot, Sequence(5)), Some(place(2)));
    assert!(index.is_pinned(slot, Sequence(5)));
    let (taken, kept) = index.take(slot, Sequence(5)).unwrap();
    assert_eq!(index.live_log_bytes(log), 0);
    index.put_back(taken, kept);
    assert_eq!(index.place(slot, Sequence(5)), Some(place(2)));
    assert_eq!(index.live_log_bytes(log), 40);
    index.insert(record(1, 0, 6));
    assert_eq!(index.place(slot, Sequence(6)), None);
    assert_eq!(index.live_log_bytes(log), 0);
}

#[test]
fn a_pinned_object_is_never_offered() {
    let mut index = Index::new();
    for key in 0..50 {
        index.insert(Record {
            pinned: key != 33,
            ..record(key, 0, 1)
        });
    }
    for _ in 0..20 {
        let offered = index.sample(5, Members::ALL);
        assert!(!offered.is_empty() && offered.iter().all(|found| found.slot.key == 33));
    }
    index.take(
        Slot {
            key: 33,
            variant: 0,
        },
        Sequence(1),
    );
    assert!(index.sample(5, Members::ALL).is_empty());
}

#[test]
fn an_object_takes_at_most_110_bytes() {
    let mut index = Index::new();
    let objects = 200_000;
    for key in 0..objects {
        index.insert(record(key, 0, 1));
    }
    let slabs: usize = index
        .slabs
        .iter()
        .map(|slab| slab.capacity() * size_of::<Entry>())
        .sum();
    let bytes = slabs + index.buckets.capacity() * size_of::<u32>();
    assert!(
        bytes / index.len() <= 110,
        "{} bytes an object",
        bytes / index.len()
    );
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u128, u64, u64),
    Remove(u128, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let parts = (0_u128..40, 0_u64..3, 0_u64..6);
    prop_oneof![
        3 => parts.clone().prop_map(|(key, variant, sequence)| Step::Insert(key, variant, sequence)),
        2 => parts.prop_map(|(key, variant, sequence)| Step::Remove(key, variant, sequence)),
    ]
}

proptest! {
    #[test]
    fn it_behaves_like_a_map(steps in proptest::collection::vec(step(), 0..300)) {
        let (mut index, mut model) = (Index::new(), BTreeMap::<(u128, u64), u64>::new());
        for step in steps {
            match step {
                Step::Insert(key, variant, sequence) => {
                    index.insert(record(key, variant, sequence));
                    let slot = model.entry((key, variant)).or_insert(sequence);
                    *slot = (*slot).max(sequence);
                }
                Step::Remove(key, variant, sequence) => {
                    let removed = index.take(Slot { key, variant }, Sequence(sequence)).is_some();
                    let expected = model.get(&(key, variant)) == Some(&sequence);
                    prop_assert_eq!(removed, expected);
                    if expected { model.remove(&(key, variant)); }
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
        let mut found: Vec<_> = index.records().map(|r| ((r.slot.key, r.slot.variant), r.sequence.0)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn growing_loses_nothing(count in 1_u128..5000) {
        let mut index = Index::new();
        for key in 0..count { index.insert(record(key, 0, 1)); }
        for key in 0..count { prop_assert_eq!(index.find(key).len(), 1); }
    }
}
