//! Upstreams with several addresses: which are tried, and when no more is.

use super::super::*;
use super::world::*;
use weir_policies::outcome::Outcome;

const POST: &str = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
const PUT: &str = "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

/// The port of `origin` at addresses where nobody listens.
fn nobody(origin: SocketAddr, count: u8) -> Vec<SocketAddr> {
    (0..count)
        .map(|number| SocketAddr::from(([127, 0, 1, number], origin.port())))
        .collect()
}

#[tokio::test]
async fn row_132_a_post_goes_to_the_next_address_when_one_refuses() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let mut addresses = nobody(origin.address, 2);
    addresses.push(origin.address);
    let world = World::with_addresses(settings(), origin.address, addresses).await;
    let mut client = world.client().await;
    client.send(POST).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "passed"));
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].ends_with("hello"), "{requests:?}");
    assert_eq!(*world.connected.lock().unwrap(), [origin.address]);
    let record = &world.records(1).await[0];
    assert_eq!(record.upstream, Some(origin.address));
    assert_eq!(record.outcome, Outcome::Pass);
}

#[tokio::test]
async fn addresses_that_all_refuse_are_a_502_and_their_number_is_bounded() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let dead = nobody(origin.address, 3);
    let last = dead.last().copied();
    let world = World::with_addresses(settings(), origin.address, dead).await;
    assert_eq!(world.client().await.status(POST).await, 502);
    assert_eq!(world.records(1).await[0].upstream, last);

    let mut addresses = nobody(origin.address, 8);
    addresses.push(origin.address);
    let world = World::with_addresses(settings(), origin.address, addresses).await;
    assert_eq!(world.client().await.status(POST).await, 502);
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_sent_again() {
    // A kept connection breaks at the second request: what Pingora would repeat for an idempotent method.
    for request in [POST, PUT] {
        let origin = Origin::start(OK, 10, OriginEnding::CloseUnanswered).await;
        let other = Origin::start(OK, 10, OriginEnding::Stay).await;
        let addresses = vec![origin.address, other.address];
        let world = World::with_addresses(settings(), origin.address, addresses).await;
        let mut client = world.client().await;
        assert_eq!(client.status(request).await, 200);
        assert_eq!(client.status(request).await, 502);
        assert_eq!(origin.requests().len(), 2);
        assert!(other.requests().is_empty());
    }
}
