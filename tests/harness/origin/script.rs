//! What an origin does with one request, step by step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::deadline::within;

/// A door that is opened once and stays open; waiting for it is how a test orders events.
#[derive(Clone)]
pub struct Gate {
    state: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.state.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn passed(&self, what: &str) {
        within(what, self.opened()).await;
    }

    /// Waits without a deadline: for tasks that are aborted when their test ends.
    pub(crate) async fn opened(&self) {
        let mut receiver = self.state.subscribe();
        receiver
            .wait_for(|open| *open)
            .await
            .expect("the sender is held by this gate");
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// One step of a script.
#[derive(Clone)]
pub(super) enum Step {
    /// Write these bytes.
    Send(Bytes),
    /// Write these bytes again and again, so many in all.
    Repeat(Bytes, u64),
    /// Write these bytes one by one, with a pause behind each.
    Drip(Bytes, Duration),
    /// Wait until the gate is open.
    Wait(Gate),
    /// Open the gate: the test learns that the script has come this far.
    Reached(Gate),
    /// End the connection in an orderly way: FIN, with TLS after close_notify.
    Close,
    /// FIN without close_notify; on plaintext the same as `Close`.
    Truncate,
    /// RST.
    Reset,
}

/// What is written in answer to one request; without an ending the connection stays open.
#[derive(Clone)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// Writes these bytes and nothing else.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self { steps: Vec::new() }.then(bytes)
    }

    /// Says nothing until the gate is open.
    pub fn after(gate: &Gate) -> Self {
        Self { steps: Vec::new() }.wait(gate)
    }

    /// A 200 with Content-Length, field lines (each ended by CRLF) and a body.
    pub fn ok(fields: &str, body: &[u8]) -> Self {
        Self::status("200 OK", fields, body)
    }

    /// Any status with Content-Length, field lines (each ended by CRLF) and a body.
    pub fn status(status: &str, fields: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n");
        Self::of(head).then(body)
    }

    /// A 200 with Content-Length whose body stops at `split` until the gate is open.
    pub fn ok_in_halves(fields: &str, body: &[u8], split: usize, gate: &Gate) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n");
        Self::of(head)
            .then(&body[..split])
            .wait(gate)
            .then(&body[split..])
    }

    /// A 200 with Content-Length whose body of `length` bytes is `period` again and again: it may be larger than memory.
    pub fn ok_repeating(fields: &str, period: &[u8], length: u64) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n");
        let mut script = Self::of(head);
        let period = Bytes::copy_from_slice(period);
        script.steps.push(Step::Repeat(period, length));
        script
    }

    /// Then writes.
    pub fn then(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(Bytes::from(bytes.into())));
        self
    }

    /// Then writes one byte at a time with this pause behind each: the slowness itself is what is tested.
    pub fn drip(mut self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        let bytes = Bytes::from(bytes.into());
        self.steps.push(Step::Drip(bytes, pause));
        self
    }

    /// Then does everything that another script does.
    pub fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    /// Then writes one chunk with its framing.
    pub fn chunk(self, bytes: &[u8]) -> Self {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.then(framed)
    }

    /// Then waits until the gate is open.
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Then opens the gate.
    pub fn reached(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Reached(gate.clone()));
        self
    }

    /// Then closes in an orderly way.
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }

    /// Then sends FIN without close_notify.
    pub fn truncate(mut self) -> Self {
        self.steps.push(Step::Truncate);
        self
    }

    /// Then sends RST.
    pub fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }
}
