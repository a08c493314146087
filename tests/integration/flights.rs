//! One upstream fetch for a crowd: who joins it, who does not, and what happens when it breaks.

mod breaking;
mod crowd;
mod private;

use crate::stage::Stage;
use weir_tests::client::{RawClient, forward};
use weir_tests::response::Head;
use weir_tests::{Content, Ending};

/// A client in the middle of a body.
struct Reader {
    client: RawClient,
    head: Head,
    received: usize,
    wrong: bool,
}

impl Reader {
    /// Asks for a path.
    async fn ask(stage: &Stage, path: &str, fields: &str) -> RawClient {
        let mut client = stage.gateway.connect().await;
        client
            .send(forward("GET", &stage.origin.url(path), fields))
            .await;
        client
    }

    /// Reads the head and the first `count` bytes of the body.
    async fn begin(mut client: RawClient, content: &Content, count: usize) -> Self {
        let head = client.head().await;
        assert_eq!(head.status, 200, "{head:?}");
        let mut reader = Self {
            client,
            head,
            received: 0,
            wrong: false,
        };
        let (received, wrong) = (&mut reader.received, &mut reader.wrong);
        let mut sink = |bytes: &[u8]| {
            *wrong |= !content.holds_at(*received, bytes);
            *received += bytes.len();
        };
        reader
            .client
            .exactly(count, &mut sink)
            .await
            .expect("the first bytes of the body");
        assert!(!reader.wrong, "other bytes than the origin's");
        reader
    }

    /// Reads on: everything must be the origin's bytes. Returns how many there were in all, and
    /// whether the end was clean.
    async fn end(mut self, content: &Content) -> (usize, bool) {
        let total = content.length();
        let announced: Option<usize> = self
            .head
            .field("content-length")
            .and_then(|text| text.parse().ok());
        let (received, wrong) = (&mut self.received, &mut self.wrong);
        let mut sink = |bytes: &[u8]| {
            *wrong |= !content.holds_at(*received, bytes);
            *received += bytes.len();
        };
        let is_clean = match announced {
            Some(length) => {
                assert_eq!(length, total, "announced another length");
                let rest = length - *received;
                self.client.exactly(rest, &mut sink).await.is_ok()
            }
            None => panic!("chunked bodies are read in one go: {:?}", self.head),
        };
        assert!(!self.wrong, "other bytes than the origin's");
        (self.received, is_clean)
    }
}

/// Reads a whole response whose bytes must all be the origin's, however far it comes.
async fn read_prefix(mut client: RawClient, content: &Content) -> (usize, Ending) {
    let head = client.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    let (mut received, mut wrong) = (0, false);
    let ending = client
        .body(&head, "GET", |bytes| {
            wrong |= !content.holds_at(received, bytes);
            received += bytes.len();
        })
        .await;
    assert!(!wrong, "other bytes than the origin's");
    (received, ending)
}
