//! The pages of the admin listener and how they travel.

use super::request::Refusal;
use crate::metrics;

const TEXT: &str = "text/plain; charset=utf-8";
const INDEX: &str = "\
weir admin (read-only)

/healthz  ok while the process lives
/readyz   200 when traffic should be sent here, else 503 with the reasons; what is degraded in either case
/metrics  counters and gauges, OpenMetrics text
";

/// Whether a response carries its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// GET and errors.
    Sent,
    /// HEAD: the length is told, the body is not sent (RFC 9110 §9.3.2).
    Announced,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    /// Code and reason phrase.
    status: &'static str,
    content_type: &'static str,
    /// A further field with its line end, or nothing.
    field: &'static str,
    text: String,
}

impl Page {
    fn plain(status: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            content_type: TEXT,
            field: "",
            text: text.into(),
        }
    }

    pub(super) fn index() -> Self {
        Self::plain("200 OK", INDEX)
    }

    pub(super) fn healthy() -> Self {
        Self::plain("200 OK", "ok\n")
    }

    /// One reason or note a line.
    pub(super) fn readiness(reasons: &[String], notes: &[String]) -> Self {
        let lines = |texts: &[String]| -> String {
            let lines = texts.iter();
            lines
                .map(|text| text.replace(['\r', '\n'], " ") + "\n")
                .collect()
        };
        if reasons.is_empty() {
            Self::plain("200 OK", format!("ready\n{}", lines(notes)))
        } else {
            Self::plain("503 Service Unavailable", lines(reasons) + &lines(notes))
        }
    }

    pub(super) fn metrics(text: Result<String, std::fmt::Error>) -> Self {
        match text {
            Ok(text) => Self {
                content_type: metrics::CONTENT_TYPE,
                ..Self::plain("200 OK", text)
            },
            Err(_) => Self::plain(
                "500 Internal Server Error",
                "the metrics cannot be written\n",
            ),
        }
    }

    pub(super) fn not_found() -> Self {
        Self::plain("404 Not Found", "no such page; / lists what there is\n")
    }

    pub(super) fn refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed => Self::plain("400 Bad Request", "this request cannot be read\n"),
            Refusal::Method => Self {
                field: "Allow: GET, HEAD\r\n",
                ..Self::plain("405 Method Not Allowed", "this listener is read-only\n")
            },
            Refusal::Misdirected => Self::plain(
                "421 Misdirected Request",
                "ask by address, by localhost or by a configured name of this listener\n",
            ),
            Refusal::TooLarge => Self::plain(
                "431 Request Header Fields Too Large",
                "this request head is too large\n",
            ),
        }
    }

    /// Head and, where it is sent, body. Always the last response of its connection.
    pub(super) fn response(&self, body: Body) -> Vec<u8> {
        let Self {
            status,
            content_type,
            field,
            text,
        } = self;
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{field}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        );
        let sent = match body {
            Body::Sent => text.as_str(),
            Body::Announced => "",
        };
        [head.as_bytes(), sent.as_bytes()].concat()
    }
}
