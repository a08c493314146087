//! Files that an operator brings: what is stored, what is refused, and that a refusal leaves nothing.

use super::origin::Script;
use super::world::{World, content, stored};
use crate::engine::{Algorithms, BodyDigests, Entry, ImportError, ImportOrder, Known, OnOther};
use crate::store::Object;
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use weir_policies::target::Target;

const URL: &str = "http://host/file-1.0.tar.gz?signature=secret";
/// A Tuesday in 2024.
const MODIFIED_SECONDS: u64 = 1_704_186_000;

/// Bytes that differ by `seed` from the first one on.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    content(seed << 24, length)
}

fn order(body: &[u8]) -> ImportOrder {
    let mut digests = BodyDigests::new(Algorithms::Sha256);
    digests.update(body);
    ImportOrder {
        target: Target::parse(URL).unwrap(),
        url_as_asked: URL.to_owned(),
        content_type: HeaderValue::from_static("application/gzip"),
        modified: Some(UNIX_EPOCH + Duration::from_secs(MODIFIED_SECONDS)),
        length: body.len() as u64,
        sha256: digests.finish().sha256,
        md5: None,
        on_other: OnOther::Refuse,
    }
}

/// Sends `body` as announced by `order`; `None` when it is there already.
async fn send(
    world: &World,
    order: ImportOrder,
    body: &[u8],
) -> Result<Option<Arc<Object>>, ImportError> {
    let Known::Wanted(mut import) = world.engine.import(order).await? else {
        return Ok(None);
    };
    for piece in body.chunks(100_003) {
        import.append(Bytes::copy_from_slice(piece)).await?;
    }
    import.finish().await.map(Some)
}

async fn held(world: &World) -> Vec<Arc<Object>> {
    let target = Target::parse(URL).unwrap();
    world.engine.store.lookup(&Entry::Plain.key(&target)).await
}

/// Waits until nothing is left of what was given up.
async fn assert_nothing(world: &World) {
    assert!(held(world).await.is_empty());
    // The file of a dropped writer is removed by a job behind it in the disk's pool.
    let gone = async {
        while world
            .device
            .paths()
            .iter()
            .any(|path| path.starts_with("tmp/"))
        {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
    gone.expect("a file is left in tmp/");
}

#[tokio::test]
async fn an_imported_file_is_a_lasting_pinned_object_and_a_hit() {
    let world = World::new().await;
    let body = bytes(1, 600_000);
    let object = send(&world, order(&body), &body).await.unwrap().unwrap();
    assert_eq!(stored(&object).await, body);
    let head = object.head();
    assert!(head.pinned && head.immutable && head.upstream.is_none());
    let field = |name: &str| head.headers[name].to_str().unwrap();
    assert_eq!(field("content-type"), "application/gzip");
    assert_eq!(field("content-length"), "600000");
    assert_eq!(field("last-modified"), "Tue, 02 Jan 2024 09:00:00 GMT");
    assert_eq!(field("cache-control"), "max-age=31536000, immutable");
    assert!(field("etag").len() == 66 && field("etag").starts_with('"'));
    assert_eq!(world.get(URL).await.0, super::world::Got::Whole(body));
    assert_eq!(world.origin.asked(URL).gets, 0);
}

#[tokio::test]
async fn an_empty_file_can_be_imported() {
    let world = World::new().await;
    let object = send(&world, order(b""), b"").await.unwrap().unwrap();
    assert_eq!(object.length(), 0);
}

#[tokio::test]
async fn a_digest_that_differs_is_refused_with_both() {
    let body = bytes(1, 300_000);
    let check = |change: fn(&mut ImportOrder), algorithm: &'static str| {
        let (body, mut order) = (body.clone(), order(&body));
        change(&mut order);
        async move {
            let world = World::new().await;
            match send(&world, order, &body).await {
                Err(ImportError::Digest {
                    algorithm: found_algorithm,
                    found,
                    expected,
                }) => {
                    assert_eq!(found_algorithm, algorithm);
                    assert!(found != expected && found.len() == expected.len());
                }
                other => panic!("{algorithm}: {other:?}"),
            }
            assert_nothing(&world).await;
        }
    };
    check(|order| order.sha256[31] ^= 1, "sha256").await;
    check(|order| order.md5 = Some([7; 16]), "md5").await;
}

#[tokio::test]
async fn an_md5_that_holds_is_accepted() {
    let world = World::new().await;
    let body = bytes(1, 1000);
    let mut digests = BodyDigests::new(Algorithms::Sha256AndMd5);
    digests.update(&body);
    let order = ImportOrder {
        md5: digests.finish().md5,
        ..order(&body)
    };
    assert!(send(&world, order, &body).await.unwrap().is_some());
}

#[tokio::test]
async fn another_length_than_announced_is_refused() {
    let body = bytes(1, 300_000);
    for length in [0, 299_999, 300_001] {
        let world = World::new().await;
        let order = ImportOrder {
            length,
            ..order(&body)
        };
        let sent = send(&world, order, &body).await;
        assert!(
            matches!(sent, Err(ImportError::Length { .. })),
            "{length}: {sent:?}"
        );
        assert_nothing(&world).await;
    }
}

#[tokio::test]
async fn an_import_that_is_dropped_leaves_nothing() {
    let world = World::new().await;
    let body = bytes(1, 300_000);
    let Known::Wanted(mut import) = world.engine.import(order(&body)).await.unwrap() else {
        panic!("nothing is there yet")
    };
    import
        .append(Bytes::copy_from_slice(&body[..200_000]))
        .await
        .unwrap();
    drop(import);
    assert_nothing(&world).await;
}

#[tokio::test]
async fn the_same_file_again_is_fine_and_other_bytes_need_replacing() {
    let world = World::new().await;
    let (body, other) = (bytes(1, 300_000), bytes(2, 200_000));
    send(&world, order(&body), &body).await.unwrap().unwrap();
    assert!(send(&world, order(&body), &body).await.unwrap().is_none());
    let refused = send(&world, order(&other), &other).await;
    assert!(
        matches!(
            refused,
            Err(ImportError::Other {
                stored_bytes: 300_000,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(stored(&held(&world).await[0]).await, body);
    let replace = ImportOrder {
        on_other: OnOther::Replace,
        ..order(&other)
    };
    send(&world, replace, &other).await.unwrap().unwrap();
    assert_eq!(stored(&held(&world).await[0]).await, other);
}

#[tokio::test]
async fn what_was_fetched_becomes_immutable_by_importing_the_same_bytes() {
    let world = World::new().await;
    let body = bytes(1, 300_000);
    world.script(URL, Script::body(body.clone()));
    world.get(URL).await;
    world.engine.tasks().idle().await;
    assert!(!held(&world).await[0].head().immutable);
    send(&world, order(&body), &body).await.unwrap().unwrap();
    let objects = held(&world).await;
    assert!(objects[0].head().immutable && objects[0].head().pinned);
    assert_eq!(stored(&objects[0]).await, body);
}

#[tokio::test]
async fn a_stored_error_is_no_bytes_to_protect() {
    let world = World::new().await;
    let script = Script {
        status: http::StatusCode::NOT_FOUND,
        ..Script::body("not here")
    };
    world.script(URL, script);
    world.get(URL).await;
    world.engine.tasks().idle().await;
    assert_eq!(held(&world).await.len(), 1);
    let body = bytes(1, 1000);
    send(&world, order(&body), &body).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_does_not_fit_is_refused_before_it_is_sent() {
    let world = World::new().await;
    world.device.limit_bytes(4 << 20);
    let order = ImportOrder {
        length: 1 << 30,
        ..order(b"")
    };
    match world.engine.import(order).await {
        Err(error @ ImportError::Full { .. }) => {
            assert!(error.to_string().contains("1073741824"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_nothing(&world).await;
}

#[tokio::test]
async fn a_date_in_the_future_is_not_claimed() {
    let world = World::new().await;
    let body = bytes(1, 10);
    let order = ImportOrder {
        modified: Some(UNIX_EPOCH + Duration::from_secs(1 << 40)),
        ..order(&body)
    };
    let object = send(&world, order, &body).await.unwrap().unwrap();
    assert!(!object.head().headers.contains_key("last-modified"));
}
