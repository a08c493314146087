//! Doubles of the [`Resolver`] port.

use super::{Answer, ResolveError, Resolver};
use async_trait::async_trait;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Says what its table says and counts how often it was asked.
#[derive(Debug, Default)]
pub(crate) struct TableResolver {
    pub(crate) answers: HashMap<String, Result<Answer, ResolveError>>,
    pub(crate) asked: AtomicUsize,
}

impl TableResolver {
    pub(crate) fn with(mut self, name: &str, addresses: &[&str], ttl_seconds: u64) -> Self {
        let addresses = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        let answer = Answer {
            addresses,
            ttl: Duration::from_secs(ttl_seconds),
        };
        self.answers.insert(name.to_owned(), Ok(answer));
        self
    }

    pub(crate) fn failing(mut self, name: &str, error: ResolveError) -> Self {
        self.answers.insert(name.to_owned(), Err(error));
        self
    }
}

#[async_trait]
impl Resolver for TableResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.answers
            .get(name)
            .cloned()
            .unwrap_or(Err(ResolveError::NoAddress))
    }
}

/// Answers with the next address of its list each time, TTL 0: DNS rebinding.
#[derive(Debug)]
pub(crate) struct RebindingResolver {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) asked: AtomicUsize,
}

#[async_trait]
impl Resolver for RebindingResolver {
    async fn resolve(&self, _name: &str) -> Result<Answer, ResolveError> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let address = self.addresses[turn % self.addresses.len()];
        Ok(Answer {
            addresses: vec![address],
            ttl: Duration::ZERO,
        })
    }
}

/// Never answers.
#[derive(Debug)]
pub(crate) struct SilentResolver;

#[async_trait]
impl Resolver for SilentResolver {
    async fn resolve(&self, _name: &str) -> Result<Answer, ResolveError> {
        std::future::pending().await
    }
}
