//! From an answer of the engine to bytes on the connection.
//!
//! Knows no store and no upstream: it selects the part asked for ([`select`]), writes one head ([`head`]) and moves
//! the body ([`body`]). Status, framing and connection are decided here, once, for stored, growing and private
//! responses alike.

pub(crate) mod body;
pub(crate) mod head;
mod multipart;
pub(crate) mod select;

use crate::front::conn::Conn;
use crate::front::{Flow, Request, Version};
use crate::record::Record;
use body::{Coding, SendError, Source};
use head::{BodyEnd, Head};
use http::header;
use http::{HeaderMap, Method, StatusCode};
use multipart::Multipart;
use select::{Selected, select};
use std::io::IoSlice;
use std::time::SystemTime;
use weir_policies::conditional::not_modified_fields;
use weir_policies::outcome::Outcome;
use weir_policies::range::ByteRange;

/// Everything about a response except where its bytes are.
pub(crate) struct Response<'a> {
    pub(crate) request: &'a Request,
    pub(crate) status: StatusCode,
    pub(crate) fields: &'a HeaderMap,
    /// Length of the representation where known.
    pub(crate) length: Option<u64>,
    pub(crate) outcome: Outcome,
    /// Seconds.
    pub(crate) age: Option<u64>,
    /// Seconds of freshness left, for hits.
    pub(crate) ttl: Option<i64>,
    /// The response is (being) stored.
    pub(crate) stored: bool,
    /// The upstream's body ended with its connection: the client sees the same ambiguity.
    pub(crate) ends_by_close: bool,
    pub(crate) node: &'a str,
    pub(crate) request_id: String,
    pub(crate) now: SystemTime,
}

impl Response<'_> {
    /// Sends the representation, or the part of it that was asked for: preconditions and ranges apply to a 200 from
    /// wherever it comes, also to that of an upstream which was asked for more than its client wanted.
    pub(crate) async fn send(
        &self,
        conn: &mut Conn,
        mut source: Source,
        record: &mut Record,
    ) -> Flow {
        match select(self.request, self.status, self.fields, self.length) {
            Selected::Whole => {
                self.send_whole(conn, &mut source, self.length, record)
                    .await
            }
            Selected::Part(part) => self.send_part(conn, &mut source, part, record).await,
            // A stream goes one way: several parts of it may be out of order.
            Selected::Parts(_) if matches!(source, Source::Private(_)) => {
                self.send_whole(conn, &mut source, self.length, record)
                    .await
            }
            Selected::Parts(parts) => self.send_parts(conn, &mut source, &parts, record).await,
            Selected::NotModified => {
                let fields = not_modified_fields(self.fields);
                self.send_head_only(
                    conn,
                    StatusCode::NOT_MODIFIED,
                    &fields,
                    BodyEnd::None,
                    Vec::new(),
                    record,
                )
                .await
            }
            Selected::PreconditionFailed => {
                let status = StatusCode::PRECONDITION_FAILED;
                self.send_head_only(
                    conn,
                    status,
                    &HeaderMap::new(),
                    BodyEnd::Length(0),
                    Vec::new(),
                    record,
                )
                .await
            }
            Selected::Unsatisfiable => {
                let range = format!("bytes */{}", self.length.unwrap_or(0));
                let replaced = vec![("content-range", range)];
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                self.send_head_only(
                    conn,
                    status,
                    &HeaderMap::new(),
                    BodyEnd::Length(0),
                    replaced,
                    record,
                )
                .await
            }
        }
    }

    async fn send_whole(
        &self,
        conn: &mut Conn,
        source: &mut Source,
        length: Option<u64>,
        record: &mut Record,
    ) -> Flow {
        let end = self.end(length);
        let head = self.head(self.status, self.fields, end, Vec::new());
        if self.request.method == Method::HEAD || end == BodyEnd::None {
            return self.finish_head_only(conn, &head, record).await;
        }
        let coding = if end == BodyEnd::Chunked {
            Coding::Chunked
        } else {
            Coding::Plain
        };
        let sent = self.put(conn, &head, source, (0, length), coding, record);
        let sent = sent.await;
        self.finish(conn, &head, sent, record)
    }

    async fn send_part(
        &self,
        conn: &mut Conn,
        source: &mut Source,
        part: ByteRange,
        record: &mut Record,
    ) -> Flow {
        let range = format!(
            "bytes {}-{}/{}",
            part.start,
            part.end - 1,
            self.length.unwrap_or(part.end)
        );
        let end = BodyEnd::Length(part.end - part.start);
        let head = self.head(
            StatusCode::PARTIAL_CONTENT,
            self.fields,
            end,
            vec![("content-range", range)],
        );
        let range = (part.start, Some(part.end));
        let sent = self.put(conn, &head, source, range, Coding::Plain, record);
        let sent = sent.await;
        self.finish(conn, &head, sent, record)
    }

    async fn send_parts(
        &self,
        conn: &mut Conn,
        source: &mut Source,
        ranges: &[ByteRange],
        record: &mut Record,
    ) -> Flow {
        let multipart = Multipart::new(
            ranges,
            self.fields,
            self.length.unwrap_or(0),
            &self.request_id,
        );
        let replaced = vec![("content-type", multipart.media_type())];
        let end = BodyEnd::Length(multipart.length());
        let head = self.head(StatusCode::PARTIAL_CONTENT, self.fields, end, replaced);
        let sent = async {
            self.put_head(conn, &head, More::Follows, record).await?;
            for (text, range) in &multipart.parts {
                conn.write_ahead(text.as_bytes()).await?;
                record.body_bytes += text.len() as u64;
                source
                    .send(
                        conn,
                        range.start,
                        Some(range.end),
                        Coding::Plain,
                        &mut record.body_bytes,
                    )
                    .await?;
            }
            conn.write_all(multipart.tail.as_bytes()).await?;
            record.body_bytes += multipart.tail.len() as u64;
            Ok(())
        };
        let sent = sent.await;
        self.finish(conn, &head, sent, record)
    }

    async fn send_head_only(
        &self,
        conn: &mut Conn,
        status: StatusCode,
        fields: &HeaderMap,
        end: BodyEnd,
        replaced: Vec<(&'static str, String)>,
        record: &mut Record,
    ) -> Flow {
        let head = self.head(status, fields, end, replaced);
        self.finish_head_only(conn, &head, record).await
    }

    async fn finish_head_only(
        &self,
        conn: &mut Conn,
        head: &Head<'_>,
        record: &mut Record,
    ) -> Flow {
        let sent = self.put_head(conn, head, More::Nothing, record).await;
        self.finish(conn, head, sent, record)
    }

    /// How the body will end for this client.
    fn end(&self, length: Option<u64>) -> BodyEnd {
        let bodiless = matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        match (length, self.request.version) {
            _ if bodiless => BodyEnd::None,
            (Some(length), _) => BodyEnd::Length(length),
            (None, Version::Http11) if !self.ends_by_close => BodyEnd::Chunked,
            (None, Version::Http11 | Version::Http10) => BodyEnd::Close,
        }
    }

    fn head<'h>(
        &'h self,
        status: StatusCode,
        fields: &'h HeaderMap,
        end: BodyEnd,
        replaced: Vec<(&'static str, String)>,
    ) -> Head<'h> {
        Head {
            status,
            fields,
            end,
            version: self.request.version,
            keep_alive: self.request.keep_alive,
            age: self.age,
            replaced,
            node: self.node,
            x_cache: self.outcome.x_cache(),
            cache_status: self.outcome.cache_status(
                self.node,
                self.ttl,
                Some(self.status.as_u16()),
                self.stored,
            ),
            request_id: &self.request_id,
            now: self.now,
        }
    }

    /// Head and body. What is small and at hand leaves with its head in one call.
    async fn put(
        &self,
        conn: &mut Conn,
        head: &Head<'_>,
        source: &mut Source,
        (start, end): (u64, Option<u64>),
        coding: Coding,
        record: &mut Record,
    ) -> Result<(), SendError> {
        if let Some(body) = source.at_hand(start, end) {
            let bytes = noted(head, record);
            let mut both = [IoSlice::new(&bytes), IoSlice::new(&body)];
            conn.write_vectored_all(&mut both).await?;
            record.body_bytes += body.len() as u64;
            return Ok(());
        }
        let more = if source.follows_at_once(end) {
            More::Follows
        } else {
            More::Nothing
        };
        self.put_head(conn, head, more, record).await?;
        let sent = &mut record.body_bytes;
        source.send(conn, start, end, coding, sent).await
    }

    async fn put_head(
        &self,
        conn: &mut Conn,
        head: &Head<'_>,
        more: More,
        record: &mut Record,
    ) -> Result<(), SendError> {
        let bytes = noted(head, record);
        match more {
            More::Follows => conn.write_ahead(&bytes).await?,
            More::Nothing => conn.write_all(&bytes).await?,
        }
        Ok(())
    }

    fn finish(
        &self,
        conn: &mut Conn,
        head: &Head<'_>,
        sent: Result<(), SendError>,
        record: &mut Record,
    ) -> Flow {
        match sent {
            Ok(()) => {
                record.complete = true;
                if head.stays_open() {
                    Flow::KeepAlive
                } else {
                    Flow::Close
                }
            }
            Err(error) => {
                record.detail = Some(error.as_str());
                if !matches!(error, SendError::Client(_)) {
                    let url = record
                        .url
                        .split('?')
                        .next()
                        .unwrap_or_default()
                        .escape_debug();
                    tracing::info!(%url, %error, "response cut short");
                }
                if head.end == BodyEnd::Close {
                    conn.abort();
                }
                Flow::Close
            }
        }
    }
}

/// What comes behind a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// Bytes, at once: the head may wait for them, so that they share packets.
    Follows,
    /// Nothing, or nobody knows when.
    Nothing,
}

/// The bytes of a head that is about to be sent.
fn noted(head: &Head<'_>, record: &mut Record) -> Vec<u8> {
    let bytes = head.to_bytes();
    record.status = head.status.as_u16();
    record.head_bytes = bytes.len() as u64;
    let media_type = head.fields.get(header::CONTENT_TYPE);
    record.media_type = media_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    bytes
}
