//! Bans: purges that are remembered until nothing is left that they forbid.
//!
//! ```text
//! announced ─► sequence ─► record in the metadata log, synced ─► in force ─► (sweep.rs: seen everything) ─► over
//! ```
//! A ban is a scope, a mode, a sequence and the number of its record. In force it applies to every object that it
//! covers and whose sequence is lower; a soft one only as long as nothing was written down about the object since (a
//! record with a higher number), and never to what an operator has imported. So one comparison of numbers decides, also
//! for what a crash brings back.
//!
//! What was asked of an upstream before, and arrives later, has a higher sequence. It is caught by its [`BanWatch`],
//! taken before anything is asked: a commit is refused when a ban came since. From its announcement on a ban forbids
//! commits, and only then it takes its sequence: what was committed without seeing it has a lower one.
//!
//! Invariants
//! - At most one ban is being announced: under the lock of the log's writer.
//! - A ban stays while a watch lives that is older than it and may be about the same URL.
//! - A later ban takes the place of an earlier one of the same scope that is not stronger.
//!
//! Without bans a lookup costs one load; an open object remembers up to which ban it was looked at.

pub(super) mod record;
pub(super) mod settle;
pub(super) mod sweep;

use super::core::lock;
use super::index::Place;
use super::layout::ShardName;
use super::report::DiskSlot;
use crate::object::{ObjectHead, Sequence};
use record::Ban;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use sweep::Sweep;
use weir_policies::purge::PurgeMode;

/// Bans that may be pending at once.
pub(super) const BANS_MAX: usize = 1024;

/// All bans of a running store.
///
/// `state` and `left` are leaves of the lock order. `sweep` is held across device calls, on pool threads, and comes
/// before every other lock.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    /// Number of the newest ban in force, 0 for none.
    newest: AtomicU64,
    state: Mutex<State>,
    pub(super) sweep: Mutex<Sweep>,
    /// Files that nobody finds any more and that could not be removed: a start would find them again.
    left: Mutex<Left>,
}

#[derive(Debug, Default)]
struct State {
    /// In force, oldest first.
    list: Arc<Vec<Arc<Ban>>>,
    announced: Option<Arc<Ban>>,
    /// Where their records stand.
    places: HashMap<u64, Place>,
    /// Where it stands which bans are not over.
    survivors: Option<Place>,
    /// The highest number that was ever announced.
    highest: u64,
    watches: BTreeMap<u64, Watched>,
    next_watch: u64,
}

#[derive(Debug)]
struct Watched {
    mark: u64,
    url: String,
}

/// Paths of files, and whether there were too many.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) paths: Vec<(DiskSlot, String)>,
    /// Some are not listed: until the next start nothing can be said of what is on the disk.
    pub(super) is_incomplete: bool,
}

/// Paths kept; more come from a disk that refuses everything.
pub(super) const LEFT_MAX: usize = 4096;

/// What the bans say of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Allowed,
    /// Its origin is to be asked first.
    Stale,
    /// It is gone.
    Removed,
}

/// Taken before an upstream is asked: while it lives, no ban that comes later is forgotten, and a commit under it
/// is refused when such a ban forbids it.
#[derive(Debug)]
pub struct BanWatch {
    bans: Arc<Bans>,
    id: u64,
    mark: u64,
}

impl Bans {
    /// The bans that a start found in the log.
    pub(super) fn restored(
        found: Vec<(Ban, Place)>,
        survivors: Option<Place>,
    ) -> (Arc<Self>, Vec<Place>) {
        let bans = Self::default();
        let mut superseded = Vec::new();
        for (ban, place) in found {
            let mut state = lock(&bans.state);
            state.highest = state.highest.max(ban.number);
            superseded.extend(state.add(Arc::new(ban), place));
        }
        lock(&bans.state).survivors = survivors;
        bans.publish();
        (Arc::new(bans), superseded)
    }

    /// Begins a ban, which forbids commits from now on; an error with the number of bans when there are too many.
    pub(super) fn announce(&self, ban: &Arc<Ban>) -> Result<(), usize> {
        let mut state = lock(&self.state);
        let replaces = state.list.iter().any(|known| known.is_weaker_than(ban));
        if state.list.len() >= BANS_MAX && !replaces {
            return Err(state.list.len());
        }
        state.highest = state.highest.max(ban.number);
        state.announced = Some(Arc::clone(ban));
        Ok(())
    }

    /// Puts the announced ban in force; the places of records that it makes superfluous.
    pub(super) fn enact(&self, ban: Arc<Ban>, place: Place) -> Vec<Place> {
        let mut state = lock(&self.state);
        state.announced = None;
        let superseded = state.add(ban, place);
        drop(state);
        self.publish();
        superseded
    }

    /// The announced ban could not be written.
    pub(super) fn withdraw(&self) {
        lock(&self.state).announced = None;
    }

    /// Ends bans; the places of their records.
    pub(super) fn end(&self, over: &[u64]) -> Vec<Place> {
        let mut state = lock(&self.state);
        let left = state.list.iter().filter(|ban| !over.contains(&ban.number));
        state.list = Arc::new(left.cloned().collect());
        let places = over.iter().filter_map(|number| state.places.remove(number));
        let places = places.collect();
        drop(state);
        self.publish();
        places
    }

    fn publish(&self) {
        let state = lock(&self.state);
        let newest = state.list.last().map_or(0, |ban| ban.number);
        self.newest.store(newest, Ordering::Release);
    }

    /// All in force, oldest first.
    pub(super) fn in_force(&self) -> Arc<Vec<Arc<Ban>>> {
        Arc::clone(&lock(&self.state).list)
    }

    /// Whether an object that was looked at up to ban `checked` has to be looked at again.
    pub(super) fn are_newer_than(&self, checked: u64) -> bool {
        self.newest.load(Ordering::Acquire) > checked
    }

    /// What the bans after `checked` say of an object, and up to which ban that is.
    pub(super) fn judge(
        &self,
        head: &ObjectHead,
        sequence: Sequence,
        amendment: u64,
        checked: u64,
    ) -> (Verdict, u64) {
        let list = self.in_force();
        let newest = list.last().map_or(0, |ban| ban.number);
        let newer = list.iter().rev().take_while(|ban| ban.number > checked);
        let applying = newer.filter(|ban| ban.applies_to(head, sequence, amendment));
        let verdict = applying.fold(Verdict::Allowed, |verdict, ban| match ban.mode {
            PurgeMode::Remove => Verdict::Removed,
            PurgeMode::Stale if verdict == Verdict::Allowed => Verdict::Stale,
            PurgeMode::Stale => verdict,
        });
        (verdict, newest)
    }

    /// Whether what is about to be stored under a watch is forbidden: a ban came since, in force or not yet.
    pub(super) fn forbid(&self, head: &ObjectHead, watch: &BanWatch) -> bool {
        let state = lock(&self.state);
        if state.highest <= watch.mark {
            return false;
        }
        let newer = state.list.iter().chain(&state.announced);
        let mut newer = newer.filter(|ban| ban.number > watch.mark);
        newer.any(|ban| ban.concerns(head))
    }

    /// See [`BanWatch`]. `url`: the normal URL that is asked for.
    pub(super) fn watch(self: &Arc<Self>, url: &str) -> BanWatch {
        let mut state = lock(&self.state);
        let (id, mark) = (state.next_watch, state.highest);
        state.next_watch = id.saturating_add(1);
        let url = url.to_owned();
        state.watches.insert(id, Watched { mark, url });
        BanWatch {
            bans: Arc::clone(self),
            id,
            mark,
        }
    }

    /// Whether something that was asked for before this ban may still be on its way.
    pub(super) fn is_awaited(&self, ban: &Ban) -> bool {
        let state = lock(&self.state);
        let mut earlier = state.watches.values();
        earlier.any(|watch| watch.mark < ban.number && ban.scope.may_cover(&watch.url))
    }

    /// Whether a record that stands there still counts.
    pub(super) fn stands_at(&self, place: Place) -> bool {
        let state = lock(&self.state);
        state.survivors == Some(place) || state.places.get(&place.number) == Some(&place)
    }

    /// A record was copied.
    pub(super) fn relocate(&self, from: Place, to: Place) {
        let mut state = lock(&self.state);
        if state.survivors == Some(from) {
            state.survivors = Some(to);
        } else if let Some(place) = state.places.get_mut(&from.number) {
            *place = to;
        }
    }

    /// The record of which bans are not over was written anew; where the one before stood.
    pub(super) fn replace_survivors(&self, place: Place) -> Option<Place> {
        lock(&self.state).survivors.replace(place)
    }

    /// A file that nobody finds could not be removed.
    pub(super) fn note_left(&self, disk: DiskSlot, path: &str) {
        let mut left = lock(&self.left);
        if left.paths.len() >= LEFT_MAX {
            left.is_incomplete = true;
        } else if !left
            .paths
            .iter()
            .any(|known| *known == (disk, path.to_owned()))
        {
            left.paths.push((disk, path.to_owned()));
        }
    }

    pub(super) fn take_left(&self) -> Vec<(DiskSlot, String)> {
        std::mem::take(&mut lock(&self.left).paths)
    }

    /// Those of one key.
    pub(super) fn take_left_of(&self, key: u128) -> Vec<(DiskSlot, String)> {
        let is_of_key = |(_, path): &mut (DiskSlot, String)| {
            ShardName::of_path(path).is_some_and(|name| name.slot.key == key)
        };
        lock(&self.left).paths.extract_if(.., is_of_key).collect()
    }

    /// Whether it is certain that no removed file is still on the disk.
    pub(super) fn has_left_nothing(&self) -> bool {
        let left = lock(&self.left);
        left.paths.is_empty() && !left.is_incomplete
    }
}

impl State {
    fn add(&mut self, ban: Arc<Ban>, place: Place) -> Vec<Place> {
        let (weaker, mut list): (Vec<_>, Vec<_>) = self
            .list
            .iter()
            .cloned()
            .partition(|known| known.is_weaker_than(&ban));
        let mut superseded: Vec<Place> = weaker
            .iter()
            .filter_map(|known| self.places.remove(&known.number))
            .collect();
        superseded.extend(self.places.insert(ban.number, place));
        list.retain(|known| known.number != ban.number);
        list.push(ban);
        list.sort_by_key(|ban| ban.number);
        self.list = Arc::new(list);
        superseded
    }
}

impl Drop for BanWatch {
    fn drop(&mut self) {
        lock(&self.bans.state).watches.remove(&self.id);
    }
}
