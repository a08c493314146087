//! The one look at what a client says: whether the name that it asks for by TLS may be reached by a tunnel.
//!
//! A tunnel to an allowed host can be used to ask for another one that lives at the same address. So the first bytes
//! are held until they show a whole ClientHello, or that they are none; a name that differs from the host of CONNECT
//! is judged as that host was, and logged. Those who speak anything else than TLS pass at their first byte.
//!
//! Deliberately absent: what certificate the other end shows, and names that are encrypted.

use super::TunnelSettings;
use crate::record::request_id;
use std::sync::Arc;
use weir_policies::tunnel::client_hello::{self, Hello};

/// Watches the first bytes of one tunnel.
pub(super) struct Opening {
    settings: Arc<TunnelSettings>,
    /// What CONNECT named, in normal form.
    host: String,
    request_id: u64,
    view: View,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Nothing yet.
    Waiting,
    /// Nothing worth a word.
    Fine,
    /// An allowed name that is not the host of CONNECT.
    Differs,
}

/// Whether the first bytes may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Not before there are more of them.
    Hold,
    /// Yes, and everything behind them.
    Pass,
    /// No, and the tunnel ends.
    Refuse,
}

impl Opening {
    pub(super) fn new(settings: Arc<TunnelSettings>, host: String, request_id: u64) -> Self {
        Self {
            settings,
            host,
            request_id,
            view: View::Waiting,
        }
    }

    /// Looks at all that the client has said so far. Once it has passed there is no second look.
    pub(super) fn look(&mut self, said: &[u8]) -> Look {
        if self.view != View::Waiting {
            return Look::Pass;
        }
        match client_hello::read(said) {
            Hello::Incomplete if said.len() < self.settings.early_bytes_max => return Look::Hold,
            Hello::Incomplete => return self.refuse("its greeting does not end"),
            Hello::Malformed => return self.refuse("its greeting cannot be read"),
            Hello::Named(name) if name != self.host => return self.differs(&name),
            Hello::Named(_) | Hello::Nameless | Hello::Other => self.view = View::Fine,
        }
        Look::Pass
    }

    /// No more will be said: what is there goes on as it is, for it asks nobody for anything.
    pub(super) fn let_go(&mut self) {
        if self.view == View::Waiting {
            self.view = View::Fine;
        }
    }

    /// The word for the log, where there is one.
    pub(super) fn note(&self) -> Option<&'static str> {
        (self.view == View::Differs).then_some("server-name-differs")
    }

    fn differs(&mut self, name: &str) -> Look {
        if let Err(refusal) = self.settings.policy.judge_name(name) {
            return self.refuse(&format!("it asks for {name:?}: {refusal}"));
        }
        let (host, id) = (&self.host, request_id(self.request_id));
        tracing::info!(
            host,
            name,
            id,
            "a tunnel is used for another name than its own"
        );
        self.view = View::Differs;
        Look::Pass
    }

    fn refuse(&self, why: &str) -> Look {
        let (host, id) = (&self.host, request_id(self.request_id));
        tracing::info!(
            host,
            why,
            id,
            "a tunnel is closed for what its client said first"
        );
        Look::Refuse
    }
}
