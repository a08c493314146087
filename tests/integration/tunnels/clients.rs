//! Real clients fetch over TLS through a tunnel.

use super::tunnels_to;
use tempfile::TempDir;
use weir_tests::certificate::{Authority, Leaf};
use weir_tests::program::{Program, Run};
use weir_tests::skip::skip;
use weir_tests::{Content, Gateway, Origin, Script};

/// An origin that speaks TLS, a gateway that may tunnel to it, and a folder to download into.
struct Site {
    origin: Origin,
    gateway: Gateway,
    content: Content,
    folder: TempDir,
    authority: String,
}

impl Site {
    async fn new() -> Self {
        let authority = Authority::new();
        let origin = Origin::start_tls(authority.server(Leaf::Good)).await;
        let content = Content::new(3, 700_000);
        origin.on("/file", Script::ok("", &content.bytes()));
        let gateway = tunnels_to(origin.address().port()).start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, authority.pem()).expect("writes");
        Self {
            origin,
            gateway,
            content,
            folder,
            authority: file.display().to_string(),
        }
    }

    /// A program in the download folder, with the gateway as its proxy for https.
    fn program(&self, name: &str) -> Program {
        Program::new(name)
            .within(self.folder.path())
            .env("https_proxy", &self.gateway.proxy_url())
    }

    /// Checks the downloaded file byte by byte, that it came through a tunnel, and that the store has nothing of it.
    async fn assert_fetched(self, run: &Run, name: &str) {
        run.assert_code(0);
        let bytes = std::fs::read(self.folder.path().join(name)).expect("it was downloaded");
        assert!(bytes == self.content.bytes(), "{name} has other bytes");
        let carried = "weir_tunnel_bytes_total{direction=\"down\"}";
        assert!(self.gateway.metric(carried).await > bytes.len() as f64);
        assert_eq!(self.gateway.metric("weir_store_objects").await, 0.0);
        self.gateway.finish().await;
    }
}

#[tokio::test]
async fn curl_fetches_through_a_tunnel() {
    for proxy in ["-x", "--proxy1.0"] {
        let site = Site::new().await;
        let (url, gateway) = (site.origin.url("/file"), site.gateway.proxy().to_string());
        let run = site
            .program("curl")
            .args(["-sS", "-f", proxy, &gateway, "--cacert", &site.authority])
            .args(["-o", "file", &url])
            .run()
            .await;
        site.assert_fetched(&run, "file").await;
    }
}

#[tokio::test]
async fn curl_is_told_why_there_is_no_tunnel() {
    let site = Site::new().await;
    let proxy = site.gateway.proxy_url();
    let run = site
        .program("curl")
        .args(["-sS", "-v", "-x", &proxy, "https://127.0.0.1:25/"])
        .run()
        .await;
    assert_eq!(run.code, Some(56), "{}", run.stderr);
    assert!(
        run.shows("CONNECT tunnel failed, response 403"),
        "{}",
        run.stderr
    );
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_fetches_through_a_tunnel() {
    let site = Site::new().await;
    let authority = format!("--ca-certificate={}", site.authority);
    let run = site
        .program("wget")
        .args(["--no-config", "-nv", "--tries=1", &authority])
        .args(["-O", "file", &site.origin.url("/file")])
        .run()
        .await;
    site.assert_fetched(&run, "file").await;
}

/// urllib, which asks in HTTP/1.0 and without Host up to Python 3.11.
const URLLIB: &str = "
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
with urllib.request.urlopen(sys.argv[1], context=context) as response:
    open('file', 'wb').write(response.read())
";

/// The same question as old Pythons ask it, whatever this one does.
const OLDEST: &str = "
import socket, ssl, sys
host, port = sys.argv[3].rsplit(':', 1)
place = sys.argv[1].split('/')[2]
plain = socket.create_connection((host, int(port)))
plain.sendall(('CONNECT %s HTTP/1.0\\r\\n\\r\\n' % place).encode())
answer = b''
while not answer.endswith(b'\\r\\n\\r\\n'):
    answer += plain.recv(1)
assert b' 200 ' in answer.splitlines()[0], answer
context = ssl.create_default_context(cafile=sys.argv[2])
secure = context.wrap_socket(plain, server_hostname=place.split(':')[0])
secure.sendall(('GET /file HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' % place).encode())
response = secure.makefile('rb')
length = 0
for line in iter(response.readline, b'\\r\\n'):
    if line.lower().startswith(b'content-length:'):
        length = int(line.split(b':')[1])
open('file', 'wb').write(response.read(length))
";

#[tokio::test]
async fn python_fetches_through_a_tunnel() {
    let present = std::process::Command::new("python3")
        .args(["-c", "import ssl"])
        .status();
    if !present.is_ok_and(|status| status.success()) {
        return skip("no python3 with ssl on this machine");
    }
    for script in [URLLIB, OLDEST] {
        let site = Site::new().await;
        let (url, gateway) = (site.origin.url("/file"), site.gateway.proxy().to_string());
        let run = site
            .program("python3")
            .args(["-c", script, &url, &site.authority, &gateway])
            .run()
            .await;
        site.assert_fetched(&run, "file").await;
    }
}
