//! A real mail server (aiosmtpd) that keeps every mail in a file.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::certificate::Authority;
use crate::gateway::lines::Lines;

/// Debian's own interpreter: the package belongs to it, whatever else is in the path.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("mail_sink.py");

/// How the connection is protected. The protected forms want the account `weir` with the password `sesame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// By STARTTLS.
    StartTls,
    /// From the first byte.
    Tls,
}

/// A running mail server.
pub struct MailSink {
    folder: TempDir,
    lines: Lines,
    port: u16,
    scheme: &'static str,
    _child: Child,
}

impl MailSink {
    /// Starts one that takes everything from everybody.
    pub async fn start() -> Self {
        Self::launch(tempfile::tempdir().expect("a folder"), "plain", "smtp").await
    }

    /// Starts one with a leaf of `authority`.
    ///
    /// # Panics
    /// When its folder cannot be written.
    pub async fn start_protected(protection: Protection, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = authority.pem_pair();
        std::fs::write(folder.path().join("leaf.pem"), certificate).expect("writes");
        std::fs::write(folder.path().join("leaf.key"), key).expect("writes");
        let (word, scheme) = match protection {
            Protection::StartTls => ("starttls", "smtp+starttls"),
            Protection::Tls => ("tls", "smtps"),
        };
        Self::launch(folder, word, scheme).await
    }

    async fn launch(folder: TempDir, word: &str, scheme: &'static str) -> Self {
        let script = folder.path().join("mail_sink.py");
        std::fs::write(&script, SCRIPT).expect("writes");
        let mut child = Command::new(PYTHON)
            .arg(script)
            .arg(folder.path())
            .arg(word)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 can be started; tests/run installs it with aiosmtpd");
        let lines = Lines::follow(child.stdout.take().expect("piped"));
        let errors = Lines::follow(child.stderr.take().expect("piped"));
        let line = lines
            .wait_for("the mail server listens", |line| line.starts_with("port "))
            .await;
        let port = line.and_then(|line| line.strip_prefix("port ")?.parse().ok());
        let Some(port) = port else {
            panic!("no mail server: {:?}", errors.all());
        };
        Self {
            folder,
            lines,
            port,
            scheme,
            _child: child,
        }
    }

    /// As the gateway's configuration wants it.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The mails so far, in order.
    pub fn mails(&self) -> Vec<String> {
        let lines = self.lines.all();
        let paths = lines.iter().filter_map(|line| line.strip_prefix("mail "));
        let read = |path| std::fs::read_to_string(path).expect("a mail is text");
        paths.map(read).collect()
    }

    /// Mail number `number`, counted from 1, once it is here.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn mail(&self, number: usize) -> String {
        let path = self.folder.path().join(format!("{number}.eml"));
        let expected = format!("mail {}", path.display());
        let seen = self.lines.wait_for("a mail", |line| line == expected).await;
        assert!(seen.is_some(), "the mail server ended");
        std::fs::read_to_string(path).expect("a mail is text")
    }
}
