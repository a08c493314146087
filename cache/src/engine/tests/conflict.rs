//! Changed bytes behind an immutable URL, and what becomes of them by a decision or a crash in the middle of one.

use super::origin::Script;
use super::world::{World, content, engine_settings, store_settings, stored};
use crate::clock::ManualClock;
use crate::device::memory::{MemoryDevice, Survival};
use crate::engine::{CONFLICT_NAMESPACE, ConflictError, Entry, same_bytes};
use crate::object::{ObjectHead, Sequence};
use crate::ports::{Clock, Device};
use crate::store::{Object, Store, StoreError};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::SystemTime;
use weir_policies::freshness::Exchange;
use weir_policies::target::Target;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

const URL: &str = "http://host/file-1.0.tar.gz";

fn target() -> Target {
    Target::parse(URL).unwrap()
}

/// Bytes that differ by `seed` from the first one on.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    content(seed << 24, length)
}

fn head(entry: Entry, conflict_of: Option<Sequence>) -> ObjectHead {
    let (key, namespace) = match conflict_of {
        Some(_) => (entry.conflict_key(&target()), CONFLICT_NAMESPACE),
        None => (entry.key(&target()), ""),
    };
    ObjectHead {
        key,
        selection: Selection::default(),
        url_as_asked: URL.to_owned(),
        url: URL.to_owned(),
        namespace: namespace.to_owned(),
        redirects: Vec::new(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        exchange: Exchange {
            requested: UnixSeconds(1),
            responded: UnixSeconds(1),
        },
        upstream: None,
        origin_id: 0,
        tags: Vec::new(),
        pinned: conflict_of.is_none(),
        conflict_of,
        lifetime_max: None,
        immutable: false,
        invalidated: false,
        stored_at: SystemTime::UNIX_EPOCH,
    }
}

async fn put(store: &Store, head: ObjectHead, body: &[u8]) -> Result<Arc<Object>, StoreError> {
    let mut writer = store.begin(head, Some(body.len() as u64)).await?;
    writer.append(vec![Bytes::copy_from_slice(body)]).await?;
    writer.commit().await
}

/// An original and what contradicts it in one entry.
async fn contradict(store: &Store, entry: Entry, original: &[u8], changed: &[u8]) {
    let first = put(store, head(entry, None), original).await.unwrap();
    let conflicting = head(entry, Some(first.sequence()));
    put(store, conflicting, changed).await.unwrap();
}

async fn held(store: &Store, entry: Entry) -> Option<Vec<u8>> {
    let found = store.lookup(&entry.key(&target())).await;
    Some(stored(found.first()?).await)
}

#[tokio::test]
async fn both_objects_of_a_conflict_are_shown_and_the_original_is_served() {
    let world = World::new().await;
    let (original, changed) = (bytes(1, 300_000), bytes(2, 300_000));
    contradict(world.store(), Entry::Followed, &original, &changed).await;
    let conflicts = world.engine.conflicts(&target()).await;
    let [conflict] = &conflicts[..] else {
        panic!("{conflicts:?}")
    };
    assert_eq!(conflict.entry, Entry::Followed);
    let shown = conflict.original.as_ref().expect("it is there");
    assert_eq!(Some(shown.sequence()), conflict.changed.head().conflict_of);
    assert_eq!(stored(shown).await, original);
    assert_eq!(stored(&conflict.changed).await, changed);
    let holdings = world.engine.holdings(&target()).await;
    assert_eq!(stored(&holdings.followed[0]).await, original);
    assert_eq!(holdings.conflicting.len(), 1);
    assert!(holdings.plain.is_empty());
}

#[tokio::test]
async fn an_accepted_object_takes_the_place_and_the_pin_of_the_original() {
    let world = World::new().await;
    let (original, changed) = (bytes(1, 70_000), bytes(2, 600_000));
    for entry in Entry::ALL {
        contradict(world.store(), entry, &original, &changed).await;
    }
    let accepted = world.engine.accept_conflicts(&target()).await.unwrap();
    assert_eq!(accepted.len(), 2);
    for entry in Entry::ALL {
        let found = world.engine.store.lookup(&entry.key(&target())).await;
        let [object] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(stored(object).await, changed);
        let head = object.head();
        assert!(head.pinned && head.conflict_of.is_none() && head.namespace.is_empty());
    }
    assert!(world.engine.conflicts(&target()).await.is_empty());
    let again = world.engine.accept_conflicts(&target()).await;
    assert!(matches!(again, Err(ConflictError::None)), "{again:?}");
}

#[tokio::test]
async fn a_rejected_object_is_forgotten_and_the_original_stays() {
    let world = World::new().await;
    let (original, changed) = (bytes(1, 70_000), bytes(2, 70_000));
    contradict(world.store(), Entry::Plain, &original, &changed).await;
    let rejected = world.engine.reject_conflicts(&target()).await.unwrap();
    assert_eq!(rejected.len(), 1);
    let store = world.store();
    assert_eq!(held(store, Entry::Plain).await, Some(original));
    assert!(world.engine.conflicts(&target()).await.is_empty());
    let again = world.engine.reject_conflicts(&target()).await;
    assert!(matches!(again, Err(ConflictError::None)), "{again:?}");
}

#[tokio::test]
async fn a_conflict_without_its_original_can_be_accepted() {
    let world = World::new().await;
    let (original, changed) = (bytes(1, 70_000), bytes(2, 70_000));
    contradict(world.store(), Entry::Plain, &original, &changed).await;
    let store = world.store();
    store.forget(&Entry::Plain.key(&target())).await;
    assert!(
        world.engine.conflicts(&target()).await[0]
            .original
            .is_none()
    );
    let accepted = world.engine.accept_conflicts(&target()).await.unwrap();
    assert_eq!(accepted[0].replaced, None);
    assert_eq!(held(store, Entry::Plain).await, Some(changed));
}

#[tokio::test]
async fn bytes_are_compared_with_and_without_digests() {
    for sha256 in [true, false] {
        let settings = crate::store::StoreSettings {
            sha256,
            ..store_settings()
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let disk: Arc<dyn Device> = Arc::new(MemoryDevice::new());
        let store = Store::open(vec![disk], settings, clock).await.unwrap();
        let mut late = bytes(1, 600_000);
        *late.last_mut().unwrap() ^= 1;
        let bodies = [
            bytes(1, 600_000),
            bytes(1, 600_000),
            late,
            bytes(1, 599_999),
            Vec::new(),
        ];
        let mut objects = Vec::new();
        for (number, body) in (0_u8..).zip(&bodies) {
            let mut head = head(Entry::Plain, None);
            head.key = weir_policies::key::CacheKey::from_bytes([number; 32]);
            objects.push(put(&store, head, body).await.unwrap());
        }
        for (one, left) in bodies.iter().zip(&objects) {
            for (other, right) in bodies.iter().zip(&objects) {
                let same = same_bytes(left, right).await.unwrap();
                assert_eq!(same, one == other, "digests: {sha256}");
            }
        }
    }
}

/// A conflict is accepted on a disk that crashes at some call of it; `true`: that call was never made.
async fn accept_and_crash(call: u64, original: &[u8], changed: &[u8]) -> bool {
    let device = Arc::new(MemoryDevice::new());
    let clock = Arc::new(ManualClock::default());
    let origin = Arc::default();
    let world = World::on(Arc::clone(&device), clock, origin, engine_settings()).await;
    contradict(world.store(), Entry::Plain, original, changed).await;
    device.crash_at(device.calls() + call);
    let accepted = world.engine.accept_conflicts(&target()).await;
    for (survival, seed) in [Survival::Kill]
        .into_iter()
        .chain((0..4).map(|seed| Survival::PowerLoss { seed }))
        .zip(0..)
    {
        let disk: Arc<dyn Device> = Arc::new(device.surviving(survival));
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let store = Store::open(vec![disk], store_settings(), clock).await;
        let found = held(&store.unwrap(), Entry::Plain).await;
        let is_kill = seed == 0;
        let case = format!("call {call}, survival {seed}");
        if is_kill && accepted.is_ok() {
            assert!(found.as_deref() == Some(changed), "{case}");
        } else if is_kill {
            let found = found.expect(&case);
            assert!(found == original || found == changed, "{case}");
        } else if let Some(found) = found {
            // Nothing was synced, so a power loss may take the original as well, but tears nothing.
            assert!(found == original || found == changed, "{case}");
        }
    }
    !device.has_crashed()
}

#[tokio::test]
async fn a_crash_while_accepting_leaves_the_original_or_the_changed_object() {
    let (original, changed) = (bytes(1, 300_000), bytes(2, 300_000));
    let mut call = 1;
    while !accept_and_crash(call, &original, &changed).await {
        call += 1;
    }
    assert!(call > 8, "only {call} calls were tried");
}

#[tokio::test]
async fn an_interrupted_acceptance_is_finished_by_the_next_one() {
    let world = World::new().await;
    let (original, changed) = (bytes(1, 70_000), bytes(2, 70_000));
    let store = world.store();
    contradict(store, Entry::Plain, &original, &changed).await;
    // As if the process had ended between the commit and the forgetting.
    let copy = put(store, head(Entry::Plain, None), &changed)
        .await
        .unwrap();
    let accepted = world.engine.accept_conflicts(&target()).await.unwrap();
    assert_eq!(accepted[0].object.sequence(), copy.sequence());
    assert!(world.engine.conflicts(&target()).await.is_empty());
}

#[tokio::test]
async fn a_stored_url_is_held_in_its_plain_entry() {
    let world = World::new().await;
    let body = bytes(1, 1000);
    world.script(URL, Script::body(body.clone()));
    assert!(world.engine.holdings(&target()).await.plain.is_empty());
    world.get(URL).await;
    world.engine.tasks().idle().await;
    let holdings = world.engine.holdings(&target()).await;
    assert_eq!(stored(&holdings.plain[0]).await, body);
    assert!(holdings.followed.is_empty() && holdings.conflicting.is_empty());
}
