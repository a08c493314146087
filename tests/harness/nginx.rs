//! A real nginx as origin, in a folder of its own, as whoever runs the test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::certificate::Authority;
use crate::deadline::within;
use crate::gateway::lines::Lines;

/// How often a port may be taken by somebody else between choosing and listening.
const ATTEMPTS_MAX: usize = 5;

/// A running nginx.
pub struct Nginx {
    folder: TempDir,
    address: SocketAddr,
    scheme: &'static str,
    child: Child,
}

impl Nginx {
    /// Starts one that speaks plaintext.
    pub async fn start() -> Self {
        Self::start_with("http", "", "").await
    }

    /// Starts one that speaks plaintext, with more lines in its server: locations, rewriting.
    pub async fn start_serving(lines: &str) -> Self {
        Self::start_with("http", "", lines).await
    }

    /// Starts one that speaks TLS with a leaf of `authority`.
    pub async fn start_tls(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = authority.pem_pair();
        std::fs::write(folder.path().join("leaf.pem"), certificate).expect("writes");
        std::fs::write(folder.path().join("leaf.key"), key).expect("writes");
        let lines = "ssl_certificate leaf.pem; ssl_certificate_key leaf.key;";
        Self::start_in(folder, "https", " ssl", lines).await
    }

    async fn start_with(scheme: &'static str, listen: &str, lines: &str) -> Self {
        Self::start_in(
            tempfile::tempdir().expect("a folder"),
            scheme,
            listen,
            lines,
        )
        .await
    }

    async fn start_in(folder: TempDir, scheme: &'static str, listen: &str, lines: &str) -> Self {
        std::fs::create_dir(folder.path().join("root")).expect("creates");
        for _ in 0..ATTEMPTS_MAX {
            let address = free_address();
            let config = configuration(folder.path(), address, listen, lines);
            std::fs::write(folder.path().join("nginx.conf"), config).expect("writes");
            if let Some(child) = launch(folder.path()).await {
                return Self {
                    folder,
                    address,
                    scheme,
                    child,
                };
            }
        }
        panic!("nginx found no free port in {ATTEMPTS_MAX} attempts");
    }

    /// The absolute URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Puts a file where `path`, which starts with a slash, finds it.
    pub fn put(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let file = self.root().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().expect("has a parent")).expect("creates");
        std::fs::write(&file, bytes).expect("writes");
        file
    }

    /// Where the files are: what stands in this folder is found under its path.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The lines of its access log: method, request target and status of each request.
    pub fn access_log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("access.log"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Ends it: whoever still gets the bytes has them from somewhere else.
    pub async fn stop(&mut self) {
        within("nginx ends", self.child.kill())
            .await
            .expect("nginx was running");
    }

    /// Starts it again after [`Self::stop`], at the same address with the same files.
    ///
    /// # Panics
    /// When somebody else has taken its port meanwhile.
    pub async fn start_again(&mut self) {
        let child = launch(self.folder.path()).await;
        self.child = child.expect("its port is still free");
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Starts nginx; none when the port was taken.
async fn launch(folder: &Path) -> Option<Child> {
    let mut child = Command::new(program())
        .args(["-e", "stderr", "-p"])
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("nginx can be started; tests/run installs it");
    let lines = Lines::follow(child.stderr.take().expect("piped"));
    // nginx names itself once it listens, and gives up before that when it cannot.
    let seen = lines.wait_for("nginx listens", |line| {
        line.contains(" nginx/") || line.contains("[emerg]")
    });
    match seen.await {
        Some(line) if line.contains("[emerg]") && line.contains("in use") => None,
        Some(line) if !line.contains("[emerg]") => Some(child),
        other => panic!("nginx did not start: {other:?} {:?}", lines.all()),
    }
}

/// Where Debian puts it is not in the path of an ordinary user.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() {
        "/usr/sbin/nginx"
    } else {
        "nginx"
    }
}

/// Under `/cached/` it says that things are fresh, under `/aged/` that they never are, elsewhere nothing.
fn configuration(folder: &Path, address: SocketAddr, listen: &str, lines: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr notice;
        events {{ worker_connections 2048; }}
        http {{
          log_format short '$request_method $request_uri $status';
          access_log {folder}/access.log short;
          client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
          fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
          default_type application/octet-stream; types {{ text/html html; application/json json; }}
          server {{
            listen {address}{listen}; server_name localhost; root {folder}/root; {lines}
            location /cached/ {{ expires 1h; }}
            location /aged/ {{ expires 0; }}
            location / {{ }}
          }}
        }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RawClient;

    #[tokio::test]
    async fn nginx_serves_what_was_put() {
        let nginx = Nginx::start().await;
        nginx.put("/cached/a/b.bin", b"content");
        let mut client = RawClient::connect(nginx.address).await;
        let request = "GET /cached/a/b.bin HTTP/1.1\r\nHost: h\r\n\r\n";
        let response = client.exchange(request).await;
        response.assert_is(200, b"content");
        assert_eq!(response.field("cache-control"), Some("max-age=3600"));
    }
}
