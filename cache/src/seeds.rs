//! Which seeds a test of random histories runs.
//!
//! `WEIR_SEED` names one. With `WEIR_LONG` it is run again and again, since a seed settles what happens but not how threads
//! run beside it; without a name many seeds are run then, from anywhere. Every run ends.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Runs with `WEIR_LONG`.
const LONG: u64 = 1000;

/// The seeds, in their order; `usual`: how many there are when nothing else is said.
pub(crate) fn seeds(usual: u64) -> impl Iterator<Item = u64> {
    let named = std::env::var("WEIR_SEED").ok();
    let named: Option<u64> = named.and_then(|seed| seed.parse().ok());
    let is_long = std::env::var_os("WEIR_LONG").is_some();
    let (first, step, rounds) = match (named, is_long) {
        (Some(seed), false) => (seed, 0, 1),
        (Some(seed), true) => (seed, 0, LONG),
        (None, false) => (1, 1, usual),
        (None, true) => (SmallRng::from_os_rng().random::<u32>().into(), 1, LONG),
    };
    (0..rounds)
        .map(move |round| first + round * step)
        .inspect(|seed| {
            println!("seed {seed} (WEIR_SEED={seed} repeats it)");
        })
}
