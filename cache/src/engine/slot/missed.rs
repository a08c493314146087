//! Changes of URLs that succeeded while the data was another process's, which has what they make invalid
//! (RFC 9111 §4.4).
//!
//! They are made up for before anything of the data is found. Bounded: of more URLs than are kept one by one only the
//! origin is known, of more origins than that nothing; then what is stored of them, or everything, is asked about
//! before its next use. A process that dies before it has the data forgets them.

use crate::engine::Entry;
use crate::engine::invalidate::marked;
use crate::store::{Store, StoreError};
use futures::{StreamExt, stream};
use std::collections::{BTreeSet, HashMap};
use weir_policies::key::CacheKey;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

/// URLs that are kept one by one.
const URLS_MAX: usize = 1024;
/// Origins that are kept once there are too many URLs.
const ORIGINS_MAX: usize = 64;
/// URLs that are worked on at once: those who wait for the store's log share its syncs.
const AT_ONCE: usize = 32;
/// What every URL begins with.
const EVERYTHING: &str = "";

/// What has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Missed {
    /// By their plain keys.
    urls: HashMap<CacheKey, Kept>,
    /// What the URLs begin with that had no place any more.
    prefixes: BTreeSet<String>,
}

/// What is kept under one URL.
#[derive(Debug, Clone, Copy)]
struct Kept {
    objects: [CacheKey; 2],
    parts: [CacheKey; 2],
}

impl Missed {
    pub(super) fn is_empty(&self) -> bool {
        self.urls.is_empty() && self.prefixes.is_empty()
    }

    pub(super) fn note(&mut self, target: &Target) {
        let plain = Entry::Plain.key(target);
        if self.urls.len() < URLS_MAX || self.urls.contains_key(&plain) {
            let kept = Kept {
                objects: Entry::ALL.map(|entry| entry.key(target)),
                parts: Entry::ALL.map(|entry| entry.parts_key(target)),
            };
            self.urls.insert(plain, kept);
            return;
        }
        let origin = format!("{}://{}/", target.scheme().as_str(), target.authority());
        if self.prefixes.contains(EVERYTHING) || self.prefixes.contains(&origin) {
            return;
        }
        if self.prefixes.len() < ORIGINS_MAX {
            tracing::warn!(
                origin,
                "too many URLs changed while the data is awaited: all of this origin is asked about once it is here"
            );
            self.prefixes.insert(origin);
        } else {
            tracing::warn!(
                "URLs of too many origins changed while the data is awaited: everything is asked about once it is here"
            );
            self.prefixes = BTreeSet::from([EVERYTHING.to_owned()]);
        }
    }

    /// Makes `store` ask about what has changed. Done twice it is done once.
    pub(super) async fn make_up(&self, store: &Store) {
        for prefix in &self.prefixes {
            if let Err(error) = ask_below(store, prefix).await {
                tracing::error!(
                    prefix,
                    error,
                    "what changed while the data was awaited may be served as it was: purge this prefix"
                );
            }
        }
        stream::iter(self.urls.values())
            .for_each_concurrent(AT_ONCE, |kept| kept.make_up(store))
            .await;
        tracing::info!(
            urls = self.urls.len(),
            prefixes = self.prefixes.len(),
            "changes from before the data was here are made up for"
        );
    }
}

impl Kept {
    async fn make_up(&self, store: &Store) {
        for key in &self.objects {
            if let Err(error) = mark(store, key).await {
                // It cannot be marked, and must not be used.
                tracing::warn!(%error, "a changed object cannot be marked: it is forgotten");
                store.forget(key).await;
            }
        }
        for key in &self.parts {
            store.forget(key).await;
        }
    }
}

async fn mark(store: &Store, key: &CacheKey) -> Result<(), StoreError> {
    for object in store.lookup(key).await {
        if !object.head().immutable {
            store.amend(&object, marked(object.head())).await?;
        }
    }
    Ok(())
}

async fn ask_below(store: &Store, prefix: &str) -> Result<(), String> {
    let scope = PurgeScope::from_parts("prefix", prefix).ok_or("no such scope")?;
    let banned = store.ban(&scope, PurgeMode::Stale, &[]).await;
    banned.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).unwrap()
    }

    #[test]
    fn what_has_no_place_is_widened_to_its_origin_and_then_to_everything() {
        let mut missed = Missed::default();
        assert!(missed.is_empty());
        for number in 0..URLS_MAX {
            missed.note(&target(&format!("http://host/{number}")));
        }
        missed.note(&target("http://host/0"));
        assert!(missed.prefixes.is_empty(), "known already");
        missed.note(&target("http://other:81/new?query"));
        missed.note(&target("http://other:81/newer"));
        assert_eq!(missed.prefixes, ["http://other:81/".to_owned()].into());
        for number in 0..2 * ORIGINS_MAX {
            missed.note(&target(&format!("http://host-{number}/")));
        }
        assert_eq!(missed.prefixes, [EVERYTHING.to_owned()].into());
        assert_eq!(missed.urls.len(), URLS_MAX);
    }
}
