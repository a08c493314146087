//! Remembers answers and bounds the asking.
//!
//! Bounds: [`NAMES_MAX`] names, [`QUESTIONS_MAX`] questions at a time, one question per name however many ask, one
//! deadline for waiting and asking together. Answers live for their TTL within [`TTL_MIN`]..=[`TTL_MAX`], failures for
//! a moment, so that a flood of requests for a dead name does not become a flood of questions (row 113).

use super::{ResolveError, Resolver};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Names remembered.
const NAMES_MAX: usize = 10_000;
/// Questions under way.
const QUESTIONS_MAX: usize = 256;
/// Even an answer with TTL 0 serves the requests of this moment; each of them is judged anew.
const TTL_MIN: Duration = Duration::from_secs(1);
/// However long the name server promises.
const TTL_MAX: Duration = Duration::from_secs(5 * 60);
/// For "there is no such name".
const ABSENT_TTL: Duration = Duration::from_secs(5);
/// For "the name server does not answer".
const FAILED_TTL: Duration = Duration::from_secs(1);

/// A cache in front of a [`Resolver`].
pub(super) struct AddressBook {
    resolver: Arc<dyn Resolver>,
    turns: Arc<Semaphore>,
    deadline: Duration,
    entries: Mutex<HashMap<String, Entry>>,
}

/// An answer, and until when it holds.
#[derive(Debug, Clone)]
struct Known {
    outcome: Result<Arc<[IpAddr]>, ResolveError>,
    until: Instant,
}

type Question = BoxFuture<'static, Known>;

enum Entry {
    Known(Known),
    /// Weak: when everybody who asked has gone, so has the question.
    Asked(WeakShared<Question>),
}

impl AddressBook {
    pub(super) fn new(resolver: Arc<dyn Resolver>, deadline: Duration) -> Self {
        let turns = Arc::new(Semaphore::new(QUESTIONS_MAX));
        Self {
            resolver,
            turns,
            deadline,
            entries: Mutex::default(),
        }
    }

    /// The addresses of `name`, remembered or asked for. Cancel-safe.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let question = match self.look_up(name) {
            Ok(known) => return known.map(|addresses| addresses.to_vec()),
            Err(question) => question,
        };
        let known = question.await;
        let outcome = known.outcome.clone();
        self.lock().insert(name.to_owned(), Entry::Known(known));
        outcome.map(|addresses| addresses.to_vec())
    }

    /// What is known of `name`, or else the question to wait for.
    fn look_up(&self, name: &str) -> Result<Result<Arc<[IpAddr]>, ResolveError>, Shared<Question>> {
        let mut entries = self.lock();
        match entries.get(name) {
            Some(Entry::Known(known)) if known.until > Instant::now() => {
                return Ok(known.outcome.clone());
            }
            Some(Entry::Asked(question)) => {
                if let Some(question) = question.upgrade() {
                    return Err(question);
                }
            }
            _ => {}
        }
        make_room(&mut entries);
        let question = self.ask(name.to_owned());
        if let Some(weak) = question.downgrade() {
            entries.insert(name.to_owned(), Entry::Asked(weak));
        }
        Err(question)
    }

    fn ask(&self, name: String) -> Shared<Question> {
        let resolver = Arc::clone(&self.resolver);
        let turns = Arc::clone(&self.turns);
        let deadline = self.deadline;
        let question = async move {
            let answer = tokio::time::timeout(deadline, async {
                let _turn = turns.acquire().await;
                resolver.resolve(&name).await
            });
            let answer = answer.await.unwrap_or(Err(ResolveError::Failed));
            let (outcome, ttl) = match answer {
                Ok(answer) if answer.addresses.is_empty() => {
                    (Err(ResolveError::NoAddress), ABSENT_TTL)
                }
                Ok(answer) => (
                    Ok(answer.addresses.into()),
                    answer.ttl.clamp(TTL_MIN, TTL_MAX),
                ),
                Err(ResolveError::NoAddress) => (Err(ResolveError::NoAddress), ABSENT_TTL),
                Err(ResolveError::Failed) => (Err(ResolveError::Failed), FAILED_TTL),
            };
            Known {
                outcome,
                until: Instant::now() + ttl,
            }
        };
        question.boxed().shared()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has run out, and if that is not enough, everything but the questions under way: the next requests ask
/// again, at most [`QUESTIONS_MAX`] at a time.
fn make_room(entries: &mut HashMap<String, Entry>) {
    if entries.len() < NAMES_MAX {
        return;
    }
    let now = Instant::now();
    entries.retain(|_, entry| match entry {
        Entry::Known(known) => known.until > now,
        Entry::Asked(question) => question.upgrade().is_some(),
    });
    if entries.len() >= NAMES_MAX {
        entries.clear();
    }
}
