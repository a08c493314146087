//! The command's end of the control socket: find the gateway, ask, read the answer.
//!
//! A connection that ends without an answer is no answer: the gateway may just have handed over to a new process. What
//! can be asked twice is asked again then, of whoever runs by then.

mod connecting;

pub(super) use connecting::{Patience, wait};

use super::table::harmless;
use super::{Exit, Place, complain, print};
use crate::control::protocol::{Command, Listing, Progress, Reply};
use crate::control::shown::{Listed, ListedObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The longest line of an answer, bytes: all variants of a URL with all their fields.
const REPLY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So often a command is given again in a row without any word from the gateway.
const REPEATS_MAX: u32 = 4;
/// Before the first time, and twice as long before each more: together 1.5 s.
const REPEAT_PAUSE: Duration = Duration::from_millis(100);

const NO_BODY: &str = "the gateway waits for a body that there is not";

/// A connection to a running gateway, for one command.
pub(super) struct Caller {
    folders: Vec<PathBuf>,
    stream: BufReader<UnixStream>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The connection ended.
    #[error(
        "the gateway hung up: it is busy, stopping or refuses this account; its log says which"
    )]
    HungUp,
    /// Anything else, a refusal by the gateway included.
    #[error("{0}")]
    Other(String),
}

/// How often a command may still be given again.
struct Repeats {
    most: u32,
    left: u32,
    pause: Duration,
}

impl Repeats {
    fn of(command: &Command) -> Self {
        let most = if command.is_repeatable() {
            REPEATS_MAX
        } else {
            0
        };
        Self {
            most,
            left: most,
            pause: REPEAT_PAUSE,
        }
    }

    /// The gateway has said something: whoever ends that is not too busy to listen.
    fn renew(&mut self) {
        self.left = self.most;
        self.pause = REPEAT_PAUSE;
    }

    /// Waits before the next time, when there is one.
    fn take(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        wait(self.pause);
        self.pause *= 2;
        true
    }
}

impl Caller {
    /// Connects to the gateway that `place` means.
    ///
    /// # Errors
    /// The exit, after the reason was written to the standard error.
    pub(super) fn reach(place: &Place) -> Result<Self, Exit> {
        Self::connect(&place.folders()?, Patience::Upgrade).map_err(|reason| fail(&reason))
    }

    /// Connects to the gateway that keeps its data in `folders`.
    pub(super) fn connect(folders: &[PathBuf], patience: Patience) -> Result<Self, String> {
        Ok(Self {
            stream: BufReader::new(connecting::connect(folders, patience)?),
            folders: folders.to_owned(),
        })
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
    pub(super) fn reply<T: DeserializeOwned>(&mut self) -> Result<Reply<T>, Unanswered> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(REPLY_BYTES_MAX);
        match limited.read_until(b'\n', &mut line) {
            // Closed with the command unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(Unanswered::Other(broken(&error))),
            Ok(_) => {}
        }
        if line.last() != Some(&b'\n') {
            return Err(Unanswered::HungUp);
        }
        serde_json::from_slice(&line).map_err(|error| {
            Unanswered::Other(format!(
                "the gateway's answer is not understood ({error}): is it of another version?"
            ))
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
        let mut repeats = Repeats::of(command);
        loop {
            let watch = |progress| {
                repeats.renew();
                watch(progress);
            };
            match self.ask_once(command, watch) {
                Ok(done) => return Ok(done),
                Err(Unanswered::HungUp) if repeats.take() => self.reconnect()?,
                Err(unanswered) => return Err(unanswered.to_string()),
            }
        }
    }

    fn ask_once<T: DeserializeOwned>(
        &mut self,
        command: &Command,
        mut watch: impl FnMut(Progress),
    ) -> Result<T, Unanswered> {
        self.send(command).map_err(Unanswered::Other)?;
        loop {
            let unexpected = match self.reply()? {
                Reply::Progress(progress) => {
                    watch(progress);
                    continue;
                }
                Reply::Done(done) => return Ok(done),
                Reply::Failed(reason) => reason,
                Reply::Objects(_) => "the gateway lists what nobody asked for".to_owned(),
                Reply::Ready => NO_BODY.to_owned(),
            };
            return Err(Unanswered::Other(unexpected));
        }
    }

    /// The next connection, to whoever runs by now.
    fn reconnect(&mut self) -> Result<(), String> {
        self.stream = BufReader::new(connecting::connect(&self.folders, Patience::Upgrade)?);
        Ok(())
    }

    /// Asks for a list and hands on its pages as they come, until `show` wants no more of them. Asked again only before
    /// the first page: what is shown stays shown.
    pub(super) fn ask_listing<B>(
        &mut self,
        listing: Listing,
        mut show: impl FnMut(Vec<ListedObject>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Listed>, String> {
        let command = Command::List(listing);
        let mut repeats = Repeats::of(&command);
        let mut shown = false;
        loop {
            let show = |objects| {
                shown = true;
                show(objects)
            };
            match self.list_once(&command, show) {
                Ok(end) => return Ok(end),
                Err(Unanswered::HungUp) if !shown && repeats.take() => self.reconnect()?,
                Err(unanswered) => return Err(unanswered.to_string()),
            }
        }
    }

    fn list_once<B>(
        &mut self,
        command: &Command,
        mut show: impl FnMut(Vec<ListedObject>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Listed>, Unanswered> {
        self.send(command).map_err(Unanswered::Other)?;
        loop {
            match self.reply()? {
                Reply::Objects(objects) => {
                    if let ControlFlow::Break(reason) = show(objects) {
                        return Ok(ControlFlow::Break(reason));
                    }
                }
                Reply::Done(listed) => return Ok(ControlFlow::Continue(listed)),
                Reply::Failed(reason) => return Err(Unanswered::Other(reason)),
                Reply::Progress(_) => {}
                Reply::Ready => return Err(Unanswered::Other(NO_BODY.to_owned())),
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
    let folders = match place.folders() {
        Ok(folders) => folders,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    for subject in subjects {
        let mut caller = match Caller::connect(&folders, Patience::Upgrade) {
            Ok(caller) => caller,
            Err(reason) => return fail(&reason),
        };
        match ask(&mut caller, subject) {
            // What was asked for is done even when nobody reads about it.
            Ok(text) => drop(print(&text)),
            Err(reason) => {
                exit = fail(&reason);
            }
        }
    }
    exit
}

/// Asks the gateway of `place`; what goes wrong has been said when this returns.
pub(super) fn ask<T: DeserializeOwned>(place: &Place, command: &Command) -> Result<T, Exit> {
    Caller::reach(place)?
        .ask(command)
        .map_err(|reason| fail(&reason))
}

/// Says why a command failed. A reason may have several lines, like all that is wrong with a configuration.
pub(super) fn fail(reason: &str) -> Exit {
    for line in reason.lines() {
        complain(&format!("weir: {}", harmless(line)));
    }
    Exit::Failed
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
