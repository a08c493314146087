//! How a gateway is set up: a folder, a configuration, a command line.

use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use toml::{Table, Value};

use super::Gateway;
use super::lines::Lines;
use crate::certificate::Authority;
use crate::deadline::within;
use crate::program::{PROXY_VARIABLES, Program};

/// Settings on the way to a gateway.
pub struct Builder {
    config: Table,
    data: Option<PathBuf>,
    authority_pem: Option<String>,
    account: Account,
    addresses: Addresses,
}

/// Where is said on which addresses the gateway listens: any free port of loopback, in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// By flags, which win over the file.
    Flags,
    /// In the file, where they can be changed.
    File,
}

/// Who runs the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// Whoever runs the test.
    Own,
    /// Somebody whom file permissions stop, also when the test is run by root.
    Unprivileged,
}

/// The account that owns nothing.
const NOBODY: u32 = 65534;

/// The folder and configuration of a gateway; several processes may live in it one after the other.
pub struct Home {
    folder: TempDir,
    data: PathBuf,
    account: Account,
    addresses: Addresses,
}

impl Builder {
    /// What every test needs: loopback may be fetched from, the access log stays out of the way, and
    /// waiting for a drain is short.
    pub(super) fn new() -> Self {
        let builder = Self {
            config: Table::new(),
            data: None,
            authority_pem: None,
            account: Account::Own,
            addresses: Addresses::Flags,
        };
        builder
            .set("server.name", "weir-test")
            .set("server.drain", "5s")
            .set("server.upgrade_drain", "30s")
            .set("store.capacity", "2GiB")
            .set("store.reserve", "64MiB")
            .set("fill.hold_down", "0s")
            .set("upstream.allow_networks", vec!["127.0.0.0/8", "::1/128"])
            .set("log.level", "info")
    }

    /// Sets one key, written `section.key`.
    ///
    /// # Panics
    /// When the name is not of that form.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.config, name, value.into());
        self
    }

    /// Changes the configuration as a whole: for `[[mirror]]` and `[[rule]]`.
    pub fn config(mut self, change: impl FnOnce(&mut Table)) -> Self {
        change(&mut self.config);
        self
    }

    /// Adds a `[[mirror]]` with its upstreams in order.
    pub fn mirror(self, path: &str, upstreams: &[&str]) -> Self {
        let upstreams: Vec<&str> = upstreams.to_vec();
        self.config(|config| {
            let mut mirror = Table::new();
            mirror.insert("path".to_owned(), path.into());
            mirror.insert("upstreams".to_owned(), upstreams.into());
            let list = config
                .entry("mirror")
                .or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut()
                .expect("a list")
                .push(Value::Table(mirror));
        })
    }

    /// Trusts an authority besides those of the system.
    pub fn trusting(mut self, authority: &Authority) -> Self {
        self.authority_pem = Some(authority.pem());
        self
    }

    /// Runs as somebody whom file permissions stop.
    pub fn unprivileged(mut self) -> Self {
        self.account = Account::Unprivileged;
        self
    }

    /// Has the addresses in the file, so that the file can change them.
    pub fn listening_by_file(mut self) -> Self {
        self.addresses = Addresses::File;
        self.set("listen.proxy", vec!["127.0.0.1:0"])
            .set("listen.admin", "127.0.0.1:0")
    }

    /// Keeps the data here instead of in the test's own folder.
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Writes the configuration without starting anything.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn home(mut self) -> Arc<Home> {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(pem) = self.authority_pem.take() {
            let file = folder.path().join("authority.pem");
            std::fs::write(&file, pem).expect("writes");
            self = self.set("upstream.ca_file", file.display().to_string());
        }
        let log = self
            .config
            .entry("log")
            .or_insert_with(|| Value::Table(Table::new()));
        let log = log.as_table_mut().expect("a section");
        let access = folder.path().join("access.log").display().to_string();
        log.entry("access").or_insert_with(|| Value::String(access));
        let text = toml::to_string(&self.config).expect("a configuration");
        std::fs::write(folder.path().join("weir.toml"), text).expect("writes");
        let data = self.data.unwrap_or_else(|| folder.path().join("data"));
        let home = Home {
            folder,
            data,
            account: self.account,
            addresses: self.addresses,
        };
        if home.changes_account() {
            home.hand_over();
        }
        Arc::new(home)
    }

    /// Starts the gateway.
    pub async fn start(self) -> Gateway {
        self.home().start().await
    }
}

impl Home {
    /// The folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the objects are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("weir.toml")
    }

    /// Changes the configuration file.
    ///
    /// # Panics
    /// When it cannot be read or written.
    pub fn rewrite(&self, change: impl FnOnce(&mut Table)) {
        let text = std::fs::read_to_string(self.config_file()).expect("reads");
        let mut config: Table = toml::from_str(&text).expect("a configuration");
        change(&mut config);
        let text = toml::to_string(&config).expect("a configuration");
        std::fs::write(self.config_file(), text).expect("writes");
    }

    /// Sets one key in the configuration file, written `section.key`.
    ///
    /// # Panics
    /// When the name is not of that form, or the file cannot be read or written.
    pub fn set(&self, name: &str, value: impl Into<Value>) {
        self.rewrite(|config| set(config, name, value.into()));
    }

    /// The access log, when it goes to its usual file.
    pub fn access_log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("access.log"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Files in folders named `tmp` below the data folder.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let files = files_below(&self.data);
        let is_below_tmp = |file: &PathBuf| file.iter().any(|part| part == "tmp");
        let relative = |file: PathBuf| file.strip_prefix(&self.data).map(Path::to_owned).ok();
        files
            .into_iter()
            .filter_map(relative)
            .filter(is_below_tmp)
            .collect()
    }

    /// Starts a gateway here.
    ///
    /// # Panics
    /// When it does not say where it listens.
    pub async fn start(self: &Arc<Self>) -> Gateway {
        self.follow(self.spawn(self.arguments())).await
    }

    /// Starts a gateway that would take over, where none runs.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_upgrading_nothing(self: &Arc<Self>) -> Gateway {
        let mut arguments = self.arguments();
        arguments.push("--upgrade".to_owned());
        self.follow(self.spawn(arguments)).await
    }

    /// Starts a gateway that takes over from the one that runs here.
    pub(super) async fn start_upgrade(
        self: &Arc<Self>,
        proxy: SocketAddr,
        admin: SocketAddr,
    ) -> Gateway {
        let arguments = self.upgrade_arguments(proxy, admin);
        self.follow(self.spawn(arguments)).await
    }

    /// Starts one that is expected to give up the taking over, and waits for that.
    pub(super) async fn upgrade_in_vain(
        &self,
        proxy: SocketAddr,
        admin: SocketAddr,
    ) -> super::super::program::Run {
        let arguments = self.upgrade_arguments(proxy, admin);
        Program::new(binary()).args(arguments).run().await
    }

    fn upgrade_arguments(&self, proxy: SocketAddr, admin: SocketAddr) -> Vec<String> {
        let mut arguments = self.arguments();
        // The ports that were any free ones are known by now.
        let known = [("--listen", proxy), ("--admin", admin)];
        for (flag, address) in known {
            if let Some(place) = arguments.iter().position(|word| word == flag) {
                arguments[place + 1] = address.to_string();
            }
        }
        arguments.push("--upgrade".to_owned());
        arguments
    }

    /// As [`Self::start_upgrade`], with a standard output that takes nothing.
    pub(super) fn start_upgrade_unheard(
        self: &Arc<Self>,
        proxy: SocketAddr,
        admin: SocketAddr,
    ) -> Gateway {
        let full = File::options().write(true).open("/dev/full");
        let mut command = self.command(self.upgrade_arguments(proxy, admin));
        command.stdout(full.expect("opens"));
        let mut child = spawn(command);
        let stderr = Lines::follow(child.stderr.take().expect("piped"));
        let expected = Vec::new();
        Gateway {
            home: Arc::clone(self),
            child,
            stdout: Lines::follow(tokio::io::empty()),
            stderr,
            proxy,
            admin,
            expected,
        }
    }

    async fn follow(self: &Arc<Self>, mut child: Child) -> Gateway {
        let stdout = Lines::follow(child.stdout.take().expect("piped"));
        let stderr = Lines::follow(child.stderr.take().expect("piped"));
        let proxy = announced(&stdout, &stderr, "proxy").await;
        let admin = announced(&stdout, &stderr, "admin").await;
        let expected = Vec::new();
        Gateway {
            home: Arc::clone(self),
            child,
            stdout,
            stderr,
            proxy,
            admin,
            expected,
        }
    }

    /// Starts a gateway that is expected to give up, and waits for that.
    pub async fn start_in_vain(&self) -> super::super::program::Run {
        Program::new(binary()).args(self.arguments()).run().await
    }

    fn changes_account(&self) -> bool {
        self.account == Account::Unprivileged && rustix::process::geteuid().is_root()
    }

    /// Lets the other account reach the folder, own the data, and run a copy of the program.
    fn hand_over(&self) {
        let own = Some(NOBODY);
        std::fs::set_permissions(self.folder(), Permissions::from_mode(0o755)).expect("permits");
        std::fs::create_dir_all(&self.data).expect("creates");
        std::fs::copy(binary(), self.folder().join("weir")).expect("copies the program");
        for path in [self.folder(), &self.data] {
            std::os::unix::fs::chown(path, own, own).expect("hands over");
        }
    }

    /// Lets nobody without privileges write to the data any more.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn make_data_read_only(&self) {
        let mut folders = vec![self.data.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("reads").flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
            std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("permits");
        }
    }

    fn arguments(&self) -> Vec<String> {
        let config = self.config_file().display().to_string();
        let data = self.data.display().to_string();
        let mut arguments = vec!["serve", "--config", &config, "--data", &data];
        if self.addresses == Addresses::Flags {
            arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn spawn(&self, arguments: Vec<String>) -> Child {
        spawn(self.command(arguments))
    }

    fn command(&self, arguments: Vec<String>) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .kill_on_drop(true)
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1");
        for variable in PROXY_VARIABLES {
            command.env_remove(variable);
        }
        command
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary().display()))
}

fn set(config: &mut Table, name: &str, value: Value) {
    let (section, key) = name.split_once('.').expect("section.key");
    let section = config
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let section = section.as_table_mut().expect("a section");
    section.insert(key.to_owned(), value);
}

/// The gateway's program: `WEIR_BIN`, or the one built beside this test.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    // PROFILE/deps/integration-HASH: the binaries stand one folder above.
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("two folders above a test");
    let binary = profile.join("weir");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p weir`",
        binary.display()
    );
    binary
}

/// The address in the line of the start-up summary that begins with `word`.
async fn announced(stdout: &Lines, stderr: &Lines, word: &str) -> SocketAddr {
    let address = |line: &str| {
        let is_it = line.split_whitespace().next() == Some(word);
        let url = line
            .split_whitespace()
            .next_back()?
            .strip_prefix("http://")?;
        is_it
            .then(|| url.trim_end_matches('/').parse::<SocketAddr>().ok())
            .flatten()
    };
    let line = stdout
        .wait_for("the start-up summary", |line| address(line).is_some())
        .await;
    match line.as_deref().and_then(address) {
        Some(address) => address,
        None => {
            let errors = within("its errors", stderr.all_until_end()).await;
            panic!("no {word} address: {:?} {errors:#?}", stdout.all());
        }
    }
}

/// All files below a folder; none when it is missing.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files
}
