//! The command's end of the control socket: find the gateway, ask, read the answer.

use super::table::harmless;
use super::{Exit, Place, complain, print};
use crate::control::protocol::{Command, Listing, Progress, Reply};
use crate::control::shown::{Listed, ListedObject};
use crate::control::socket::{self, NAME};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The longest line of an answer, bytes: all variants of a URL with all their fields.
const REPLY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Without an answer.
const HUNG_UP: &str =
    "the gateway hung up: it is busy, stopping or refuses this account; its log says which";

const NO_BODY: &str = "the gateway waits for a body that there is not";

/// A connection to a running gateway, for one command.
pub(super) struct Caller {
    stream: BufReader<UnixStream>,
}

impl Caller {
    /// Connects to the gateway that `place` means.
    ///
    /// # Errors
    /// The exit, after the reason was written to the standard error.
    pub(super) fn reach(place: &Place) -> Result<Self, Exit> {
        Self::connect(&folder(place)?).map_err(|reason| {
            complain(&format!("weir: {reason}"));
            Exit::Failed
        })
    }

    /// Connects to the gateway that keeps its data in `folder`.
    pub(super) fn connect(folder: &Path) -> Result<Self, String> {
        match socket::connect(folder) {
            Ok(stream) => Ok(Self {
                stream: BufReader::new(stream),
            }),
            Err(error) => Err(unreachable(folder, &error)),
        }
    }

    /// Sends the command.
    pub(super) fn send(&mut self, command: &Command) -> Result<(), String> {
        let mut line = serde_json::to_vec(command).map_err(|error| error.to_string())?;
        line.push(b'\n');
        // A refusal (too many commands) may already be on its way, and then says more than a broken pipe.
        match self.stream.get_mut().write_all(&line) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(broken(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The raw stream, for a body.
    pub(super) fn body(&mut self) -> &mut UnixStream {
        self.stream.get_mut()
    }

    /// Reads one line of the answer.
    pub(super) fn reply<T: DeserializeOwned>(&mut self) -> Result<Reply<T>, String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(REPLY_BYTES_MAX);
        match limited.read_until(b'\n', &mut line) {
            // Closed with the command unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(broken(&error)),
            Ok(_) => {}
        }
        if line.last() != Some(&b'\n') {
            return Err(HUNG_UP.to_owned());
        }
        serde_json::from_slice(&line).map_err(|error| {
            format!("the gateway's answer is not understood ({error}): is it of another version?")
        })
    }

    /// Asks a question that takes no body.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, command: &Command) -> Result<T, String> {
        self.ask_watching(command, |_| {})
    }

    /// As [`Self::ask`], and hands on how far it is.
    pub(super) fn ask_watching<T: DeserializeOwned>(
        &mut self,
        command: &Command,
        mut watch: impl FnMut(Progress),
    ) -> Result<T, String> {
        self.send(command)?;
        loop {
            match self.reply()? {
                Reply::Progress(progress) => watch(progress),
                Reply::Objects(_) => {
                    return Err("the gateway lists what nobody asked for".to_owned());
                }
                Reply::Done(done) => return Ok(done),
                Reply::Failed(reason) => return Err(reason),
                Reply::Ready => return Err(NO_BODY.to_owned()),
            }
        }
    }

    /// Asks for a list and hands on its pages as they come; `None` when `show` does not want more of them.
    pub(super) fn ask_listing(
        &mut self,
        listing: Listing,
        mut show: impl FnMut(Vec<ListedObject>) -> ControlFlow<()>,
    ) -> Result<Option<Listed>, String> {
        self.send(&Command::List(listing))?;
        loop {
            match self.reply()? {
                Reply::Objects(objects) => {
                    if show(objects).is_break() {
                        return Ok(None);
                    }
                }
                Reply::Done(listed) => return Ok(Some(listed)),
                Reply::Failed(reason) => return Err(reason),
                Reply::Progress(_) => {}
                Reply::Ready => return Err(NO_BODY.to_owned()),
            }
        }
    }
}

/// Asks about each of `subjects` on a connection of its own and prints what `ask` makes of the answer. A failure of one
/// is said and does not keep it from the others; without a gateway that is said once.
pub(super) fn ask_each(
    place: &Place,
    subjects: &[String],
    ask: impl Fn(&mut Caller, &str) -> Result<String, String>,
) -> Exit {
    let folder = match folder(place) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    for subject in subjects {
        let mut caller = match Caller::connect(&folder) {
            Ok(caller) => caller,
            Err(reason) => {
                complain(&format!("weir: {reason}"));
                return Exit::Failed;
            }
        };
        match ask(&mut caller, subject) {
            // What was asked for is done even when nobody reads about it.
            Ok(text) => drop(print(&text)),
            Err(reason) => {
                complain(&format!("weir: {}", harmless(&reason)));
                exit = Exit::Failed;
            }
        }
    }
    exit
}

/// The folder in which the gateway of `place` has its socket.
pub(super) fn folder(place: &Place) -> Result<PathBuf, Exit> {
    let disks = place.settings()?.disks;
    Ok(disks
        .into_iter()
        .next()
        .unwrap_or_else(|| PathBuf::from(".")))
}

/// Asks the gateway of `place`; what goes wrong has been said when this returns.
pub(super) fn ask<T: DeserializeOwned>(place: &Place, command: &Command) -> Result<T, Exit> {
    Caller::reach(place)?.ask(command).map_err(|reason| {
        complain(&format!("weir: {reason}"));
        Exit::Failed
    })
}

/// As one line of JSON for other programs.
pub(super) fn json_line<T: Serialize>(answer: &T) -> Result<String, String> {
    let text = serde_json::to_string(answer).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

/// As JSON for other programs, with a line end.
pub(super) fn json<T: Serialize>(answer: &T) -> Result<String, Exit> {
    match serde_json::to_string_pretty(answer) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => {
            complain(&format!("weir: {error}"));
            Err(Exit::Failed)
        }
    }
}

fn broken(error: &io::Error) -> String {
    format!("the connection to the gateway broke: {error}")
}

fn unreachable(folder: &Path, error: &io::Error) -> String {
    let shown = folder.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
            "no gateway runs on {shown}: start one with `weir serve`, or name another one by --config FILE or --data FOLDER"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{shown}/{NAME}: {error}: only the account of the gateway and root may give commands"
        ),
        _ => format!("{shown}/{NAME}: {error}"),
    }
}
