//! The command line: what can be asked of the binary, and how a command ends.
//!
//! A command is a variant of [`Command`]; what it does lives in the room it belongs to.

use crate::conf::{self, Flags, Settings, Sources};
use clap::{Args, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Weir: a caching upstream proxy gateway.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, after_help = EXIT_CODES)]
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
    /// Keep the data in this folder instead; may be repeated, one folder for each disk
    #[arg(long, value_name = "FOLDER")]
    data: Vec<String>,
}

/// How a command ended. Wrong usage ends with 2, by way of the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Done,
    /// It was tried and failed.
    Failed,
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
            Exit::Configuration => Self::from(78),
        }
    }
}

impl ServeArguments {
    /// The settings to serve with, from all sources of this process.
    ///
    /// # Errors
    /// [`Exit::Configuration`], after everything that is wrong was written to the standard error.
    pub(crate) fn settings(self) -> Result<Settings, Exit> {
        let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        let sources = Sources {
            file: self.config.or_else(|| named.map(PathBuf::from)),
            environment: std::env::vars_os().collect(),
            flags: Flags {
                listen: self.listen,
                admin: self.admin,
                data: self.data,
            },
        };
        conf::load(&sources).map_err(|error| {
            complain(&error);
            Exit::Configuration
        })
    }
}

/// `weir check-config`: the file by itself, whatever the environment says here.
pub(crate) fn check_config(file: PathBuf) -> Exit {
    let shown = file.display().to_string();
    match conf::load(&Sources {
        file: Some(file),
        ..Sources::default()
    }) {
        Ok(_) => match writeln!(io::stdout(), "{shown}: ok") {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Failed,
        },
        Err(error) => {
            complain(&error);
            Exit::Configuration
        }
    }
}

/// Tells the user. When even the standard error is gone, the exit code has to do.
pub(crate) fn complain(message: &dyn std::fmt::Display) {
    drop(writeln!(io::stderr(), "{message}"));
}
