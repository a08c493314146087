//! Making a ban, and what it does to the objects that it applies to.

use super::record::Ban;
use super::{BanWatch, Verdict};
use crate::metrics::EvictionCause;
use crate::object::Sequence;
use crate::object::{Amendment, ObjectHead};
use crate::store::core::{Core, Opened, lock};
use crate::store::index::Record;
use crate::store::layout::ObjectName;
use crate::store::log::append::{NewRecord, Sync, Writer};
use crate::store::log::record::BAN;
use crate::store::{Object, Store, StoreError};
use std::sync::Arc;
use weir_policies::key::CacheKey;
use weir_policies::purge::{PurgeMode, PurgeScope};

/// What came of a ban at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Banned {
    /// Objects removed or marked.
    pub objects: u64,
    /// What they took, bytes.
    pub bytes: u64,
    /// Something could not be removed or was not looked for yet; the maintenance pass does.
    pub is_pending: bool,
    /// Most of the disks are out: started without these, they would bring back what was purged.
    pub is_known_to_few: bool,
}

/// Why there is no ban.
#[derive(Debug, thiserror::Error)]
pub enum BanError {
    /// Too many are pending.
    #[error("{0} bans are pending")]
    TooMany(usize),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Forbids what `scope` covers and is older than this call; durable when it returns. `keys`: of all entries of the
    /// URL, where the scope is one.
    ///
    /// Not cancel-safe: once it has begun it goes on.
    ///
    /// # Errors
    /// [`BanError`]; then nothing has changed, except that after a failed sync the next start may find it in force.
    pub async fn ban(
        &self,
        scope: &PurgeScope,
        mode: PurgeMode,
        keys: &[CacheKey],
    ) -> Result<Banned, BanError> {
        let core = Arc::clone(&self.core);
        let scope = scope.clone();
        let keys = keys.iter().map(CacheKey::short).collect();
        self.core
            .on_pool("ban", move || core.ban(scope, mode, keys))
            .await?
    }

    /// To be taken before an upstream is asked for `url`, in its normal form; see [`BanWatch`].
    #[must_use]
    pub fn watch(&self, url: &str) -> BanWatch {
        self.core.bans.watch(url)
    }

    /// Whether an object that was found earlier was purged since.
    #[must_use]
    pub fn is_purged(&self, object: &Object) -> bool {
        self.core.verdict(object).0 == Verdict::Removed
    }
}

impl Core {
    /// Pool only.
    fn ban(
        self: &Arc<Self>,
        scope: PurgeScope,
        mode: PurgeMode,
        keys: Vec<u128>,
    ) -> Result<Banned, BanError> {
        if self.bans.in_force().len() >= super::BANS_MAX {
            // Most of them are over, and only the next pass would say so.
            self.sweep_bans();
        }
        let mut writer = lock(&self.log.writer);
        let ban = Ban {
            number: writer.take_number(),
            sequence: Sequence(u64::MAX),
            scope,
            mode,
            keys,
        };
        let ban = self.enact(&mut writer, ban)?;
        drop(writer);
        self.stats.bans.set(self.bans.in_force().len() as u64);
        tracing::info!(scope = %ban.scope, mode = ?ban.mode, sequence = ban.sequence.0, "purged");
        let is_known_to_few = self.array.live().len() * 2 < self.array.slots().len();
        Ok(Banned {
            is_known_to_few,
            ..self.settle(&ban)
        })
    }

    fn enact(&self, writer: &mut Writer, ban: Ban) -> Result<Arc<Ban>, BanError> {
        self.bans
            .announce(&Arc::new(ban.clone()))
            .map_err(BanError::TooMany)?;
        let written = self.write_ban(writer, ban);
        match written {
            Ok((ban, place)) => {
                for superseded in self.bans.enact(Arc::clone(&ban), place) {
                    self.log.release(superseded);
                }
                Ok(ban)
            }
            Err(error) => {
                self.bans.withdraw();
                Err(error.into())
            }
        }
    }

    fn write_ban(
        &self,
        writer: &mut Writer,
        mut ban: Ban,
    ) -> Result<(Arc<Ban>, crate::store::index::Place), StoreError> {
        // After the announcement: what was committed without seeing it has a lower one.
        ban.sequence = self.take_sequence()?;
        self.sequences.finish(ban.sequence);
        let new = NewRecord {
            kind: BAN,
            number: ban.number,
            payload: ban.encode(),
        };
        let places = writer.append(self, &[new], Sync::Now)?;
        // Before it is acknowledged: a disk that misses it must not come back as if it had not.
        self.settle_losses()?;
        let place = places.into_iter().next().ok_or(StoreError::Closed)?;
        Ok((Arc::new(ban), place))
    }

    /// Does at once what the keys of a ban allow. Pool only.
    pub(super) fn settle(self: &Arc<Self>, ban: &Ban) -> Banned {
        let mut banned = Banned {
            is_pending: !ban.is_found_by_keys(),
            ..Banned::default()
        };
        for key in &ban.keys {
            let records = lock(&self.index).find(*key);
            for record in records
                .iter()
                .filter(|record| record.sequence < ban.sequence)
            {
                match self.carry_out(ban, record) {
                    Some(true) => {
                        banned.objects += 1;
                        banned.bytes += record.name().footprint_bytes();
                    }
                    Some(false) => {}
                    None => banned.is_pending = true,
                }
            }
        }
        banned
    }

    /// Does to an object that a ban covers what it says; whether there was anything to do, or `None` when that must be
    /// tried again. Pool only.
    pub(super) fn carry_out(self: &Arc<Self>, ban: &Ban, record: &Record) -> Option<bool> {
        match ban.mode {
            // Nobody will ever read it, so nobody can mark it either.
            _ if record.is_beyond_repair() => self.remove_banned(&record.name()),
            PurgeMode::Remove => self.remove_banned(&record.name()),
            PurgeMode::Stale => self.mark_banned(ban, record),
        }
    }

    /// As [`Core::remove_object`], but the entry comes back whoever was asked to forget it: as long as the file is
    /// there, so is the entry, and the ban with it.
    pub(in crate::store) fn remove_banned(&self, name: &ObjectName) -> Option<bool> {
        let _removal = self.begin_removal();
        let Some((record, place)) = self.take_entry(name) else {
            return Some(false);
        };
        self.remove_replaced(name.slot);
        if self.try_unlink_counted(&record, EvictionCause::Purged) {
            self.stats.purged_objects.add(1);
            return Some(true);
        }
        lock(&self.index).put_back(record, place);
        None
    }

    fn mark_banned(self: &Arc<Self>, ban: &Ban, record: &Record) -> Option<bool> {
        let Opened::Object(object) = self.open(record) else {
            let is_there = lock(&self.index).contains(record.slot, record.sequence);
            return if is_there { None } else { Some(false) };
        };
        let head = object.head();
        if !ban.applies_to(head, object.sequence(), object.amendment) {
            return Some(false);
        }
        let amendment = Amendment {
            invalidated: true,
            ..Amendment::of(head)
        };
        let marked = self.amend_now(&object, amendment).ok()?.is_some();
        self.stats.purged_objects.add(u64::from(marked));
        Some(marked)
    }

    /// What the bans say of an open object that it was not looked at for yet, and up to which ban.
    pub(in crate::store) fn verdict(&self, object: &Object) -> (Verdict, u64) {
        let checked = object.checked();
        if !self.bans.are_newer_than(checked) {
            return (Verdict::Allowed, checked);
        }
        self.bans
            .judge(object.head(), object.sequence(), object.amendment, checked)
    }

    /// The object as the bans let it be found.
    pub(in crate::store) fn under_bans(&self, object: Arc<Object>) -> Option<Arc<Object>> {
        let (verdict, newest) = self.verdict(&object);
        match verdict {
            Verdict::Removed => None,
            Verdict::Allowed => {
                object.set_checked(newest);
                Some(object)
            }
            Verdict::Stale => {
                let head = ObjectHead {
                    invalidated: true,
                    ..object.head().clone()
                };
                let stale = Arc::new(object.under(head, object.amendment));
                stale.set_checked(newest);
                self.keep_handle(&stale);
                Some(stale)
            }
        }
    }
}
