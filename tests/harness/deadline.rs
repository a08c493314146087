//! Every wait of a test ends: with what was waited for, or with a sentence that says what was not.

use std::future::Future;
use std::time::Duration;

/// What any single wait may take. Far above what is needed: it bounds a hang, it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(40);

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
