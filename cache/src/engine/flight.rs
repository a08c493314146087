//! One fetch that many requests may share, and the table of those that run.
//!
//! A flight passes through [`Phase`]s, forward only. Requests that arrive before the head wait for it; when it is
//! there, each runs the same decision as for a stored response, and whoever it does not fit leaves and decides
//! again.
//!
//! Invariants:
//! - at most one flight without a head per key; a second one with a head only runs for another variant.
//! - a flight leaves the table after its object is in the index, and also when its task panics ([`Listing`]).

use super::failure::Failure;
use super::growing::Growing;
use crate::store::Object;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::watch;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

/// How far a flight has come.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// No head yet.
    Waiting,
    /// The body is arriving.
    Body(Arc<Growing>),
    /// Everything arrived and is being committed: a hit in a moment.
    Committing,
    /// A stored object answers: the origin said that it still holds, or it stands while a new one is looked at.
    Validated(Arc<Object>, Outcome),
    /// Nothing to share: leave and decide again.
    Over,
    /// The response was for one client only, for this reason: the others go alone.
    Unshared(Outcome),
    /// Answers everybody who waits.
    Failed(Arc<Failure>),
}

/// What a flight is for, whatever it is listed under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The plain key of the URL.
    pub(crate) plain: CacheKey,
    /// Its URL.
    pub(crate) target: &'a Target,
    /// Whether redirects are followed.
    pub(crate) follows: bool,
}

/// One running fetch.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) key: CacheKey,
    /// Whether it follows redirects: then its failure may be that of another place.
    pub(crate) follows: bool,
    /// The plain key of its URL: what changes that concerns this flight, whatever it is listed under.
    about: CacheKey,
    /// The same, in its normal form.
    pub(crate) url: String,
    phase: watch::Sender<Phase>,
    publication: watch::Sender<Publication>,
    /// The origin has said that what is stored is not what it has.
    disowned: AtomicBool,
    /// A purge came after it had asked: what it brings, a failure included, is for those who wait already. Held while
    /// its failure is remembered: the purge forgets it afterwards, or it is not remembered at all.
    passed_over: Mutex<bool>,
}

/// What a flight may put into the index.
#[derive(Debug, Clone, Copy, Default)]
struct Publication {
    /// An unsafe request succeeded while it ran: what it brings may be older than that.
    overtaken: bool,
    /// It is putting something there at this moment.
    running: bool,
}

/// While it lives, whoever invalidates the URL waits: what is being published is found and marked afterwards.
#[derive(Debug)]
pub(crate) struct Publishing<'a>(&'a Flight);

impl Flight {
    pub(crate) fn new(key: CacheKey, about: About<'_>) -> Arc<Self> {
        Arc::new(Self {
            key,
            follows: about.follows,
            about: about.plain,
            url: about.target.to_string(),
            phase: watch::Sender::new(Phase::Waiting),
            publication: watch::Sender::default(),
            disowned: AtomicBool::new(false),
            passed_over: Mutex::default(),
        })
    }

    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Waits until the flight has left `Waiting` and `Committing`.
    pub(crate) async fn settled(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let settled = phases
            .wait_for(|phase| !matches!(phase, Phase::Waiting | Phase::Committing))
            .await;
        settled.map_or(Phase::Over, |phase| phase.clone())
    }

    /// Before anything is put into the index; `None` when a change has overtaken it.
    pub(crate) fn publish(&self) -> Option<Publishing<'_>> {
        let may = self.publication.send_if_modified(|publication| {
            publication.running |= !publication.overtaken;
            publication.running
        });
        may.then_some(Publishing(self))
    }

    /// A change overtakes what it brings. Returns when nothing is being published any more.
    pub(crate) async fn overtake(&self) {
        self.publication
            .send_modify(|publication| publication.overtaken = true);
        let mut publications = self.publication.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        drop(
            publications
                .wait_for(|publication| !publication.running)
                .await,
        );
    }

    /// What is stored must not stand in for what this flight did not get.
    pub(crate) fn disown(&self) {
        self.disowned.store(true, Ordering::Release);
    }

    pub(crate) fn has_disowned(&self) -> bool {
        self.disowned.load(Ordering::Acquire)
    }

    /// Runs `remember`, unless a purge or a change has overtaken this flight. Whoever comes later with either waits for
    /// it, and forgets what it has remembered.
    pub(crate) fn unless_overtaken(&self, remember: impl FnOnce()) {
        let Some(_publishing) = self.publish() else {
            return;
        };
        let passed_over = self.passed_over.lock();
        if !*passed_over {
            remember();
        }
    }

    fn pass_over(&self) {
        *self.passed_over.lock() = true;
    }

    /// Waits until nothing more comes of it.
    pub(crate) async fn ended(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let ended = phases
            .wait_for(|phase| !matches!(phase, Phase::Waiting | Phase::Committing | Phase::Body(_)))
            .await;
        ended.map_or(Phase::Over, |phase| phase.clone())
    }

    fn is_waiting(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Waiting | Phase::Committing)
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        let publication = &self.0.publication;
        publication.send_modify(|publication| publication.running = false);
    }
}

/// All running flights.
#[derive(Debug)]
pub(crate) struct Flights {
    /// Those that may be joined, by key.
    listed: Mutex<ByKey>,
    /// All of them, by what they are about.
    running: Mutex<ByKey>,
    flights_max: AtomicUsize,
}

type ByKey = HashMap<CacheKey, Vec<Arc<Flight>>>;

/// What a request finds in the table.
pub(crate) enum Entered {
    /// A flight it may wait for or read from.
    Join(Arc<Flight>),
    /// A flight of its own, listed until the [`Listing`] is dropped.
    Lead(Listing),
    /// Too many flights run already.
    Full,
}

/// Keeps a flight in the table; dropping it (also by a panic) takes it out and lets waiters decide again.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) flight: Arc<Flight>,
    flights: Arc<Flights>,
    is_listed: bool,
}

impl Flights {
    pub(crate) fn new(flights_max: usize) -> Arc<Self> {
        Arc::new(Self {
            listed: Mutex::default(),
            running: Mutex::default(),
            flights_max: AtomicUsize::new(flights_max),
        })
    }

    /// Another bound from now on; those that run go on.
    pub(crate) fn set_most(&self, flights_max: usize) {
        self.flights_max.store(flights_max, Ordering::Relaxed);
    }

    /// Joins a flight for `key` that `fits` (asked only once its head is known), or starts one. `about`: the plain key
    /// of the URL.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: CacheKey,
        about: About<'_>,
        fits: impl Fn(&Growing) -> bool,
    ) -> Entered {
        let mut listed = self.listed.lock();
        if let Some(running) = listed.get(&key) {
            let open = |flight: &&Arc<Flight>| match flight.phase() {
                Phase::Body(growing) => fits(&growing),
                Phase::Validated(..) => true,
                _ => flight.is_waiting(),
            };
            if let Some(flight) = running.iter().find(open) {
                return Entered::Join(Arc::clone(flight));
            }
        }
        if listed.len() >= self.flights_max.load(Ordering::Relaxed) {
            return Entered::Full;
        }
        let mut listing = self.unlisted(key, about);
        listed
            .entry(key)
            .or_default()
            .push(Arc::clone(&listing.flight));
        listing.is_listed = true;
        Entered::Lead(listing)
    }

    /// A flight that nobody can join.
    pub(crate) fn unlisted(self: &Arc<Self>, key: CacheKey, about: About<'_>) -> Listing {
        let flight = Flight::new(key, about);
        let mut running = self.running.lock();
        running
            .entry(about.plain)
            .or_default()
            .push(Arc::clone(&flight));
        Listing {
            flight,
            flights: Arc::clone(self),
            is_listed: false,
        }
    }

    /// A flight for `key` whose head may answer a HEAD request.
    pub(crate) fn find(&self, key: &CacheKey) -> Option<Arc<Flight>> {
        self.listed
            .lock()
            .get(key)
            .and_then(|running| running.first().cloned())
    }

    /// Whether a fetch for `key` runs.
    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        self.listed.lock().contains_key(key)
    }

    /// Takes all flights that a purge concerns out of the table: nobody joins them any more. How many.
    pub(crate) fn pass_over(&self, is_concerned: impl Fn(&Flight) -> bool) -> usize {
        let running: Vec<Arc<Flight>> = self.running.lock().values().flatten().cloned().collect();
        let mut count = 0;
        for flight in running.iter().filter(|flight| is_concerned(flight)) {
            flight.pass_over();
            take_out(&self.listed, &flight.key, flight);
            count += 1;
        }
        count
    }

    /// Takes all flights about a URL out of the table, for what they bring may be older than a change, and returns them
    /// to be overtaken.
    pub(crate) fn invalidate(&self, about: &CacheKey) -> Vec<Arc<Flight>> {
        let running = self.running.lock().get(about).cloned().unwrap_or_default();
        for flight in &running {
            take_out(&self.listed, &flight.key, flight);
        }
        running
    }
}

fn take_out(table: &Mutex<ByKey>, key: &CacheKey, flight: &Arc<Flight>) {
    let mut table = table.lock();
    if let Some(flights) = table.get_mut(key) {
        flights.retain(|other| !Arc::ptr_eq(other, flight));
        if flights.is_empty() {
            table.remove(key);
        }
    }
}

impl Listing {
    /// Whether others can find it: then its failure is everybody's.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Takes the flight out of the table now: whoever asks from here on decides anew.
    pub(crate) fn unlist(&mut self) {
        if std::mem::take(&mut self.is_listed) {
            take_out(&self.flights.listed, &self.flight.key, &self.flight);
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.unlist();
        take_out(&self.flights.running, &self.flight.about, &self.flight);
        if self.flight.is_waiting() {
            self.flight.advance(Phase::Over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn flight() -> (Arc<Flights>, Listing) {
        let target = Target::parse("http://origin.test/").unwrap();
        let plain = CacheKey::of("", false, &target);
        let about = About {
            plain,
            target: &target,
            follows: false,
        };
        let flights = Flights::new(10);
        let Entered::Lead(listing) = flights.enter(plain, about, |_| false) else {
            panic!("there is room")
        };
        (flights, listing)
    }

    #[test]
    fn a_purge_waits_for_a_failure_that_is_being_remembered() {
        let (flights, listing) = flight();
        let (said, heard) = mpsc::sync_channel(2);
        let (begun, begin) = mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let forgetting = said.clone();
            scope.spawn(move || {
                begin.recv().unwrap();
                assert_eq!(flights.pass_over(|_| true), 1);
                forgetting.send("forgotten").unwrap();
            });
            listing.flight.unless_overtaken(|| {
                begun.send(()).unwrap();
                // A purge that does not wait would be done long before.
                for _ in 0..1000 {
                    std::thread::yield_now();
                }
                said.send("remembered").unwrap();
            });
        });
        assert_eq!(heard.recv(), Ok("remembered"));
        assert_eq!(heard.recv(), Ok("forgotten"));
        listing
            .flight
            .unless_overtaken(|| panic!("remembered after the purge"));
    }

    #[tokio::test]
    async fn what_a_change_has_overtaken_is_not_remembered() {
        let (_flights, listing) = flight();
        listing.flight.overtake().await;
        listing
            .flight
            .unless_overtaken(|| panic!("remembered after the change"));
    }
}
