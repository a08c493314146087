//! The command line: what can be asked of the binary, and how a command ends.
//!
//! A command is a variant of [`Command`]; what it does lives in the room it belongs to. Those that talk to a running
//! gateway are in the files below: the question, the answer as text, and [`caller`] in between.

mod caller;
mod conflict;
mod disks;
mod ensure;
mod explain;
mod import;
mod list;
mod manual;
mod notify;
mod pin;
mod purge;
mod quantity;
mod reload;
mod scrub;
mod stat;
mod table;

use crate::conf::{self, Flags, Settings, Sources};
use crate::serve::Beginning;
use clap::{Args, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Weir, a caching upstream proxy gateway
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway; without any option it listens on 127.0.0.1:8080 and keeps its data in ./weir-data
    Serve(ServeArguments),
    /// Check a configuration file without starting anything
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Say how a running gateway treats a URL, and what it holds for it
    Explain(explain::Arguments),
    /// Have a running gateway store URLs, and wait until they are there
    Ensure(ensure::Arguments),
    /// Say what a running gateway holds and does
    Stat(stat::Arguments),
    /// List what a running gateway has stored
    Ls(list::Arguments),
    /// Keep what is stored under URLs: it is never evicted
    Pin(pin::Arguments),
    /// Let what is stored under URLs be evicted like anything else
    Unpin(pin::Arguments),
    /// Remove what is stored under URLs, URL prefixes or tags
    Purge(purge::Arguments),
    /// Look at and decide about changed bytes behind immutable URLs
    Conflict(conflict::Arguments),
    /// Store files under URLs in a running gateway: immutable, never evicted
    Import(import::Arguments),
    /// Have a running gateway read its configuration again: all of it or, where anything is wrong, nothing
    Reload(reload::Arguments),
    /// Say how the disks of a running gateway are, and change them
    Disks(disks::Arguments),
    /// Have everything stored read and compared with its checksums
    Scrub(scrub::Arguments),
    /// Print the completions of these commands for a shell
    Completions(manual::CompletionsArguments),
    /// Print the manual page, or write one for every command
    Man(manual::ManArguments),
    /// Try out the notifications of a running gateway
    Notify(notify::Arguments),
}

/// Which gateway a command is for: named as for `weir serve`, by its configuration or its data folder.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The gateway with this configuration file [env: WEIR_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway with this data folder; one of several is enough, as long as its disk is there
    #[arg(long, value_name = "FOLDER")]
    data: Vec<String>,
}

/// Options of `weir serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Read this configuration file [env: WEIR_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen for clients here instead; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Serve health and metrics here instead; "" for not at all
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Keep the data in this folder instead; repeated for several disks
    #[arg(long, value_name = "FOLDER")]
    data: Vec<String>,
    /// Take over from the gateway that runs with this configuration, without losing a connection; where none runs,
    /// start as usual
    #[arg(long)]
    upgrade: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Done,
    /// It was tried and failed.
    Failed,
    /// Wrong usage that the parser, which ends in the same way, cannot see.
    Usage,
    /// The configuration is wrong (`EX_CONFIG` of sysexits.h).
    Configuration,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 configuration error";

/// Names the configuration file where no flag does.
const CONFIG_VARIABLE: &str = "WEIR_CONFIG";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Usage => Self::from(2),
            Exit::Configuration => Self::from(78),
        }
    }
}

impl ServeArguments {
    /// How to begin.
    pub(crate) fn beginning(&self) -> Beginning {
        if self.upgrade {
            Beginning::Upgrade
        } else {
            Beginning::Fresh
        }
    }

    /// Where the settings to serve with come from: every reload asks the same sources again.
    pub(crate) fn sources(self) -> Sources {
        let flags = Flags {
            listen: self.listen,
            admin: self.admin,
            data: self.data,
        };
        sources(self.config, flags)
    }
}

impl Place {
    /// The folders in which the gateway that is meant has its sockets, as far as their disks are there. Whatever else is wrong with the configuration is
    /// the gateway's to say: a command must reach it all the same.
    ///
    /// # Errors
    /// [`Exit::Configuration`], after the reason was written to the standard error.
    fn folders(&self) -> Result<Vec<PathBuf>, Exit> {
        let flags = Flags {
            data: self.data.clone(),
            ..Flags::default()
        };
        conf::data_folders(&sources(self.config.clone(), flags)).map_err(|error| {
            complain(&error);
            complain(&"weir: so nobody knows where its data is: --data FOLDER says it as well");
            Exit::Configuration
        })
    }
}

/// All sources of this process.
fn sources(file: Option<PathBuf>, flags: Flags) -> Sources {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
    Sources {
        file: file.or_else(|| named.map(PathBuf::from)),
        environment: std::env::vars_os().collect(),
        flags,
    }
}

/// What the sources say.
///
/// # Errors
/// [`Exit::Configuration`], after everything that is wrong was written to the standard error.
pub(crate) fn settings(sources: &Sources) -> Result<Settings, Exit> {
    conf::load(sources).map_err(|error| {
        complain(&error);
        Exit::Configuration
    })
}

/// `weir check-config`: the file with the environment over it, as `weir serve` would read both here.
pub(crate) fn check_config(file: PathBuf) -> Exit {
    let shown = file.display().to_string();
    match settings(&sources(Some(file), Flags::default())) {
        Ok(_) => print(&format!("{shown}: ok\n")),
        Err(exit) => exit,
    }
}

/// Writes an answer to the standard output; what keeps it from that has been said when this returns.
fn print(text: &str) -> Exit {
    match write(text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            if let Some(reason) = unwritten(&error) {
                complain(&format!("weir: {reason}"));
            }
            Exit::Failed
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Why an answer could not be written; `None` where a reader has seen enough (`| head`), which nobody wants to hear of.
fn unwritten(error: &io::Error) -> Option<String> {
    let is_pipe = error.kind() == io::ErrorKind::BrokenPipe;
    (!is_pipe).then(|| format!("cannot write to the standard output: {error}"))
}

/// Tells the user. When even the standard error is gone, the exit code has to do.
pub(crate) fn complain(message: &dyn std::fmt::Display) {
    drop(writeln!(io::stderr(), "{message}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(words: &[&str]) -> Result<Command, ErrorKind> {
        let words = std::iter::once("weir").chain(words.iter().copied());
        Cli::try_parse_from(words)
            .map(|cli| cli.command)
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_takes_addresses_and_folders_repeatedly() {
        let words = [
            "serve", "--listen", ":1", "--listen", ":2", "--admin", "", "--data", "a",
        ];
        let Ok(Command::Serve(arguments)) = parse(&words) else {
            panic!("not understood")
        };
        assert_eq!(arguments.listen, [":1", ":2"]);
        assert_eq!(arguments.admin.as_deref(), Some(""));
        assert_eq!(arguments.data, ["a"]);
        assert_eq!(arguments.config, None);
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        let check = |words: &[&str], kind: ErrorKind| {
            assert_eq!(parse(words).err(), Some(kind), "{words:?}");
            let error = Cli::command().error(kind, "");
            assert_eq!(error.exit_code(), 2, "{words:?}");
        };
        check(&[], ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        check(&["sevre"], ErrorKind::InvalidSubcommand);
        check(&["serve", "--bogus"], ErrorKind::UnknownArgument);
        check(&["serve", "file.toml"], ErrorKind::UnknownArgument);
        check(&["check-config"], ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn a_checked_file_is_ok_or_a_configuration_error() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, exit: Exit| {
            let file = folder.path().join("weir.toml");
            std::fs::write(&file, text).unwrap();
            assert_eq!(check_config(file), exit, "{text:?}");
        };
        check("", Exit::Done);
        check("[listen]\nproxy = [\":8080\"]", Exit::Done);
        check("[listen]\nproxy = [\"x\"]", Exit::Configuration);
        assert_eq!(check_config(folder.path().to_owned()), Exit::Configuration);
    }
}
