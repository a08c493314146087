//! Answers that the gateway writes itself: own pages, refusals, and what a client is told when an upstream failed.

use super::welcome::welcome;
use super::{Turn, Turned, cache_proxy};
use crate::error_page::{self, ASK_THE_OPERATOR, Cause, error_page};
use crate::front::Flow;
use crate::front::conn::Conn;
use crate::respond::body::SendError;
use crate::respond::head::{BodyEnd, Head};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use weir_cache::engine::{Failure, StatusAnswer};
use weir_cache::ports::OriginError;
use weir_policies::outcome::Outcome;
use weir_policies::target::{OwnPage, TargetError};
use weir_policies::verdict::Refusal;

/// Methods that some resource here answers.
const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// A small body of ours.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) media_type: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) extra: Vec<(&'static str, String)>,
}

impl Turn<'_> {
    pub(super) async fn own_page(&mut self, conn: &mut Conn, page: OwnPage) -> Turned {
        self.record.outcome = Outcome::Local;
        let (media_type, body, extra) = match page {
            OwnPage::Welcome => welcome(self.request.headers.get(header::ACCEPT)),
            OwnPage::EmptyDownload => (
                "text/plain; charset=utf-8",
                "empty url, please add url to the end",
                Vec::new(),
            ),
            OwnPage::Unknown => {
                return Turned::Answered(
                    self.page(
                        conn,
                        404,
                        "no mirror is configured for this path, and it is not a URL",
                    )
                    .await,
                );
            }
        };
        if !matches!(self.request.method, Method::GET | Method::HEAD) {
            return self
                .refuse(
                    conn,
                    405,
                    "method-not-allowed",
                    "this page is only for reading",
                )
                .await;
        }
        let page = Page {
            status: StatusCode::OK,
            media_type,
            body: body.as_bytes().to_vec(),
            extra,
        };
        Turned::Answered(self.send(conn, page).await)
    }

    pub(super) async fn options(&mut self, conn: &mut Conn) -> Turned {
        self.record.outcome = Outcome::Local;
        let extra = vec![("allow", ALLOW.to_owned())];
        let page = Page {
            status: StatusCode::OK,
            media_type: "text/plain",
            body: Vec::new(),
            extra,
        };
        Turned::Answered(self.send(conn, page).await)
    }

    pub(super) async fn refuse_target(&mut self, conn: &mut Conn, error: &TargetError) -> Turned {
        let (status, detail) = match error {
            TargetError::Malformed(_) => (400, "target"),
            TargetError::Scheme(_) => (501, "scheme"),
            TargetError::TooLong(_) => (414, "target-too-long"),
        };
        // Two readers might have read this differently: nothing more is taken from the connection.
        self.closes = true;
        let what = error.to_string();
        self.refuse(conn, status, detail, what.as_str()).await
    }

    pub(super) async fn refuse_verdict(&mut self, conn: &mut Conn, refusal: Refusal) -> Turned {
        let what = match refusal {
            Refusal::SchemeNotServed(scheme) => {
                format!("{} upstreams are not served yet", scheme.as_str())
            }
            Refusal::MethodNotAllowed => format!(
                "{} is not allowed through this gateway",
                self.request.method
            ),
            Refusal::MethodUnknown => format!("method {} is not known", self.request.method),
            Refusal::PurgeNotAllowed => {
                "this client is not in [access] purge: what is stored is everybody's".to_owned()
            }
            Refusal::MetadataService => {
                "metadata services are not reached through this gateway".to_owned()
            }
            Refusal::Loop => "this request has already passed through this gateway".to_owned(),
        };
        self.refuse(conn, refusal.status(), refusal.as_str(), what.as_str())
            .await
    }

    pub(super) async fn refuse(
        &mut self,
        conn: &mut Conn,
        status: u16,
        detail: &'static str,
        cause: impl Into<Cause<'_>>,
    ) -> Turned {
        self.record.outcome = Outcome::Refused;
        self.record.detail = Some(detail);
        Turned::Answered(self.page(conn, status, cause).await)
    }

    pub(super) async fn failed(&mut self, conn: &mut Conn, failure: &Failure) -> Flow {
        self.record.outcome = match failure {
            Failure::Origin(OriginError::Refused { .. } | OriginError::TooLarge(..)) => {
                Outcome::Refused
            }
            Failure::Origin(_) | Failure::Status(_) => Outcome::Failed,
        };
        match failure {
            Failure::Origin(OriginError::TooLarge(host, limit)) => {
                self.too_large(conn, host, *limit).await
            }
            Failure::Origin(error) => {
                self.record.detail = Some(error.as_str());
                let status = error.status().as_u16();
                let wait = error.retry_after_seconds().or_else(|| usual_wait(status));
                let what = error.to_string();
                self.page_with(conn, status, what.as_str(), wait).await
            }
            Failure::Status(answer) => self.error_status(conn, answer).await,
        }
    }

    async fn too_large(&mut self, conn: &mut Conn, host: &str, limit: u64) -> Flow {
        self.record.detail = Some("too-large");
        // The status that clients of the original know.
        let status = if self.cache_proxy().is_some() {
            400
        } else {
            403
        };
        let what = cache_proxy::out_limit(host, limit);
        let cause = Cause::with_advice(&what, ASK_THE_OPERATOR);
        self.page(conn, status, cause).await
    }

    /// An error of the upstream, passed on: it answered, so nothing failed here.
    async fn error_status(&mut self, conn: &mut Conn, answer: &StatusAnswer) -> Flow {
        self.record.outcome = Outcome::Uncached(answer.reason);
        self.record.detail = Some(answer.reason.as_str());
        let status = answer.status;
        let Some(body) = &answer.body else {
            let what = format!("the upstream answered {}", status.as_u16());
            return self.page(conn, status.as_u16(), what.as_str()).await;
        };
        let page = Page {
            status,
            media_type: "",
            body: body.to_vec(),
            extra: Vec::new(),
        };
        self.send_with(conn, &answer.headers, page).await
    }

    /// Sends the client to where it finds what is not cached here.
    pub(super) async fn redirect_to(&mut self, conn: &mut Conn, location: String) -> Flow {
        self.record.outcome = Outcome::Redirected;
        let body = format!("302 Found\n\nNot cached here. It is at\n{location}\n");
        let page = Page {
            status: StatusCode::FOUND,
            media_type: "text/plain; charset=utf-8",
            body: body.into_bytes(),
            extra: vec![
                ("location", location),
                // The next request may find it here.
                ("cache-control", "no-store".to_owned()),
                ("x-content-type-options", "nosniff".to_owned()),
            ],
        };
        self.send(conn, page).await
    }

    /// An error page: text, or problem+json where the client asks for it.
    pub(super) async fn page(
        &mut self,
        conn: &mut Conn,
        status: u16,
        cause: impl Into<Cause<'_>>,
    ) -> Flow {
        self.page_with(conn, status, cause, usual_wait(status))
            .await
    }

    async fn page_with(
        &mut self,
        conn: &mut Conn,
        status: u16,
        cause: impl Into<Cause<'_>>,
        retry_after_seconds: Option<u64>,
    ) -> Flow {
        let accept = self.request.headers.get(header::ACCEPT);
        let page = error_page(status, cause, accept, &self.gateway.node);
        let mut extra: Vec<_> = error_page::FIELDS
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        if status == 405 {
            extra.push(("allow", ALLOW.to_owned()));
        }
        if let Some(seconds) = retry_after_seconds {
            extra.push(("retry-after", seconds.to_string()));
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.send(
            conn,
            Page {
                status,
                media_type: page.media_type,
                body: page.body.into_bytes(),
                extra,
            },
        )
        .await
    }

    /// Sends a body of ours.
    pub(super) async fn send(&mut self, conn: &mut Conn, page: Page) -> Flow {
        let mut fields = HeaderMap::new();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(page.media_type),
        );
        self.send_with(conn, &fields, page).await
    }

    async fn send_with(&mut self, conn: &mut Conn, fields: &HeaderMap, page: Page) -> Flow {
        // Nobody was asked on behalf of a client that is sent on.
        let fwd_status =
            (self.record.outcome != Outcome::Redirected).then_some(page.status.as_u16());
        let head = Head {
            status: page.status,
            fields,
            end: BodyEnd::Length(page.body.len() as u64),
            version: self.request.version,
            keep_alive: self.request.keep_alive && !self.closes,
            age: None,
            replaced: page.extra,
            node: &self.gateway.node,
            x_cache: self.record.outcome.x_cache(),
            cache_status: self.record.outcome.cache_status(
                &self.gateway.node,
                None,
                fwd_status,
                false,
            ),
            request_id: &self.request_id,
            now: self.now,
        };
        let mut bytes = head.to_bytes();
        self.record.status = page.status.as_u16();
        self.record.head_bytes = bytes.len() as u64;
        if self.request.method != Method::HEAD {
            bytes.extend_from_slice(&page.body);
            self.record.body_bytes = page.body.len() as u64;
        }
        match conn.write_all(&bytes).await {
            Ok(()) => {
                self.record.complete = true;
                if head.stays_open() {
                    Flow::KeepAlive
                } else {
                    Flow::Close
                }
            }
            Err(error) => {
                self.record.detail = Some(SendError::Client(error).as_str());
                Flow::Close
            }
        }
    }
}

fn usual_wait(status: u16) -> Option<u64> {
    error_page::retry_after_seconds(status).map(u64::from)
}
