//! `weir completions` and `weir man`: made from the definition of the commands itself, so they cannot disagree with it.

use super::{Cli, Exit, complain, print};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};

/// Options of `weir completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// For this shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Options of `weir man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Write a page for every command into this folder instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl CompletionsArguments {
    pub(crate) fn run(self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "weir", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

impl ManArguments {
    pub(crate) fn run(self) -> Exit {
        let written = match &self.out {
            Some(folder) => pages(folder),
            None => page().map(|page| print(&page)),
        };
        written.unwrap_or_else(|error| {
            let shown = self.out.unwrap_or_default();
            complain(&format!("weir: {}: {error}", shown.display()));
            Exit::Failed
        })
    }
}

fn page() -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(for_pages()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn pages(folder: &Path) -> io::Result<Exit> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(for_pages(), folder)?;
    Ok(Exit::Done)
}

/// The commands as pages show them: each with the usage that `--help` prints, and without `help`, which has no page.
fn for_pages() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    with_usages(command)
}

fn with_usages(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    command
        .override_usage(usage)
        .mut_subcommands(|command| with_usages(command.disable_help_subcommand(true)))
}
