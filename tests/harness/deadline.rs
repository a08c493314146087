//! Every wait of a test ends: with what was waited for, or with a sentence that says what was not.
//!
//! What tells when it is there is awaited ([`within`]). What has to be looked at is looked at with a pause in between
//! ([`until`], [`eventually`]): a loop that never pauses keeps its runtime from noticing the deadline, and takes the
//! machine from what it waits for.

use std::future::Future;
use std::time::Duration;

/// What any single wait may take. Far above what is needed: it bounds a hang, it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Waits for `future`, at most [`PATIENCE`].
///
/// # Panics
/// When the deadline passes, naming `what`.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("gave up after {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Looks until there is something to be seen, at most [`PATIENCE`].
///
/// # Panics
/// When the deadline passes, naming `what`.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    within(what, looking).await
}

/// Looks until it is so, at most [`PATIENCE`].
///
/// # Panics
/// When the deadline passes, naming `what`.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    eventually(what, async || is_so().await.then_some(())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_looked_until_there_is_something_to_be_seen() {
        let mut looks = 0;
        let third = async || {
            looks += 1;
            (looks == 3).then_some("seen")
        };
        assert_eq!(eventually("the third look", third).await, "seen");
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    async fn a_look_that_awaits_nothing_can_be_given_up() {
        let never = until("what never is", async || false);
        let ended = tokio::time::timeout(LOOK_PAUSE * 3, never).await;
        assert!(ended.is_err(), "it ended");
    }
}
