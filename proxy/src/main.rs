//! Weir, the caching upstream proxy gateway: one binary, one match over what it was asked to do.

#![allow(
    dead_code,
    unused_imports,
    reason = "PLACEHOLDER: until the serving room reads the settings"
)]

mod cli;
mod conf;

use clap::Parser;
use cli::{Cli, Command, Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Serve(arguments) => match arguments.settings() {
            // PLACEHOLDER, replaced when the serving room is merged.
            Ok(_settings) => Exit::Failed,
            Err(exit) => exit,
        },
        Command::CheckConfig { file } => cli::check_config(file),
    };
    exit.into()
}
