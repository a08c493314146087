//! What the notifications are told; may be swapped while they run.

use crate::conf::Secret;
use http::{HeaderName, HeaderValue};
use lettre::message::Mailbox;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use weir_cache::events::EventKind;
use weir_policies::target::Target;

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotifySettings {
    /// Where to POST; `None`: nowhere.
    pub(crate) webhook: Option<WebhookSettings>,
    /// Where to mail; `None`: nowhere.
    pub(crate) mail: Option<MailSettings>,
    /// What is told of.
    pub(crate) kinds: Vec<EventKind>,
    /// Between two messages about the same.
    pub(crate) interval: Duration,
    /// For one attempt to deliver.
    pub(crate) timeout: Duration,
    /// Attempts after the first.
    pub(crate) retries_max: usize,
    /// PEM file of authorities trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// A webhook.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookSettings {
    /// http or https. Its path is often all that protects it.
    pub(crate) target: Target,
    /// A field of the request, like Authorization.
    pub(crate) field: Option<(HeaderName, HeaderValue)>,
}

/// A mail server, and whom it is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailSettings {
    /// How the connection is protected.
    pub(crate) security: MailSecurity,
    /// Name or address, without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// Account and password.
    pub(crate) credentials: Option<(String, Secret)>,
    /// Sender.
    pub(crate) from: Mailbox,
    /// Recipients; at least one.
    pub(crate) to: Vec<Mailbox>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailSecurity {
    /// Not at all.
    None,
    /// By STARTTLS, or there is no mail (RFC 3207).
    StartTls,
    /// By TLS from the first byte (RFC 8314).
    Tls,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("authority", &self.target.authority())
            .finish_non_exhaustive()
    }
}
