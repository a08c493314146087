//! `[notify]`: who is told when something goes wrong, and how often.

use super::check::{Check, Section, quoted};
use super::secret::Secret;
use super::span::TimeSpan;
use crate::notify::{MailSecurity, MailSettings, NotifySettings, WebhookSettings};
use http::{HeaderName, HeaderValue, Uri};
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use weir_cache::events::EventKind;
use weir_policies::target::{Scheme, Target};

/// `[notify]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifyConfig {
    /// URL that gets a POST; often a secret by itself.
    pub(crate) webhook: Secret,
    /// A field of that POST, `Name: value`.
    pub(crate) webhook_header: Secret,
    /// Mail server.
    pub(crate) smtp: String,
    /// Account at the mail server.
    pub(crate) smtp_user: String,
    /// Its password.
    pub(crate) smtp_password: Secret,
    /// Sender.
    pub(crate) mail_from: String,
    /// Recipients.
    pub(crate) mail_to: Vec<String>,
    /// What is told of, empty for everything.
    pub(crate) kinds: Vec<String>,
    /// Between two messages about the same.
    pub(crate) interval: TimeSpan,
    /// For one attempt to deliver.
    pub(crate) timeout: TimeSpan,
    /// Attempts after the first.
    pub(crate) retries: u64,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            webhook: Secret::default(),
            webhook_header: Secret::default(),
            smtp: String::new(),
            smtp_user: String::new(),
            smtp_password: Secret::default(),
            mail_from: String::new(),
            mail_to: Vec::new(),
            kinds: Vec::new(),
            interval: TimeSpan::from_secs(60 * 60),
            timeout: TimeSpan::from_secs(10),
            retries: 5,
        }
    }
}

/// Recipients of one mail.
const RECIPIENTS_MAX: usize = 20;
/// Less would be a flood.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// What is wrong with a URL of a mail server.
const SMTP_RIGHT: &str = "must be smtp://HOST:25, smtp+starttls://HOST:587 or smtps://HOST:465, without a path; the \
                          account goes into smtp_user and smtp_password";

impl NotifyConfig {
    /// Checks every key. `ca_file`: authorities that are trusted besides those of the system.
    pub(super) fn check(&self, ca_file: Option<&Path>, check: &mut Check<'_>) -> NotifySettings {
        let mut section = check.section("notify");
        if self.interval.get() < INTERVAL_MIN {
            section.refuse("interval", quoted(self.interval), "must be at least \"1s\"");
        }
        NotifySettings {
            webhook: self.check_webhook(&mut section),
            mail: self.check_mail(&mut section),
            kinds: self.check_kinds(&mut section),
            interval: self.interval.get(),
            timeout: section.positive("timeout", self.timeout),
            retries_max: section.count("retries", self.retries, 0..=20),
            ca_file: ca_file.map(Path::to_owned),
        }
    }

    fn check_kinds(&self, section: &mut Section<'_, '_>) -> Vec<EventKind> {
        let words = EventKind::ALL.map(|kind| quoted(kind.as_str())).join(", ");
        let named = section.each("kinds", &self.kinds, |word| {
            let known = EventKind::ALL.into_iter();
            let mut known = known.filter(|kind| kind.as_str() == word);
            known
                .next()
                .ok_or_else(|| format!("must be one of {words}"))
        });
        if self.kinds.is_empty() {
            EventKind::ALL.to_vec()
        } else {
            named
        }
    }

    fn check_webhook(&self, section: &mut Section<'_, '_>) -> Option<WebhookSettings> {
        let url = self.webhook.reveal();
        let field = self.webhook_header.reveal();
        if url.is_empty() {
            if !field.is_empty() {
                section.refuse_missing("webhook_header", "has no effect without webhook");
            }
            return None;
        }
        let field = (!field.is_empty()).then(|| {
            let field = parse_field(field);
            if field.is_none() {
                let reason = "must be a field name, a colon and a value, like \"Authorization: Bearer …\"; \
                              Host and fields about length and connection are not to be set";
                section.refuse_missing("webhook_header", reason);
            }
            field
        });
        let target = Target::parse(url).ok().filter(is_for_posts);
        if target.is_none() || names_account(url) {
            let reason =
                "must be an http or https URL without user and password (see webhook_header)";
            section.refuse_missing("webhook", reason);
            return None;
        }
        let target = target?;
        if field.is_some() && target.scheme() == Scheme::Http && !is_loopback(target.host()) {
            let reason = "would be readable on its way: use an https:// webhook";
            section.refuse_missing("webhook_header", reason);
        }
        Some(WebhookSettings {
            target,
            field: field.flatten(),
        })
    }

    fn check_mail(&self, section: &mut Section<'_, '_>) -> Option<MailSettings> {
        if self.smtp.is_empty() {
            self.refuse_loose(section);
            return None;
        }
        let server = parse_server(&self.smtp);
        if server.is_none() {
            // It may have a password in it: that is one of the mistakes.
            section.refuse_missing("smtp", SMTP_RIGHT);
        }
        let credentials = self.check_credentials(server.as_ref(), section);
        let from = self.check_sender(section);
        let to = section.each("mail_to", &self.mail_to, parse_mailbox);
        if self.mail_to.is_empty() || self.mail_to.len() > RECIPIENTS_MAX {
            let reason =
                format!("must name from 1 to {RECIPIENTS_MAX} recipients where smtp is set");
            section.refuse_missing("mail_to", reason);
        }
        let (security, host, port) = server?;
        Some(MailSettings {
            security,
            host,
            port,
            credentials,
            from: from?,
            to,
        })
    }

    /// Keys that would be without effect.
    fn refuse_loose(&self, section: &mut Section<'_, '_>) {
        let given = [
            ("smtp_user", !self.smtp_user.is_empty()),
            ("smtp_password", !self.smtp_password.reveal().is_empty()),
            ("mail_from", !self.mail_from.is_empty()),
            ("mail_to", !self.mail_to.is_empty()),
        ];
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            section.refuse_missing(key, "has no effect without smtp, the mail server");
        }
    }

    fn check_sender(&self, section: &mut Section<'_, '_>) -> Option<Mailbox> {
        if self.mail_from.is_empty() {
            section.refuse_missing(
                "mail_from",
                "must be set where smtp is: the sender of the mails",
            );
            return None;
        }
        let parsed = parse_mailbox(&self.mail_from);
        parsed
            .map_err(|reason| section.refuse("mail_from", quoted(&self.mail_from), reason))
            .ok()
    }

    fn check_credentials(
        &self,
        server: Option<&(MailSecurity, String, u16)>,
        section: &mut Section<'_, '_>,
    ) -> Option<(String, Secret)> {
        let has_password = !self.smtp_password.reveal().is_empty();
        match (self.smtp_user.is_empty(), has_password) {
            (true, false) => return None,
            (false, true) => {}
            (true, true) => section.refuse_missing("smtp_user", "smtp_password needs it"),
            (false, false) => section.refuse_missing("smtp_password", "smtp_user needs it"),
        }
        if let Some((MailSecurity::None, host, _)) = server
            && !is_loopback(host)
        {
            let reason =
                "a password would be readable on its way: use smtps:// or smtp+starttls://";
            section.refuse("smtp", quoted(&self.smtp), reason);
        }
        Some((self.smtp_user.clone(), self.smtp_password.clone()))
    }
}

fn is_for_posts(target: &Target) -> bool {
    matches!(target.scheme(), Scheme::Http | Scheme::Https)
}

/// Reading a URL drops its userinfo; an operator who wrote one means something by it.
fn names_account(url: &str) -> bool {
    let authority = url.split("//").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Fields that frame or route the request are ours.
fn parse_field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    let name = HeaderName::try_from(name.trim()).ok()?;
    let is_ours = matches!(
        name.as_str(),
        "host" | "content-length" | "transfer-encoding" | "connection" | "content-type" | "expect"
    );
    let mut value = HeaderValue::try_from(value.trim()).ok()?;
    value.set_sensitive(true);
    (!is_ours && !value.is_empty()).then_some((name, value))
}

fn parse_server(url: &str) -> Option<(MailSecurity, String, u16)> {
    let url: Uri = url.parse().ok()?;
    let (security, port) = match url.scheme_str()? {
        "smtp" => (MailSecurity::None, 25),
        "smtp+starttls" => (MailSecurity::StartTls, 587),
        "smtps" => (MailSecurity::Tls, 465),
        _ => return None,
    };
    let authority = url.authority()?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
    if !is_bare || authority.as_str().contains('@') || authority.as_str().ends_with(':') {
        return None;
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(port);
    (!host.is_empty() && port > 0).then_some((security, host, port))
}

fn parse_mailbox(text: &str) -> Result<Mailbox, &'static str> {
    text.parse()
        .map_err(|_| "not a mail address; write name@example.org or \"Name <name@example.org>\"")
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
