//! Real clients and a real origin: what a user types, and byte for byte what it yields.

mod curl;
mod forms;
mod wget;

use tempfile::TempDir;
use weir_tests::certificate::Authority;
use weir_tests::program::{Program, Run};
use weir_tests::{Content, Gateway, Nginx};

/// A path under which nginx says that things are fresh.
const ARCHIVE: &str = "/cached/file-1.0.tar.gz";

/// A real origin with one file, a gateway, and a folder to download into.
struct Site {
    nginx: Nginx,
    gateway: Gateway,
    content: Content,
    folder: TempDir,
}

impl Site {
    /// Plaintext.
    async fn new() -> Self {
        Self::of(Nginx::start().await, Gateway::start().await)
    }

    /// TLS with an authority that the gateway trusts.
    async fn encrypted() -> Self {
        let authority = Authority::new();
        let nginx = Nginx::start_tls(&authority).await;
        Self::of(nginx, Gateway::builder().trusting(&authority).start().await)
    }

    fn of(nginx: Nginx, gateway: Gateway) -> Self {
        let content = Content::new(1, 2 * 1024 * 1024 + 12345);
        nginx.put(ARCHIVE, &content.bytes());
        Self {
            nginx,
            gateway,
            content,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// The program in the download folder.
    fn program(&self, name: &str) -> Program {
        Program::new(name).within(self.folder.path())
    }

    /// curl, silent but for errors, with the gateway as proxy.
    async fn curl(&self, arguments: &[&str]) -> Run {
        let proxy = self.gateway.proxy_url();
        self.program("curl")
            .args(["-sS", "-x", &proxy])
            .args(arguments)
            .run()
            .await
    }

    /// wget with the gateway as proxy.
    async fn wget(&self, arguments: &[&str]) -> Run {
        let proxy = format!("http_proxy={}", self.gateway.proxy_url());
        let options = ["--no-config", "-nv", "--tries=1", "-e", &proxy];
        self.program("wget")
            .args(options)
            .args(arguments)
            .run()
            .await
    }

    /// The bytes of a downloaded file.
    fn downloaded(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("it was downloaded")
    }

    /// Checks a downloaded file byte by byte.
    #[track_caller]
    fn assert_downloaded(&self, name: &str) {
        let bytes = self.downloaded(name);
        assert_eq!(bytes.len(), self.content.length(), "{name}");
        assert!(self.content.holds_at(0, &bytes), "{name} has other bytes");
    }

    /// How many requests nginx has logged.
    fn fetches(&self) -> usize {
        self.nginx.access_log().len()
    }
}
