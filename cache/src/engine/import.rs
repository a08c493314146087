//! Files that an operator brings: stored under a URL as if its upstream had sent them, immutable and pinned.
//!
//! ```text
//! Engine::import: what is there now? ─ the same, kept already ──► Known::Same
//!                                    ├ something else ──────────► ImportError::Other, unless it is to be replaced
//!                                    └ nothing, or the same ────► Known::Wanted(Import)
//! Import::append, as often as needed: hash and write
//! Import::finish: length and digests compared, then the commit
//! ```
//! Invariant: what becomes visible has the length and every digest that were announced; whatever goes wrong before,
//! a dropped [`Import`] included, leaves nothing. The sha256 is announced because the head, which carries the ETag made
//! from it, is written in front of the body.

use super::conflict::{is_in_place, unit};
use super::sources::without_query;
use super::{Engine, Entry};
pub use crate::digest::{Algorithms, BodyDigests, FoundDigests, from_hex, hex};
use crate::object::ObjectHead;
use crate::store::{Object, ObjectWriter, StoreError};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, InvalidHeaderValue, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::SystemTime;
use weir_policies::freshness::Exchange;
use weir_policies::target::Target;
use weir_policies::vary::Selection;

/// A year: the longest that anyone takes seriously.
const LIFETIME: &str = "max-age=31536000, immutable";

/// What to do when other bytes are stored under the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOther {
    /// They stay.
    Refuse,
    /// The file takes their place.
    Replace,
}

/// A file, announced.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// Where it goes.
    pub target: Target,
    /// The URL as the operator wrote it.
    pub url_as_asked: String,
    /// What it is.
    pub content_type: HeaderValue,
    /// When it last changed.
    pub modified: Option<SystemTime>,
    /// Its length, bytes.
    pub length: u64,
    /// Its sha256.
    pub sha256: [u8; 32],
    /// Its md5, where one is to be checked.
    pub md5: Option<[u8; 16]>,
    /// When there is something else.
    pub on_other: OnOther,
}

/// What a look at the store came to.
#[derive(Debug)]
pub enum Known {
    /// These very bytes are there, immutable and pinned: nothing to do.
    Same(Arc<Object>),
    /// Send the file.
    Wanted(Box<Import>),
}

/// A file on its way into the store. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Import {
    engine: Arc<Engine>,
    order: ImportOrder,
    writer: ObjectWriter,
    digests: BodyDigests,
    received: u64,
}

/// Why a file was not imported; nothing was stored then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Other bytes are there.
    #[error(
        "other bytes are stored under this URL ({stored_bytes} bytes, sha256 {stored}); \
         the file has sha256 {file}. --replace puts the file in their place"
    )]
    Other {
        /// Length of what is stored.
        stored_bytes: u64,
        /// sha256 of what is stored, as hexadecimal digits.
        stored: String,
        /// sha256 of the file.
        file: String,
    },
    /// It is not what was announced.
    #[error("the file has {algorithm} {found}, expected {expected}")]
    Digest {
        /// sha256 or md5.
        algorithm: &'static str,
        /// What arrived.
        found: String,
        /// What was announced.
        expected: String,
    },
    /// It is longer or shorter than announced.
    #[error("the file has {found} bytes, expected {expected}: it changed while it was sent")]
    Length {
        /// What arrived; of more than announced, one piece more at most.
        found: u64,
        /// What was announced.
        expected: u64,
    },
    /// It does not fit.
    #[error(
        "no room for {length} bytes on {disk}: [store] capacity, the free space of the disk and pinned objects \
         leave less"
    )]
    Full {
        /// The disk.
        disk: String,
        /// What was wanted, bytes.
        length: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// A download of the same URL came in between.
    #[error("the URL was fetched while the file was sent: import it again")]
    Overtaken,
    /// A value that no field can carry.
    #[error("cannot be a field value: {0}")]
    Field(#[from] InvalidHeaderValue),
}

impl Engine {
    /// Announces a file.
    ///
    /// # Errors
    /// [`ImportError`], before a byte of the file is needed.
    pub async fn import(self: &Arc<Self>, order: ImportOrder) -> Result<Known, ImportError> {
        if let Some(same) = self.check_other(&order).await?
            && same.head().pinned
            && same.head().immutable
            // An md5 is compared with the bytes of the file, not with what somebody says of them.
            && order.md5.is_none()
        {
            return Ok(Known::Same(same));
        }
        let head = self.imported_head(&order)?;
        let begun = self.store.begin(head, Some(order.length)).await;
        let writer = begun.map_err(|error| in_words(error, order.length))?;
        Ok(Known::Wanted(Box::new(Import {
            engine: Arc::clone(self),
            writer,
            digests: BodyDigests::new(match order.md5 {
                Some(_) => Algorithms::Sha256AndMd5,
                None => Algorithms::Sha256,
            }),
            received: 0,
            order,
        })))
    }

    /// The stored object with the same bytes; an error when other bytes are there and stay.
    async fn check_other(&self, order: &ImportOrder) -> Result<Option<Arc<Object>>, ImportError> {
        let mut same = None;
        for object in self.store.lookup(&Entry::Plain.key(&order.target)).await {
            let stored = match sha256_of(&object).await {
                Ok(stored) => stored,
                // Unreadable bytes are nothing to protect, and the store has dropped them.
                Err(StoreError::Corrupt { .. }) => continue,
                Err(error) => return Err(ImportError::Store(error)),
            };
            if stored == order.sha256 {
                same = same.or(Some(object));
            } else if order.on_other == OnOther::Refuse && object.head().status == StatusCode::OK {
                return Err(ImportError::Other {
                    stored_bytes: object.length(),
                    stored: hex(&stored),
                    file: hex(&order.sha256),
                });
            }
        }
        Ok(same)
    }

    fn imported_head(&self, order: &ImportOrder) -> Result<ObjectHead, ImportError> {
        let now = self.clock.wall();
        Ok(ObjectHead {
            key: Entry::Plain.key(&order.target),
            selection: Selection::default(),
            url_as_asked: order.url_as_asked.clone(),
            url: order.target.to_string(),
            namespace: String::new(),
            redirects: Vec::new(),
            status: StatusCode::OK,
            headers: imported_fields(order, now)?,
            exchange: Exchange {
                requested: now.into(),
                responded: now.into(),
            },
            upstream: None,
            origin_id: 0,
            tags: Vec::new(),
            pinned: true,
            conflict_of: None,
            lifetime_max: None,
            immutable: true,
            invalidated: false,
            stored_at: now,
        })
    }
}

impl Import {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ImportError`]; then it can only be dropped.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), ImportError> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.order.length {
            return Err(self.wrong_length());
        }
        self.digests.update(&bytes);
        let appended = self.writer.append(vec![bytes]).await;
        appended.map_err(|error| in_words(error, self.order.length))
    }

    /// Compares what arrived with what was announced, and makes it visible.
    ///
    /// # Errors
    /// [`ImportError`]
    pub async fn finish(self) -> Result<Arc<Object>, ImportError> {
        if self.received != self.order.length {
            let error = self.wrong_length();
            self.writer.abandon().await;
            return Err(error);
        }
        if let Err(error) = compare(&self.digests.finish(), &self.order) {
            self.writer.abandon().await;
            return Err(error);
        }
        let committed = self.writer.commit().await;
        let object = committed.map_err(|error| in_words(error, self.order.length))?;
        let store = self.engine.store.opened().map_err(ImportError::Store)?;
        if !is_in_place(store, &object).await {
            return Err(ImportError::Overtaken);
        }
        tracing::info!(
            url = without_query(&self.order.target.to_string()),
            bytes = object.length(),
            sequence = object.sequence().0,
            "imported: immutable and pinned"
        );
        Ok(object)
    }

    fn wrong_length(&self) -> ImportError {
        ImportError::Length {
            found: self.received,
            expected: self.order.length,
        }
    }
}

fn compare(found: &FoundDigests, order: &ImportOrder) -> Result<(), ImportError> {
    let differs = |algorithm, found: &[u8], expected: &[u8]| {
        Err(ImportError::Digest {
            algorithm,
            found: hex(found),
            expected: hex(expected),
        })
    };
    if found.sha256 != order.sha256 {
        return differs("sha256", &found.sha256, &order.sha256);
    }
    match (found.md5, order.md5) {
        (Some(found), Some(expected)) if found != expected => differs("md5", &found, &expected),
        _ => Ok(()),
    }
}

/// The fields of a response that never changes, dated now.
fn imported_fields(order: &ImportOrder, now: SystemTime) -> Result<HeaderMap, ImportError> {
    let text = |text: String| HeaderValue::from_str(&text);
    let mut fields = HeaderMap::new();
    fields.insert(DATE, text(httpdate::fmt_http_date(now))?);
    fields.insert(CONTENT_TYPE, order.content_type.clone());
    fields.insert(CONTENT_LENGTH, order.length.into());
    fields.insert(ETAG, text(format!("\"{}\"", hex(&order.sha256)))?);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(LIFETIME));
    // A date in the future, or one no field can show, says nothing (RFC 9110 §8.8.2.1).
    if let Some(modified) = order
        .modified
        .filter(|time| *time <= now && is_shown(*time))
    {
        fields.insert(LAST_MODIFIED, text(httpdate::fmt_http_date(modified))?);
    }
    Ok(fields)
}

/// Dates before 1970 have no form that the writer of dates knows.
fn is_shown(time: SystemTime) -> bool {
    time >= SystemTime::UNIX_EPOCH
}

/// The sha256 of a stored object: as kept, else computed from its bytes.
async fn sha256_of(object: &Object) -> Result<[u8; 32], StoreError> {
    if let Some(sha256) = object.digests().sha256 {
        return Ok(sha256);
    }
    let mut digests = BodyDigests::new(Algorithms::Sha256);
    let mut at = 0;
    while at < object.length() {
        let piece = unit(object, at).await?;
        at = at.saturating_add(piece.len() as u64);
        digests.update(&piece);
    }
    Ok(digests.finish().sha256)
}

fn in_words(error: StoreError, length: u64) -> ImportError {
    match error {
        StoreError::Full { disk } => ImportError::Full { disk, length },
        other => ImportError::Store(other),
    }
}
