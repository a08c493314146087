//! What is wrong with a configuration: where it was written, which key, which value, and what would be right.
//!
//! Problems are collected, not thrown one at a time: whoever edits a file wants to see all of them at once.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from, in the order in which later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Nobody wrote it.
    Default,
    /// The file; lines count from 1.
    File {
        /// As it was named.
        path: PathBuf,
        /// Where the key stands; `None` for the file as a whole.
        line: Option<usize>,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A file named by a variable of the environment: where secrets are kept, so its content is never shown.
    SecretFile {
        /// The variable's name.
        variable: String,
    },
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

/// The name of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath {
    /// The section, `listen`.
    pub(crate) section: String,
    /// Which one, counted from 0, for sections that may be repeated, like `[[mirror]]`.
    pub(crate) index: Option<usize>,
    /// The key, `head_timeout`.
    pub(crate) key: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub(crate) origin: Origin,
    /// Which key; `None` when it is not about one.
    pub(crate) key: Option<KeyPath>,
    /// The value as written; `None` when there is none to show, or when it may be a secret.
    pub(crate) value: Option<String>,
    /// What is wrong and what would be right.
    pub(crate) reason: String,
}

/// Everything that is wrong with a configuration. Never empty; shown one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigError {
    problems: Vec<Problem>,
}

/// Longest value that is repeated in a message, characters.
const VALUE_CHARACTERS_MAX: usize = 80;

/// Keys whose values nobody may see, wherever they were written.
const SECRETS: [(&str, &str); 3] = [
    ("notify", "webhook"),
    ("notify", "webhook_header"),
    ("notify", "smtp_password"),
];

impl KeyPath {
    /// Whether the value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        SECRETS.contains(&(self.section.as_str(), self.key.as_str()))
    }
}

impl Problem {
    /// A problem that is not about one key.
    pub(crate) fn general(origin: Origin, reason: impl Into<String>) -> Self {
        Self {
            origin,
            key: None,
            value: None,
            reason: reason.into(),
        }
    }

    /// A problem with one key, whatever its value.
    pub(crate) fn of_key(origin: Origin, key: KeyPath, reason: impl Into<String>) -> Self {
        Self {
            origin,
            key: Some(key),
            value: None,
            reason: reason.into(),
        }
    }

    /// A problem with the value of one key. The value of a secret is dropped here, so that no later step can show it.
    pub(crate) fn of_value(
        origin: Origin,
        key: KeyPath,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) -> Self {
        let value = match origin {
            _ if key.is_secret() => None,
            Origin::SecretFile { .. } => None,
            Origin::Default
            | Origin::File { .. }
            | Origin::Environment { .. }
            | Origin::Flag(_) => Some(value.to_string()),
        };
        Self {
            origin,
            key: Some(key),
            value,
            reason: reason.into(),
        }
    }
}

impl ConfigError {
    /// `Ok` when there are no problems.
    ///
    /// # Errors
    /// All of `problems`.
    pub(crate) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self::of(problems))
        }
    }

    /// All of it.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// These problems, in the order in which they stand in their sources.
    pub(crate) fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Self { problems }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } | Self::SecretFile { variable } => {
                write!(f, "environment {variable}")
            }
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => write!(f, "[{}] {}", self.section, self.key),
            Some(_) => write!(f, "[[{}]] {}", self.section, self.key),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(f, "{key}")?;
            if let Some(value) = &self.value {
                let shown: String = value.chars().take(VALUE_CHARACTERS_MAX).collect();
                let cut = if shown.len() < value.len() { "…" } else { "" };
                write!(f, " = {shown}{cut}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
