//! `weir notify test`: whether a message would reach anybody.

use super::{HOOK, assert_says, hook, mailing_to, posting_to};
use weir_tests::{Gateway, MailSink, Origin, Script};

#[tokio::test]
async fn a_test_message_goes_every_way_and_each_outcome_is_said() {
    let (hook, sink) = (hook().await, MailSink::start().await);
    let gateway = mailing_to(&sink, posting_to(&hook)).start().await;
    let run = gateway.weir(["notify", "test"]).await;
    assert_says(
        &run.assert_code(0).text(),
        &["webhook      delivered", "mail         delivered"],
    );
    assert_says(
        &sink.mail(1).await,
        &[
            "Subject: [weir weir-test] test: weir-test",
            "this is a test",
        ],
    );
    assert_says(&super::post(&hook, 1).await, &["\"kind\":\"test\""]);
    let json = gateway.weir(["notify", "test", "--json"]).await;
    assert_says(
        &json.assert_code(0).text(),
        &["\"channel\": \"mail\"", "\"delivered\": true"],
    );
    gateway.finish().await;
}

#[tokio::test]
async fn one_way_that_fails_is_named_and_the_command_fails() {
    let (hook, sink) = (Origin::start().await, MailSink::start().await);
    hook.on(HOOK, Script::status("403 Forbidden", "", b""));
    let gateway = mailing_to(&sink, posting_to(&hook)).start().await;
    let run = gateway.weir(["notify", "test"]).await;
    let expected = [
        "webhook      not delivered: answered 403",
        "mail         delivered",
    ];
    assert_says(&run.assert_code(1).text(), &expected);
    gateway.finish().await;
}

#[tokio::test]
async fn where_nobody_would_be_told_the_command_says_what_to_set() {
    let gateway = Gateway::start().await;
    let run = gateway.weir(["notify", "test"]).await;
    assert_says(&run.assert_code(1).stderr, &["webhook or smtp in [notify]"]);
    gateway.finish().await;
}
