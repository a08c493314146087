//! How the gateway is reached, also while one process takes over from another (`weir serve --upgrade`).
//!
//! In every upgrade there is a moment without a socket: the old process has taken its own away, the new one makes one
//! when the data is its own. So nobody who finds no socket is told at once that no gateway runs.

use crate::control::owner::is_owned;
use crate::control::socket::{self, NAME};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
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

/// Connects to the gateway that keeps its data in `folders`: through any of them, since any disk may be missing.
///
/// # Errors
/// Why it cannot be reached, and what to do.
pub(super) fn connect(folders: &[PathBuf], patience: Patience) -> Result<UnixStream, String> {
    let start = Instant::now();
    let mut seen_owned = start;
    loop {
        let failures = match attempt(folders) {
            Ok(stream) => return Ok(stream),
            Err(failures) => failures,
        };
        let may_come = |failure: &Failure<'_>| is_nobody(&failure.error) && failure.folder.is_dir();
        if patience == Patience::None || !failures.iter().any(may_come) {
            return Err(most_telling(&failures));
        }
        let owned = folders.iter().find(|folder| is_owned(folder));
        if owned.is_some() {
            seen_owned = Instant::now();
        }
        if seen_owned.elapsed() >= UNOWNED_TIME_MAX {
            return Err(most_telling(&failures));
        }
        if let Some(folder) = owned
            && start.elapsed() >= OWNED_TIME_MAX
        {
            return Err(without_socket(folder));
        }
        wait(PAUSE);
    }
}

/// A folder through which nobody was reached.
struct Failure<'f> {
    folder: &'f Path,
    error: io::Error,
}

/// One attempt through each folder.
fn attempt(folders: &[PathBuf]) -> Result<UnixStream, Vec<Failure<'_>>> {
    let mut failures = Vec::with_capacity(folders.len());
    for folder in folders {
        match socket::connect(folder) {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push(Failure { folder, error }),
        }
    }
    Err(failures)
}

/// A gateway that may not be spoken to is one; a disk that fails says less about it than a folder without a socket.
fn most_telling(failures: &[Failure<'_>]) -> String {
    let refused = failures
        .iter()
        .find(|failure| failure.error.kind() == io::ErrorKind::PermissionDenied);
    let absent = failures.iter().find(|failure| is_nobody(&failure.error));
    match refused.or(absent).or(failures.first()) {
        Some(failure) => unreachable(failure.folder, &failure.error),
        None => "no data folder is named".to_owned(),
    }
}

/// Waits: a command is one process that has nothing else to do.
pub(crate) fn wait(pause: Duration) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_gateway_is_reached_through_any_of_its_folders() {
        let place = tempfile::tempdir().unwrap();
        let folders = ["absent", "empty", "answering"].map(|name| place.path().join(name));
        let [_, empty, answering] = &folders;
        std::fs::create_dir(empty).unwrap();
        std::fs::create_dir(answering).unwrap();
        let listener = UnixListener::bind(answering.join(NAME)).unwrap();
        connect(&folders, Patience::None).unwrap();
        listener.accept().unwrap();
        drop(listener);
        let reason = connect(&folders, Patience::None).unwrap_err();
        assert!(reason.starts_with("no gateway runs on "), "{reason}");
    }

    #[test]
    fn what_says_most_of_a_gateway_is_told() {
        let folders = ["a", "b", "c"].map(PathBuf::from);
        let check = |kinds: [io::ErrorKind; 3], expected: &str| {
            let failures = folders.iter().zip(kinds).map(|(folder, kind)| Failure {
                folder,
                error: kind.into(),
            });
            let told = most_telling(&failures.collect::<Vec<_>>());
            assert!(told.contains(expected), "{told}");
        };
        use io::ErrorKind::{NotFound, Other, PermissionDenied};
        check([Other, NotFound, PermissionDenied], "c/control.sock: ");
        check([Other, NotFound, NotFound], "no gateway runs on b");
        check([Other, Other, Other], "a/control.sock: ");
        assert_eq!(most_telling(&[]), "no data folder is named");
    }
}
