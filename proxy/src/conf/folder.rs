//! Where the data of a gateway is, for commands that need nothing else of its configuration.
//!
//! Read leniently: somebody who looks at a gateway, or has it reload, must not be kept from that by a mistake elsewhere
//! in the file. Only what leaves the folder itself unknown is a problem here; the gateway judges the rest.

use super::config::Config;
use super::layers::{Layers, Origins};
use super::problem::{ConfigError, KeyPath, Origin, Problem};
use super::schema::Schema;
use super::{Sources, environment, file};
use std::path::PathBuf;

/// The data folders that the sources name; at least one.
///
/// # Errors
/// The folder is written where it cannot be read, or is none.
pub(crate) fn data_folders(sources: &Sources) -> Result<Vec<PathBuf>, ConfigError> {
    let schema = Schema::new();
    let mut layers = Layers::new(&schema);
    let file = sources.file.as_ref();
    let unread = file.and_then(|path| file::lay(path, &mut layers).err());
    environment::lay(&sources.environment, &mut layers);
    sources.flags.lay(&mut layers);
    let (config, origins, problems) = layers.finish()?;
    match origins.of(&disks()) {
        // A flag wins over everything, also over what cannot be read.
        Origin::Flag(_) => {}
        origin => ConfigError::unless_empty(in_the_way(unread, &origin, problems))?,
    }
    named(config, &origins)
}

/// What leaves the folder unknown, when its value came from `origin`.
fn in_the_way(
    unread: Option<ConfigError>,
    origin: &Origin,
    problems: Vec<Problem>,
) -> Vec<Problem> {
    let is_ours = |problem: &Problem| problem.key.as_ref() == Some(&disks());
    let unread = unread.filter(|_| *origin == Origin::Default);
    let unread = unread.map_or_else(Vec::new, ConfigError::into_problems);
    let ours = problems.into_iter().filter(is_ours);
    unread.into_iter().chain(ours).collect()
}

fn named(config: Config, origins: &Origins) -> Result<Vec<PathBuf>, ConfigError> {
    let named = config.store.disks.into_iter();
    let named: Vec<PathBuf> = named
        .filter(|disk| !disk.is_empty())
        .map(PathBuf::from)
        .collect();
    if named.is_empty() {
        let reason = "it names no data folder";
        let problem = Problem::of_key(origins.of(&disks()), disks(), reason);
        return Err(ConfigError::of(vec![problem]));
    }
    Ok(named)
}

fn disks() -> KeyPath {
    KeyPath {
        section: "store".to_owned(),
        index: None,
        key: "disks".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::Flags;

    /// The folders, or what is wrong.
    fn found(text: &str, environment: &[(&str, &str)], data: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        std::fs::write(&file, text).unwrap();
        let variables = environment.iter();
        let sources = Sources {
            file: Some(file),
            environment: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            flags: Flags {
                data: data.iter().map(|&folder| folder.to_owned()).collect(),
                ..Flags::default()
            },
        };
        let joined = |folders: Vec<PathBuf>| {
            let shown = folders.iter().map(|folder| folder.display().to_string());
            shown.collect::<Vec<_>>().join(" ")
        };
        data_folders(&sources)
            .map(joined)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_elsewhere_hide_no_folder() {
        let check = |text, environment: &[(&str, &str)], data: &[&str], expected: &str| {
            assert_eq!(found(text, environment, data).unwrap(), expected, "{text}");
        };
        let broken =
            "[fnil]\nx = 1\n[fill]\nretries = \"many\"\n[store]\ndisks = [\"d\"]\nobjects = 0\n";
        check(broken, &[], &[], "d");
        check("[fill]\nretrys = 1\n", &[], &[], "weir-data");
        check(broken, &[("WEIR__STORE__DISKS", "e")], &[], "e");
        check(broken, &[("WEIR__STORE__OBJECTS", "many")], &["f"], "f");
        check("not TOML", &[("WEIR__STORE__DISKS", "e")], &[], "e");
        check("not TOML", &[], &["f"], "f");
        check("[store]\ndisks = 3\n", &[], &["f"], "f");
        check("[store]\ndisks = [\"a\", \"\", \"b\"]\n", &[], &[], "a b");
        check(broken, &[], &["f", "g"], "f g");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_guessed() {
        let check = |text, words: &str| {
            let problem = found(text, &[], &[]).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        };
        check("[store]\nx\n", "weir.toml:2: not TOML");
        check("[store]\ndisks = 3\n", "weir.toml:2: [store] disks = 3");
        check("[store]\ndisks = []\n", "no data folder");
        check("[store]\ndisks = [\"\"]\n", "no data folder");
    }
}
