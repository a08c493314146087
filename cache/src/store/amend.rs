//! Changing what is known of a stored object without touching its bytes.
//!
//! ```text
//! queue → writer's lock → whole queue: index asked, records written at once → (strict: one fdatasync) → published
//! ```
//! Whoever comes first writes for all who wait, so a slow sync is paid once. Records are published (index, then handle)
//! in the order of the log and before the lock is given away: what a start would find is what lookups have shown. The
//! index decides against replacement and removal; a record that loses is dead.
//!
//! Amendments of one object meet field by field: the last one's headers, exchange and lifetime count, but nobody takes
//! back a pin or an invalidation that came in since the object that he holds was looked up.

use super::ban::Verdict;
use super::core::{Core, lock};
use super::layout::Slot;
use super::log::append::{NewRecord, Sync, Writer};
use super::log::payload::Bound;
use super::log::{LogFault, record};
use super::{Durability, Object, Store, StoreError};
use crate::object::{Amendment, ObjectHead, Sequence};
use std::io;
use std::sync::{Arc, Mutex};

/// How often a record is looked for that is being moved meanwhile.
const READS_MAX: u32 = 4;

type Outcome = Result<Option<Arc<Object>>, StoreError>;

/// Amendments waiting for the writer: at most one for each thread of the pool.
#[derive(Debug, Default)]
pub(crate) struct Amending {
    queue: Mutex<Vec<Arc<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    object: Arc<Object>,
    amendment: Amendment,
    outcome: Mutex<Option<Outcome>>,
}

/// An amendment that has its record.
struct Staged {
    waiting: Arc<Waiting>,
    amended: Arc<Object>,
}

impl Store {
    /// Amends this very generation and makes it durable as far as [`super::Durability`] says. `None` when another
    /// generation has taken its place meanwhile.
    ///
    /// A pin or an invalidation that is newer than `object` stays. Not cancel-safe: once it has begun it goes on.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed, except that after a failed sync the next start may find either.
    pub async fn amend(&self, object: &Arc<Object>, amendment: Amendment) -> Outcome {
        let core = Arc::clone(&self.core);
        let waiting = Waiting {
            object: Arc::clone(object),
            amendment,
            outcome: Mutex::default(),
        };
        self.core
            .on_pool("amend", move || core.amend(waiting))
            .await?
    }
}

impl Core {
    /// Pool only.
    pub(super) fn amend_now(&self, object: &Arc<Object>, amendment: Amendment) -> Outcome {
        self.amend(Waiting {
            object: Arc::clone(object),
            amendment,
            outcome: Mutex::default(),
        })
    }

    /// Pool only.
    fn amend(&self, waiting: Waiting) -> Outcome {
        let waiting = Arc::new(waiting);
        lock(&self.amending.queue).push(Arc::clone(&waiting));
        let mut writer = lock(&self.log.writer);
        // Another thread may have done it while this one waited for the lock.
        let batch = std::mem::take(&mut *lock(&self.amending.queue));
        if !batch.is_empty() {
            self.amend_all(&mut writer, batch);
        }
        drop(writer);
        let outcome = lock(&waiting.outcome).take();
        outcome.unwrap_or_else(|| {
            Err(self.store_error("amend", io::Error::other("the writer of the log panicked")))
        })
    }

    fn amend_all(&self, writer: &mut Writer, batch: Vec<Arc<Waiting>>) {
        let (mut staged, mut records) = (Vec::<Staged>::new(), Vec::new());
        for waiting in batch {
            match self.stage(writer, &waiting, &staged) {
                Ok(Some((record, amended))) => {
                    records.push(record);
                    staged.push(Staged { waiting, amended });
                }
                Ok(None) => *lock(&waiting.outcome) = Some(Ok(None)),
                Err(error) => *lock(&waiting.outcome) = Some(Err(error)),
            }
        }
        if !staged.is_empty() {
            self.write_and_publish(writer, staged, &records);
        }
    }

    /// The record of an amendment, and the object as it will be; `None` when this generation is gone.
    fn stage(
        &self,
        writer: &mut Writer,
        waiting: &Waiting,
        staged: &[Staged],
    ) -> Result<Option<(NewRecord, Arc<Object>)>, StoreError> {
        let object = &waiting.object;
        let (slot, sequence) = (object.name().slot, object.sequence());
        if !lock(&self.index).contains(slot, sequence) {
            return Ok(None);
        }
        let (verdict, _) = self.verdict(object);
        if verdict == Verdict::Removed {
            return Ok(None);
        }
        let mut newest_first = staged.iter().rev().map(|staged| &staged.amended);
        let before = newest_first.find(|other| is_same(other, object));
        let current = before.map_or_else(|| self.current(object), Arc::clone);
        let bound = Bound {
            slot,
            sequence,
            amendment: merged(waiting, &current, verdict),
        };
        let payload = bound.encode();
        if payload.len() > record::PAYLOAD_BYTES_MAX {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "head of more than 1 MiB");
            return Err(self.store_error("amend", source));
        }
        let new = NewRecord {
            kind: record::AMENDMENT,
            number: writer.take_number(),
            payload,
        };
        let head = applied(&object.shards.head, bound.amendment);
        let amended = Arc::new(object.under(head, new.number));
        Ok(Some((new, amended)))
    }

    fn write_and_publish(&self, writer: &mut Writer, staged: Vec<Staged>, records: &[NewRecord]) {
        let sync = match self.settings.durability {
            Durability::Relaxed => Sync::Later,
            Durability::Strict => Sync::Now,
        };
        match writer.append(self, records, sync) {
            Ok(places) => {
                for (Staged { waiting, amended }, place) in staged.into_iter().zip(places) {
                    let (slot, sequence) = (amended.name().slot, amended.sequence());
                    let pinned = amended.head().pinned;
                    let is_there = lock(&self.index).amend(slot, sequence, place, pinned);
                    if is_there {
                        self.stats.amendments.add(1);
                        self.keep_handle(&amended);
                    }
                    *lock(&waiting.outcome) = Some(Ok(is_there.then_some(amended)));
                }
            }
            Err(error) => {
                for Staged { waiting, .. } in staged {
                    *lock(&waiting.outcome) = Some(Err(same(&error)));
                }
            }
        }
    }

    /// The object under the head that counts now.
    fn current(&self, object: &Arc<Object>) -> Arc<Object> {
        if self.is_current(object) {
            return Arc::clone(object);
        }
        let handle = (object.name().slot, object.sequence());
        match self.handles.get(&handle) {
            Some(open) if self.is_current(&open) => open,
            _ => Arc::new(self.with_current_head(object.under(object.shards.head.clone(), 0))),
        }
    }

    /// Puts an object that was just opened under the head that counts. Pool only.
    pub(super) fn with_current_head(&self, object: Object) -> Object {
        let (slot, sequence) = (object.name().slot, object.sequence());
        match self.amended_head(&object.shards.head, slot, sequence) {
            (Some(head), number) => object.under(head, number),
            (None, _) => object,
        }
    }

    /// The head that counts where it is not the stored one, and the number of the record that says so, 0 for none. Pool
    /// only.
    pub(super) fn amended_head(
        &self,
        stored: &ObjectHead,
        slot: Slot,
        sequence: Sequence,
    ) -> (Option<ObjectHead>, u64) {
        let doubt = *lock(&self.log.doubt);
        let covers = |number| doubt.is_some_and(|doubt| doubt.covers(stored, sequence, number));
        let is_doubted = |number| self.losses.doubts(sequence, number);
        for _ in 0..READS_MAX {
            let Some(place) = lock(&self.index).place(slot, sequence) else {
                let is_covered = covers(0) || is_doubted(0);
                return (is_covered.then(|| doubted(stored, is_doubted(0))), 0);
            };
            let read = self.log.read(place);
            match read {
                Ok(bound) if (bound.slot, bound.sequence) == (slot, sequence) => {
                    let mut head = applied(stored, bound.amendment);
                    head.invalidated |= covers(place.number) || is_doubted(place.number);
                    return (Some(head), place.number);
                }
                // It is being moved: the index knows where to.
                Err(LogFault::Gone) if lock(&self.index).place(slot, sequence) != Some(place) => {}
                fault => {
                    self.warn_unreadable(slot, sequence, fault.err());
                    return (Some(distrusted(stored)), place.number);
                }
            }
        }
        (Some(distrusted(stored)), 0)
    }
}

impl Core {
    fn warn_unreadable(&self, slot: Slot, sequence: Sequence, fault: Option<LogFault>) {
        self.stats.log_problems.add(1);
        self.tell_log_damage();
        let error = fault.map(|fault| fault.to_string());
        tracing::warn!(
            disk = self.name(),
            key = format!("{:032x}", slot.key),
            sequence = sequence.0,
            error,
            "what became of an object cannot be read; its origin is asked before its next use"
        );
    }
}

fn is_same(one: &Object, other: &Object) -> bool {
    one.name().slot == other.name().slot && one.sequence() == other.sequence()
}

/// As [`distrusted`]; what the disks that are here cannot vouch for also where it was declared immutable.
fn doubted(stored: &ObjectHead, is_doubted: bool) -> ObjectHead {
    let mut head = distrusted(stored);
    head.invalidated |= is_doubted;
    head
}

/// The head as it was stored, not to be used without asking the origin, unless an operator has declared it immutable.
fn distrusted(stored: &ObjectHead) -> ObjectHead {
    let mut head = stored.clone();
    head.invalidated |= !head.immutable;
    head
}

fn applied(stored: &ObjectHead, amendment: Amendment) -> ObjectHead {
    ObjectHead {
        headers: amendment.headers,
        exchange: amendment.exchange,
        invalidated: amendment.invalidated,
        pinned: amendment.pinned,
        lifetime_max: amendment.lifetime_max,
        ..stored.clone()
    }
}

/// What is asked for, less what would take back something that who asks has not seen.
fn merged(waiting: &Waiting, current: &Object, verdict: Verdict) -> Amendment {
    let (seen, wanted) = (waiting.object.head(), &waiting.amendment);
    let is_unseen = current.amendment != waiting.object.amendment;
    let pin_changed = current.head().pinned != seen.pinned;
    Amendment {
        invalidated: wanted.invalidated
            || (is_unseen && current.head().invalidated)
            || verdict == Verdict::Stale,
        pinned: if pin_changed {
            current.head().pinned
        } else {
            wanted.pinned
        },
        ..wanted.clone()
    }
}

/// One failure, told to everybody it concerns.
fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full { disk } => StoreError::Full { disk: disk.clone() },
        StoreError::Disk {
            disk,
            operation,
            source,
        } => StoreError::Disk {
            disk: disk.clone(),
            operation,
            source: match source.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => io::Error::new(source.kind(), source.to_string()),
            },
        },
        StoreError::Corrupt { .. }
        | StoreError::Digest { .. }
        | StoreError::Purged
        | StoreError::Closed => StoreError::Closed,
    }
}
