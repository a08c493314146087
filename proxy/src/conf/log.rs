//! `[log]`: what Weir says about itself and about each request.

use super::check::{Check, quoted};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[log]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// How much Weir says about itself, on the standard error.
    pub(crate) level: LogLevel,
    /// Where the line for each request goes.
    pub(crate) access: String,
    /// What that line looks like.
    pub(crate) format: AccessFormat,
}

/// How much is logged. Each level includes those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Something is broken and needs somebody.
    Error,
    /// Something is wrong and Weir copes.
    Warn,
    /// The few lines of a normal life.
    Info,
    /// Decisions.
    Debug,
    /// Everything.
    Trace,
}

/// The form of an access log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessFormat {
    /// As squid writes it natively.
    Squid,
    /// As web servers write it.
    Combined,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            access: "stdout".to_owned(),
            format: AccessFormat::Squid,
        }
    }
}

/// `[log]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// How much Weir says about itself.
    pub(crate) level: LogLevel,
    /// Where access log lines go.
    pub(crate) access: AccessLog,
    /// What they look like.
    pub(crate) format: AccessFormat,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLog {
    /// Nowhere.
    Off,
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

impl LogConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> LogSettings {
        let access = match self.access.as_str() {
            "off" => AccessLog::Off,
            "stdout" => AccessLog::Stdout,
            "stderr" => AccessLog::Stderr,
            // The slash tells a path from a mistyped word.
            path if path.contains('/') && !path.ends_with('/') && !path.contains('\0') => {
                AccessLog::File(PathBuf::from(path))
            }
            wrong => {
                let reason = "must be \"stdout\", \"stderr\", \"off\" or the path of a file with \
                              at least one \"/\", like \"./access.log\"";
                check.section("log").refuse("access", quoted(wrong), reason);
                AccessLog::Off
            }
        };
        LogSettings {
            level: self.level,
            access,
            format: self.format,
        }
    }
}

impl LogLevel {
    /// The word of the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
