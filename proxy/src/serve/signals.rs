//! The signals that this process listens for.
//!
//! Listened for before anything is started, and to the end: one that comes while nobody looks waits until somebody
//! does.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// All of them, each to be waited for by itself.
pub(super) struct Signals {
    pub(super) stop: StopSignals,
    /// SIGUSR1: the access log was moved away.
    pub(super) rotated: Signal,
    /// SIGHUP: the configuration has changed.
    pub(super) hung_up: Signal,
}

/// SIGTERM and SIGINT.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on none is lost.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen =
            |kind, name: &str| signal(kind).with_context(|| format!("cannot listen for {name}"));
        Ok(Self {
            stop: StopSignals {
                terminate: listen(SignalKind::terminate(), "SIGTERM")?,
                interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            },
            rotated: listen(SignalKind::user_defined1(), "SIGUSR1")?,
            hung_up: listen(SignalKind::hangup(), "SIGHUP")?,
        })
    }
}

impl StopSignals {
    /// Returns when the process is told to stop. Cancel-safe.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
