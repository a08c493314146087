//! `weir notify test`: a message by every configured way, now.

use crate::notify::{Channel, Notifier};
use serde::{Deserialize, Serialize};

/// What became of the messages; empty when no channel is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestReport {
    /// One for each configured channel.
    pub(crate) channels: Vec<ChannelReport>,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelReport {
    /// By which way.
    pub(crate) channel: Channel,
    /// Whether it was accepted at the other end.
    pub(crate) delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
}

pub(super) async fn test(notifier: &Notifier) -> TestReport {
    let tested = notifier.test().await;
    let channels = tested.into_iter().map(|tested| ChannelReport {
        channel: tested.channel,
        delivered: tested.outcome.is_ok(),
        reason: tested.outcome.err(),
    });
    TestReport {
        channels: channels.collect(),
    }
}
