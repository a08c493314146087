//! The usual arrangement: one gateway in front of one raw origin.

use weir_tests::client::RawClient;
use weir_tests::gateway::Builder;
use weir_tests::{Gateway, Origin, Response, Script};

/// Field line of a response that is fresh for a while.
pub(crate) const FRESH: &str = "Cache-Control: max-age=600\r\n";

/// Gateway and origin.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) origin: Origin,
}

impl Stage {
    /// With the settings of every test.
    pub(crate) async fn new() -> Self {
        Self::with(Gateway::builder()).await
    }

    /// With settings of one's own.
    pub(crate) async fn with(builder: Builder) -> Self {
        Self {
            gateway: builder.start().await,
            origin: Origin::start().await,
        }
    }

    /// GET of a path of the origin as a forward proxy.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.gateway.get(&self.origin.url(path)).await
    }

    /// Like [`Self::get`], with more field lines, each ended by CRLF.
    pub(crate) async fn get_with(&self, path: &str, fields: &str) -> Response {
        self.gateway.get_with(&self.origin.url(path), fields).await
    }

    /// Writes `text` on a fresh connection; `{origin}` stands for the origin's authority, and every
    /// character for the byte with its number.
    pub(crate) async fn write(&self, text: &str) -> RawClient {
        let mut client = self.gateway.connect().await;
        client
            .send(wire(&text.replace("{origin}", &self.origin.authority())))
            .await;
        client
    }

    /// Checks that the store now answers a GET of this path, with `body`.
    pub(crate) async fn assert_hit(&self, path: &str, body: &[u8]) {
        self.gateway.settled().await;
        let before = self.origin.requests();
        let response = self.get(path).await;
        response.assert_is(200, body);
        assert!(
            response.is_hit(),
            "{path} is not stored: {:?}",
            response.head
        );
        assert_eq!(self.origin.requests(), before, "{path} was fetched again");
    }

    /// Checks that a GET of this path asks the origin again.
    pub(crate) async fn assert_fetched(&self, path: &str) -> Response {
        self.gateway.settled().await;
        let before = self.origin.requests();
        let response = self.get(path).await;
        assert!(!response.is_hit(), "{path} is stored: {:?}", response.head);
        assert_eq!(
            self.origin.requests(),
            before + 1,
            "{path} was not fetched again"
        );
        response
    }

    /// Answers the path with a fresh 200.
    pub(crate) fn fresh(&self, path: &str, body: &[u8]) {
        self.origin.on(path, Script::ok(FRESH, body));
    }

    /// The stage with another gateway, and the one before.
    pub(crate) fn replaced_by(mut self, new: Gateway) -> (Self, Gateway) {
        let old = std::mem::replace(&mut self.gateway, new);
        (self, old)
    }

    /// The stage with the next process, once that holds the data; and the process before.
    pub(crate) async fn upgraded(self) -> (Self, Gateway) {
        let new = self.gateway.upgrade().await;
        new.owns_data().await;
        self.replaced_by(new)
    }

    /// Ends the gateway in good order.
    pub(crate) async fn finish(self) {
        self.gateway.finish().await;
    }
}

/// The settings of every test with one rule, written as in the configuration file.
pub(crate) fn ruled(lines: &str) -> Builder {
    let text = format!("[[rule]]\nname = \"of-the-test\"\n{lines}\n");
    let rule: toml::Table = toml::from_str(&text).expect("a rule");
    Gateway::builder().config(|config| config.extend(rule))
}

/// Characters up to U+00FF as single bytes, so that tables can hold bytes that are not UTF-8.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).expect("a byte"))
        .collect()
}
