//! Amended heads: what a lookup shows, which generation they belong to.

use super::*;
use crate::object::Amendment;
use http::HeaderValue;

pub(super) fn amendment(number: i64) -> Amendment {
    let mut headers = HeaderMap::new();
    headers.insert("x-version", HeaderValue::from(number));
    Amendment {
        headers,
        exchange: Exchange {
            requested: UnixSeconds(number),
            responded: UnixSeconds(number),
        },
        invalidated: false,
        pinned: false,
    }
}

#[tokio::test]
async fn an_amended_object_is_looked_up_with_its_new_head_and_its_old_bytes() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 70_000)).await.unwrap();
    let amended = store.amend(&object, amendment(7)).await.unwrap().unwrap();
    let found = store.lookup(&key(1)).await.remove(0);
    for object in [&amended, &found] {
        assert_eq!(object.head().headers, amendment(7).headers);
        assert_eq!(object.head().exchange, amendment(7).exchange);
        assert_eq!(object.head().url, head(1).url);
        assert_eq!(read_all(object).await.unwrap(), body(1, 70_000));
    }
    assert!(
        object.head().headers.is_empty(),
        "who held it keeps its head"
    );
}

#[tokio::test]
async fn an_amendment_never_reaches_another_generation() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let old = fill(&store, head(1), &body(1, 10)).await.unwrap();
    fill(&store, head(1), &body(2, 10)).await.unwrap();
    assert!(store.amend(&old, amendment(7)).await.unwrap().is_none());
    assert!(store.lookup(&key(1)).await[0].head().headers.is_empty());
    let current = store.lookup(&key(1)).await.remove(0);
    store.forget(&key(1)).await;
    assert!(store.amend(&current, amendment(7)).await.unwrap().is_none());
    assert!(store.lookup(&key(1)).await.is_empty());
}
