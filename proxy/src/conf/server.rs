//! `[server]`: the process itself.

use super::check::{Check, quoted};
use super::span::TimeSpan;
use crate::control::socket;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// `[server]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// This node in `Via` and `CDN-Loop`, empty for a generated one.
    pub(crate) name: String,
    /// Worker threads, 0 for one a core.
    pub(crate) threads: u64,
    /// How long running responses may take to end at shutdown.
    pub(crate) drain: TimeSpan,
    /// How long they may take when another process has taken over.
    pub(crate) upgrade_drain: TimeSpan,
    /// Where a new process takes over: a file name in the first data folder, empty for nowhere.
    pub(crate) upgrade_socket: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            threads: 0,
            drain: TimeSpan::from_secs(30),
            upgrade_drain: TimeSpan::from_secs(3600),
            upgrade_socket: "upgrade.sock".to_owned(),
        }
    }
}

/// `[server]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    /// A token (RFC 9110 §5.6.2). `None`: the host name and an id that is kept beside the data.
    pub(crate) name: Option<String>,
    /// Worker threads.
    pub(crate) threads: NonZeroUsize,
    /// Zero: running responses are cut at once.
    pub(crate) drain: Duration,
    /// As `drain`, after a hand-over.
    pub(crate) upgrade_drain: Duration,
    /// A file name in the first data folder. `None`: nobody takes over.
    pub(crate) upgrade_socket: Option<PathBuf>,
}

/// Longest name, bytes: it is sent with every request and response.
const NAME_BYTES_MAX: usize = 128;

impl ServerConfig {
    /// Checks every key. Asks the machine for its cores where nothing else was said.
    pub(super) fn check(&self, check: &mut Check<'_>) -> ServerSettings {
        let mut section = check.section("server");
        if !self.name.is_empty() && !is_node_name(&self.name) {
            let reason = format!(
                "must be letters, digits, \"-\", \"_\" and \".\" only, at most {NAME_BYTES_MAX}, \
                 like \"weir-1.example.org\""
            );
            section.refuse("name", quoted(&self.name), reason);
        }
        if !is_own_file_name(&self.upgrade_socket) {
            let reason = format!(
                "must be a file name of its own in the data folder, without \"/\" and other than \
                 \"{}\", like \"upgrade.sock\"",
                socket::NAME
            );
            section.refuse("upgrade_socket", quoted(&self.upgrade_socket), reason);
        }
        let threads = section.count("threads", self.threads, 0..=1_024);
        ServerSettings {
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            threads: NonZeroUsize::new(threads).unwrap_or_else(cores),
            drain: self.drain.get(),
            upgrade_drain: self.upgrade_drain.get(),
            upgrade_socket: Some(&self.upgrade_socket)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        }
    }
}

/// A socket that is already there by this name is removed: it must not be the one of the commands, by whatever path.
fn is_own_file_name(name: &str) -> bool {
    !name.contains(['/', '\0']) && !matches!(name, "." | ".." | socket::NAME)
}

/// Narrower than a token, so that the name also fits in a list, a URL and a file name.
fn is_node_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_socket_is_a_file_of_its_own() {
        let check = |name: &str, expected: bool| {
            assert_eq!(is_own_file_name(name), expected, "{name:?}");
        };
        check("upgrade.sock", true);
        check("", true);
        check("..sock", true);
        check("control.sock", false);
        check("./control.sock", false);
        check("x/../control.sock", false);
        check("control.sock/", false);
        check("../upgrade.sock", false);
        check("/run/weir.sock", false);
        check("upgrade\0.sock", false);
        check("..", false);
        check(".", false);
    }
}
