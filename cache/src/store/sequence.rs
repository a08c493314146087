//! Hands out sequences: monotone, never the same one twice, also not after a crash.
//!
//! Numbers are reserved in blocks through the superblock before any of them is used. A restart continues behind the
//! last reservation, so a crash costs at most one block of numbers of 48 bits.
//!
//! It also knows which sequences are still being written: a sync pass may only claim what lies below all of them.

use crate::object::Sequence;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sequences reserved at once.
pub(crate) const RESERVE_AT_ONCE: u64 = 65_536;
/// The epoch stands in the bits above.
pub(crate) const COUNTER_BITS: u32 = 48;

/// The source of sequences.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// A leaf: never held while anything is waited for.
    state: Mutex<State>,
    /// Held while a block is being reserved: others would only find the same one used up. Pool threads only.
    reserving: Mutex<()>,
}

#[derive(Debug)]
struct State {
    next: u64,
    reserved: u64,
    writing: BTreeSet<u64>,
}

impl Sequences {
    /// Continues at `next`; everything below `reserved` may be handed out.
    pub(crate) fn new(next: u64, reserved: u64) -> Self {
        Self {
            state: Mutex::new(State {
                next,
                reserved,
                writing: BTreeSet::new(),
            }),
            reserving: Mutex::new(()),
        }
    }

    /// The next sequence, marked as being written. `reserve` is called with the end of a new block when the current
    /// one is used up; it must have made that number durable when it returns.
    pub(crate) fn take<E>(
        &self,
        mut reserve: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<Sequence, E> {
        loop {
            if let Some(sequence) = self.take_reserved() {
                return Ok(sequence);
            }
            let reserving = self.reserving.lock();
            let _reserving = reserving.unwrap_or_else(PoisonError::into_inner);
            let end = {
                let state = self.lock();
                if state.next < state.reserved {
                    continue; // somebody else was faster
                }
                state.next.saturating_add(RESERVE_AT_ONCE)
            };
            reserve(end)?;
            let mut state = self.lock();
            state.reserved = state.reserved.max(end);
        }
    }

    /// As [`Self::take`], where nothing has to be waited for.
    pub(crate) fn take_reserved(&self) -> Option<Sequence> {
        let mut state = self.lock();
        if state.next >= state.reserved {
            return None;
        }
        let taken = state.next;
        state.next = taken.saturating_add(1);
        state.writing.insert(taken);
        Some(Sequence(taken))
    }

    /// Goes on at `next`, unless it is beyond already; everything below `reserved` may be handed out.
    pub(crate) fn go_on_at(&self, next: u64, reserved: u64) {
        let mut state = self.lock();
        if state.next < next {
            state.next = next;
            state.reserved = state.reserved.max(reserved);
        }
    }

    /// It was committed or given up.
    pub(crate) fn finish(&self, sequence: Sequence) {
        self.lock().writing.remove(&sequence.0);
    }

    /// Everything below this one is committed or given up.
    pub(crate) fn settled(&self) -> u64 {
        let state = self.lock();
        state.writing.first().copied().unwrap_or(state.next)
    }

    /// The next one to be handed out.
    pub(crate) fn next(&self) -> u64 {
        self.lock().next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_reserved_before_it_is_used() {
        let sequences = Sequences::new(5, 6);
        assert_eq!(sequences.take(|_| Err("not yet")), Ok(Sequence(5)));
        assert_eq!(sequences.take(|_| Err("disk")), Err("disk"));
        let mut asked = 0;
        let taken = sequences.take(|end| {
            asked = end;
            Ok::<_, ()>(())
        });
        assert_eq!((taken, asked), (Ok(Sequence(6)), 6 + RESERVE_AT_ONCE));
    }

    #[test]
    fn only_what_lies_below_every_open_writer_is_settled() {
        let sequences = Sequences::new(1, 100);
        let taken: Vec<Sequence> = (0..3)
            .map(|_| sequences.take(|_| Ok::<_, ()>(())).unwrap())
            .collect();
        sequences.finish(taken[1]);
        assert_eq!(sequences.settled(), 1);
        sequences.finish(taken[0]);
        assert_eq!(sequences.settled(), 3);
        sequences.finish(taken[2]);
        assert_eq!(sequences.settled(), 4);
    }
}
