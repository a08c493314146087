//! Row 77 for those who say who they are in another field than Authorization, as clients of package registries do.

use crate::stage::{FRESH, Stage};
use weir_tests::Script;

const ARCHIVE: &str = "/repo/pkg-1.2.3.tar.gz";
const FIELDS: [&str; 4] = [
    "X-JFrog-Art-Api: key\r\n",
    "PRIVATE-TOKEN: key\r\n",
    "X-Api-Key: key\r\n",
    "X-Amz-Security-Token: key\r\n",
];

#[tokio::test]
async fn an_archive_that_was_given_for_a_key_is_given_to_nobody_without_one() {
    for key in FIELDS {
        let stage = Stage::new().await;
        let denied = Script::status("401 Unauthorized", "", b"who are you");
        let given = Script::ok("", b"secret");
        stage
            .origin
            .on_each(ARCHIVE, [given.clone(), denied, given]);
        stage.get_with(ARCHIVE, key).await.assert_is(200, b"secret");
        let stranger = stage.assert_fetched(ARCHIVE).await;
        stranger.assert_is(401, b"who are you");
        stage.get_with(ARCHIVE, key).await.assert_is(200, b"secret");
        let seen = stage.origin.record().requests;
        let (name, _) = key.split_once(": ").expect("a field");
        let sent = seen.iter().map(|seen| seen.values(&name.to_lowercase()));
        assert_eq!(
            sent.collect::<Vec<_>>(),
            [vec!["key"], vec![], vec!["key"]],
            "{key}"
        );
        stage.finish().await;
    }
}

#[tokio::test]
async fn what_everybody_gets_is_no_answer_to_a_key_unless_the_origin_says_so() {
    let stage = Stage::new().await;
    for (index, key) in FIELDS.into_iter().enumerate() {
        let path = format!("/{index}");
        let answers = [Script::ok(FRESH, b"ours"), Script::ok("", b"hers")];
        stage.origin.on_each(&path, answers);
        stage.get(&path).await.assert_is(200, b"ours");
        stage.gateway.settled().await;
        let hers = stage.get_with(&path, key).await;
        hers.assert_is(200, b"hers");
        stage.assert_hit(&path, b"ours").await;
    }
    let public = Script::ok("Cache-Control: public, max-age=600\r\n", b"all");
    stage.origin.on("/public", public);
    stage
        .get_with("/public", FIELDS[0])
        .await
        .assert_is(200, b"all");
    stage.assert_hit("/public", b"all").await;
    let hit = stage.get_with("/public", FIELDS[1]).await;
    assert!(hit.is_hit(), "{:?}", hit.head);
    stage.finish().await;
}
