//! apt: with the sources of the machine, and with an archive of our own.

mod archive;
mod machine;

use std::time::Duration;

use tempfile::TempDir;

use weir_tests::program::{Program, Run};

/// Indexes of a whole distribution over a slow line.
const UPDATE_MAX: Duration = Duration::from_secs(300);

/// apt with folders of its own.
struct Apt {
    folder: TempDir,
    options: Vec<String>,
}

impl Apt {
    fn new(one_line: &str, deb822: &str, proxy: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["state/lists/partial", "cache/archives/partial", "parts"] {
            std::fs::create_dir_all(path(name)).expect("creates");
        }
        std::fs::write(path("one.list"), one_line).expect("writes");
        std::fs::write(path("parts/own.sources"), deb822).expect("writes");
        let settings = [
            ("Dir::State", path("state")),
            ("Dir::State::status", "/var/lib/dpkg/status".to_owned()),
            ("Dir::Cache", path("cache")),
            ("Dir::Etc::SourceList", path("one.list")),
            ("Dir::Etc::SourceParts", path("parts")),
            ("Acquire::http::Proxy", proxy.to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Retries", "0".to_owned()),
            // Whoever runs the test owns these folders; apt's own account does not.
            ("APT::Sandbox::User", "root".to_owned()),
        ];
        let options = settings
            .into_iter()
            .flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]);
        Self {
            options: options.collect(),
            folder,
        }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let apt = Program::new("apt-get").args(&self.options).args(arguments);
        let run = apt.within(self.folder.path()).run_at_most(UPDATE_MAX).await;
        run.unwrap_or_else(|| panic!("apt-get {arguments:?} did not end"))
    }

    /// The downloaded package.
    fn package(&self) -> Option<Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten();
        let mut packages = entries.map(|entry| entry.path());
        packages
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .map(|path| {
                let bytes = std::fs::read(&path).expect("reads");
                std::fs::remove_file(path).expect("makes room for the next download");
                bytes
            })
    }
}
