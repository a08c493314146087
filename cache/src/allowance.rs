//! A bound that can be changed while it is used: so many of something at once, however many that is today.
//!
//! Why not a semaphore: its permits cannot be taken away from those who hold them, so making it smaller leaves a debt
//! that every place which takes a permit would have to pay first. Here the bound and what is taken are two numbers.
//!
//! Invariants: nothing is taken beyond the bound of that moment; lowering it takes nothing away, but nobody gets
//! anything more until enough was given back. Whoever waits is woken by every return and every change of the bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// The bound, and what is taken of it.
#[derive(Debug)]
pub struct Allowance {
    most: AtomicU64,
    taken: AtomicU64,
    changed: Notify,
}

/// What somebody has taken; given back when dropped.
#[derive(Debug)]
pub struct Taken {
    allowance: Arc<Allowance>,
    amount: u64,
}

impl Allowance {
    /// Nothing taken.
    #[must_use]
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicU64::new(most),
            taken: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// The bound.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// What is taken; more than the bound for a while after that was lowered.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Another bound from now on.
    pub fn set_most(&self, most: u64) {
        self.most.store(most, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Takes `amount`, or nothing when there is not as much left.
    pub fn try_take(self: &Arc<Self>, amount: u64) -> Option<Taken> {
        let most = self.most.load(Ordering::Acquire);
        let with_it = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= most);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, with_it)
            .ok()?;
        Some(Taken {
            allowance: Arc::clone(self),
            amount,
        })
    }

    /// Takes `amount` when there is as much left. Who waits is not served in order. Cancel-safe.
    pub async fn take(self: &Arc<Self>, amount: u64) -> Taken {
        loop {
            // Before the attempt: what is given back behind it wakes this one as well.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(taken) = self.try_take(amount) {
                return taken;
            }
            changed.await;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let allowance = &self.allowance;
        allowance.taken.fetch_sub(self.amount, Ordering::AcqRel);
        allowance.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_beyond_the_bound() {
        let allowance = Allowance::new(3);
        let two = allowance.try_take(2);
        assert!(two.is_some());
        assert!(allowance.try_take(2).is_none());
        assert!(allowance.try_take(u64::MAX).is_none());
        let one = allowance.try_take(1);
        assert!(one.is_some() && allowance.taken() == 3);
        drop(two);
        assert_eq!(allowance.taken(), 1);
    }

    #[test]
    fn a_lower_bound_takes_nothing_away_and_gives_nothing_until_enough_is_back() {
        let allowance = Allowance::new(4);
        let mut held: Vec<_> = (0..4).filter_map(|_| allowance.try_take(1)).collect();
        allowance.set_most(2);
        assert_eq!((held.len(), allowance.taken()), (4, 4));
        for left in [3, 2] {
            held.pop();
            assert_eq!(allowance.taken(), left);
            assert!(allowance.try_take(1).is_none(), "{left}");
        }
        held.pop();
        assert!(allowance.try_take(1).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_return_and_by_a_higher_bound() {
        let allowance = Allowance::new(1);
        let first = allowance.try_take(1);
        let waiting = || {
            let allowance = Arc::clone(&allowance);
            tokio::spawn(async move { allowance.take(1).await })
        };
        let (second, third) = (waiting(), waiting());
        tokio::task::yield_now().await;
        drop(first);
        allowance.set_most(2);
        let both = (second.await.unwrap(), third.await.unwrap());
        assert_eq!(allowance.taken(), 2);
        drop(both);
    }
}
