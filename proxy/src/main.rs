//! Weir, the caching upstream proxy gateway: one binary, one match over what it was asked to do.
//!
//! The only room that knows Pingora. Reading order: [`serve`] (how it is wired) → [`front`] (connections and request
//! heads) → [`gateway`] (one request, one direction) → [`respond`] (bytes) or [`pass`] (handed through) →
//! [`upstream`] (where bytes come from); [`conf`], [`record`], [`access_log`], [`metrics`], [`admin`], [`control`]
//! around them.

mod access_log;
mod admin;
mod array;
mod cli;
mod conf;
mod control;
mod error_page;
mod field_name;
mod front;
mod gateway;
mod logging;
mod metrics;
mod notify;
mod pass;
mod readiness;
mod record;
mod respond;
mod serve;
mod tunnel;
mod upstream;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Serve(arguments) => {
            let beginning = arguments.beginning();
            serve::run(arguments.sources(), beginning)
        }
        Command::CheckConfig { file } => cli::check_config(file),
        Command::Explain(arguments) => arguments.run(),
        Command::Conflict(arguments) => arguments.run(),
        Command::Import(arguments) => arguments.run(),
        Command::Reload(arguments) => arguments.run(),
        Command::Ensure(arguments) => arguments.run(),
        Command::Ls(arguments) => arguments.run(),
        Command::Pin(arguments) => arguments.pin(),
        Command::Unpin(arguments) => arguments.unpin(),
        Command::Purge(arguments) => arguments.run(),
        Command::Stat(arguments) => arguments.run(),
        Command::Completions(arguments) => arguments.run(),
        Command::Man(arguments) => arguments.run(),
        Command::Disks(arguments) => arguments.run(),
        Command::Scrub(arguments) => arguments.run(),
        Command::Notify(arguments) => arguments.run(),
    };
    exit.into()
}
