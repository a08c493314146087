//! The ways a message can go, and one attempt on either.

use super::mail::Mail;
use super::message::Message;
use super::settings::NotifySettings;
use super::webhook::Webhook;
use crate::upstream::ConnectorError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A way to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    /// An HTTP POST.
    Webhook,
    /// A mail.
    Mail,
}

/// All of them.
pub(crate) const CHANNELS: [Channel; 2] = [Channel::Webhook, Channel::Mail];

impl Channel {
    /// The label of metrics and log lines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    /// Whether it leads anywhere.
    pub(crate) fn is_configured(self, settings: &NotifySettings) -> bool {
        match self {
            Self::Webhook => settings.webhook.is_some(),
            Self::Mail => settings.mail.is_some(),
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Undelivered {
    /// In words for the operator, without secrets.
    pub(super) reason: String,
    pub(super) again: Again,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Later,
    Never,
}

impl Undelivered {
    /// Another attempt may help.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            again: Again::Later,
        }
    }

    /// The same would be answered the same.
    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            again: Again::Never,
        }
    }
}

/// Reads the trusted authorities, as upstreams are verified by them, away from the threads that serve.
pub(super) async fn authorities<T: Send + 'static>(
    settings: &NotifySettings,
    read: fn(Option<&Path>) -> Result<T, ConnectorError>,
) -> Result<T, Undelivered> {
    let ca_file = settings.ca_file.clone();
    let read = tokio::task::spawn_blocking(move || read(ca_file.as_deref())).await;
    match read {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(Undelivered::for_now(error.to_string())),
        Err(error) => Err(Undelivered::for_now(error.to_string())),
    }
}

/// What the channels keep between attempts.
#[derive(Default)]
pub(super) struct Channels {
    webhook: Webhook,
    mail: Mail,
}

impl Channels {
    /// One attempt, within the time that the settings allow.
    pub(super) async fn send(
        &self,
        channel: Channel,
        message: &Message,
        settings: &NotifySettings,
    ) -> Result<(), Undelivered> {
        let sending = async {
            match (channel, &settings.webhook, &settings.mail) {
                (Channel::Webhook, Some(webhook), _) => {
                    self.webhook.send(message, webhook, settings).await
                }
                (Channel::Mail, _, Some(mail)) => self.mail.send(message, mail, settings).await,
                _ => Err(Undelivered::for_good("not configured any more")),
            }
        };
        let limit = settings.timeout;
        match tokio::time::timeout(limit, Box::pin(sending)).await {
            Ok(sent) => sent,
            Err(_elapsed) => Err(Undelivered::for_now(format!(
                "not done within {} ms",
                limit.as_millis()
            ))),
        }
    }
}
