//! Telling somebody when something goes wrong: by webhook, by mail, or both.
//!
//! ```text
//! events ► dispatcher ─ digest (what is told now, what is counted) ─► queue ► webhook
//!                                                                 └─► queue ► mail
//! ```
//! Reading order: [`settings`] → [`digest`] (how often) → [`message`] (what is said) → [`queue`] (again, and how often) →
//! [`webhook`], [`mail`] (how).
//!
//! Invariants: nothing waits for a message; every queue, table and retry is bounded; a channel that hangs holds up no
//! other one, and the shutdown for a few seconds only; what is secret (the path of a webhook, its field, a password)
//! is in no log line and no answer. The operator's own URLs are not judged by the policy for upstreams.
//! Deliberately absent: messages that something is well again, and any memory across a restart.

mod channel;
mod digest;
mod mail;
mod message;
mod queue;
mod settings;
mod webhook;

pub(crate) use channel::{CHANNELS, Channel};
pub(crate) use settings::{MailSecurity, MailSettings, NotifySettings, WebhookSettings};

use channel::Channels;
use digest::{Digest, Moment, Notice};
use message::Message;
use queue::{Queues, Stats};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use weir_cache::events::{Event, EventStream};
use weir_cache::ports::Clock;
use weir_cache::tasks::{TaskCounts, TaskSet};

/// What messages that have not been delivered get at the shutdown.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// The settings as they are now, whoever swaps them.
pub(crate) type SettingsReader = watch::Receiver<Arc<NotifySettings>>;

/// The running notifications; clones are the same.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Shared>);

struct Shared {
    node: String,
    clock: Arc<dyn Clock>,
    settings: SettingsReader,
    channels: Arc<Channels>,
    stats: Arc<Stats>,
    tasks: TaskSet,
    stop: watch::Sender<bool>,
}

/// What became of a test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tested {
    /// By which way.
    pub(crate) channel: Channel,
    /// Why it was not delivered.
    pub(crate) outcome: Result<(), String>,
}

impl Notifier {
    /// Tells of `events` from now on, in the name of `node`.
    pub(crate) fn start(
        events: EventStream,
        settings: SettingsReader,
        node: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            node,
            clock,
            settings,
            channels: Arc::default(),
            stats: Arc::default(),
            tasks: TaskSet::default(),
            stop,
        });
        let mut queues = Queues::new(Arc::clone(&shared.stats));
        for channel in CHANNELS {
            let worker = queues.worker(
                channel,
                Arc::clone(&shared.channels),
                shared.settings.clone(),
                stopped.clone(),
            );
            shared.spawn("notify-channel", worker.run());
        }
        let dispatcher = Dispatcher {
            node: shared.node.clone(),
            clock: Arc::clone(&shared.clock),
            settings: shared.settings.clone(),
            stats: Arc::clone(&shared.stats),
            queues,
            digest: Digest::default(),
        };
        shared.spawn("notify", dispatcher.run(events, stopped));
        Self(shared)
    }

    /// Sends a test message by every configured way, now and once. Empty: none is configured.
    pub(crate) async fn test(&self) -> Vec<Tested> {
        let shared = &self.0;
        let settings = Arc::clone(&shared.settings.borrow());
        let message = Message::test(&shared.node, unix_seconds(&*shared.clock));
        let configured = CHANNELS
            .into_iter()
            .filter(|channel| channel.is_configured(&settings));
        let each = configured.map(async |channel| {
            let sent = shared.channels.send(channel, &message, &settings).await;
            Tested {
                channel,
                outcome: sent.map_err(|undelivered| undelivered.reason),
            }
        });
        futures::future::join_all(each).await
    }

    /// What was delivered, and what was not.
    pub(crate) fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Its tasks.
    pub(crate) fn tasks(&self) -> TaskCounts {
        self.0.tasks.counts()
    }

    /// Tells what is still to be told, once and for a few seconds at most, and ends.
    pub(crate) async fn close(&self) {
        self.0.stop.send_replace(true);
        let given_up = self.0.tasks.close(LAST_CHANCE).await;
        if !given_up.is_empty() {
            tracing::info!("notifications given up at the end: their receivers do not answer");
        }
    }
}

impl Shared {
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if let Err(error) = self.tasks.spawn(name, task) {
            tracing::error!(name, %error, "notifications cannot run");
        }
    }
}

/// The task between the events and the queues.
struct Dispatcher {
    node: String,
    clock: Arc<dyn Clock>,
    settings: SettingsReader,
    stats: Arc<Stats>,
    queues: Queues,
    digest: Digest,
}

impl Dispatcher {
    async fn run(mut self, mut events: EventStream, mut stopped: watch::Receiver<bool>) {
        loop {
            let wake = self.digest.next();
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                event = events.next() => match event {
                    Some(event) => self.take(event),
                    None => break,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.sum_up(),
            }
        }
        while let Some(event) = events.waiting() {
            self.take(event);
        }
        for notice in std::mem::take(&mut self.digest).rest() {
            self.tell(&notice);
        }
        // The queues go with this task, and their workers end when they are empty.
    }

    fn take(&mut self, event: Event) {
        let settings = self.settings();
        let is_wanted = settings.kinds.contains(&event.kind());
        // Without a channel nothing is counted for one that comes later.
        if !is_wanted
            || !CHANNELS
                .iter()
                .any(|channel| channel.is_configured(&settings))
        {
            return;
        }
        let now = Moment {
            instant: Instant::now(),
            unix_seconds: unix_seconds(&*self.clock),
        };
        let crowded = &self.stats.crowded;
        if let Some(notice) = self.digest.admit(event, now, settings.interval, crowded) {
            self.tell(&notice);
        }
    }

    fn sum_up(&mut self) {
        let interval = self.settings().interval;
        for notice in self.digest.due(Instant::now(), interval) {
            self.tell(&notice);
        }
    }

    fn tell(&self, notice: &Notice) {
        let message = Arc::new(Message::of(&self.node, notice));
        self.queues.put(&message, &self.settings());
    }

    fn settings(&self) -> Arc<NotifySettings> {
        Arc::clone(&self.settings.borrow())
    }
}

fn unix_seconds(clock: &dyn Clock) -> u64 {
    let since = clock.wall().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
