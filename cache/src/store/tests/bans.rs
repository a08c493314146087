//! Purges: what they cover, what they leave, and when they are over. Over crashes: ban_crash.rs.

use super::amendment::amendment;
use super::*;
use crate::device::memory::{Fault, Operation, Survival};
use crate::object::Amendment;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

/// Objects 1 and 2 below one folder, 3 and 4 below another; 1 and 3 with a tag; 4 is imported and pinned.
pub(in crate::store) fn purgeable(number: u8) -> ObjectHead {
    let is_imported = number == 4;
    ObjectHead {
        url: url(number),
        tags: if number % 2 == 1 {
            vec!["odd".to_owned()]
        } else {
            Vec::new()
        },
        immutable: is_imported,
        pinned: is_imported,
        ..head(number)
    }
}

fn url(number: u8) -> String {
    let folder = if number < 3 { "a" } else { "b" };
    format!("http://host/{folder}/{number}")
}

pub(super) fn scopes() -> [(PurgeScope, Vec<u8>); 3] {
    let exact = PurgeScope::url(&Target::parse(&url(1)).unwrap());
    let prefix = PurgeScope::prefix("http://host/b/").unwrap();
    let tag = PurgeScope::tag("odd").unwrap();
    [(exact, vec![1]), (prefix, vec![3, 4]), (tag, vec![1, 3])]
}

/// The keys that come with a scope.
pub(super) fn keys(scope: &PurgeScope) -> Vec<CacheKey> {
    if scope.is_one_url() {
        vec![key(1)]
    } else {
        Vec::new()
    }
}

pub(in crate::store) async fn purge(
    store: &Store,
    scope: &PurgeScope,
    mode: PurgeMode,
) -> Result<Banned, BanError> {
    store.ban(scope, mode, &keys(scope)).await
}

async fn filled(device: &Arc<MemoryDevice>) -> Arc<Store> {
    let store = open(device).await;
    for number in 1..5 {
        let body = body(number.into(), 500);
        fill(&store, purgeable(number), &body).await.unwrap();
    }
    store
}

/// Whether it is found, and marked.
async fn state(store: &Store, number: u8) -> Option<bool> {
    let found = store.lookup(&key(number)).await;
    found.first().map(|object| object.head().invalidated)
}

async fn check_states(store: &Store, covered: &[u8], mode: PurgeMode, when: &str) {
    for number in 1..5 {
        let expected = match mode {
            _ if !covered.contains(&number) => Some(false),
            PurgeMode::Remove => None,
            PurgeMode::Stale => Some(number != 4),
        };
        assert_eq!(state(store, number).await, expected, "{number} {when}");
    }
}

#[tokio::test]
async fn what_is_covered_is_gone_or_stale_at_once_after_the_sweep_and_after_a_restart() {
    for mode in [PurgeMode::Remove, PurgeMode::Stale] {
        for (scope, covered) in scopes() {
            let device = Arc::new(MemoryDevice::new());
            let store = filled(&device).await;
            purge(&store, &scope, mode).await.unwrap();
            let when = format!("{mode:?} {scope}");
            check_states(&store, &covered, mode, &when).await;
            maintain(&store).await;
            assert_eq!(store.stats().bans.get(), 0, "{when}");
            check_states(&store, &covered, mode, &format!("{when}, swept")).await;
            let gone = if mode == PurgeMode::Remove {
                covered.len()
            } else {
                0
            };
            assert_eq!(files_in(&device, "ec/").len(), 4 - gone, "{when}");
            let after = Arc::new(device.surviving(Survival::Kill));
            let store = open(&after).await;
            assert_eq!(store.stats().bans.get(), 0, "{when}: over for good");
            check_states(&store, &covered, mode, &format!("{when}, restarted")).await;
            // And what comes later is nobody's business.
            for number in covered {
                fill(&store, purgeable(number), &body(9, 50)).await.unwrap();
                assert_eq!(state(&store, number).await, Some(false), "{when}");
            }
        }
    }
}

#[tokio::test]
async fn a_handle_from_before_is_not_found_any_more_and_stays_readable() {
    let device = Arc::new(MemoryDevice::new());
    let store = filled(&device).await;
    let open = store.lookup(&key(3)).await.remove(0);
    let (scope, _) = &scopes()[1];
    assert!(!store.is_purged(&open));
    purge(&store, scope, PurgeMode::Remove).await.unwrap();
    assert!(store.is_purged(&open));
    assert_eq!(state(&store, 3).await, None);
    maintain(&store).await;
    assert_eq!(read_all(&open).await.unwrap(), body(3, 500));
    assert!(store.amend(&open, amendment(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_ban_outlives_a_clean_close_while_something_may_still_be_on_its_way() {
    for mode in [PurgeMode::Remove, PurgeMode::Stale] {
        for (scope, covered) in scopes() {
            let device = Arc::new(MemoryDevice::new());
            let store = filled(&device).await;
            let watch = store.watch("http://host/b/3");
            let other = store.watch(&url(1));
            purge(&store, &scope, mode).await.unwrap();
            maintain(&store).await;
            assert_eq!(store.stats().bans.get(), 1, "{scope}");
            store.close(CLOSE).await;
            drop((watch, other, store));
            let store = open(&device).await;
            assert_eq!(store.stats().bans.get(), 1, "{scope}");
            check_states(&store, &covered, mode, &format!("{mode:?} {scope}")).await;
            maintain(&store).await;
            assert_eq!(store.stats().bans.get(), 0, "{scope}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_for_before_is_not_stored_whenever_its_writer_begins() {
    for mode in [PurgeMode::Remove, PurgeMode::Stale] {
        for (scope, _) in scopes() {
            let device = Arc::new(MemoryDevice::new());
            let store = open(&device).await;
            let number = if scope.one_url().is_some() { 1 } else { 3 };
            let watch = Arc::new(store.watch(&url(number)));
            let mut early = store.begin(purgeable(number), None).await.unwrap();
            early.append(vec![body(1, 100)]).await.unwrap();
            purge(&store, &scope, mode).await.unwrap();
            let late = store.begin_watched(
                purgeable(number),
                None,
                ExpectedDigests::default(),
                Arc::clone(&watch),
            );
            let late = late.await.unwrap();
            // Not over, however often it is swept.
            maintain(&store).await;
            for writer in [early, late] {
                let refused = writer.commit().await;
                assert!(
                    matches!(refused, Err(StoreError::Purged)),
                    "{scope} {refused:?}"
                );
            }
            assert_eq!(state(&store, number).await, None, "{scope}");
            fill(&store, purgeable(2), &body(2, 10)).await.unwrap();
            drop(watch);
            maintain(&store).await;
            assert_eq!(store.stats().bans.get(), 0, "{scope}");
            assert_eq!(files_in(&device, "ec/").len(), 1, "{scope}");
            assert!(files_in(&device, "tmp/").is_empty(), "{scope}");
        }
    }
}

#[tokio::test]
async fn a_soft_purge_is_lifted_by_who_has_seen_it_and_by_nobody_else() {
    for swept in [false, true] {
        let device = Arc::new(MemoryDevice::new());
        let store = filled(&device).await;
        let unseen = store.lookup(&key(3)).await.remove(0);
        let (scope, _) = &scopes()[2];
        purge(&store, scope, PurgeMode::Stale).await.unwrap();
        if swept {
            maintain(&store).await;
        }
        // An answer of before the purge.
        store.amend(&unseen, amendment(1)).await.unwrap().unwrap();
        assert_eq!(state(&store, 3).await, Some(true), "swept {swept}");
        let seen = store.lookup(&key(3)).await.remove(0);
        store.amend(&seen, amendment(2)).await.unwrap().unwrap();
        assert_eq!(state(&store, 3).await, Some(false), "swept {swept}");
        maintain(&store).await;
        store.core.handles.invalidate_all();
        assert_eq!(state(&store, 3).await, Some(false), "swept {swept}");
        assert_eq!(state(&store, 1).await, Some(true), "swept {swept}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_keeps_its_ban_until_it_can() {
    for (scope, covered) in scopes() {
        let device = Arc::new(MemoryDevice::new());
        let store = filled(&device).await;
        device.add_fault(Fault {
            operation: Operation::Unlink,
            path_contains: "ec/".into(),
            errno: libc::EIO,
            times: 2,
        });
        let banned = purge(&store, &scope, PurgeMode::Remove).await.unwrap();
        assert!(banned.is_pending, "{scope}");
        maintain(&store).await;
        assert_eq!(store.stats().bans.get(), 1, "{scope}");
        check_states(&store, &covered, PurgeMode::Remove, "refused").await;
        for _ in 0..3 {
            maintain(&store).await;
        }
        assert_eq!(store.stats().bans.get(), 0, "{scope}");
        assert_eq!(files_in(&device, "ec/").len(), 4 - covered.len(), "{scope}");
    }
}

#[tokio::test]
async fn a_ban_of_one_url_whose_keys_nobody_knows_is_carried_out_by_the_walk() {
    for mode in [PurgeMode::Remove, PurgeMode::Stale] {
        let device = Arc::new(MemoryDevice::new());
        let store = filled(&device).await;
        let (scope, covered) = &scopes()[0];
        let banned = store.ban(scope, mode, &[]).await.unwrap();
        assert!(banned.is_pending && banned.objects == 0, "{banned:?}");
        check_states(&store, covered, mode, "at once").await;
        maintain(&store).await;
        assert_eq!(store.stats().bans.get(), 0);
        let after = Arc::new(device.surviving(Survival::Kill));
        let store = open(&after).await;
        check_states(&store, covered, mode, "restarted").await;
    }
}

#[tokio::test]
async fn bans_are_bounded_and_those_of_one_scope_are_one() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let watch = store.watch("http://any/");
    let tag = |number: usize| PurgeScope::tag(&number.to_string()).unwrap();
    for number in 0..ban::BANS_MAX {
        purge(&store, &tag(number), PurgeMode::Stale).await.unwrap();
    }
    let too_many = purge(&store, &tag(ban::BANS_MAX), PurgeMode::Stale).await;
    assert!(
        matches!(too_many, Err(BanError::TooMany(_))),
        "{too_many:?}"
    );
    // A stronger one of the same scope takes its place; a weaker one comes beside it, and there is no room.
    purge(&store, &tag(0), PurgeMode::Remove).await.unwrap();
    assert_eq!(store.stats().bans.get(), ban::BANS_MAX as u64);
    assert!(purge(&store, &tag(0), PurgeMode::Stale).await.is_err());
    drop(watch);
    purge(&store, &tag(ban::BANS_MAX), PurgeMode::Stale)
        .await
        .unwrap();
    maintain(&store).await;
    assert_eq!(store.stats().bans.get(), 0);
}

#[tokio::test]
async fn a_purge_that_cannot_be_written_changes_nothing() {
    let device = Arc::new(MemoryDevice::new());
    let store = filled(&device).await;
    device.add_fault(Fault {
        operation: Operation::Write,
        path_contains: "log/".into(),
        errno: libc::EIO,
        times: 1,
    });
    let (scope, _) = &scopes()[0];
    purge(&store, scope, PurgeMode::Remove).await.unwrap_err();
    check_states(&store, &[], PurgeMode::Remove, "refused").await;
    assert_eq!(store.stats().bans.get(), 0);
    purge(&store, scope, PurgeMode::Remove).await.unwrap();
    assert_eq!(state(&store, 1).await, None);
}

#[tokio::test]
async fn records_of_bans_that_are_over_do_not_keep_a_log_file() {
    let device = Arc::new(MemoryDevice::new());
    let store = filled(&device).await;
    for _ in 0..3 {
        for number in 0..50_usize {
            let long = format!("http://host/{number}/{}", "x".repeat(8000));
            let scope = PurgeScope::prefix(&long).unwrap();
            purge(&store, &scope, PurgeMode::Remove).await.unwrap();
        }
        maintain(&store).await;
        assert_eq!(store.stats().bans.get(), 0);
        let bytes = store.stats().metadata_log_bytes.get();
        assert!(bytes < 100_000, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_survey_sees_what_stays_once_and_neither_what_is_purged_nor_any_use() {
    let device = Arc::new(MemoryDevice::new());
    let store = filled(&device).await;
    let pinned = Amendment {
        pinned: true,
        ..amendment(1)
    };
    let object = store.lookup(&key(2)).await.remove(0);
    store.amend(&object, pinned).await.unwrap().unwrap();
    store.core.handles.invalidate_all();
    store.core.handles.run_pending_tasks();
    purge(&store, &scopes()[2].0, PurgeMode::Stale)
        .await
        .unwrap();
    let (mut seen, mut cursor) = (Vec::new(), Some(SurveyCursor::default()));
    while let Some(at) = cursor {
        let (found, next) = store.survey(at, 1).await.unwrap();
        seen.extend(found);
        // Others come and go.
        fill(&store, head(9), &body(1, 10)).await.unwrap();
        store.forget(&key(9)).await;
        cursor = next;
    }
    let mut shown: Vec<_> = seen
        .iter()
        .map(|found| {
            (
                found.head.url.clone(),
                found.head.invalidated,
                found.head.pinned,
            )
        })
        .collect();
    shown.sort();
    let expected = [
        (1, true, false),
        (2, false, true),
        (3, true, false),
        (4, false, true),
    ];
    assert_eq!(
        shown,
        expected.map(|(number, stale, pin)| (url(number), stale, pin))
    );
    assert_eq!(store.core.handles.iter().count(), 0);
    assert_eq!(store.pinned().await.unwrap(), 2);
    purge(&store, &scopes()[1].0, PurgeMode::Remove)
        .await
        .unwrap();
    let (found, _) = store.survey(SurveyCursor::default(), 100).await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_soft_and_a_hard_purge_of_the_same_objects_are_both_over_some_time() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let tagged = ObjectHead {
        tags: vec!["tag".to_owned()],
        ..head(1)
    };
    fill(&store, tagged, &body(1, 10)).await.unwrap();
    let tag = PurgeScope::tag("tag").unwrap();
    let folder = PurgeScope::prefix("http://host/").unwrap();
    store.ban(&tag, PurgeMode::Stale, &[]).await.unwrap();
    store.ban(&folder, PurgeMode::Remove, &[]).await.unwrap();
    for _ in 0..2 {
        maintain(&store).await;
    }
    assert!(files_in(&device, "ec/").is_empty());
    assert!(store.core.bans.in_force().is_empty());
}

#[tokio::test]
async fn a_purge_stays_in_force_while_the_disk_that_it_is_about_is_not_there() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, purgeable(1), &body(1, 300)).await.unwrap();
    maintain(&store).await;
    let (scope, _) = &scopes()[0];
    purge(&store, scope, PurgeMode::Remove).await.unwrap();
    // The log is open and works on; a sync of the folder is one of the file system below.
    device.remove();
    maintain(&store).await;
    assert_eq!(store.stats().bans.get(), 1);
    device.restore();
    for seed in 0..8 {
        let after = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        let store = open(&after).await;
        assert!(get(&store, 1).await.is_none(), "seed {seed}");
    }
    maintain(&store).await;
    assert_eq!(store.stats().bans.get(), 0);
}
