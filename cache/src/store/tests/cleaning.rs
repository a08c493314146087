//! The metadata log while one of its files is being cleaned: the steps are called apart, and something happens between.

use super::amendment::{amendment, version};
use super::metadata_log::large;
use super::*;
use crate::device::memory::Survival;
use crate::object::Amendment;

/// A store whose only log file pays to be cleaned, and an object with its newest record in there.
async fn with_victim(device: &Arc<MemoryDevice>) -> (Arc<Store>, Arc<Object>) {
    let store = open(device).await;
    let mut object = fill(&store, head(1), &body(1, 100)).await.unwrap();
    for number in 1..4 {
        object = store.amend(&object, large(number)).await.unwrap().unwrap();
    }
    object = store.amend(&object, amendment(4)).await.unwrap().unwrap();
    (store, object)
}

#[tokio::test]
async fn what_is_amended_between_choosing_a_file_and_cleaning_it_is_copied_too() {
    let device = Arc::new(MemoryDevice::new());
    let (store, object) = with_victim(&device).await;
    let core = Arc::clone(&store.core);
    let log = store.core.log_victim().unwrap();
    let taken_back = Amendment {
        invalidated: true,
        ..amendment(5)
    };
    store.amend(&object, taken_back).await.unwrap().unwrap();
    let clean = move || core.clean_file(log);
    store.core.pool.run(clean).await.unwrap().unwrap();
    assert!(!files_in(&device, "log/").contains(&log::segment::path(log)));
    store.core.handles.invalidate_all();
    let restarted = open(&Arc::new(device.surviving(Survival::Kill))).await;
    for (when, store) in [("before", &store), ("after", &restarted)] {
        let found = store.lookup(&key(1)).await.remove(0);
        assert!(found.head().invalidated, "{when} a restart");
        assert_eq!(version(&found), 5, "{when} a restart");
        assert_eq!(store.stats().log_problems.get(), 0, "{when} a restart");
    }
}
