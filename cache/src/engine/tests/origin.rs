//! An origin that does what a test says, and counts what is asked of it.

use crate::ports::{Framing, Origin, OriginBody, OriginError, OriginRequest, OriginResponse};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the origin does with one URL.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) chunked: bool,
    /// The body breaks off after so many bytes.
    pub(crate) breaks_at: Option<usize>,
    /// The code that reads the body has a bug there.
    pub(crate) panics_at: Option<usize>,
    /// So many requests meet a bug before they are answered.
    pub(crate) panics: Arc<Mutex<usize>>,
    /// No answer at all.
    pub(crate) unreachable: bool,
    pub(crate) piece_bytes: usize,
    /// Where the connection is reset, one after the other, counted from the start of the whole body.
    pub(crate) breaks: Arc<Mutex<VecDeque<usize>>>,
    /// No more than so many bytes of a range are sent.
    pub(crate) range_bytes_max: Option<usize>,
    /// Every other answer has another strong tag.
    pub(crate) tags_alternate: bool,
    /// Ranges are ignored.
    pub(crate) no_ranges: bool,
    /// Bytes that may leave; `None`: all at once.
    pub(crate) gate: Option<Arc<Semaphore>>,
}

impl Script {
    pub(crate) fn body(body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![("cache-control", "max-age=60".to_owned())],
            body: body.into(),
            chunked: false,
            breaks_at: None,
            panics_at: None,
            panics: Arc::default(),
            unreachable: false,
            breaks: Arc::default(),
            range_bytes_max: None,
            tags_alternate: false,
            no_ranges: false,
            piece_bytes: 16 * 1024,
            gate: None,
        }
    }

    /// Holds the body back: each permit lets one piece out. The head always leaves.
    pub(crate) fn gated(mut self) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        self.gate = Some(Arc::clone(&gate));
        (self, gate)
    }

    /// An error that says nothing of caching.
    pub(crate) fn error(status: u16) -> Self {
        Self {
            headers: Vec::new(),
            ..Self::body("sorry")
        }
        .status(status)
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).expect("a status");
        self
    }

    pub(crate) fn breaking_at(self, positions: impl IntoIterator<Item = usize>) -> Self {
        self.breaks.lock().extend(positions);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What was asked of one URL.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) heads: usize,
    pub(crate) gets: usize,
    /// Bodies on their way now, and the most there ever were.
    pub(crate) running: usize,
    pub(crate) running_max: usize,
    /// Of the GETs: those with a condition, and those for a range.
    pub(crate) conditional: usize,
    pub(crate) ranged: usize,
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedOrigin {
    scripts: Mutex<HashMap<String, Script>>,
    asked: Arc<Mutex<HashMap<String, Asked>>>,
    /// The fields of the last request for a URL.
    fields: Mutex<HashMap<String, HeaderMap>>,
}

struct ScriptedBody {
    url: String,
    left: Bytes,
    /// Where `left` begins in the whole body.
    at: usize,
    breaks: Arc<Mutex<VecDeque<usize>>>,
    breaks_after: Option<usize>,
    panics_below: Option<usize>,
    piece_bytes: usize,
    gate: Option<Arc<Semaphore>>,
    asked: Arc<Mutex<HashMap<String, Asked>>>,
}

impl ScriptedOrigin {
    pub(crate) fn set(&self, url: &str, script: Script) {
        self.scripts.lock().insert(url.to_owned(), script);
    }

    pub(crate) fn fields(&self, url: &str) -> HeaderMap {
        self.fields.lock().get(url).cloned().unwrap_or_default()
    }

    pub(crate) fn asked(&self, url: &str) -> Asked {
        self.asked.lock().get(url).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Origin for ScriptedOrigin {
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError> {
        let url = request.target.to_string();
        let script = self.scripts.lock().get(&url).cloned();
        let is_head = request.method == Method::HEAD;
        self.note(&url, &request);
        tokio::task::yield_now().await;
        let gets = self.asked(&url).gets;
        let script = script.map(
            |script| match script.tags_alternate && gets.is_multiple_of(2) {
                true => script.header("etag", "\"another\""),
                false => script,
            },
        );
        if let Some(script) = &script {
            let mut panics = script.panics.lock();
            let left = panics.checked_sub(1);
            *panics = left.unwrap_or(0);
            drop(panics);
            assert!(left.is_none(), "as the test wants it");
        }
        let Some(script) = script.filter(|script| !script.unreachable) else {
            return Err(OriginError::NoAnswer(url));
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &script.headers {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a field value"),
            );
        }
        let mut script = script;
        let whole = script.body.len();
        let (status, from, end) = answer(&script, &request.headers);
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            script.body = Bytes::new();
        }
        if status == StatusCode::PARTIAL_CONTENT {
            script.body.truncate(end);
            let range = format!("bytes {from}-{}/{whole}", end.saturating_sub(1));
            headers.insert(
                "content-range",
                HeaderValue::from_str(&range).expect("text"),
            );
        }
        let is_empty = is_head || status == StatusCode::NOT_MODIFIED;
        script.body = script.body.split_off(from.min(whole));
        let framing = match (is_empty, script.chunked) {
            (true, _) => Framing::None,
            (false, true) => Framing::Chunked,
            (false, false) => Framing::Length(script.body.len() as u64),
        };
        let body = ScriptedBody::start(url, from, script, is_empty, Arc::clone(&self.asked));
        let address = ([127, 0, 0, 1], 80).into();
        Ok(OriginResponse {
            status,
            headers,
            framing,
            address,
            body: Box::new(body),
        })
    }
}

impl ScriptedOrigin {
    fn note(&self, url: &str, request: &OriginRequest) {
        let fields = &request.headers;
        self.fields.lock().insert(url.to_owned(), fields.clone());
        let mut asked = self.asked.lock();
        let asked = asked.entry(url.to_owned()).or_default();
        if request.method == Method::HEAD {
            asked.heads += 1;
            return;
        }
        asked.gets += 1;
        let is_conditional =
            fields.contains_key("if-none-match") || fields.contains_key("if-modified-since");
        asked.conditional += usize::from(is_conditional);
        asked.ranged += usize::from(fields.contains_key("range"));
    }
}

/// Status, first byte and end of what an honest server answers.
fn answer(script: &Script, request: &HeaderMap) -> (StatusCode, usize, usize) {
    let own = |name: &str| {
        let mut fields = script.headers.iter();
        fields
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    };
    let said = |name: &str| request.get(name).and_then(|value| value.to_str().ok());
    let whole = script.body.len();
    if script.status != StatusCode::OK {
        return (script.status, 0, whole);
    }
    let unchanged = said("if-none-match").map_or_else(
        || said("if-modified-since").is_some_and(|date| own("last-modified") == Some(date)),
        |tags| own("etag").is_some_and(|tag| tags.contains(tag)),
    );
    if unchanged {
        return (StatusCode::NOT_MODIFIED, 0, whole);
    }
    let same = said("if-range").is_none_or(|tag| own("etag") == Some(tag));
    let range = said("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    match range {
        Some((from, last)) if same && !script.no_ranges => {
            let from: usize = from.parse().expect("a number");
            let end = last
                .parse()
                .map_or(whole, |last: usize| (last + 1).min(whole));
            let end = end.min(from.saturating_add(script.range_bytes_max.unwrap_or(whole)));
            if from >= whole {
                return (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0);
            }
            (StatusCode::PARTIAL_CONTENT, from, end)
        }
        _ => (StatusCode::OK, 0, whole),
    }
}

impl ScriptedBody {
    fn start(
        url: String,
        at: usize,
        script: Script,
        is_head: bool,
        asked: Arc<Mutex<HashMap<String, Asked>>>,
    ) -> Self {
        {
            let mut asked = asked.lock();
            let asked = asked.entry(url.clone()).or_default();
            asked.running += 1;
            asked.running_max = asked.running_max.max(asked.running);
        }
        let left_bytes = script.body.len();
        let left = if is_head { Bytes::new() } else { script.body };
        Self {
            url,
            left,
            at,
            breaks: script.breaks,
            breaks_after: script.breaks_at,
            panics_below: script.panics_at.map(|at| left_bytes.saturating_sub(at)),
            piece_bytes: script.piece_bytes,
            gate: script.gate,
            asked,
        }
    }
}

#[async_trait]
impl OriginBody for ScriptedBody {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        if let Some(gate) = &self.gate {
            gate.acquire()
                .await
                .expect("gates are never closed")
                .forget();
        } else {
            tokio::task::yield_now().await;
        }
        assert!(
            self.panics_below
                .is_none_or(|bytes| self.left.len() > bytes),
            "as the test wants it"
        );
        if self.breaks_after == Some(0) {
            return Err(OriginError::Truncated(self.url.clone(), "reset"));
        }
        let next_break = self.breaks.lock().front().copied();
        if next_break.is_some_and(|position| position <= self.at) {
            self.breaks.lock().pop_front();
            return Err(OriginError::Truncated(self.url.clone(), "reset"));
        }
        if self.left.is_empty() {
            return Ok(None);
        }
        let length = self
            .piece_bytes
            .min(self.left.len())
            .min(next_break.map_or(usize::MAX, |position| position - self.at))
            .min(self.breaks_after.unwrap_or(usize::MAX));
        self.at += length;
        if let Some(left) = &mut self.breaks_after {
            *left -= length;
        }
        Ok(Some(self.left.split_to(length)))
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.lock().get_mut(&self.url) {
            asked.running -= 1;
        }
    }
}
