//! The words of the control socket: commands one way, replies the other. What replies carry is in [`super::shown`].
//!
//! Both ends are the same binary, but perhaps not the same version of it: an unknown command or key is an error that
//! names it, never ignored.

mod disks;

pub(crate) use disks::{DiskChange, ScrubOrder, ScrubbedDepth};

use super::shown::ListedObject;
use serde::{Deserialize, Serialize};
use weir_cache::engine::Arrived;
use weir_policies::target::Form;

/// The longest line of a command, bytes: a URL and request fields, escaped.
pub(crate) const COMMAND_BYTES_MAX: usize = 128 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// What would happen to a request, and why.
    Explain(Question),
    /// The conflicts of a URL.
    ConflictShow(Subject),
    /// The changed objects take the place of the originals.
    ConflictAccept(Subject),
    /// The changed objects are forgotten.
    ConflictReject(Subject),
    /// A file follows as the body.
    Import(Announced),
    /// The configuration is to be read again.
    Reload,
    /// A URL is to be stored; answered when it is, or cannot be.
    Ensure(Wanted),
    /// What the gateway holds and does.
    Stat,
    /// A message is sent by every configured way.
    NotifyTest,
    /// Objects are to go.
    Purge(Purging),
    /// How much that would concern.
    WouldPurge(Scope),
    /// The objects that are stored: pages of them, then how many.
    List(Listing),
    /// The objects of a URL are never evicted from now on.
    Pin(Subject),
    /// They are evicted like others again.
    Unpin(Subject),
    /// How the disks are.
    Disks,
    /// A change of the disks; answered when the store has taken it.
    DiskChange(DiskChange),
    /// The scrub: what it is to do, and how far it is.
    Scrub(ScrubOrder),
}

impl Command {
    /// Whether giving it again, when nobody knows whether it was done, does no harm and tells the same.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Self::Explain(_)
            | Self::ConflictShow(_)
            | Self::Reload
            | Self::Ensure(_)
            | Self::Stat
            | Self::WouldPurge(_)
            | Self::List(_)
            | Self::Pin(_)
            | Self::Unpin(_)
            | Self::Disks
            | Self::Scrub(_) => true,
            Self::ConflictAccept(_)
            | Self::ConflictReject(_)
            | Self::Import(_)
            | Self::NotifyTest
            | Self::Purge(_)
            | Self::DiskChange(_) => false,
        }
    }
}

/// What is to be purged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purging {
    /// What.
    pub(crate) scope: Scope,
    /// How.
    pub(crate) then: Then,
}

/// What becomes of what is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Then {
    /// It is gone.
    Remove,
    /// Its upstream is asked before its next use.
    Ask,
}

/// A part of what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    /// What the text is.
    pub(crate) by: ScopeKind,
    /// A URL as in [`Subject`], the beginning of one, or a tag.
    pub(crate) text: String,
}

/// What objects are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScopeKind {
    /// Exactly this URL.
    Url,
    /// What their URLs begin with.
    Prefix,
    /// A Surrogate-Key or Cache-Tag.
    Tag,
}

/// What is to be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    /// Which objects.
    pub(crate) filter: Filter,
    /// So many at most; by default all.
    #[serde(default)]
    pub(crate) limit: Option<u64>,
}

/// Which objects are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Filter {
    /// Whose URL fits; an empty one takes all.
    Pattern(String),
    /// That a purge of this would concern.
    Scope(Scope),
}

/// A URL: absolute, or a path as clients ask the gateway for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// As written.
    pub(crate) url: String,
}

/// A request that is only thought of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// As in [`Subject`].
    pub(crate) url: String,
    /// How a client would ask for an absolute URL.
    pub(crate) form: AskedForm,
    /// Its request fields, name and value.
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
}

/// A URL that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// As in [`Subject`].
    pub(crate) url: String,
    /// For which clients.
    pub(crate) form: AskedForm,
}

/// The ways to ask for an absolute URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskedForm {
    /// As a forward proxy
    #[default]
    Forward,
    /// /download/URL
    Download,
    /// /URL
    Path,
}

/// A file that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announced {
    /// As in [`Subject`].
    pub(crate) url: String,
    /// Its length: so many bytes follow.
    pub(crate) body_bytes: u64,
    /// Its sha256, as hexadecimal digits.
    pub(crate) sha256: String,
    /// Its md5, where the operator knows one.
    #[serde(default)]
    pub(crate) md5: Option<String>,
    /// Its media type; by default the name in the URL tells.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// When it last changed, seconds since 1970.
    #[serde(default)]
    pub(crate) modified_unix_seconds: Option<u64>,
    /// What to do when other bytes are there.
    #[serde(default)]
    pub(crate) other: OtherBytes,
}

/// What to do with other bytes under the same URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OtherBytes {
    /// They stay, and the command fails.
    #[default]
    Refuse,
    /// The file takes their place.
    Replace,
}

/// A line of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply<T> {
    /// The body may come.
    Ready,
    /// How far it is; any number of them before the last line.
    Progress(Progress),
    /// Some of the objects that are listed; any number of them before the last line.
    Objects(Vec<ListedObject>),
    /// Done; the last line.
    Done(T),
    /// Not done, and why; the last line.
    Failed(String),
}

/// Bytes of a body on their way into the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// That have arrived.
    pub(crate) bytes: u64,
    /// In the end, where that is known.
    pub(crate) total: Option<u64>,
}

impl From<Arrived> for Progress {
    fn from(arrived: Arrived) -> Self {
        Self {
            bytes: arrived.bytes,
            total: arrived.total,
        }
    }
}

impl From<AskedForm> for Form {
    fn from(asked: AskedForm) -> Self {
        match asked {
            AskedForm::Forward => Self::Forward,
            AskedForm::Download => Self::Download,
            AskedForm::Path => Self::Path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_back_as_it_was_written() {
        let command = Command::Explain(Question {
            url: "http://host/a\u{e9}\n\"b".to_owned(),
            form: AskedForm::Path,
            headers: vec![("Accept".to_owned(), "*/*".to_owned())],
        });
        let line = serde_json::to_string(&command).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Command>(&line).unwrap(), command);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let check = |line: &str, word: &str| {
            let error = serde_json::from_str::<Command>(line).unwrap_err();
            assert!(error.to_string().contains(word), "{line}: {error}");
        };
        check(r#"{"command":"erase","url":"http://h/"}"#, "erase");
        check(
            r#"{"command":"conflict-show","url":"http://h/","forse":1}"#,
            "forse",
        );
        check(r#"{"url":"http://h/"}"#, "command");
        check(r#"{"command":"explain","form":"forward"}"#, "url");
        check(
            r#"{"command":"explain","url":"http://h/","form":"sideways"}"#,
            "sideways",
        );
    }
}
