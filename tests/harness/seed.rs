//! Randomness that can be had again: `WEIR_SEED=N` repeats a run, and every run prints its seed.

use std::hash::{BuildHasher, Hasher, RandomState};

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A generator and the seed that repeats it; the seed is printed, and so shown when a test fails.
pub fn seeded(test: &str) -> (SmallRng, u64) {
    let seed = match std::env::var("WEIR_SEED") {
        Ok(text) => text.parse().expect("WEIR_SEED is a number"),
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    eprintln!("{test}: WEIR_SEED={seed}");
    (SmallRng::seed_from_u64(seed), seed)
}

/// Whether `tests/run --long` asked for the long form of a test.
pub fn is_long() -> bool {
    std::env::var_os("WEIR_LONG").is_some_and(|value| value == "1")
}
