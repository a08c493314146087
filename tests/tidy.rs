//! The order of the house: floors, words at the top of files, nothing left over.
//!
//! What a reviewer would otherwise have to remember is checked here, by reading the sources as text.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use toml::Table;

    /// At this length a file holds a second noun.
    const LINES_MAX: usize = 500;

    /// Crates of this workspace.
    const WORKSPACE: [&str; 3] = ["weir", "weir-cache", "weir-policies"];

    fn root() -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        tests
            .parent()
            .expect("the tests are a folder of the workspace")
            .to_owned()
    }

    /// All files below a folder of the workspace with this extension.
    fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                found.extend(files(&path, extension));
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
        found.sort();
        found
    }

    fn sources() -> Vec<(PathBuf, String)> {
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            (
                path.strip_prefix(root())
                    .expect("below the root")
                    .to_owned(),
                text,
            )
        };
        let found: Vec<_> = files(&root(), "rs").into_iter().map(read).collect();
        assert!(found.len() > 20, "the sources were not found");
        found
    }

    /// What a crate depends on, for its code and for its tests.
    fn dependencies(folder: &str) -> BTreeSet<String> {
        let path = root().join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("a crate has a Cargo.toml");
        let manifest: Table = text.parse().expect("a Cargo.toml is TOML");
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| manifest.get(*section)?.as_table())
            .flat_map(|section| section.keys().cloned())
            .collect()
    }

    /// Checks that a crate uses no other crate of the workspace than these.
    fn check_floor(folder: &str, allowed: &[&str]) {
        for dependency in dependencies(folder) {
            let is_own = WORKSPACE.contains(&dependency.as_str());
            assert!(
                !is_own || allowed.contains(&dependency.as_str()),
                "{folder} imports {dependency}: a floor imports only those below it"
            );
        }
    }

    #[test]
    fn each_floor_imports_only_those_below() {
        check_floor("policies", &[]);
        check_floor("cache", &["weir-policies"]);
        check_floor("proxy", &["weir-cache", "weir-policies"]);
        check_floor("tests", &[]);
        check_floor("bench/load", &[]);
    }

    #[test]
    fn policies_are_pure() {
        let impure = [
            "tokio",
            "pingora",
            "tracing",
            "async-trait",
            "rustix",
            "libc",
            "futures",
        ];
        let own = dependencies("policies");
        let found: Vec<&&str> = impure.iter().filter(|name| own.contains(**name)).collect();
        assert!(
            found.is_empty(),
            "policies decide, they do not act: {found:?}"
        );
        for (path, text) in sources()
            .iter()
            .filter(|(path, _)| path.starts_with("policies"))
        {
            for words in [
                "std::fs",
                "std::net::Tcp",
                "std::thread",
                "std::env",
                "Instant::now",
            ] {
                assert!(
                    !text.contains(words),
                    "{}: {words} in a pure room",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn only_the_proxy_knows_pingora() {
        for folder in ["policies", "cache", "tests"] {
            let all = dependencies(folder);
            let pingora = all.iter().find(|name| name.starts_with("pingora"));
            assert_eq!(pingora, None, "{folder} imports it");
        }
    }

    #[test]
    fn every_file_begins_by_saying_what_it_is() {
        for (path, text) in sources() {
            let first = text.lines().next().unwrap_or_default();
            let is_said = first.starts_with("//! ") && first.len() > "//! A word.".len();
            assert!(is_said, "{} begins with {first:?}", path.display());
        }
    }

    #[test]
    fn nothing_is_left_over() {
        // Put together here, so that this file does not find itself.
        let marks = [
            ["TO", "DO"],
            ["FIX", "ME"],
            ["XX", "X"],
            ["PLACE", "HOLDER"],
            ["dbg", "!("],
            ["todo", "!("],
            ["#[ign", "ore"],
            ["unimpl", "emented!("],
        ]
        .map(|parts| parts.concat());
        for (path, text) in sources() {
            for (number, line) in (1..).zip(text.lines()) {
                let mark = marks.iter().find(|mark| holds(line, mark));
                assert_eq!(mark, None, "{}:{number}: {line}", path.display());
            }
        }
    }

    /// Whether a line holds the mark as a word of its own, not within a longer one.
    fn holds(line: &str, mark: &str) -> bool {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        line.match_indices(mark).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_some_and(is_part);
            let after = line[at + mark.len()..].chars().next().is_some_and(is_part);
            !(before || mark.ends_with(is_part) && after)
        })
    }

    #[test]
    fn no_file_is_longer_than_a_noun() {
        for (path, text) in sources() {
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{}: {lines} lines", path.display());
        }
    }

    #[test]
    fn modules_are_named_after_themselves() {
        let vague = [
            "mod.rs",
            "util.rs",
            "utils.rs",
            "common.rs",
            "helpers.rs",
            "manager.rs",
        ];
        for (path, _) in sources() {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            assert!(!vague.contains(&name), "{} says nothing", path.display());
        }
    }

    #[test]
    fn the_readme_shows_how_to_run_and_how_to_test() {
        let path = root().join("README.md");
        if !path.exists() {
            return;
        }
        let text = std::fs::read_to_string(path).expect("the README is text");
        for command in ["cargo run --release -- serve", "./tests/run"] {
            assert!(
                text.contains(command),
                "README.md does not show `{command}`"
            );
        }
    }

    #[test]
    fn decisions_are_numbered_without_a_gap() {
        let folder = root().join("docs/adr");
        if !folder.exists() {
            return;
        }
        for (number, path) in (1..).zip(files(&folder, "md")) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let expected = format!("{number:03}-");
            let four = format!("{number:04}-");
            let is_numbered = name.starts_with(&expected) || name.starts_with(&four);
            assert!(is_numbered, "docs/adr/{name} should begin with {expected}");
        }
    }

    #[test]
    fn scripts_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        for name in ["tests/run", ".ci/run", "bench/run"] {
            let mode = root()
                .join(name)
                .metadata()
                .expect("it exists")
                .permissions()
                .mode();
            assert_eq!(mode & 0o111, 0o111, "{name} is not executable");
        }
    }
}
