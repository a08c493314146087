//! How a gateway is set up: a folder, a configuration, a command line.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tempfile::TempDir;
use toml::{Table, Value};

use super::Gateway;
use crate::certificate::Authority;

/// Settings on the way to a gateway.
pub struct Builder {
    config: Table,
    data: Option<PathBuf>,
    disks: Disks,
    authority_pem: Option<String>,
    account: Account,
    addresses: Addresses,
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Disks {
    /// In one folder, named by a flag.
    One,
    /// In so many folders of the test's own, named in the file.
    Own(usize),
    /// In these, named in the file.
    These(Vec<PathBuf>),
}

/// Where is said on which addresses the gateway listens: any free port of loopback, in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
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

/// How the process learns where its data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedBy {
    /// `--data`.
    Flag,
    /// `[store] disks`.
    File,
}

/// The account that owns nothing.
const NOBODY: u32 = 65534;

/// The folder and configuration of a gateway; several processes may live in it one after the other.
pub struct Home {
    folder: TempDir,
    disks: Vec<PathBuf>,
    named_by: NamedBy,
    account: Account,
    pub(super) addresses: Addresses,
    pub(super) boots: AtomicU32,
}

impl Builder {
    /// What every test needs: loopback may be fetched from, the access log stays out of the way, and
    /// waiting for a drain is short.
    pub(super) fn new() -> Self {
        let builder = Self {
            config: Table::new(),
            data: None,
            disks: Disks::One,
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

    /// Keeps the data in so many folders of the test's own, as on so many disks.
    pub fn disks(mut self, count: usize) -> Self {
        self.disks = Disks::Own(count);
        self
    }

    /// Keeps the data in these folders, as on so many disks.
    pub fn disks_at(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        self.disks = Disks::These(folders.into_iter().collect());
        self
    }

    /// Where the data is, and who says so.
    fn places(&mut self, folder: &Path) -> (Vec<PathBuf>, NamedBy) {
        let disks = match &self.disks {
            Disks::One => {
                let data = self.data.take().unwrap_or_else(|| folder.join("data"));
                return (vec![data], NamedBy::Flag);
            }
            Disks::Own(count) => (0..*count)
                .map(|number| folder.join(format!("disk{number}")))
                .collect(),
            Disks::These(folders) => folders.clone(),
        };
        set(&mut self.config, "store.disks", listed(&disks));
        (disks, NamedBy::File)
    }

    /// Writes the configuration without starting anything.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn home(mut self) -> Arc<Home> {
        let folder = tempfile::tempdir().expect("a folder");
        let (disks, named_by) = self.places(folder.path());
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
        let home = Home {
            folder,
            disks,
            named_by,
            account: self.account,
            addresses: self.addresses,
            boots: AtomicU32::new(0),
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

    /// Where the objects are, with several disks the first of them.
    ///
    /// # Panics
    /// Without any disk.
    pub fn data(&self) -> &Path {
        self.disks.first().expect("a disk")
    }

    /// Where the objects are, in the order of the slots they got at the first start.
    pub fn disks(&self) -> &[PathBuf] {
        &self.disks
    }

    /// Names other folders, or the same in another order, to the next process.
    pub fn set_disks(&self, disks: &[PathBuf]) {
        self.set("store.disks", listed(disks));
    }

    /// What a process of this home may say without anything being wrong: that its disks are folders of one test.
    pub(super) fn expected(&self) -> Vec<String> {
        match self.disks.len() {
            1 => Vec::new(),
            _ => vec!["two disks are on the same file system".to_owned()],
        }
    }

    /// `--data FOLDER`, where the file does not say it.
    pub(super) fn data_arguments(&self) -> Vec<String> {
        match self.named_by {
            NamedBy::Flag => vec!["--data".to_owned(), self.data().display().to_string()],
            NamedBy::File => Vec::new(),
        }
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

    /// Files in folders named `tmp` below the data folders.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let is_below_tmp = |file: &PathBuf| file.iter().any(|part| part == "tmp");
        let of_disk = |disk: &PathBuf| {
            let files = files_below(disk).into_iter();
            let relative = |file: PathBuf| file.strip_prefix(disk).map(Path::to_owned).ok();
            files.filter_map(relative).collect::<Vec<_>>()
        };
        let files = self.disks.iter().flat_map(of_disk);
        files.filter(is_below_tmp).collect()
    }

    fn changes_account(&self) -> bool {
        self.account == Account::Unprivileged && rustix::process::geteuid().is_root()
    }

    /// Lets the other account reach the folder, own the data, and run a copy of the program.
    fn hand_over(&self) {
        let own = Some(NOBODY);
        std::fs::set_permissions(self.folder(), Permissions::from_mode(0o755)).expect("permits");
        std::fs::create_dir_all(self.data()).expect("creates");
        std::fs::copy(binary(), self.folder().join("weir")).expect("copies the program");
        for path in [self.folder(), self.data()] {
            std::os::unix::fs::chown(path, own, own).expect("hands over");
        }
    }

    /// Lets nobody without privileges write to the data any more.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn make_data_read_only(&self) {
        let mut folders = vec![self.data().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("reads").flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
            std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("permits");
        }
    }
}

fn set(config: &mut Table, name: &str, value: Value) {
    let (section, key) = name.split_once('.').expect("section.key");
    let section = config
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let section = section.as_table_mut().expect("a section");
    section.insert(key.to_owned(), value);
}

fn listed(disks: &[PathBuf]) -> Value {
    let disks = disks.iter().map(|disk| disk.display().to_string());
    disks.collect::<Vec<_>>().into()
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
