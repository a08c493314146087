//! Happy eyeballs (RFC 8305): several addresses, one connection, little waiting.
//!
//! Generic over what dialing means, so that the tests own time and outcome. Knows no sockets and no policy.
//!
//! Invariant: every address is dialed at most once; when one wins, the attempts still under way are dropped.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::future::Future;
use std::time::Duration;

/// Dials `addresses` in order, the next one as soon as the last has failed or `stagger` has passed.
///
/// # Errors
/// All failures in the order they happened, when every address failed; empty for no addresses.
pub(super) async fn race<A, S, E, F>(
    addresses: Vec<A>,
    stagger: Duration,
    dial: impl Fn(A) -> F,
) -> Result<(A, S), Vec<E>>
where
    A: Copy,
    F: Future<Output = Result<S, E>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            let attempt = dial(address);
            running.push(async move { (address, attempt.await) });
        } else if running.is_empty() {
            return Err(failures);
        }
        tokio::select! {
            biased;
            Some((address, outcome)) = running.next() => match outcome {
                Ok(connection) => return Ok((address, connection)),
                Err(failure) => failures.push(failure),
            },
            () = tokio::time::sleep(stagger), if waiting.len() > 0 => {}
        }
    }
}

/// Orders addresses for [`race`]: the favorite first, then IPv6 and IPv4 in turn, IPv6 first (RFC 8305 §4); within a
/// family the name server's order stays.
pub(super) fn interleave<A: Copy>(
    addresses: &[A],
    is_ipv6: impl Fn(&A) -> bool,
    is_favorite: impl Fn(&A) -> bool,
) -> Vec<A> {
    let (mut ordered, others): (Vec<A>, Vec<A>) =
        addresses.iter().partition(|address| is_favorite(address));
    let (ipv6, ipv4): (Vec<A>, Vec<A>) = others.into_iter().partition(is_ipv6);
    let (mut ipv6, mut ipv4) = (ipv6.into_iter(), ipv4.into_iter());
    while ipv6.len() + ipv4.len() > 0 {
        ordered.extend(ipv6.next());
        ordered.extend(ipv4.next());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::time::Instant;

    /// What an address does, and after how many milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Host {
        Answers(u64),
        Refuses(u64),
        IsBlackHole,
    }

    async fn check(
        hosts: &[Host],
        expected: Result<usize, usize>,
        expected_ms: u64,
        dialed: usize,
    ) {
        let started = Instant::now();
        let count = Mutex::new(0);
        let outcome = race(
            (0..hosts.len()).collect(),
            Duration::from_millis(250),
            |index: usize| {
                *count.lock().unwrap() += 1;
                let host = hosts[index];
                async move {
                    let (after, outcome) = match host {
                        Host::Answers(after) => (after, Ok(())),
                        Host::Refuses(after) => (after, Err(())),
                        Host::IsBlackHole => (5000, Err(())),
                    };
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    outcome
                }
            },
        )
        .await;
        let outcome = outcome
            .map(|(index, ())| index)
            .map_err(|failures| failures.len());
        assert_eq!(outcome, expected, "{hosts:?}");
        assert_eq!(
            started.elapsed(),
            Duration::from_millis(expected_ms),
            "{hosts:?}"
        );
        assert_eq!(count.into_inner().unwrap(), dialed, "{hosts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn row_132_the_next_address_is_tried_beside_a_black_hole() {
        use Host::{Answers, IsBlackHole, Refuses};
        check(&[Answers(10), Answers(0)], Ok(0), 10, 1).await;
        check(&[IsBlackHole, Answers(10)], Ok(1), 260, 2).await;
        check(&[IsBlackHole, IsBlackHole, Answers(1)], Ok(2), 501, 3).await;
        // A refusal does not wait for the stagger.
        check(&[Refuses(1), Answers(1)], Ok(1), 2, 2).await;
        // A slow first one may still win.
        check(&[Answers(300), IsBlackHole, Answers(9)], Ok(0), 300, 2).await;
        check(&[IsBlackHole, Refuses(0)], Err(2), 5000, 2).await;
        check(&[], Err(0), 0, 0).await;
    }

    #[test]
    fn families_take_turns_behind_the_favorite() {
        let check = |addresses: &[&'static str], favorite: &str, expected: &[&str]| {
            let ordered = interleave(addresses, |a| a.contains(':'), |a| *a == favorite);
            assert_eq!(ordered, expected);
        };
        check(
            &["1", "2", "3", ":1", ":2"],
            "",
            &[":1", "1", ":2", "2", "3"],
        );
        check(&["1", ":1", "2"], "2", &["2", ":1", "1"]);
        check(&["1"], "9", &["1"]);
        check(&[], "9", &[]);
    }
}
