//! Fetching into the store without a reader: what redirect mode and warming ask for.
//!
//! A request that nobody reads is an ordinary GET whose answer is let go of as soon as its head is known; the fill
//! goes on without it. Whoever asks may wait for that head and learn whether anything will be stored.

use super::{Answer, Engine, Failure, FetchRequest};
use crate::store::Object;
use http::StatusCode;
use std::sync::Arc;
use tokio::sync::watch;

/// What came of asking for a fill.
#[derive(Debug)]
pub enum Warmed {
    /// A fresh object is there already: the object, its age in seconds, its seconds of freshness left.
    Cached(Arc<Object>, u64, i64),
    /// A fill is under way, started by this call or by another.
    Filling(WarmFill),
    /// The same fetch failed a moment ago.
    Failed(Arc<Failure>),
    /// No room for another fill.
    Full,
}

/// A fill that somebody asked for without reading from it.
#[derive(Debug)]
pub struct WarmFill {
    head: watch::Receiver<Option<WarmHead>>,
}

/// What is known of a fill once its head has arrived.
#[derive(Debug, Clone)]
pub enum WarmHead {
    /// It is being stored.
    Storing {
        /// Its status.
        status: StatusCode,
        /// Its length where it is announced.
        length: Option<u64>,
    },
    /// Its response is not for storing.
    NotStored,
    /// Larger than its rule allows, both in bytes.
    TooLarge {
        /// Announced.
        length: u64,
        /// Allowed.
        limit: u64,
    },
    /// The upstream failed.
    Failed(Arc<Failure>),
}

impl WarmFill {
    /// Waits for the head.
    pub async fn head(&self) -> WarmHead {
        let mut head = self.head.clone();
        let arrived = head.wait_for(Option::is_some).await;
        arrived
            .ok()
            .and_then(|head| head.clone())
            .unwrap_or(WarmHead::NotStored)
    }
}

impl Engine {
    /// The fresh stored object that answers `request`, its age and its seconds of freshness left; never fetches.
    pub async fn peek(&self, request: &FetchRequest) -> Option<(Arc<Object>, u64, i64)> {
        match self.look_up(request).await {
            super::Found::Fresh { object, age, ttl } => Some((object, age, ttl)),
            super::Found::Stale | super::Found::Nothing => None,
        }
    }

    /// Sees to it that `request` gets cached. Returns as soon as that is under way.
    pub async fn warm(self: &Arc<Self>, request: &FetchRequest) -> Warmed {
        if let Some((object, age, ttl)) = self.peek(request).await {
            return Warmed::Cached(object, age, ttl);
        }
        if let Some(failure) = self.hold_down.failure(&request.key) {
            return Warmed::Failed(failure);
        }
        let (known, head) = watch::channel(None);
        let (engine, request) = (Arc::clone(self), request.clone());
        let fetching = async move {
            let head = engine.warm_head(&request).await;
            known.send_replace(Some(head));
        };
        match self.tasks.spawn("warm", fetching) {
            Ok(_) => Warmed::Filling(WarmFill { head }),
            Err(_) => Warmed::Full,
        }
    }

    async fn warm_head(self: &Arc<Self>, request: &FetchRequest) -> WarmHead {
        let limit = request.plan.effect.size_max;
        let judged = |status, length: Option<u64>| match (length, limit) {
            (Some(length), Some(limit)) if length > limit => WarmHead::TooLarge { length, limit },
            _ => WarmHead::Storing { status, length },
        };
        match self.fetch(request).await {
            Answer::Stored { object, .. } => judged(object.head().status, Some(object.length())),
            Answer::Growing { reader, .. } => judged(reader.head().status, reader.length()),
            Answer::Failed(failure) => WarmHead::Failed(failure),
            Answer::Private { .. } | Answer::NotCached => WarmHead::NotStored,
        }
    }
}
