//! `weir pin` and `weir unpin`: what is stored under a URL is never evicted, or like anything else again.

use super::{Exit, Place, caller};
use crate::control::protocol::{Command, Subject};
use crate::control::shown::Pinned;
use clap::Args;

/// Options of `weir pin` and `weir unpin`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// URLs, or paths as clients ask the gateway for them
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
What is pinned is never evicted, also after a restart. It is the stored objects that are pinned, every variant of the URL: \
what is fetched anew in their place is pinned by a rule with pin = true, or again by `weir pin`. A purge removes what is \
pinned. Exit code 0 only when something is stored under each URL.";

impl Arguments {
    pub(crate) fn pin(self) -> Exit {
        self.ask_each("pinned", Command::Pin)
    }

    pub(crate) fn unpin(self) -> Exit {
        self.ask_each("unpinned", Command::Unpin)
    }

    fn ask_each(self, word: &str, command: fn(Subject) -> Command) -> Exit {
        caller::ask_each(&self.place, &self.urls, |caller, url| {
            let url = url.to_owned();
            let done: Pinned = caller.ask(&command(Subject { url }))?;
            told(word, &done)
        })
    }
}

fn told(word: &str, done: &Pinned) -> Result<String, String> {
    let Pinned { target, variants } = done;
    match variants {
        0 => Err(format!(
            "{target}: nothing is stored under this URL: `weir ensure` it first"
        )),
        1 => Ok(format!("{word} {target}\n")),
        _ => Ok(format!("{word} {target} ({variants} variants)\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_told_where_there_are_several() {
        let check = |variants, expected: Result<&str, &str>| {
            let target = "http://h/".to_owned();
            let told = told("pinned", &Pinned { target, variants });
            match expected {
                Ok(text) => assert_eq!(told.as_deref(), Ok(text)),
                Err(words) => assert!(told.is_err_and(|reason| reason.contains(words))),
            }
        };
        check(1, Ok("pinned http://h/\n"));
        check(3, Ok("pinned http://h/ (3 variants)\n"));
        check(0, Err("weir ensure"));
    }
}
