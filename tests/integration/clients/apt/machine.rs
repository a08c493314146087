//! Real input: the machine's own apt, with its own sources, through the gateway.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};

use super::Apt;
use weir_tests::skip::skip;
use weir_tests::{Gateway, seed};

/// Within this time an archive answers directly, or the test says that it did not run.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A small package that every Debian and Ubuntu has.
const PACKAGE: &str = "hostname";

/// The entries of the machine's sources that speak plain http, in both formats.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sources {
    one_line: String,
    deb822: String,
    hosts: BTreeSet<String>,
}

impl Sources {
    /// Reads what this machine uses.
    fn of_this_machine() -> Self {
        let mut sources = Self::default();
        let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
        let parts = std::fs::read_dir("/etc/apt/sources.list.d");
        files.extend(
            parts
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path()),
        );
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("list") => sources.add_lines(&text),
                Some("sources") => sources.add_stanzas(&text),
                _ => {}
            }
        }
        sources
    }

    /// `deb [options] http://host/path suite components`
    fn add_lines(&mut self, text: &str) {
        for line in text
            .lines()
            .filter(|line| line.trim_start().starts_with("deb"))
        {
            self.keep(line, |sources, line| {
                sources.one_line.push_str(line);
                sources.one_line.push('\n');
            });
        }
    }

    /// Paragraphs of `Field: value`, where a continued value begins with a space.
    fn add_stanzas(&mut self, text: &str) {
        let is_comment = |line: &&str| !line.starts_with('#');
        let text: Vec<&str> = text.lines().filter(is_comment).map(str::trim_end).collect();
        for stanza in text.join("\n").split("\n\n") {
            let is_off = |line: &str| line.to_ascii_lowercase().replace(' ', "") == "enabled:no";
            if !stanza.lines().any(is_off) {
                self.keep(stanza, |sources, stanza| {
                    sources.deb822.push_str(stanza.trim_matches('\n'));
                    sources.deb822.push_str("\n\n");
                });
            }
        }
    }

    /// Keeps an entry whose URLs are all plain http.
    fn keep(&mut self, entry: &str, add: impl FnOnce(&mut Self, &str)) {
        let urls: Vec<&str> = entry
            .split_whitespace()
            .filter(|word| word.contains("://"))
            .collect();
        let hosts: Vec<&str> = urls.iter().filter_map(|url| host(url)).collect();
        if !urls.is_empty() && hosts.len() == urls.len() {
            self.hosts.extend(hosts.into_iter().map(str::to_owned));
            add(self, entry);
        }
    }
}

/// Host, with its port, of a plain http URL.
fn host(url: &str) -> Option<&str> {
    url.strip_prefix("http://")?.split('/').next()
}

/// `host:port`
fn authority(host: &str) -> String {
    if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    }
}

/// Whether an archive answers at all without a proxy.
async fn answers_directly(host: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(authority(host)).await.ok()?;
        let request = format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await.ok()?;
        (&start == b"HTTP/").then_some(())
    };
    tokio::time::timeout(ANSWER_MAX, ask)
        .await
        .ok()
        .flatten()
        .is_some()
}

/// Networks of exactly the addresses that these hosts have.
async fn networks(hosts: &BTreeSet<String>) -> Vec<String> {
    let mut networks = Vec::new();
    for host in hosts {
        for address in lookup_host(authority(host)).await.into_iter().flatten() {
            networks.push(match address.ip() {
                IpAddr::V4(address) => format!("{address}/32"),
                IpAddr::V6(address) => format!("{address}/128"),
            });
        }
    }
    networks
}

#[tokio::test]
async fn apt_updates_and_downloads_with_the_sources_of_this_machine() {
    if !Path::new("/usr/bin/apt-get").exists() {
        return skip("this machine has no apt");
    }
    let sources = Sources::of_this_machine();
    let Some(first) = sources.hosts.first() else {
        return skip("no source of this machine speaks plain http");
    };
    if !answers_directly(first).await {
        return skip(&format!("{first} does not answer directly within 10 s"));
    }
    let builder = Gateway::builder().set("upstream.allow_networks", networks(&sources.hosts).await);
    let gateway = builder.start().await;
    let apt = Apt::new(&sources.one_line, &sources.deb822, &gateway.proxy_url());
    let rounds = if seed::is_long() { 3 } else { 2 };
    let mut packages = Vec::new();
    for _ in 0..rounds {
        let run = apt.run(&["update"]).await;
        run.assert_code(0);
        assert!(
            !run.stderr.contains("E:") && !run.stderr.contains("Failed"),
            "{}",
            run.stderr
        );
        apt.run(&["download", PACKAGE]).await.assert_code(0);
        packages.push(apt.package().expect("a package was downloaded"));
        gateway.settled().await;
    }
    assert!(
        packages.windows(2).all(|two| two[0] == two[1]),
        "the package is always the same"
    );
    let home = gateway.home();
    gateway.finish_with_warnings().await;
    let lines = home.access_log();
    assert!(
        lines.iter().any(|line| line.contains(first)),
        "apt went through it: {lines:?}"
    );
}

#[test]
fn entries_that_speak_plain_http_are_found_in_both_formats() {
    let mut sources = Sources::default();
    sources.add_lines(
        "# deb http://off.test/ a b\ndeb [arch=amd64] http://one.test/debian x main\n\
         deb https://secure.test/ x main\n",
    );
    sources.add_stanzas(
        "Types: deb\nURIs: http://two.test:8080/debian\nSuites: x\n# note\nSigned-By: /k\n\n\
         Enabled: no\nTypes: deb\nURIs: http://off.test/\n\n\
         Types: deb\nURIs: https://secure.test/ http://mixed.test/\n",
    );
    let hosts: Vec<&str> = sources.hosts.iter().map(String::as_str).collect();
    assert_eq!(hosts, ["one.test", "two.test:8080"]);
    assert!(
        sources.one_line.starts_with("deb [arch=amd64]") && sources.one_line.lines().count() == 1
    );
    assert!(sources.deb822.contains("Signed-By: /k") && !sources.deb822.contains("mixed"));
}
