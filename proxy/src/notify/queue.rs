//! A queue and a worker for each channel: attempts with growing pauses, then the message is given up.
//!
//! Invariants: a full queue drops what is new and counts it; a message is tried `retries + 1` times at most, by the
//! settings of that moment; during the shutdown once more and no more.

use super::SettingsReader;
use super::channel::{Again, Channel, Channels, Undelivered};
use super::message::Message;
use super::settings::NotifySettings;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use weir_cache::metrics::Counter;

/// Messages that wait for one channel.
const WAITING_MAX: usize = 64;
/// Before the second attempt; four times as long before each one after it …
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_FACTOR: u32 = 4;
/// … and never longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What became of messages.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    webhook: ChannelStats,
    mail: ChannelStats,
    /// Events about so many hosts that they were not told apart, and messages that found a queue full.
    pub(crate) crowded: Counter,
}

/// The same for one channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelStats {
    /// Messages that arrived.
    pub(crate) delivered: Counter,
    /// Messages that were given up.
    pub(crate) failed: Counter,
}

impl ChannelStats {
    /// Each result by the word of its label.
    pub(crate) fn results(&self) -> [(&'static str, u64); 2] {
        [
            ("delivered", self.delivered.get()),
            ("failed", self.failed.get()),
        ]
    }
}

impl Stats {
    /// Those of one channel.
    pub(crate) fn of(&self, channel: Channel) -> &ChannelStats {
        match channel {
            Channel::Webhook => &self.webhook,
            Channel::Mail => &self.mail,
        }
    }
}

/// The sending ends.
pub(super) struct Queues {
    senders: Vec<(Channel, mpsc::Sender<Arc<Message>>)>,
    stats: Arc<Stats>,
}

/// What empties one queue.
pub(super) struct Worker {
    channel: Channel,
    queue: mpsc::Receiver<Arc<Message>>,
    channels: Arc<Channels>,
    settings: SettingsReader,
    stopped: watch::Receiver<bool>,
    stats: Arc<Stats>,
}

impl Queues {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self {
            senders: Vec::new(),
            stats,
        }
    }

    /// Adds a queue; whoever runs the worker empties it.
    pub(super) fn worker(
        &mut self,
        channel: Channel,
        channels: Arc<Channels>,
        settings: SettingsReader,
        stopped: watch::Receiver<bool>,
    ) -> Worker {
        let (sender, queue) = mpsc::channel(WAITING_MAX);
        self.senders.push((channel, sender));
        Worker {
            channel,
            queue,
            channels,
            settings,
            stopped,
            stats: Arc::clone(&self.stats),
        }
    }

    /// Puts a message into the queue of every configured channel. Never waits.
    pub(super) fn put(&self, message: &Arc<Message>, settings: &NotifySettings) {
        for (channel, sender) in &self.senders {
            if channel.is_configured(settings) && sender.try_send(Arc::clone(message)).is_err() {
                self.stats.crowded.add(1);
                let channel = channel.as_str();
                tracing::warn!(channel, "too many notifications wait; one was dropped");
            }
        }
    }
}

impl Worker {
    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        while let Some(message) = self.queue.recv().await {
            let stats = Arc::clone(&self.stats);
            let stats = stats.of(self.channel);
            match self.deliver(&message).await {
                Ok(()) => stats.delivered.add(1),
                Err(undelivered) => {
                    stats.failed.add(1);
                    self.complain(&message, &undelivered);
                }
            }
        }
    }

    async fn deliver(&mut self, message: &Message) -> Result<(), Undelivered> {
        let mut attempt = 0;
        loop {
            let settings = Arc::clone(&self.settings.borrow());
            let sent = self.channels.send(self.channel, message, &settings).await;
            let Err(undelivered) = sent else {
                return Ok(());
            };
            let is_last = undelivered.again == Again::Never
                || attempt >= settings.retries_max
                || *self.stopped.borrow();
            if is_last {
                return Err(undelivered);
            }
            let (channel, reason) = (self.channel.as_str(), &undelivered.reason);
            tracing::info!(channel, reason, "a notification will be tried again");
            let pause = pause(attempt);
            attempt += 1;
            // Cut short by the end: then this was not the last attempt, the next one is.
            let stopped = self.stopped.wait_for(|stopped| *stopped);
            drop(tokio::time::timeout(pause, stopped).await);
        }
    }

    fn complain(&self, message: &Message, undelivered: &Undelivered) {
        tracing::warn!(
            channel = self.channel.as_str(),
            kind = message.kind,
            subject = message.subject,
            reason = undelivered.reason,
            "a notification was not delivered"
        );
    }
}

/// After failed attempt number `attempt`, counted from 0.
fn pause(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt).unwrap_or(u32::MAX);
    let factor = PAUSE_FACTOR.saturating_pow(exponent);
    PAUSE_FIRST.saturating_mul(factor).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let seconds = |attempt| pause(attempt).as_secs();
        assert_eq!([0, 1, 2, 3].map(seconds), [1, 4, 16, 64]);
        assert_eq!([5, 20, usize::MAX].map(seconds), [300, 300, 300]);
    }
}
