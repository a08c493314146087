//! Rows 89 and 90: numbers and dates that are none shorten a lifetime or are ignored; they never lengthen it.

use crate::stage::Stage;
use weir_tests::Script;

/// What the second request for a response with certain fields may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Hit,
    Fetch,
    /// The standard leaves it open; what counts is that the gateway lives.
    Either,
}

/// Checks each set of fields on a path of its own.
async fn check(rows: &[(&str, Second)]) {
    let stage = Stage::new().await;
    for (index, (fields, second)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        stage
            .origin
            .on(&path, Script::ok(&format!("{fields}\r\n"), b"x"));
        stage.get(&path).await.assert_is(200, b"x");
        stage.gateway.settled().await;
        let response = stage.get(&path).await;
        response.assert_is(200, b"x");
        let seen = if response.is_hit() {
            Second::Hit
        } else {
            Second::Fetch
        };
        assert!(
            *second == Second::Either || *second == seen,
            "{fields:?}: {seen:?}, {:?}",
            response.head
        );
        if let Some(age) = response.field("age") {
            assert!(age.parse::<u64>().is_ok(), "{fields:?}: Age {age}");
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_89_ages_and_lifetimes_saturate() {
    use Second::{Either, Fetch, Hit};
    let digits = "9".repeat(400);
    let endless_age = format!("Cache-Control: max-age=600\r\nAge: {digits}");
    let endless_life = format!("Cache-Control: max-age={digits}");
    check(&[
        ("Cache-Control: max-age=99999999999", Hit),
        ("Cache-Control: max-age=18446744073709551616", Hit),
        ("Cache-Control: s-maxage=99999999999999999999", Hit),
        (&endless_life, Hit),
        ("Cache-Control: max-age=600\r\nAge: 2147483648", Fetch),
        (
            "Cache-Control: max-age=600\r\nAge: 18446744073709551616",
            Fetch,
        ),
        (&endless_age, Fetch),
        (
            "Cache-Control: max-age=99999999999\r\nAge: 99999999999",
            Either,
        ),
        ("Cache-Control: max-age=600\r\nAge: -5", Either),
        ("Cache-Control: max-age=600\r\nAge: five", Either),
        ("Cache-Control: max-age=600\r\nAge: 1.5", Either),
        ("Cache-Control: max-age=600\r\nAge: 5\r\nAge: 700", Either),
        ("Cache-Control: max-age=-1", Fetch),
        ("Cache-Control: max-age=six", Fetch),
        ("Cache-Control: max-age=", Fetch),
        ("Cache-Control: max-age=600, max-age=600", Hit),
        ("Cache-Control: max-age=600, max-age=0", Either),
        ("Cache-Control: max-age=0, max-age=0", Fetch),
    ])
    .await;
}

#[tokio::test]
async fn row_90_dates_that_are_none_or_not_yet_are_stale() {
    use Second::{Fetch, Hit};
    check(&[
        ("Expires: 0", Fetch),
        ("Expires: -1", Fetch),
        ("Expires: whenever", Fetch),
        ("Expires: Fri, 99 Jan 2100 00:00:00 GMT", Fetch),
        (
            "Expires: 0\r\nLast-Modified: Mon, 01 Jan 2001 00:00:00 GMT",
            Fetch,
        ),
        (
            "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\nExpires: 0",
            Fetch,
        ),
        // Ten years of life by a clock that is decades ahead are no life by ours.
        (
            "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\nExpires: Fri, 01 Jan 2110 00:00:00 GMT",
            Fetch,
        ),
        (
            "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\nLast-Modified: Mon, 01 Jan 2001 00:00:00 GMT",
            Fetch,
        ),
        // A lifetime in seconds needs nobody's clock.
        (
            "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\nCache-Control: max-age=600",
            Hit,
        ),
        ("Expires: 0\r\nCache-Control: max-age=600", Hit),
    ])
    .await;
}
