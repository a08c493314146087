//! The admin listener's socket, which may come, go and move while the process runs.

use super::listeners::{Bound, Listening};
use crate::admin::Admin;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The admin pages and where they are served.
pub(super) struct AdminListener {
    pages: Arc<Admin>,
    open: Option<Listening>,
    tasks: JoinSet<()>,
}

/// What becomes of the socket.
pub(super) enum AdminChange {
    /// It stays as it is.
    Keep,
    /// This one takes its place; `None`: no socket at all.
    Replace(Option<Bound>),
}

impl AdminListener {
    /// Not served anywhere yet.
    pub(super) fn new(pages: Arc<Admin>) -> Self {
        Self {
            pages,
            open: None,
            tasks: JoinSet::new(),
        }
    }

    /// Binds what is wanted, unless it is open already.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub(super) async fn prepare(&self, wanted: Option<SocketAddr>) -> anyhow::Result<AdminChange> {
        if wanted == self.open.as_ref().map(Listening::configured) {
            return Ok(AdminChange::Keep);
        }
        Ok(AdminChange::Replace(match wanted {
            Some(address) => Some(Bound::bind(address).await?),
            None => None,
        }))
    }

    /// Where it will listen after `change`.
    pub(super) fn local_after(&self, change: &AdminChange) -> Option<SocketAddr> {
        match change {
            AdminChange::Keep => self.open.as_ref().map(Listening::local),
            AdminChange::Replace(bound) => bound.as_ref().map(Bound::local),
        }
    }

    /// Serves `bound` and closes the socket before; what is being answered there is answered.
    pub(super) fn apply(&mut self, bound: Option<Bound>) {
        if let Some(open) = self.open.take() {
            open.stop();
        }
        if let Some(bound) = bound {
            let (listening, listener, mut stopped) = bound.serve();
            let stop = async move { drop(stopped.wait_for(|is_stopped| *is_stopped).await) };
            self.tasks
                .spawn(Arc::clone(&self.pages).serve(listener, stop));
            self.open = Some(listening);
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Closes the socket; what is being answered there is answered.
    pub(super) fn stop(&mut self) {
        self.apply(None);
    }

    /// A second descriptor of its socket.
    pub(super) fn socket(&self) -> Option<OwnedFd> {
        self.open.as_ref().and_then(Listening::socket)
    }

    /// Ends it with all its connections.
    pub(super) async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }
}
