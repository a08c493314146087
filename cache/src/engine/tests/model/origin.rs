//! The origin of the model: it knows every version that its pages ever had, tells the truth about them unless it is
//! told to lie, and writes down in the [`Book`] what it has said.

use super::book::{Book, Mode, Running, Told, Vouch};
use crate::clock::ManualClock;
use crate::ports::{
    Clock, Framing, Origin, OriginBody, OriginError, OriginRequest, OriginResponse,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const PIECE_BYTES: usize = 16 * 1024;
/// In every answer: which version it speaks of. Stored, merged and served like any other field.
pub(super) const VERSION: &str = "x-version";

/// In every answer with bytes, and so with them wherever they go: when they were asked for.
pub(super) const ASKED: &str = "x-asked";

#[derive(Debug)]
pub(super) struct ModelOrigin {
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) clock: Arc<ManualClock>,
    /// Each permit lets one piece of a body out.
    pub(super) gate: Arc<Semaphore>,
}

/// One body on its way.
struct ModelBody {
    book: Arc<Mutex<Book>>,
    gate: Arc<Semaphore>,
    page: usize,
    left: Bytes,
    /// Where `left` begins in the whole body.
    at: usize,
    running: u64,
}

/// What a request says, as an origin reads it.
#[derive(Debug)]
struct Asked {
    is_head: bool,
    language: usize,
    tags: Option<String>,
    since: Option<String>,
    range: Option<(usize, usize)>,
    if_range: Option<String>,
    is_shared: bool,
    /// When it was asked.
    tick: u64,
    at: Duration,
}

impl Asked {
    fn of(request: &OriginRequest, tick: u64, at: Duration) -> Self {
        let said = |name: &str| {
            let value = request.headers.get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let range = said("range").and_then(|range| {
            let (from, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((from.parse().ok()?, last.parse().unwrap_or(usize::MAX - 1)))
        });
        Self {
            is_head: request.method == Method::HEAD,
            language: usize::from(said("accept-language").as_deref() == Some("de")),
            tags: said("if-none-match"),
            since: said("if-modified-since"),
            range,
            if_range: said("if-range"),
            tick,
            at,
            is_shared: request.method == Method::GET
                && range.is_none()
                && !request.headers.contains_key("authorization"),
        }
    }
}

#[async_trait]
impl Origin for ModelOrigin {
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError> {
        let url = request.target.to_string();
        let asked = Asked::of(&request, self.book.lock().tick(), self.clock.elapsed());
        let slow = {
            let book = self.book.lock();
            book.pages[book.page(&url)].slow
        };
        if slow {
            let permit = self.gate.acquire().await;
            permit.expect("gates are never closed").forget();
        } else {
            tokio::task::yield_now().await;
        }
        let mut book = self.book.lock();
        let at = self.clock.elapsed();
        book.now = at;
        let page = book.page(&url);
        match book.pages[page].mode {
            Mode::Unreachable => {
                book.failed(page, at);
                Err(OriginError::NoAnswer(url))
            }
            Mode::Sick(status) => {
                book.failed(page, at);
                Ok(self.respond(
                    &mut book,
                    page,
                    None,
                    status,
                    HeaderMap::new(),
                    Bytes::from_static(b"sorry"),
                    0,
                ))
            }
            Mode::Well | Mode::Lying => Ok(self.answer(&mut book, page, &asked)),
        }
    }
}

impl ModelOrigin {
    fn answer(&self, book: &mut Book, number: usize, asked: &Asked) -> OriginResponse {
        book.note(format!("page {number}: answers {asked:?}"));
        let page = &book.pages[number];
        let language = if page.varies { asked.language } else { 0 };
        let version = page.versions.len() - 1;
        let (tag, date) = page.validators(version, language);
        let unchanged = match (&asked.tags, &asked.since) {
            (Some(tags), _) => tag.as_deref() == Some(tags),
            (None, Some(since)) => date.as_deref() == Some(since),
            (None, None) => false,
        };
        let lies = page.mode == Mode::Lying && asked.tags.is_some();
        let body = page.versions[version].bodies[language].clone();
        let mut fields = page.fields(version, language);
        if lies {
            fields.insert("etag", value("\"a lie\""));
            book.touch(number);
            return self.respond(book, number, None, 304, fields, Bytes::new(), 0);
        }
        let told = Told {
            page: number,
            version,
            language,
        };
        let same = asked
            .if_range
            .as_ref()
            .is_none_or(|wanted| tag.as_ref().or(date.as_ref()) == Some(wanted));
        let ranges = book.pages[number].ranges && same;
        let (status, from, body) = match asked.range {
            _ if unchanged => (304, 0, Bytes::new()),
            Some((from, _)) if ranges && from >= body.len() => (416, 0, Bytes::new()),
            Some((from, last)) if ranges => {
                let end = (last + 1).min(body.len());
                (206, from, body.slice(from..end))
            }
            _ => (200, 0, body),
        };
        let whole = book.pages[number].versions[version].bodies[language].len();
        if status == 416 {
            // Where parts contradict it, the whole is asked for once.
            book.alone.insert(number);
            fields = HeaderMap::new();
            fields.insert("content-range", value(&format!("bytes */{whole}")));
            return self.respond(book, number, None, 416, fields, body, 0);
        }
        if status == 206 {
            let range = format!("bytes {from}-{}/{whole}", from + body.len() - 1);
            fields.insert("content-range", value(&range));
        }
        let mut saying = Some(book.pages[number].saying);
        if status == 304 && book.pages[number].terse {
            fields.remove("cache-control");
            saying = None;
        }
        if status != 304 && !asked.is_head {
            fields.insert(ASKED, value(&asked.tick.to_string()));
        }
        if asked.is_head {
            fields.insert("content-length", value(&whole.to_string()));
        }
        let vouch = Vouch {
            tick: 0,
            asked: asked.tick,
            sent: (!asked.is_head && status != 304).then_some((from, from + body.len())),
            at: self.clock.elapsed(),
            told,
            saying,
        };
        book.vouch(vouch);
        let body = if asked.is_head { Bytes::new() } else { body };
        let running = asked.is_shared.then_some((told, asked.tick, asked.at));
        let response = self.respond(book, number, running, status, fields, body, from);
        if asked.is_head {
            return OriginResponse {
                framing: Framing::None,
                ..response
            };
        }
        response
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call for every kind of answer"
    )]
    fn respond(
        &self,
        book: &mut Book,
        page: usize,
        shared: Option<(Told, u64, Duration)>,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
        from: usize,
    ) -> OriginResponse {
        let framing = match status {
            304 => Framing::None,
            _ if book.pages[page].chunked => Framing::Chunked,
            _ => Framing::Length(body.len() as u64),
        };
        let saying = book.pages[page].saying;
        let running = book.start(Running {
            id: 0,
            asked: shared.map_or(0, |(_, tick, _)| tick),
            at: shared.map_or(Duration::ZERO, |(.., at)| at),
            page,
            fresh_for: if saying.no_cache { 0 } else { saying.max_age },
            shared: shared.map(|(told, ..)| told).filter(|_| status == 200),
        });
        OriginResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            framing,
            address: ([127, 0, 0, 1], 80).into(),
            body: Box::new(ModelBody {
                book: Arc::clone(&self.book),
                gate: Arc::clone(&self.gate),
                page,
                left: body,
                at: from,
                running,
            }),
        }
    }
}

#[async_trait]
impl OriginBody for ModelBody {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        let permit = self.gate.acquire().await;
        permit.expect("gates are never closed").forget();
        let mut book = self.book.lock();
        let next_break = book.pages[self.page].breaks.front().copied();
        if next_break.is_some_and(|position| position <= self.at) {
            book.broke(self.page);
            return Err(OriginError::Truncated("origin".to_owned(), "reset"));
        }
        if self.left.is_empty() {
            return Ok(None);
        }
        let length = PIECE_BYTES
            .min(self.left.len())
            .min(next_break.map_or(usize::MAX, |position| position - self.at));
        self.at += length;
        Ok(Some(self.left.split_to(length)))
    }
}

impl Drop for ModelBody {
    fn drop(&mut self) {
        self.book.lock().end(self.running);
    }
}

pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a field value")
}

pub(super) fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}
