//! Receivers that are away, slow or not who they should be.

use super::{HOOK, assert_says, hook, mailing_to, post, posting_to};
use crate::stage::Stage;
use weir_tests::certificate::Authority;
use weir_tests::deadline::until;
use weir_tests::refusing::{BlackHole, Refusing};
use weir_tests::{Gate, Gateway, MailSink, Origin, Protection, Script};

const DELIVERED: &str = "weir_notifications_total{channel=\"webhook\",result=\"delivered\"}";

#[tokio::test]
async fn a_receiver_that_fails_twice_gets_the_message_by_the_third_attempt() {
    let hook = Origin::start().await;
    let failing = || Script::status("500 Internal Server Error", "", b"later");
    hook.on_each(
        HOOK,
        [
            failing(),
            failing(),
            Script::status("204 No Content", "", b""),
        ],
    );
    let gateway = posting_to(&hook).start().await;
    gateway.get(&format!("{}/", Refusing::start().url())).await;
    let first = post(&hook, 1).await;
    assert_eq!(post(&hook, 3).await, first, "the same message");
    until("it is counted", async || {
        gateway.metric(DELIVERED).await >= 1.0
    })
    .await;
    gateway.finish().await;
    assert_eq!(hook.requests(), 3);
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_not_sent_again_and_a_redirect_not_followed() {
    let (hook, elsewhere) = (Origin::start().await, Origin::start().await);
    let away = format!("Location: {}\r\n", elsewhere.url("/"));
    hook.on(HOOK, Script::status("302 Found", &away, b""));
    let mut gateway = posting_to(&hook).start().await;
    gateway.expect_log("a notification was not delivered");
    gateway.get(&format!("{}/", Refusing::start().url())).await;
    let failed = "weir_notifications_total{channel=\"webhook\",result=\"failed\"}";
    until("it is given up", async || {
        gateway.metric(failed).await >= 1.0
    })
    .await;
    gateway.finish().await;
    assert_eq!(hook.requests(), 1);
    elsewhere.assert_untouched();
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody() {
    let (hook, sink) = (Origin::start().await, MailSink::start().await);
    hook.on(HOOK, Script::after(&Gate::new()));
    let builder = mailing_to(&sink, posting_to(&hook)).set("notify.timeout", "1h");
    let mut stage = Stage::with(builder).await;
    stage.gateway.expect_log("a notification was not delivered");
    stage.fresh("/x", b"text");
    stage
        .gateway
        .get(&format!("{}/", Refusing::start().url()))
        .await;
    post(&hook, 1).await;
    sink.mail(1).await;
    stage.get("/x").await.assert_is(200, b"text");
    // Ends although the receiver would have an hour.
    stage.finish().await;
}

#[tokio::test]
async fn a_mail_server_that_hangs_does_not_stop_the_posts() {
    let (hook, hole) = (hook().await, BlackHole::start().await);
    let mut gateway = posting_to(&hook)
        .set("notify.smtp", hole.url().replace("http://", "smtp://"))
        .set("notify.mail_from", "weir@example.org")
        .set("notify.mail_to", vec!["operator@example.org"])
        .set("notify.timeout", "1h")
        .start()
        .await;
    gateway.expect_log("a notification was not delivered");
    gateway.get(&format!("{}/", Refusing::start().url())).await;
    post(&hook, 1).await;
    gateway.get(&format!("{}/", Refusing::start().url())).await;
    post(&hook, 2).await;
    gateway.finish().await;
}

fn with_account(
    builder: weir_tests::gateway::Builder,
    password: &str,
) -> weir_tests::gateway::Builder {
    builder
        .set("notify.smtp_user", "weir")
        .set("notify.smtp_password", password)
}

#[tokio::test]
async fn mails_go_encrypted_and_with_an_account_where_the_server_wants_that() {
    for protection in [Protection::StartTls, Protection::Tls] {
        let authority = Authority::new();
        let sink = MailSink::start_protected(protection, &authority).await;
        let builder = with_account(Gateway::builder().trusting(&authority), "sesame");
        let gateway = mailing_to(&sink, builder).start().await;
        gateway.get(&format!("{}/", Refusing::start().url())).await;
        assert_says(&sink.mail(1).await, &["upstream-failed"]);
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_gets_neither_mail_nor_password() {
    let sink = MailSink::start_protected(Protection::Tls, &Authority::new()).await;
    let builder = with_account(Gateway::builder(), "sesame");
    let gateway = mailing_to(&sink, builder).start().await;
    let run = gateway.weir(["notify", "test"]).await;
    assert_says(
        &run.assert_code(1).text(),
        &["mail", "not delivered", "certificate"],
    );
    gateway.finish().await;
    assert_eq!(sink.mails(), [""; 0]);
}

#[tokio::test]
async fn secrets_are_in_no_log_line_and_no_answer() {
    let (hook, authority) = (Origin::start().await, Authority::new());
    hook.on(HOOK, Script::status("500 Internal Server Error", "", b""));
    let sink = MailSink::start_protected(Protection::StartTls, &authority).await;
    let builder = posting_to(&hook)
        .trusting(&authority)
        .set("notify.webhook_header", "Authorization: Bearer open-sesame")
        .set("notify.retries", 0)
        .set("log.level", "trace");
    let builder = mailing_to(&sink, with_account(builder, "open-sesame"));
    let mut gateway = builder.start().await;
    gateway.expect_log("a notification was not delivered");
    let run = gateway.weir(["notify", "test"]).await;
    run.assert_code(1);
    assert!(!format!("{run:?}").contains("open-sesame"), "{run:?}");
    let seen = &hook.record().requests[0];
    assert_eq!(seen.values("authorization"), ["Bearer open-sesame"]);
    gateway.get(&format!("{}/", Refusing::start().url())).await;
    post(&hook, 2).await;
    let failed = "weir_notifications_total{channel=\"mail\",result=\"failed\"}";
    until("the mail is given up", async || {
        gateway.metric(failed).await >= 1.0
    })
    .await;
    let lines = gateway.stderr().all();
    let told: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("open-sesame"))
        .collect();
    assert!(told.is_empty(), "{told:#?}");
    gateway.finish().await;
}
