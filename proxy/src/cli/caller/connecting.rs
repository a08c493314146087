//! How the gateway is reached, also while one process takes over from another (`weir serve --upgrade`).
//!
//! In every upgrade there is a moment without a socket: the old process has taken its own away, the new one makes one
//! when the data is its own. So nobody who finds no socket is told at once that no gateway runs.

use crate::control::owner::is_owned;
use crate::control::socket::{self, NAME};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// So long a socket may be missing while nobody owns the data: between two owners, and before the first.
const UNOWNED_TIME_MAX: Duration = Duration::from_secs(1);
/// And so long while somebody does: giving the data back takes time, and so does opening it.
const OWNED_TIME_MAX: Duration = Duration::from_secs(15);

/// Whether a gateway that cannot be reached is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as an upgrade may take.
    Upgrade,
    /// Not at all: it has been waited for before.
    None,
}

/// Connects to the gateway that keeps its data in `folder`.
///
/// # Errors
/// Why it cannot be reached, and what to do.
pub(super) fn connect(folder: &Path, patience: Patience) -> Result<UnixStream, String> {
    let start = Instant::now();
    let mut seen_owned = start;
    loop {
        let error = match socket::connect(folder) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if patience == Patience::None || !is_nobody(&error) || !folder.is_dir() {
            return Err(unreachable(folder, &error));
        }
        if is_owned(folder) {
            seen_owned = Instant::now();
        }
        if seen_owned.elapsed() >= UNOWNED_TIME_MAX {
            return Err(unreachable(folder, &error));
        }
        if start.elapsed() >= OWNED_TIME_MAX {
            return Err(without_socket(folder));
        }
        wait(PAUSE);
    }
}

/// Waits: a command is one process that has nothing else to do.
pub(super) fn wait(pause: Duration) {
    // May return early, which here only means one attempt more.
    std::thread::park_timeout(pause);
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn unreachable(folder: &Path, error: &io::Error) -> String {
    let shown = folder.display();
    match error.kind() {
        _ if is_nobody(error) => format!(
            "no gateway runs on {shown}: start one with `weir serve`, or name another one by --config FILE or --data FOLDER"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{shown}/{NAME}: {error}: only the account of the gateway and root may give commands"
        ),
        _ => format!("{shown}/{NAME}: {error}"),
    }
}

fn without_socket(folder: &Path) -> String {
    let shown = folder.display();
    format!(
        "a gateway owns {shown} and takes no commands: it is starting, stopping or taking over; if that lasts, its log \
         says why there is no {NAME}"
    )
}
