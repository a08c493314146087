//! What is stored, for how long it is used, and what a response says about it (RFC 9111).

mod archives;
mod conditions;
mod fields;
mod lifetimes;
mod permission;
mod storability;

use crate::stage::Stage;
use weir_tests::Script;

/// What is expected of the second request for a response with certain fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    /// The store answers it.
    Hit,
    /// The origin is asked again.
    Fetch,
}

/// One line of a table: status, field lines ended by CRLF, expectation.
type Row = (&'static str, &'static str, Second);

/// Checks each row on a path of its own.
async fn check(rows: &[Row]) {
    let stage = Stage::new().await;
    for (index, (status, fields, second)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        stage
            .origin
            .on(&path, Script::status(status, fields, b"body"));
        let number: u16 = status[..3].parse().expect("a status");
        stage.get(&path).await.assert_is(number, b"body");
        stage.gateway.settled().await;
        let response = stage.get(&path).await;
        response.assert_is(number, b"body");
        let expected = match second {
            Second::Hit => (true, 1),
            Second::Fetch => (false, 2),
        };
        let count = stage.origin.record().count(&path);
        // A failure of the origin took no part in caching and may say nothing of it.
        let is_hit = match response.field("x-cache") {
            None if number >= 500 => false,
            _ => response.is_hit(),
        };
        assert_eq!(
            (is_hit, count),
            expected,
            "{status}, {fields:?}: {:?}",
            response.head
        );
    }
    stage.finish().await;
}
