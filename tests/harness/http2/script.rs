//! What an origin does with one stream, step by step.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::Gate;

/// One step of a script.
#[derive(Clone)]
pub(super) enum Step {
    /// An interim response.
    Interim(StatusCode, HeaderMap),
    /// The final head.
    Head(StatusCode, HeaderMap),
    /// Bytes of the body, as fast as the windows allow.
    Data(Bytes),
    /// Wait until the gate is open.
    Wait(Gate),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY for the connection; the stream goes on.
    GoAway,
    /// The connection ends without another word, as when a machine loses its power.
    Cut,
}

/// What is sent in answer to one request; without an ending, END_STREAM follows the last step.
#[derive(Clone, Default)]
pub struct StreamScript {
    pub(super) steps: Vec<Step>,
}

impl StreamScript {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A 200 with Content-Length, these fields and a body.
    pub fn ok(fields: &[(&str, &str)], body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut all = vec![("content-length", length.as_str())];
        all.extend_from_slice(fields);
        Self::head(200, &all).data(body)
    }

    /// The final head.
    pub fn head(status: u16, fields: &[(&str, &str)]) -> Self {
        Self::new().then_head(status, fields)
    }

    /// Then the final head.
    pub fn then_head(self, status: u16, fields: &[(&str, &str)]) -> Self {
        self.then(Step::Head(code(status), map(fields)))
    }

    /// Then `count` interim responses.
    pub fn interim(mut self, count: usize, status: u16, fields: &[(&str, &str)]) -> Self {
        for _ in 0..count {
            self = self.then(Step::Interim(code(status), map(fields)));
        }
        self
    }

    /// Then bytes of the body.
    pub fn data(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Data(Bytes::from(bytes.into())))
    }

    /// Then waits until the gate is open.
    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Then RST_STREAM with a code of RFC 9113 §7.
    pub fn reset(self, code: u32) -> Self {
        self.then(Step::Reset(code))
    }

    /// Then says that the connection takes no further requests.
    pub fn go_away(self) -> Self {
        self.then(Step::GoAway)
    }

    /// Then drops the connection.
    pub fn cut(self) -> Self {
        self.then(Step::Cut)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("three digits")
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let name = HeaderName::try_from(*name).expect("a name");
        (name, HeaderValue::try_from(*value).expect("a value"))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        headers.append(name, value);
    }
    headers
}
