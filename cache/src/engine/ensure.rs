//! Having something here for certain: looked up, fetched or waited for, and looked up once more behind the commit.
//!
//! It reads no byte. Whoever fetches the URL already is joined; a fill that is started belongs to the object and goes
//! on when the caller leaves.
//!
//! Invariant: [`Ensured::Here`] is only said of an object that the index has just handed out, and that is fresh or that
//! its origin has sent or vouched for since the call began (`no-cache` objects are never fresher than that).

use super::flight::{Flight, Phase};
use super::last::{Fate, LastResponse};
use super::lookup::{Found, StaleObject};
use super::{Engine, Failure, FetchRequest, ROUNDS_MAX};
use crate::object::Sequence;
use crate::store::Object;
use parking_lot::Mutex;
use std::sync::Arc;
use weir_policies::outcome::Outcome;
use weir_policies::time::UnixSeconds;

/// What came of it.
#[derive(Debug)]
pub enum Ensured {
    /// It is committed and may be used.
    Here(Arc<Object>, Way),
    /// It is committed and too old, and nobody could say whether it still holds.
    Stale(Arc<Object>, Lack),
    /// It is not here.
    Missing(Lack),
}

/// How it came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It was here.
    Hit,
    /// It was here, and its origin said that it still holds.
    Revalidated,
    /// It was fetched, by whomever.
    Fetched,
}

/// Why it is not here, or not fresh.
#[derive(Debug)]
pub enum Lack {
    /// No usable answer.
    Failed(Arc<Failure>),
    /// An answer that came to something else than a stored object.
    Response(LastResponse),
    /// A rule says that it is for one client only.
    NotShared,
    /// Too many fills, or the gateway stops, or the data is another process's.
    Full,
    /// Its origin has other bytes than the immutable object.
    Contradicted,
    /// Every time it was looked for it was gone again.
    Unsettled,
}

/// How far the fetch of a URL has come, for whoever looks on meanwhile.
#[derive(Debug, Default)]
pub struct Onlooker(Mutex<Option<Arc<Flight>>>);

/// Bytes of a body that is arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// So far.
    pub bytes: u64,
    /// In the end, where the upstream said it.
    pub total: Option<u64>,
}

impl Onlooker {
    /// What has arrived; `None` while no body is arriving.
    #[must_use]
    pub fn arrived(&self) -> Option<Arrived> {
        let flight = self.0.lock().clone()?;
        match flight.phase() {
            Phase::Body(growing) => Some(Arrived {
                bytes: growing.arrived_bytes(),
                total: growing.length(),
            }),
            _ => None,
        }
    }

    fn look_at(&self, flight: &Arc<Flight>) {
        *self.0.lock() = Some(Arc::clone(flight));
    }
}

/// What one round found out.
enum Round {
    Settled(Ensured),
    /// Not for this request, or not to be had that way: once more.
    Again,
}

impl Engine {
    /// Sees to it that the response is in the store, and waits until it is or cannot be.
    ///
    /// Cancel-safe: a fill that this call started goes on without it.
    pub async fn ensure(self: &Arc<Self>, request: &FetchRequest, onlooker: &Onlooker) -> Ensured {
        if !self.owns_data() {
            // What is found when the data has come would look as if it had been fetched.
            return Ensured::Missing(Lack::Full);
        }
        let since = self.now();
        let mut stale = match self.look_up(request).await {
            Found::Fresh(usable) => return Ensured::Here(usable.object, Way::Hit),
            Found::Stale(stale) => Some(stale),
            Found::Nothing => None,
        };
        for _ in 0..ROUNDS_MAX {
            let known = sequence_of(stale.as_ref());
            match self.ensure_once(request, stale, since, onlooker).await {
                Round::Settled(ensured) => return ensured,
                Round::Again => {}
            }
            stale = match self.look_up(request).await {
                Found::Fresh(usable) => return here(usable.object, known),
                Found::Stale(stale) => Some(stale),
                Found::Nothing => None,
            };
        }
        let last = self.last_response(&request.key);
        lacking(stale, last.map_or(Lack::Unsettled, Lack::Response))
    }

    async fn ensure_once(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
        since: UnixSeconds,
        onlooker: &Onlooker,
    ) -> Round {
        if let Some(failure) = self.hold_down.failure(request) {
            return Round::Settled(lacking(stale, Lack::Failed(failure)));
        }
        if !request.plan.shared {
            return Round::Settled(lacking(stale, Lack::NotShared));
        }
        let known = sequence_of(stale.as_ref());
        let Some(fill) = self.fill_unread(request, stale.clone()) else {
            return Round::Settled(lacking(stale, Lack::Full));
        };
        let (flight, is_own) = fill.into_flight();
        onlooker.look_at(&flight);
        let phase = flight.ended().await;
        // What the index says counts, whatever the flight came to.
        let stale = match self.look_up(request).await {
            Found::Fresh(usable) => return Round::Settled(here(usable.object, known)),
            Found::Stale(stale) => Some(stale),
            Found::Nothing => None,
        };
        if let Some(object) = vouched_for(stale.as_ref(), known, &phase) {
            return Round::Settled(here(object, known));
        }
        // Behind a redirect something else was wanted than what this request wants.
        if flight.follows != request.plan.follows {
            return Round::Again;
        }
        // Of another variant it says nothing.
        if let Phase::Validated(object, _) = &phase
            && Some(object.sequence()) != sequence_of(stale.as_ref())
        {
            return Round::Again;
        }
        self.why_not(request, &phase, is_own, since)
            .map_or(Round::Again, |lack| Round::Settled(lacking(stale, lack)))
    }

    /// Why a flight has left nothing; `None` where another one may.
    fn why_not(
        &self,
        request: &FetchRequest,
        phase: &Phase,
        is_own: bool,
        since: UnixSeconds,
    ) -> Option<Lack> {
        let last = self.last_response(&request.key);
        let last = last.filter(|last| last.at >= since);
        match phase {
            Phase::Failed(failure) if failure.concerns(&request.plan) => {
                Some(Lack::Failed(Arc::clone(failure)))
            }
            Phase::Unshared(Outcome::Bypass) => Some(Lack::Full),
            Phase::Validated(_, Outcome::StaleWhileRevalidate) => Some(Lack::Contradicted),
            Phase::Unshared(_) | Phase::Over => last
                .filter(|last| is_final(last.fate, is_own))
                .map(Lack::Response),
            _ => None,
        }
    }
}

/// Whether fetching once more would come to the same. A fill that its readers gave up says nothing of the object.
fn is_final(fate: Fate, is_own: bool) -> bool {
    match fate {
        Fate::NotStored(_) | Fate::Failed(_) | Fate::StoreRefused(_) | Fate::Bypassed => true,
        Fate::Contradicts | Fate::Kept => true,
        Fate::GivenUp => is_own,
        Fate::Stored | Fate::PartStored | Fate::Revalidated | Fate::Overtaken => false,
    }
}

/// The object that its origin has sent or vouched for since `known` was looked up, though it must be asked about again
/// at once. A flight is one of a URL: that an origin vouches for another variant says nothing of this one.
fn vouched_for(
    stale: Option<&StaleObject>,
    known: Option<Sequence>,
    phase: &Phase,
) -> Option<Arc<Object>> {
    let object = &stale?.usable.object;
    let is_validated = match phase {
        Phase::Validated(validated, Outcome::Revalidated) => {
            validated.sequence() == object.sequence()
        }
        _ => false,
    };
    // An older one was here all the time, behind one that is gone.
    let is_newer = Some(object.sequence()) > known;
    ((is_validated || is_newer) && !object.head().invalidated).then(|| Arc::clone(object))
}

/// `known`: what was here before, and too old.
fn here(object: Arc<Object>, known: Option<Sequence>) -> Ensured {
    let way = if Some(object.sequence()) == known {
        Way::Revalidated
    } else {
        Way::Fetched
    };
    Ensured::Here(object, way)
}

fn sequence_of(stale: Option<&StaleObject>) -> Option<Sequence> {
    stale.map(|stale| stale.usable.object.sequence())
}

/// A stale object is only worth a word where it may stand in.
fn lacking(stale: Option<StaleObject>, lack: Lack) -> Ensured {
    match stale {
        Some(stale) if stale.may.on_error => Ensured::Stale(stale.usable.object, lack),
        _ => Ensured::Missing(lack),
    }
}
