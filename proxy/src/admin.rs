//! The admin listener: health, readiness and metrics, read-only, on an address of its own.
//!
//! Its own small HTTP/1 server and nothing shared with the proxy path, so that nothing of it can ever be reached
//! through the proxy port, and it answers while the proxy is busy. One request a connection.
//!
//! Bounds: [`CONNECTIONS_MAX`] connections, [`HEAD_BYTES_MAX`] bytes of head, [`DEADLINE`] for everything together.
//! A `Host` that is neither an address, `localhost` nor configured is refused: a web page that has its own name
//! resolve to this machine (DNS rebinding) would otherwise read these pages through somebody's browser.
//!
//! Deliberately not here: TLS, authentication, anything that changes state.

mod page;
mod request;

use crate::metrics::{Collected, Metrics, Samples, Source};
use crate::readiness::Readiness;
use page::Page;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Most connections at one time.
const CONNECTIONS_MAX: usize = 64;
/// Largest request head, bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// From accept to close.
const DEADLINE: Duration = Duration::from_secs(5);
/// Pause after an accept that failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the pages are made of.
pub(crate) struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// Names, besides addresses and `localhost`, that this listener answers to; lower-case.
    hosts: Vec<String>,
    permits: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
}

impl Admin {
    /// `hosts`: names that this listener is known by, as configured.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        hosts: &[String],
    ) -> Arc<Self> {
        let refused = Arc::new(AtomicU64::new(0));
        metrics.watch(Arc::new(Refused(Arc::clone(&refused))));
        Arc::new(Self {
            metrics,
            readiness,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            refused,
        })
    }

    /// Answers on `listener` until `stop` completes; then that closes at once, and every connection has its time.
    ///
    /// Meant to outlive the draining of the proxy, so that `/readyz` can say so. Cancel-safe: yes; dropping it
    /// closes the connections as well.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) {
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.start(stream, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "the admin listener cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Takes finished connections out of the set, so that it stays as small as the bound says.
                Some(ended) = connections.join_next() => report(ended),
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    }

    /// One connection too many is closed at once: waiting would let idle ones shut out a health check.
    fn start<S>(self: &Arc<Self>, stream: S, connections: &mut JoinSet<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let admin = Arc::clone(self);
        connections.spawn(async move { admin.connection(stream, permit).await });
    }

    async fn connection<S>(&self, mut stream: S, _permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match tokio::time::timeout(DEADLINE, self.exchange(&mut stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
            Err(_) => tracing::debug!("an admin connection took too long"),
        }
    }

    async fn exchange<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(head) = read_head(stream).await? else {
            return Ok(());
        };
        stream.write_all(&self.answer(&head)).await?;
        stream.shutdown().await?;
        // Closing with unread bytes resets the connection, and the answer with it.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    }

    /// The whole response to a request head.
    fn answer(&self, head: &[u8]) -> Vec<u8> {
        match request::parse(head, &self.hosts) {
            Ok(request) => self.page(request.path).response(request.body),
            Err(refusal) => Page::refusal(refusal).response(page::Body::Sent),
        }
    }

    fn page(&self, path: &str) -> Page {
        match path {
            "/" => Page::index(),
            "/healthz" => Page::healthy(),
            "/readyz" => Page::readiness(&self.readiness.reasons(), &self.readiness.notes()),
            "/metrics" => Page::metrics(self.metrics.text()),
            _ => Page::not_found(),
        }
    }
}

/// Reads up to the empty line, or as much as a head may have; `None` when nothing was sent.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    let mut limited = stream.take(HEAD_BYTES_MAX as u64);
    while !request::is_complete(&head) {
        if limited.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(Some(head).filter(|head| !head.is_empty()))
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an admin connection panicked, which is a bug");
    }
}

/// Connections over the bound, for the metrics.
struct Refused(Arc<AtomicU64>);

impl Source for Refused {
    fn samples(&self, samples: &mut Samples) {
        samples.add(
            Collected::BoundHits,
            "admin-connections",
            self.0.load(Ordering::Relaxed),
        );
    }
}

#[cfg(test)]
mod tests;
