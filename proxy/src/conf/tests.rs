//! The configuration as its users meet it: the documented file, the order of the sources, and what is said of
//! mistakes.

mod cache_proxy;
mod mistakes;
mod notify;
mod rules;

use super::config::Config;
use super::schema::Schema;
use super::*;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use toml::Table;

fn documented() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/weir.toml");
    fs::read_to_string(path).unwrap()
}

/// The documented file with its examples switched on.
fn with_examples() -> String {
    let example = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let lines = documented();
    let lines: Vec<&str> = lines
        .lines()
        .map(|line| {
            if example(line) {
                line.strip_prefix('#').unwrap()
            } else {
                line
            }
        })
        .collect();
    lines.join("\n")
}

fn key_names(table: &Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (section, content) in table {
        let elements = match content {
            Value::Array(elements) => elements.clone(),
            single => vec![single.clone()],
        };
        for keys in elements.iter().map(|element| element.as_table().unwrap()) {
            names.extend(keys.keys().map(|key| format!("{section}.{key}")));
        }
    }
    names
}

fn schema_names() -> BTreeSet<String> {
    Schema::new()
        .keys()
        .map(|(section, _, key)| format!("{section}.{key}"))
        .collect()
}

/// Loads `file` (written to disk first) under `environment` and `flags`.
fn load_with(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: Flags,
) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let sources = Sources {
        file: file.map(|_| path),
        environment: environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        flags,
    };
    let shown = format!("{}/", folder.path().display());
    load(&sources).map_err(|error| error.to_string().replace(&shown, ""))
}

fn load_file(text: &str) -> Result<Settings, String> {
    load_with(Some(text), &[], Flags::default())
}

fn load_environment(variables: &[(&str, &str)]) -> Result<Settings, String> {
    load_with(None, variables, Flags::default())
}

#[test]
fn the_documented_file_says_exactly_the_defaults() {
    let text = documented();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    // Equal values could also come from keys that are not written at all.
    let written = key_names(&text.parse().unwrap());
    let defaults = key_names(&Table::try_from(Config::default()).unwrap());
    assert_eq!(written, defaults);
}

#[test]
fn the_documented_file_with_its_examples_names_every_key() {
    let text = with_examples();
    assert_eq!(key_names(&text.parse().unwrap()), schema_names());
    let settings = load_file(&text).unwrap();
    assert_eq!(settings.forms.mirrors.len(), 1);
}

#[test]
fn every_documented_key_has_a_comment_above_it() {
    let text = with_examples();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2) {
        let is_key = pair[1].contains(" = ") && !pair[1].starts_with('#');
        assert!(
            !is_key || pair[0].starts_with('#'),
            "no comment above: {}",
            pair[1]
        );
    }
}

/// Serde lists all fields it knows when it meets one it does not.
#[test]
fn the_schema_holds_every_key_that_serde_knows() {
    let known = schema_names();
    let mut found = BTreeSet::new();
    for (section, kind, _) in Schema::new().keys() {
        let unknown = Table::from_iter([("?".to_owned(), Value::Boolean(true))]);
        let unknown = match kind {
            schema::SectionKind::Single => Value::Table(unknown),
            schema::SectionKind::Repeated => Value::Array(vec![Value::Table(unknown)]),
        };
        let alone = Table::from_iter([(section.to_owned(), unknown)]);
        let error = Config::deserialize(alone).unwrap_err();
        let (_, expected) = error.message().split_once("expected").unwrap();
        found.extend(
            expected
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|key| format!("{section}.{key}")),
        );
    }
    assert_eq!(found, known);
}

#[test]
fn nothing_said_gives_the_defaults() {
    let settings = load(&Sources::default()).unwrap();
    assert_eq!(settings.listen.proxy, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(
        settings.listen.admin,
        Some("127.0.0.1:8081".parse().unwrap())
    );
    assert_eq!(settings.disks, [PathBuf::from("weir-data")]);
    assert_eq!(settings.store.capacity_bytes, None);
    assert!(settings.store.sha256);
    assert!(settings.forms.path_forms);
    assert!(settings.forms.mirrors.is_empty());
    assert_eq!(settings.server.name, None);
    assert_eq!(settings.fill.rate_min, None);
    assert_eq!(settings.log.access, AccessLog::Stdout);
}

#[test]
fn several_disks_and_what_holds_them_together_are_read() {
    let file = "[store]\ndisks = [\"/a\", \"/b\", \"a\"]\nparity = 1\ndisk_deadline = \"100ms\"\n\
                scrub_interval = \"off\"\nscrub_rate = \"64KiB\"\n";
    let settings = load_file(file).unwrap();
    assert_eq!(settings.disks, ["/a", "/b", "a"].map(PathBuf::from));
    let store = settings.store;
    assert_eq!((store.parity, store.disk_deadline.as_millis()), (1, 100));
    assert_eq!(store.scrub_interval, None);
    assert_eq!(store.scrub_bytes_per_second, 64 << 10);

    let store = load_file("").unwrap().store;
    assert_eq!((store.parity, store.disk_deadline.as_secs()), (2, 5));
    let days = store.scrub_interval.map(|every| every.as_secs() / 86_400);
    assert_eq!(days, Some(28));
    assert_eq!(store.scrub_bytes_per_second, 50 << 20);

    let disks: Vec<String> = (0..64).map(|number| format!("/{number}")).collect();
    let environment = [("WEIR__STORE__DISKS", disks.join(","))];
    let environment = environment
        .each_ref()
        .map(|(name, list)| (*name, list.as_str()));
    assert_eq!(load_environment(&environment).unwrap().disks.len(), 64);
}

#[test]
fn later_sources_win_over_earlier_ones() {
    let file =
        "[listen]\nproxy = [\"127.0.0.1:1\"]\nhead_timeout = \"1s\"\nidle_timeout = \"1s\"\n";
    let environment = [
        ("WEIR__LISTEN__PROXY", "127.0.0.1:2"),
        ("WEIR__LISTEN__HEAD_TIMEOUT", "2s"),
    ];
    let flags = Flags {
        listen: vec!["127.0.0.1:3".to_owned(), "[::1]:3".to_owned()],
        admin: Some(String::new()),
        data: vec!["elsewhere".to_owned()],
    };
    let settings = load_with(Some(file), &environment, flags).unwrap().listen;
    let expected = ["127.0.0.1:3".parse().unwrap(), "[::1]:3".parse().unwrap()];
    assert_eq!(settings.proxy, expected, "flags win, as a whole list");
    assert_eq!(settings.admin, None, "an empty flag is said, too");
    assert_eq!(
        settings.head_timeout.as_secs(),
        2,
        "the environment wins over the file"
    );
    assert_eq!(
        settings.idle_timeout.as_secs(),
        1,
        "the file wins over the default"
    );
    assert_eq!(settings.send_timeout.as_secs(), 60, "the default is left");
}

#[test]
fn the_environment_is_read_in_the_type_of_each_key() {
    let settings = load_environment(&[
        ("WEIR__LISTEN__PROXY", "127.0.0.1:2, [::1]:2"),
        ("WEIR__LISTEN__PATH_FORMS", "false"),
        ("WEIR__LISTEN__HEAD_FIELDS", "50"),
        ("WEIR__STORE__CAPACITY", "10TB"),
        ("WEIR__STORE__RESERVE", "4096"),
        ("WEIR__STORE__HIGH_WATERMARK", "0.9"),
        ("WEIR__STORE__VERIFY", "always"),
        (
            "WEIR__UPSTREAM__ALLOW_NETWORKS",
            "[\"10.0.0.0/8\", \"::1\"]",
        ),
        ("WEIR__UPSTREAM__CA_FILE", "/etc/ca.pem"),
        ("WEIR__ACCESS__ALLOW", ""),
        ("WEIR__TUNNEL__PORTS", "443, 8443"),
        ("WEIR_CONFIG", "not ours to read here"),
        ("WEIR_PORT", "tcp://10.0.0.1:8080"),
        ("OTHER", "x"),
    ])
    .unwrap();
    assert_eq!(settings.listen.proxy.len(), 2);
    assert!(!settings.forms.path_forms);
    assert_eq!(settings.listen.head_fields_max, 50);
    assert_eq!(settings.store.capacity_bytes, Some(10_000_000_000_000));
    assert_eq!(settings.store.reserve_bytes, 4096);
    assert!((settings.store.high_watermark - 0.9).abs() < f64::EPSILON);
    assert_eq!(settings.store.verify, weir_cache::store::Verify::Always);
    assert_eq!(settings.upstream.allow_networks.len(), 2);
    assert_eq!(
        settings.upstream.ca_file,
        Some(PathBuf::from("/etc/ca.pem"))
    );
    assert!(settings.access.allow.is_empty());
    assert!(settings.access.purge.is_empty());
    let tunnels = settings.tunnel.policy;
    assert!(tunnels.judge("h", 8443).is_ok() && tunnels.judge("h", 80).is_err());
    for all in ["", "[]"] {
        let settings = load_environment(&[("WEIR__TUNNEL__PORTS", all)]).unwrap();
        assert!(settings.tunnel.policy.judge("h", 80).is_ok(), "{all:?}");
    }
}

#[test]
fn one_ipv6_listener_in_the_environment_is_not_a_list_of_toml() {
    let settings = load_environment(&[("WEIR__LISTEN__PROXY", "[::1]:2,127.0.0.1:2")]).unwrap();
    assert_eq!(settings.listen.proxy.len(), 2);
}

#[test]
fn a_value_is_read_from_the_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("name");
    fs::write(&path, "weir-7\n").unwrap();
    let path = path.to_str().unwrap();
    let settings = load_environment(&[("WEIR__SERVER__NAME_FILE", path)]).unwrap();
    assert_eq!(settings.server.name.as_deref(), Some("weir-7"));

    let both = [
        ("WEIR__SERVER__NAME_FILE", path),
        ("WEIR__SERVER__NAME", "weir-8"),
    ];
    let message = load_environment(&both).unwrap_err();
    assert_eq!(
        message,
        "environment WEIR__SERVER__NAME_FILE: WEIR__SERVER__NAME is set as well; set one"
    );
}

#[test]
fn what_a_secret_file_holds_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "hunter2 hunter2").unwrap();
    let path = path.to_str().unwrap();
    for name in Schema::new().keys().filter_map(|(section, kind, key)| {
        let variable = format!("WEIR__{section}__{key}_FILE").to_uppercase();
        (kind == schema::SectionKind::Single).then_some(variable)
    }) {
        if let Err(message) = load_environment(&[(&name, path)]) {
            assert!(!message.contains("hunter2"), "{message}");
            assert!(message.contains(&name), "{message}");
        }
    }
}

#[test]
fn mirrors_and_rules_become_what_policies_work_with() {
    let settings = load_file(
        "[[mirror]]\npath = \"debian\"\nupstreams = [\"http://a.example/debian/\", \"https://b.example/\"]\n\
         [[mirror]]\npath = \"/\"\nupstreams = [\"http://c.example\"]\nkey = \"http://old.example/\"\ncdn = true\n\
         [[rule]]\nname = \"one\"\nhost = [\"*.example\"]\nstore = \"never\"\n\
         [[rule]]\nname = \"two\"\nextension = [\".iso\"]\nttl_max = \"1h\"\n",
    )
    .unwrap();
    let [debian, root] = settings.forms.mirrors.as_slice() else {
        panic!("{:?}", settings.forms.mirrors)
    };
    assert_eq!(debian.path, "/debian/");
    assert_eq!(debian.upstreams.len(), 2);
    assert_eq!(debian.key, debian.upstreams[0]);
    assert_eq!(root.path, "/");
    assert_eq!(root.key.host(), "old.example");
    assert!(root.cdn && !debian.cdn);
}

proptest::proptest! {
    /// Whatever is written is either settings or an error.
    #[test]
    fn no_value_panics(
        key in proptest::sample::select(Vec::from_iter(schema_names())),
        value in "[\"'\\[\\]{}0-9a-zA-Z:/.,_ %é-]{0,24}",
    ) {
        let (section, key) = key.split_once('.').unwrap();
        let brackets = Schema::new().written(section);
        let text = Value::String(value.clone());
        for value in [value.clone(), text.to_string(), format!("[{text}]")] {
            drop(load_file(&format!("{brackets}\n{key} = {value}\n")));
        }
        let variable = format!("WEIR__{section}__{key}").to_uppercase();
        drop(load_environment(&[(&variable, &value)]));
    }
}
