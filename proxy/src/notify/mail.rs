//! A message as a mail.
//!
//! One connection for each: plain, or encrypted by the same authorities as upstreams, never downgraded. Header fields
//! are encoded by the library, and what goes into them is one line already.

use super::channel::{Undelivered, authorities};
use super::message::Message;
use super::settings::{MailSecurity, MailSettings, NotifySettings};
use crate::upstream::trusted_certificates;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

/// Makes the connections.
#[derive(Default)]
pub(super) struct Mail;

impl Mail {
    /// One attempt.
    pub(super) async fn send(
        &self,
        message: &Message,
        mail: &MailSettings,
        settings: &NotifySettings,
    ) -> Result<(), Undelivered> {
        let letter = letter(message, mail)
            .map_err(|error| Undelivered::for_good(format!("cannot be written: {error}")))?;
        let transport = transport(mail, settings).await?;
        match transport.send(letter).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Undelivered::for_good(in_words(&error))),
            Err(error) => Err(Undelivered::for_now(in_words(&error))),
        }
    }
}

fn letter(message: &Message, mail: &MailSettings) -> Result<lettre::Message, lettre::error::Error> {
    let sent = UNIX_EPOCH + Duration::from_secs(message.last_unix_seconds);
    let mut letter = lettre::Message::builder()
        .from(mail.from.clone())
        .date(sent)
        .message_id(None)
        .subject(message.title())
        // No answer by a machine, like that of somebody on holiday (RFC 3834 §5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN);
    for recipient in &mail.to {
        letter = letter.to(recipient.clone());
    }
    letter.body(message.body())
}

async fn transport(
    mail: &MailSettings,
    settings: &NotifySettings,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Undelivered> {
    let tls = match mail.security {
        MailSecurity::None => Tls::None,
        MailSecurity::StartTls => Tls::Required(tls_parameters(mail, settings).await?),
        MailSecurity::Tls => Tls::Wrapper(tls_parameters(mail, settings).await?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
        .port(mail.port)
        .tls(tls)
        .timeout(Some(settings.timeout))
        .hello_name(own_name());
    if let Some((user, password)) = &mail.credentials {
        let password = password.reveal().to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

async fn tls_parameters(
    mail: &MailSettings,
    settings: &NotifySettings,
) -> Result<TlsParameters, Undelivered> {
    let unusable = |error| Undelivered::for_now(in_words(&error));
    let mut builder =
        TlsParameters::builder(mail.host.clone()).certificate_store(CertificateStore::None);
    for authority in authorities(settings, trusted_certificates).await? {
        let certificate = Certificate::from_der(authority.to_vec()).map_err(unusable)?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(unusable)
}

/// What this machine calls itself, where that is a name for EHLO (RFC 5321 §4.1.1.1).
fn own_name() -> ClientId {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    if name.contains('.') && name.chars().all(is_letter) {
        ClientId::Domain(name.into_owned())
    } else {
        ClientId::default()
    }
}

/// An error with what is behind it.
fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words.push_str(": ");
            words.push_str(&inner_words);
        }
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_one_subject_whatever_it_is_about() {
        let mail = MailSettings {
            security: MailSecurity::None,
            host: "h".to_owned(),
            port: 25,
            credentials: None,
            from: "Weir <weir@example.org>".parse().unwrap(),
            to: vec![
                "a@example.org".parse().unwrap(),
                "b@example.org".parse().unwrap(),
            ],
        };
        let mut message = Message::test("node", 0);
        message.subject = "\u{fc}ber\r\nBcc: c@example.org".to_owned();
        let text = String::from_utf8(letter(&message, &mail).unwrap().formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains("To: a@example.org, b@example.org"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(body.contains("this is a test"), "{body}");
    }
}
