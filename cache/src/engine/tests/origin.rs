//! An origin that does what a test says, and counts what is asked of it.

use crate::ports::{Framing, Origin, OriginBody, OriginError, OriginRequest, OriginResponse};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use std::collections::HashMap;
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
    /// No answer at all.
    pub(crate) unreachable: bool,
    pub(crate) piece_bytes: usize,
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
            unreachable: false,
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
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedOrigin {
    scripts: Mutex<HashMap<String, Script>>,
    asked: Arc<Mutex<HashMap<String, Asked>>>,
}

struct ScriptedBody {
    url: String,
    left: Bytes,
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
        {
            let mut asked = self.asked.lock();
            let asked = asked.entry(url.clone()).or_default();
            if is_head {
                asked.heads += 1
            } else {
                asked.gets += 1
            }
        }
        tokio::task::yield_now().await;
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
        let framing = match (is_head, script.chunked) {
            (true, _) => Framing::None,
            (false, true) => Framing::Chunked,
            (false, false) => Framing::Length(script.body.len() as u64),
        };
        let body = ScriptedBody::start(url, script.clone(), is_head, Arc::clone(&self.asked));
        let address = ([127, 0, 0, 1], 80).into();
        Ok(OriginResponse {
            status: script.status,
            headers,
            framing,
            address,
            body: Box::new(body),
        })
    }
}

impl ScriptedBody {
    fn start(
        url: String,
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
        if self.left.is_empty() {
            return Ok(None);
        }
        let length = self
            .piece_bytes
            .min(self.left.len())
            .min(self.breaks_after.unwrap_or(usize::MAX));
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
