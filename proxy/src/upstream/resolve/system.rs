//! The adapter of [`Resolver`] for the system's own name servers (`/etc/resolv.conf`, `/etc/hosts`), by hickory.
//!
//! The name servers may be private addresses: they are the operator's and are not judged. Both files are read once at
//! start.
//!
//! Both families are asked at the same time. Once one has answered, the other gets [`FAMILY_GRACE`] more (RFC 8305 §3):
//! a name server that drops AAAA questions must not cost every name its deadline.
//!
//! Deliberately absent: a cache (see [`super::book`]), search domains for names that contain a dot.

use super::{Answer, ResolveError, Resolver};
use async_trait::async_trait;
use futures::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::time::{Duration, Instant};

/// How much longer the second family may take than the first.
const FAMILY_GRACE: Duration = Duration::from_millis(250);
/// An answer that lacks a family is not relied on for long.
const HALF_ANSWER_TTL: Duration = Duration::from_secs(10);
/// For one question to one name server, so that another gets its turn within the deadline of 5 s.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the system's name servers.
pub(crate) struct SystemResolver {
    resolver: TokioResolver,
}

impl SystemResolver {
    /// Reads the system's configuration; without one, asks the name server of this machine (resolv.conf(5)).
    ///
    /// # Errors
    /// When the configuration is there and cannot be used.
    pub(crate) fn new() -> Result<Self, NetError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no usable resolv.conf, asking the name server at 127.0.0.1");
            let local = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = options.timeout.min(QUESTION_TIMEOUT);
        Ok(Self {
            resolver: builder.build()?,
        })
    }

    async fn family(&self, name: &str, family: RecordType) -> Result<Answer, ResolveError> {
        let lookup = self.resolver.lookup(name, family).await.map_err(|error| {
            if error.is_no_records_found() {
                ResolveError::NoAddress
            } else {
                tracing::debug!(name, %family, %error, "name server failed");
                ResolveError::Failed
            }
        })?;
        Ok(Answer {
            // Only address records of the chain; the names on the way are not looked at, addresses are what is judged.
            addresses: lookup
                .answers()
                .iter()
                .filter_map(|record| record.data.ip_addr())
                .collect(),
            ttl: lookup
                .valid_until()
                .saturating_duration_since(Instant::now()),
        })
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        // A final dot keeps `example.com` from being tried as `example.com.corp.local`.
        let name = if name.contains('.') {
            format!("{name}.")
        } else {
            name.to_owned()
        };
        let ipv6 = pin!(self.family(&name, RecordType::AAAA));
        let ipv4 = pin!(self.family(&name, RecordType::A));
        match select(ipv6, ipv4).await {
            Either::Left((first, second)) => join(first, second).await,
            Either::Right((first, second)) => join(first, second).await,
        }
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

/// Joins the answer of one family with the one that is still awaited.
async fn join(
    first: Result<Answer, ResolveError>,
    second: impl Future<Output = Result<Answer, ResolveError>>,
) -> Result<Answer, ResolveError> {
    let second = match &first {
        Ok(answer) if !answer.addresses.is_empty() => tokio::time::timeout(FAMILY_GRACE, second)
            .await
            .unwrap_or(Err(ResolveError::Failed)),
        _ => second.await,
    };
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            let ttl = |answer: &Answer| (!answer.addresses.is_empty()).then_some(answer.ttl);
            first.ttl = ttl(&first)
                .into_iter()
                .chain(ttl(&second))
                .min()
                .unwrap_or_default();
            first.addresses.extend(second.addresses);
            Ok(first)
        }
        (Ok(mut one), Err(missing)) | (Err(missing), Ok(mut one)) => {
            if missing == ResolveError::Failed {
                one.ttl = one.ttl.min(HALF_ANSWER_TTL);
            }
            Ok(one)
        }
        (Err(first), Err(second)) if first == second => Err(first),
        // One family is known to be absent, the other not known at all.
        (Err(_), Err(_)) => Err(ResolveError::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(address: &str, seconds: u64) -> Result<Answer, ResolveError> {
        let ttl = Duration::from_secs(seconds);
        Ok(Answer {
            addresses: vec![address.parse().unwrap()],
            ttl,
        })
    }

    #[test]
    fn the_adapter_can_be_made_before_there_is_a_runtime() {
        assert!(SystemResolver::new().is_ok());
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_need_no_name_server() {
        let answer = SystemResolver::new()
            .unwrap()
            .resolve("localhost")
            .await
            .unwrap();
        assert!(
            answer.addresses.iter().all(IpAddr::is_loopback),
            "{answer:?}"
        );
        assert!(!answer.addresses.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn families_are_joined() {
        async fn check(
            first: Result<Answer, ResolveError>,
            second: Result<Answer, ResolveError>,
            expected: Result<(usize, u64), ResolveError>,
        ) {
            let joined = join(first, async { second }).await;
            let joined = joined.map(|answer| (answer.addresses.len(), answer.ttl.as_secs()));
            assert_eq!(joined, expected);
        }
        use ResolveError::{Failed, NoAddress};
        check(answer("::1", 60), answer("127.0.0.1", 30), Ok((2, 30))).await;
        check(answer("::1", 60), Err(NoAddress), Ok((1, 60))).await;
        check(Err(Failed), answer("::1", 60), Ok((1, 10))).await;
        check(Err(NoAddress), Err(NoAddress), Err(NoAddress)).await;
        check(Err(NoAddress), Err(Failed), Err(Failed)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_that_never_answers_costs_a_moment() {
        let started = tokio::time::Instant::now();
        let joined = join(answer("127.0.0.1", 60), std::future::pending())
            .await
            .unwrap();
        assert_eq!(joined.addresses.len(), 1);
        assert_eq!(joined.ttl, HALF_ANSWER_TTL);
        assert_eq!(started.elapsed(), FAMILY_GRACE);
    }
}
