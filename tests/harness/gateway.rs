//! One gateway process: started for a test, looked at from outside, ended with it.

pub mod builder;
mod command;
pub mod disks;
pub mod lines;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::client::{self, RawClient};
use crate::deadline::{until, within};
use crate::program::Run;
use crate::response::Response;
pub use builder::{Builder, Home};
use lines::Lines;

/// A running gateway.
pub struct Gateway {
    home: Arc<Home>,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    proxy: SocketAddr,
    admin: SocketAddr,
    expected: Vec<String>,
}

impl Gateway {
    /// Prepares one.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Starts one with the settings that tests need and nothing else.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Where clients connect.
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// `http://127.0.0.1:PORT` of the proxy port.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// Where operators connect.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its folder and configuration, which outlive the process.
    pub fn home(&self) -> Arc<Home> {
        Arc::clone(&self.home)
    }

    /// Number of the process.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the gateway is running")
    }

    /// What it has written to its standard output.
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it has written to its standard error.
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// GET of an absolute URL as a forward proxy, on a connection of its own.
    pub async fn get(&self, url: &str) -> Response {
        client::get(self.proxy, url).await
    }

    /// Like [`Self::get`], with more field lines, each ended by CRLF.
    pub async fn get_with(&self, url: &str, fields: &str) -> Response {
        client::get_with(self.proxy, url, fields).await
    }

    /// Any method on an absolute URL as a forward proxy, on a connection of its own.
    pub async fn request(&self, method: &str, url: &str, fields: &str) -> Response {
        self.connect()
            .await
            .exchange(&client::forward(method, url, fields))
            .await
    }

    /// GET of a path of the gateway itself, as browsers and mirrors ask.
    pub async fn get_path(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.proxy);
        self.connect().await.exchange(&request).await
    }

    /// GET of a path of the admin port.
    pub async fn get_admin(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin);
        RawClient::connect(self.admin)
            .await
            .exchange(&request)
            .await
    }

    /// Runs `weir WORDS…` for this gateway, and waits for its end.
    pub async fn weir<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Run {
        self.home.weir(words).await
    }

    /// A raw connection to the proxy port.
    pub async fn connect(&self) -> RawClient {
        RawClient::connect(self.proxy).await
    }

    /// The value of one metric, given its name and labels as they are written; 0 when absent.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get_admin("/metrics").await.text_whole();
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values
            .next()
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// Waits until it says that it is ready: it may name its addresses a moment before.
    pub async fn ready(&self) {
        until("readiness", async || {
            self.get_admin("/readyz").await.status() == 200
        })
        .await;
    }

    /// Waits until no fill runs: what was completed is then committed, what was not is gone.
    pub async fn settled(&self) {
        // A fill counts as active from its head to its last byte; its task ends when everything is done.
        let tasks = "weir_tasks{task=\"fill\"}";
        let is_quiet = async || {
            self.metric("weir_fill_active").await <= 0.0 && self.metric(tasks).await <= 0.0
        };
        until("the last fill ends", is_quiet).await;
    }

    /// Peak resident memory so far, bytes.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn memory_peak_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("reads");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("VmHWM");
        let digits = line.trim().trim_end_matches(" kB").trim();
        digits.parse::<u64>().expect("a number") * 1024
    }

    /// Files below the data folder's `tmp` folders.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        self.home.temporary_files()
    }

    /// A warning or error line that holds `words` is what this test is about.
    pub fn expect_log(&mut self, words: &str) {
        self.expected.push(words.to_owned());
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended already.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("the gateway is running");
    }

    /// Has it read its configuration again (SIGHUP) and returns the line that says how that ended.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn reload(&self) -> String {
        let is_end = |line: &str| {
            line.contains("configuration reloaded") || line.contains("configuration not reloaded")
        };
        let before = self.stderr.all().iter().filter(|line| is_end(line)).count();
        self.signal(Signal::HUP);
        let line = self.stderr.wait_for_number("a reload", before, is_end);
        line.await.expect("the gateway goes on")
    }

    /// Starts a second process that takes over from this one (`serve --upgrade`), on the same addresses and
    /// configuration, and returns it when it accepts connections.
    pub async fn upgrade(&self) -> Self {
        self.home.start_upgrade(self.proxy, self.admin).await
    }

    /// As [`Self::upgrade`], with a standard output that takes nothing: it says nowhere when it accepts.
    pub fn upgrade_unheard(&self) -> Self {
        self.home.start_upgrade_unheard(self.proxy, self.admin)
    }

    /// Open descriptors.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(folder).expect("reads").count()
    }

    /// Waits until it holds the data that the process before had.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn owns_data(&self) {
        let is_it = |line: &str| line.contains("the data folder is ours");
        let line = self.stderr.wait_for("the data folder", is_it).await;
        line.expect("the gateway goes on");
    }

    /// As [`Self::upgrade`], where the new process is expected to give up.
    pub async fn upgrade_in_vain(&self) -> Run {
        self.home.upgrade_in_vain(self.proxy, self.admin).await
    }

    /// Asks it to end (SIGTERM) and returns its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exited().await
    }

    /// Waits for its end; none when a signal ended it.
    pub async fn exited(&mut self) -> Option<i32> {
        within("the gateway ends", self.child.wait())
            .await
            .expect("can be waited for")
            .code()
    }

    /// Ends it at once (SIGKILL) and hands back its folder.
    pub async fn kill(mut self) -> Arc<Home> {
        within("the gateway dies", self.child.kill())
            .await
            .expect("the gateway was running");
        Arc::clone(&self.home)
    }

    /// Ends it in good order and checks that it has neither warned nor failed unexpectedly.
    ///
    /// # Panics
    /// When it has, or did not exit with 0.
    pub async fn finish(self) {
        self.signal(Signal::TERM);
        self.ends_well().await;
    }

    /// Waits until it ends by itself, as after an upgrade, and checks what [`Self::finish`] checks.
    ///
    /// # Panics
    /// As [`Self::finish`].
    pub async fn ends_well(mut self) {
        let code = self.exited().await;
        assert_eq!(code, Some(0), "exit code: {:?}", self.stderr.all());
        let lines = self.stderr.all_until_end().await;
        let unexpected: Vec<&String> = lines
            .iter()
            .filter(|line| lines::is_alarm(line))
            .filter(|line| !self.expected.iter().any(|words| line.contains(words)))
            .collect();
        assert!(
            unexpected.is_empty(),
            "unexpected log lines: {unexpected:#?}"
        );
        lines::assert_no_panic(&lines);
    }

    /// Like [`Self::finish`], where the test provoked trouble that may be warned of, in whatever
    /// words; errors and panics still fail.
    ///
    /// # Panics
    /// When there are any, or it did not exit with 0.
    pub async fn finish_with_warnings(mut self) {
        self.expect_log(" WARN ");
        self.finish().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the gateway's standard error:\n{}",
                self.stderr.all().join("\n")
            );
        }
    }
}
