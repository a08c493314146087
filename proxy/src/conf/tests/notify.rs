//! `[notify]`: what is understood, what is said of mistakes, and that nobody sees a secret.

use super::{load_environment, load_file};
use crate::notify::MailSecurity;
use weir_cache::events::EventKind;

const MAIL: &str = "mail_from = \"weir@example.org\"\nmail_to = [\"Operator <op@example.org>\", \"b@example.org\"]\n";

#[track_caller]
fn check(section: &str, expected: &str) {
    let message = load_file(&format!("[notify]\n{section}")).unwrap_err();
    assert!(message.contains(expected), "{section}\nsays: {message}");
}

#[test]
fn nobody_is_told_by_default() {
    let settings = load_file("").unwrap().notify;
    assert_eq!((settings.webhook, settings.mail), (None, None));
    assert_eq!(settings.kinds, EventKind::ALL);
}

#[test]
fn a_mail_server_is_a_scheme_a_host_and_a_port() {
    let check = |url: &str, security: MailSecurity, host: &str, port: u16| {
        let settings = load_file(&format!("[notify]\nsmtp = \"{url}\"\n{MAIL}")).unwrap();
        let mail = settings.notify.mail.unwrap();
        assert_eq!(
            (mail.security, mail.host.as_str(), mail.port),
            (security, host, port)
        );
        assert_eq!(mail.to.len(), 2);
    };
    check(
        "smtp://mail.example",
        MailSecurity::None,
        "mail.example",
        25,
    );
    check(
        "smtp+starttls://mail.example:25",
        MailSecurity::StartTls,
        "mail.example",
        25,
    );
    check("smtps://[::1]/", MailSecurity::Tls, "::1", 465);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    for wrong in [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://u:p@h",
        "smtp://h/x",
    ] {
        check(&format!("smtp = \"{wrong}\"\n{MAIL}"), "smtp://HOST:25");
    }
    check(
        "smtp = \"smtp://h\"\nmail_to = [\"a@example.org\"]",
        "mail_from: must be set",
    );
    check(
        "smtp = \"smtp://h\"\nmail_from = \"a@example.org\"",
        "mail_to: must name",
    );
    check(
        "smtp = \"smtp://h\"\nmail_from = \"a\"\nmail_to = [\"b@example.org\"]",
        "not a mail address",
    );
    check(
        "mail_to = [\"a@example.org\"]",
        "has no effect without smtp",
    );
    check("webhook_header = \"A: b\"", "has no effect without webhook");
    check("webhook = \"ftp://h/x\"", "must be an http or https URL");
    check("webhook = \"http://u:p@h/x\"", "without user and password");
    check(
        "webhook = \"http://chat.example/\"\nwebhook_header = \"A: b\"",
        "readable on its way",
    );
    load_file("[notify]\nwebhook = \"http://127.0.0.1/\"\nwebhook_header = \"A: b\"").unwrap();
    for wrong in ["Authorization", "A b: c", "Host: h", "A:", "A: b\\nC: d"] {
        let section = format!("webhook = \"http://h/\"\nwebhook_header = \"{wrong}\"");
        check(&section, "webhook_header: must be a field name");
    }
    check(
        "kinds = [\"upstream\"]",
        "must be one of \"upstream-failed\", \"corrupt\"",
    );
    check("interval = \"10ms\"", "at least \"1s\"");
    check("retries = 21", "must be from 0 to 20");
}

#[test]
fn a_password_is_not_sent_where_everybody_can_read_it() {
    let account = format!("smtp_user = \"u\"\nsmtp_password = \"hunter2\"\n{MAIL}");
    check(
        &format!("smtp = \"smtp://mail.example\"\n{account}"),
        "readable on its way",
    );
    for fine in [
        "smtps://mail.example",
        "smtp+starttls://mail.example",
        "smtp://127.0.0.1:25",
    ] {
        load_file(&format!("[notify]\nsmtp = \"{fine}\"\n{account}")).unwrap();
    }
    check(
        &format!("smtp = \"smtps://h\"\nsmtp_user = \"u\"\n{MAIL}"),
        "smtp_user needs it",
    );
}

#[test]
fn a_secret_is_shown_by_nothing() {
    let settings = load_environment(&[
        ("WEIR__NOTIFY__WEBHOOK", "https://chat.example/hunter2"),
        (
            "WEIR__NOTIFY__WEBHOOK_HEADER",
            "Authorization: Bearer hunter2",
        ),
        ("WEIR__NOTIFY__SMTP", "smtps://mail.example"),
        ("WEIR__NOTIFY__SMTP_USER", "u"),
        ("WEIR__NOTIFY__SMTP_PASSWORD", "hunter2"),
        ("WEIR__NOTIFY__MAIL_FROM", "a@example.org"),
        ("WEIR__NOTIFY__MAIL_TO", "b@example.org"),
    ]);
    let shown = format!("{:?}", settings.unwrap());
    assert!(
        shown.contains("chat.example") && !shown.contains("hunter2"),
        "{shown}"
    );
    for wrong in [
        "webhook = \"hunter2\"",
        "webhook = [\"hunter2\"]",
        "webhook = \"http://h/\"\nwebhook_header = \"hunter2\"",
        "smtp_password = [\"hunter2\"]",
        "smtp = \"smtp://u:hunter2@mail.example\"",
        "smtp = \"mail.example/hunter2\"",
        "smtp_password = \"hunter2\"",
    ] {
        let message = load_file(&format!("[notify]\n{wrong}")).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
