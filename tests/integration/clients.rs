//! Real clients and a real origin: what a user types, and byte for byte what it yields.

mod apt;
mod aria2;
mod axel;
mod cargo;
mod curl;
mod dnf;
mod forms;
mod git;
mod go;
mod lftp;
mod maven;
mod npm;
mod pip;
mod python;
mod states;
mod wget;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use weir_tests::certificate::Authority;
use weir_tests::program::{Program, Run};
use weir_tests::skip::skip;
use weir_tests::{Content, Gateway, Nginx};

/// A path under which nginx says that things are fresh.
const ARCHIVE: &str = "/cached/file-1.0.tar.gz";

/// How much newer a file looks by one step.
const LATER: Duration = Duration::from_secs(100);

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

    /// Plaintext, with more lines in nginx's server.
    async fn serving(lines: &str) -> Self {
        Self::of(Nginx::start_serving(lines).await, Gateway::start().await)
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

    /// The program with the gateway as proxy, in a home that knows nothing of earlier runs.
    fn fresh(&self, name: &str, home: &str) -> Program {
        let home = self.home(home);
        Program::new(name)
            .within(&home)
            .env("HOME", &home.display().to_string())
            .env("http_proxy", &self.gateway.proxy_url())
    }

    /// A folder of its own for one run of a client.
    fn home(&self, name: &str) -> PathBuf {
        let home = self.folder.path().join(name);
        std::fs::create_dir_all(&home).expect("creates");
        home
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

    /// What nginx was asked whose target ends with this: method, target and status.
    fn asked(&self, end: &str) -> Vec<String> {
        let is_it = |line: &String| {
            line.split(' ')
                .nth(1)
                .is_some_and(|target| target.ends_with(end))
        };
        self.nginx.access_log().into_iter().filter(is_it).collect()
    }

    /// Checks that these were fetched whole exactly once.
    #[track_caller]
    fn assert_fetched_once(&self, ends: &[&str]) {
        for end in ends {
            let asked = self.asked(end);
            assert_eq!(asked.len(), 1, "{end}: {:?}", self.nginx.access_log());
            assert!(
                asked[0].starts_with("GET ") && asked[0].ends_with(" 200"),
                "{asked:?}"
            );
        }
    }

    /// Checks that the last question about this was answered with: nothing new.
    #[track_caller]
    fn assert_confirmed(&self, end: &str) {
        let asked = self.asked(end);
        let last = asked.last().expect("it was asked for");
        assert!(last.ends_with(" 304"), "{asked:?}");
    }

    /// Checks that the client asked for a part of something whose target ends with this, and got it.
    #[track_caller]
    fn assert_part_sent(&self, end: &str) {
        let log = self.gateway.home().access_log();
        let is_it = |line: &&String| {
            let target = line.split_whitespace().nth(6);
            line.contains("/206 ") && target.is_some_and(|target| target.ends_with(end))
        };
        assert!(log.iter().any(|line| is_it(&line)), "{end}: {log:#?}");
    }

    /// Replaces a file by one of a later date.
    fn put_later(&self, path: &str, bytes: &[u8]) {
        date_later(&self.nginx.put(path, bytes), 1);
    }

    /// Waits until what was fetched is stored, then takes the origin away.
    async fn goes_down(&mut self) {
        self.gateway.settled().await;
        self.nginx.stop().await;
    }
}

/// Whether the machine lacks one of these programs; then that is said.
fn lacks(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !has(program));
    if let Some(program) = missing {
        skip(&format!(
            "{program} is not on this machine; tests/run installs it"
        ));
    }
    missing.is_some()
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a program that prepares what is served, outside the gateway.
async fn prepare(folder: &Path, command: &[&str]) -> Run {
    let (name, arguments) = command.split_first().expect("a program");
    let run = Program::new(name)
        .within(folder)
        .args(arguments)
        .run()
        .await;
    run.assert_code(0);
    run
}

/// Writes a text file and the folders above it.
fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().expect("has a parent")).expect("creates");
    std::fs::write(file, text).expect("writes");
}

/// Makes a file look newer by some steps: nginx names a version by length and date, and a date is in whole seconds.
fn date_later(file: &Path, steps: usize) {
    let file = std::fs::File::options().write(true).open(file);
    let file = file.expect("opens");
    let written = file.metadata().and_then(|data| data.modified());
    let later = LATER * u32::try_from(steps).expect("a few");
    file.set_modified(written.expect("a date") + later)
        .expect("a date");
}
