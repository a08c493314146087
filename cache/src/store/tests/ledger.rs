//! What each of four keys may answer after a crash, as the scenario that crashed saw it.

use crate::store::Durability;
use std::collections::BTreeMap;

/// By key, everything that it may answer.
pub(super) type Answers<A> = BTreeMap<u8, Vec<A>>;

/// What may be found after a kill, and after a power loss.
#[derive(Clone)]
pub(super) struct Ledger<A> {
    pub(super) after_kill: Answers<A>,
    pub(super) after_power_loss: Answers<A>,
    durability: Durability,
}

impl<A: Clone> Ledger<A> {
    /// `nothing`: the answer of a key that has nothing.
    pub(super) fn new(durability: Durability, nothing: &A) -> Self {
        let nothing = Answers::from([1, 2, 3, 4].map(|number| (number, vec![nothing.clone()])));
        Self {
            after_kill: nothing.clone(),
            after_power_loss: nothing,
            durability,
        }
    }

    /// From here on it may answer this as well.
    pub(super) fn begin(&mut self, number: u8, answer: &A) {
        for may in [&mut self.after_kill, &mut self.after_power_loss] {
            may.entry(number).or_default().push(answer.clone());
        }
    }

    /// From here on it answers this, as soon as the settings make it durable.
    pub(super) fn stored(&mut self, number: u8, answer: &A) {
        if self.durability == Durability::Strict {
            self.after_power_loss.insert(number, vec![answer.clone()]);
        }
        self.after_kill.insert(number, vec![answer.clone()]);
    }

    /// A purge is durable, whatever the settings say of objects.
    pub(super) fn purged(&mut self, number: u8, answer: &A) {
        self.after_kill.insert(number, vec![answer.clone()]);
        self.after_power_loss.insert(number, vec![answer.clone()]);
    }

    /// What was written is durable.
    pub(super) fn synced(&mut self) {
        self.after_power_loss = self.after_kill.clone();
    }
}
