//! Names, their addresses, and what policy thinks of them.

use super::book::AddressBook;
use super::doubles::{RebindingResolver, SilentResolver, TableResolver};
use super::vetted::VettedResolver;
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_cache::ports::OriginError;
use weir_policies::address::{AddressRefusal, Vetter};

const DEADLINE: Duration = Duration::from_secs(5);

fn vetted(resolver: impl Resolver + 'static) -> VettedResolver {
    VettedResolver::new(Arc::new(resolver), Arc::new(Vetter::default()), DEADLINE)
}

async fn addresses(resolver: &VettedResolver, host: &str) -> Result<Vec<String>, OriginError> {
    let vetted = resolver.addresses(host, 80).await?;
    Ok(vetted
        .into_iter()
        .map(|address| address.get().to_string())
        .collect())
}

#[tokio::test]
async fn row_49_only_the_public_addresses_of_a_mixed_name_are_used() {
    let names = vetted(TableResolver::default().with("mixed", &["10.0.0.1", "1.1.1.1", "::1"], 60));
    assert_eq!(addresses(&names, "mixed").await.unwrap(), ["1.1.1.1:80"]);
}

#[tokio::test]
async fn row_51_a_name_with_only_internal_addresses_is_refused_with_the_first() {
    let names = vetted(TableResolver::default().with("internal", &["10.0.0.1", "127.0.0.1"], 60));
    let error = addresses(&names, "internal").await.unwrap_err();
    let address = "10.0.0.1:80".parse().unwrap();
    let refusal = AddressRefusal::Private;
    assert_eq!(
        error,
        OriginError::Refused {
            host: "internal".to_owned(),
            address,
            refusal
        }
    );
    assert_eq!(error.status(), 403);
}

#[tokio::test]
async fn rows_44_to_46_literals_are_judged_without_asking_anybody() {
    let names = vetted(SilentResolver);
    for host in ["127.0.0.1", "[::1]", "169.254.169.254", "10.1.2.3"] {
        let error = addresses(&names, host).await.unwrap_err();
        assert!(
            matches!(error, OriginError::Refused { .. }),
            "{host}: {error}"
        );
    }
    assert_eq!(addresses(&names, "1.1.1.1").await.unwrap(), ["1.1.1.1:80"]);
    assert_eq!(
        addresses(&names, "[2606:4700::1]").await.unwrap(),
        ["[2606:4700::1]:80"]
    );
}

#[tokio::test]
async fn row_48_other_spellings_of_addresses_are_just_names() {
    let names = vetted(TableResolver::default());
    for host in [
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "127.1",
        "127.0.0.1.",
    ] {
        let error = addresses(&names, host).await.unwrap_err();
        assert_eq!(error, OriginError::NoAddress(host.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn row_50_an_answer_that_flips_is_judged_each_time_and_used_as_judged() {
    let flipping = ["1.1.1.1", "127.0.0.1"]
        .map(|address| address.parse().unwrap())
        .to_vec();
    let names = vetted(RebindingResolver {
        addresses: flipping,
        asked: AtomicUsize::new(0),
    });
    // The answer in hand is the address itself, not the name: nothing is left that could flip.
    assert_eq!(addresses(&names, "flip").await.unwrap(), ["1.1.1.1:80"]);
    // Within the shortest TTL the same answer is used, TTL 0 or not.
    assert_eq!(addresses(&names, "flip").await.unwrap(), ["1.1.1.1:80"]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(matches!(
        addresses(&names, "flip").await,
        Err(OriginError::Refused { .. })
    ));
}

#[tokio::test]
async fn row_140_absence_and_failure_are_told_apart() {
    let table = TableResolver::default()
        .failing("nxdomain", ResolveError::NoAddress)
        .failing("servfail", ResolveError::Failed)
        .with("empty", &[], 60);
    let names = vetted(table);
    for (host, status) in [("nxdomain", 502), ("empty", 502), ("servfail", 504)] {
        assert_eq!(
            addresses(&names, host).await.unwrap_err().status(),
            status,
            "{host}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn row_113_a_name_server_that_is_silent_costs_the_deadline_once() {
    let started = tokio::time::Instant::now();
    let book = AddressBook::new(Arc::new(SilentResolver), DEADLINE);
    // More questions than may be asked at a time: those in the queue do not wait twice.
    let names: Vec<String> = (0..1000).map(|index| format!("n{index}")).collect();
    let asked = names.iter().map(|name| book.addresses(name));
    let outcomes = futures::future::join_all(asked).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Err(ResolveError::Failed))
    );
    assert_eq!(started.elapsed(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn answers_and_failures_are_remembered_for_their_time() {
    async fn check(name: &str, remembered_seconds: u64) {
        let table = TableResolver::default()
            .with("zero", &["1.1.1.1"], 0)
            .with("minute", &["1.1.1.1"], 60)
            .with("day", &["1.1.1.1"], 86_400)
            .failing("failed", ResolveError::Failed);
        let table = Arc::new(table);
        let book = AddressBook::new(Arc::clone(&table) as Arc<dyn Resolver>, DEADLINE);
        let asked = || table.asked.load(Ordering::Relaxed);
        let first = book.addresses(name).await;
        tokio::time::advance(Duration::from_secs(remembered_seconds) - Duration::from_millis(1))
            .await;
        assert_eq!(book.addresses(name).await, first);
        assert_eq!(asked(), 1, "{name}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(book.addresses(name).await, first);
        assert_eq!(asked(), 2, "{name}");
    }
    check("zero", 1).await;
    check("minute", 60).await;
    check("day", 300).await;
    check("absent", 5).await;
    check("failed", 1).await;
}

#[tokio::test]
async fn many_who_ask_for_one_name_ask_once() {
    let table = Arc::new(TableResolver::default().with("one", &["1.1.1.1"], 60));
    let book = AddressBook::new(Arc::clone(&table) as Arc<dyn Resolver>, DEADLINE);
    let outcomes = futures::future::join_all((0..100).map(|_| book.addresses("one"))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(table.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_everybody_left_is_asked_anew() {
    let book = AddressBook::new(Arc::new(SilentResolver), DEADLINE);
    let impatient = tokio::time::timeout(Duration::from_secs(4), book.addresses("n"));
    assert!(impatient.await.is_err());
    let started = tokio::time::Instant::now();
    assert_eq!(book.addresses("n").await, Err(ResolveError::Failed));
    assert_eq!(started.elapsed(), DEADLINE, "a full deadline of its own");
}

#[tokio::test]
async fn the_number_of_remembered_names_is_bounded() {
    let book = AddressBook::new(Arc::new(TableResolver::default()), DEADLINE);
    for index in 0..25_000 {
        assert_eq!(
            book.addresses(&format!("n{index}")).await,
            Err(ResolveError::NoAddress)
        );
    }
    assert!(book.len() <= 10_000);
}

#[tokio::test]
async fn many_addresses_of_one_family_leave_room_for_the_other() {
    let many: Vec<String> = (1..100)
        .map(|index| format!("2606:4700::{index}"))
        .collect();
    let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
    all.push("1.1.1.1");
    let names = vetted(TableResolver::default().with("many", &all, 60));
    let addresses = addresses(&names, "many").await.unwrap();
    assert_eq!(addresses.len(), 9);
    assert_eq!(addresses.last().unwrap(), "1.1.1.1:80");
}
