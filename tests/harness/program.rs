//! Real programs, run to their end with a deadline, without the proxy settings of the machine.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Longest run of a program.
const RUN_MAX: Duration = Duration::from_secs(120);

/// Variables by which a machine sends its programs through a proxy of its own.
pub const PROXY_VARIABLES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// A program that is about to run.
pub struct Program {
    name: String,
    command: Command,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Run {
    /// Exit code, none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, as text.
    pub stderr: String,
}

impl Run {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Whether standard error shows a header field, in whatever case its name is written.
    pub fn shows(&self, field: &str) -> bool {
        self.stderr
            .to_ascii_lowercase()
            .contains(&field.to_ascii_lowercase())
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another one, showing what the program said.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }
}

impl Program {
    /// Names a program by file name or path.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name.as_ref());
        command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env("LC_ALL", "C.UTF-8");
        for variable in PROXY_VARIABLES {
            command.env_remove(variable);
        }
        Self {
            name: name.as_ref().to_string_lossy().into_owned(),
            command,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end.
    pub async fn run(self) -> Run {
        let name = self.name.clone();
        let limit = RUN_MAX;
        self.run_at_most(limit)
            .await
            .unwrap_or_else(|| panic!("{name} did not end within {} s", limit.as_secs()))
    }

    /// Runs it to its end, or ends it: then there is nothing to tell.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn run_at_most(mut self, limit: Duration) -> Option<Run> {
        let output = tokio::time::timeout(limit, self.command.output())
            .await
            .ok()?;
        let output =
            output.unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", self.name));
        Some(Run {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
