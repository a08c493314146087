//! What is said of mistakes, word for word: the messages are the user interface of a wrong configuration.

mod rules;

use super::{Flags, load_environment, load_file, load_with};

#[track_caller]
fn check(file: &str, expected: &str) {
    let message = load_file(file)
        .err()
        .unwrap_or_else(|| panic!("accepted: {file}"));
    assert_eq!(message, expected, "for {file:?}");
}

fn folders(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("/{number}")).collect()
}

#[test]
fn an_unknown_name_brings_the_nearest_known_one() {
    check(
        "[listen]\n\nhead_timout = \"1s\"",
        "weir.toml:3: [listen] head_timout: not a known key; did you mean head_timeout?",
    );
    check(
        "[lisen]\nproxy = []",
        "weir.toml:1: [lisen]: not a known section; did you mean [listen]?",
    );
    check(
        "[[mirrors]]\npath = \"/\"",
        "weir.toml:1: [[mirrors]]: not a known section; did you mean [[mirror]]?",
    );
    check(
        "[server]\ncapacity = \"1GiB\"",
        "weir.toml:2: [server] capacity: not a key of this section; it belongs to [store]",
    );
    check(
        "capacity = \"1GiB\"",
        "weir.toml:1: capacity: stands outside of any section; it belongs below [store]",
    );
    check(
        "[[mirror]]\npath = \"/a/\"\nupstreams = [\"http://a.example/\"]\n\n[[mirror]]\npaht = \"/b/\"\n\
         path = \"/b/\"\nupstreams = [\"http://b.example/\"]",
        "weir.toml:6: [[mirror]] paht: not a known key; did you mean path?",
    );
}

#[test]
fn sections_of_later_versions_are_not_yet_available() {
    for section in ["[limits]", "[tls]", "[[parent]]", "[object_store]"] {
        let expected =
            format!("weir.toml:1: {section}: this section is not yet available; remove it");
        check(&format!("{section}\nx = 1"), &expected);
    }
    let message = load_environment(&[("WEIR__LIMITS__X", "1")]).unwrap_err();
    assert_eq!(
        message,
        "environment WEIR__LIMITS__X: [limits]: this section is not yet available; remove it"
    );
}

#[test]
fn brackets_are_explained() {
    check(
        "[mirror]\npath = \"/\"",
        "weir.toml:1: write [[mirror]] with two brackets: there may be several",
    );
    check(
        "[[listen]]\nproxy = []",
        "weir.toml:1: listen is a section; write [listen], and only once",
    );
    check(
        "mirror = [1]",
        "weir.toml:1: mirror is a list of sections; write [[mirror]]",
    );
}

#[test]
fn what_is_not_toml_is_located() {
    let message = load_file("[listen]\nproxy = \n").unwrap_err();
    assert!(message.starts_with("weir.toml:2: not TOML: "), "{message}");
    let message = load_file("[log]\nlevel = \"info\"\nlevel = \"warn\"\n").unwrap_err();
    assert!(
        message.starts_with("weir.toml:3: not TOML: duplicate key"),
        "{message}"
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_the_right_one() {
    check(
        "[listen]\nproxy = \"127.0.0.1:1\"",
        "weir.toml:2: [listen] proxy = \"127.0.0.1:1\": invalid type: string \"127.0.0.1:1\", \
         expected a list, like [\"a\", \"b\"]",
    );
    check(
        "[listen]\npath_forms = 1",
        "weir.toml:2: [listen] path_forms = 1: invalid type: integer `1`, expected true or false",
    );
    check(
        "[server]\nthreads = -1",
        "weir.toml:2: [server] threads = -1: invalid value: integer `-1`, \
         expected a whole number, 0 or more",
    );
    check(
        "[store]\ndurability = \"lax\"",
        "weir.toml:2: [store] durability = \"lax\": unknown variant `lax`, \
         expected `relaxed` or `strict`",
    );
    check(
        "[listen]\nhead_timeout = 10",
        "weir.toml:2: [listen] head_timeout = 10: invalid type: integer `10`, \
         expected a length of time with its unit in quotes, like \"10s\"",
    );
    check(
        "[listen]\nhead_timeout = \"10 parsecs\"",
        "weir.toml:2: [listen] head_timeout = \"10 parsecs\": not a length of time; \
         write a whole number and one of the units ms, s, m, h, d, like \"10s\"",
    );
    check(
        "[store]\nreserve = \"1G\"",
        "weir.toml:2: [store] reserve = \"1G\": not a size; write a whole number and one of the \
         units B, KiB, MiB, GiB, TiB, PiB (1024) or KB, MB, GB, TB, PB (1000), like \"64KiB\"",
    );
}

#[test]
fn a_value_that_makes_no_sense_is_told_what_would() {
    check(
        "[listen]\nproxy = [\"localhost:8080\"]",
        "weir.toml:2: [listen] proxy = \"localhost:8080\": not an address to listen on; write \
         IP:PORT, like \"127.0.0.1:8080\" or \"[::1]:8080\", or \":8080\" for all addresses",
    );
    check(
        "[listen]\nproxy = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
        "weir.toml:2: [listen] proxy = \"127.0.0.1:1\": listed twice",
    );
    check(
        "[listen]\nadmin = \"127.0.0.1:8080\"",
        "weir.toml:2: [listen] admin = \"127.0.0.1:8080\": the proxy port; choose another port",
    );
    check(
        "[listen]\nhead_size = \"1KiB\"\ntarget_size = \"1KiB\"",
        "weir.toml:2: [listen] head_size = \"1KiB\": must be from \"4KiB\" to \"1MiB\"\n\
         weir.toml:3: [listen] target_size = \"1KiB\": must be smaller than head_size (\"1KiB\")",
    );
    check(
        "[listen]\nhead_timeout = \"0\"",
        "weir.toml:2: [listen] head_timeout = \"0\": must be longer than 0",
    );
    check(
        "[store]\ndisks = []",
        "weir.toml:2: [store] disks = []: at least one data folder is needed, like \"weir-data\"",
    );
    check(
        "[store]\ndisks = [\"/a\", \"/b\", \"/c/../a/\"]",
        "weir.toml:2: [store] disks = \"/c/../a/\": is the same folder as \"/a\"",
    );
    check(
        &format!("[store]\ndisks = {:?}", folders(65)),
        "weir.toml:2: [store] disks = 65 folders: must be at most 64 folders",
    );
    check(
        "[store]\nparity = 3\ndisk_deadline = \"99ms\"\nscrub_rate = \"1KiB\"",
        "weir.toml:2: [store] parity = 3: must be from 1 to 2\n\
         weir.toml:3: [store] disk_deadline = \"99ms\": must be from \"100ms\" to \"5m\"\n\
         weir.toml:4: [store] scrub_rate = \"1KiB\": must be from \"64KiB\" to \"1TiB\"",
    );
    check(
        "[store]\ndisk_deadline = \"301s\"",
        "weir.toml:2: [store] disk_deadline = \"301s\": must be from \"100ms\" to \"5m\"",
    );
    check(
        "[store]\nscrub_interval = \"never\"",
        "weir.toml:2: [store] scrub_interval = \"never\": not a length of time; write a whole number and one of the \
         units ms, s, m, h, d, like \"10s\", or \"off\"",
    );
    check(
        "[store]\nlow_watermark = 0.9",
        "weir.toml:2: [store] low_watermark = 0.9: must be below high_watermark (0.8)",
    );
    check(
        "[store]\nhigh_watermark = nan",
        "weir.toml:2: [store] high_watermark = NaN: \
         must be a share of the budget above 0 and up to 1.0",
    );
    check(
        "[upstream]\nallow_networks = [\"10.0.0.0/8\", \"intranet\"]",
        "weir.toml:2: [upstream] allow_networks = \"intranet\": not a network; write \
         ADDRESS/PREFIX, like \"10.0.0.0/8\" or \"2001:db8::/32\", or a single address",
    );
    check(
        "[server]\nname = \"a b\"",
        "weir.toml:2: [server] name = \"a b\": must be letters, digits, \"-\", \"_\" and \".\" \
         only, at most 128, like \"weir-1.example.org\"",
    );
    check(
        "[server]\nupgrade_socket = \"control.sock\"",
        "weir.toml:2: [server] upgrade_socket = \"control.sock\": must be a file name of its own \
         in the data folder, without \"/\" and other than \"control.sock\", like \"upgrade.sock\"",
    );
    check(
        "[log]\naccess = \"stdot\"",
        "weir.toml:2: [log] access = \"stdot\": must be \"stdout\", \"stderr\", \"off\" or the \
         path of a file with at least one \"/\", like \"./access.log\"",
    );
}

#[test]
fn mirrors_that_cannot_work_are_refused() {
    check(
        "\n[[mirror]]\n",
        "weir.toml:2: [[mirror]] path: is needed, like \"/debian/\"\n\
         weir.toml:2: [[mirror]] upstreams: at least one base URL is needed, \
         like [\"http://deb.debian.org/debian/\"]",
    );
    check(
        "[[mirror]]\npath = \"/https/\"\nupstreams = [\"http://a.example/\"]",
        "weir.toml:2: [[mirror]] path = \"/https/\": would never be reached: /https/ belongs to \
         the path forms; choose another path, or set [listen] path_forms = false",
    );
    check(
        "[[mirror]]\npath = \"/a\"\nupstreams = [\"http://a.example/?x\"]\n\
         [[mirror]]\npath = \"a/\"\nupstreams = [\"ftp://a.example/\"]\nkey = \"http://b.example/\"",
        "weir.toml:3: [[mirror]] upstreams = \"http://a.example/?x\": a base URL has no query\n\
         weir.toml:6: [[mirror]] upstreams = \"ftp://a.example/\": \
         ftp upstreams are not yet available; use http or https",
    );
    check(
        "[[mirror]]\npath = \"/a\"\nupstreams = [\"http://a.example/\"]\n\
         [[mirror]]\npath = \"a/\"\nupstreams = [\"http://b.example/\"]",
        "weir.toml:5: [[mirror]] path = \"/a/\": another mirror has this path already",
    );
}

#[test]
fn tunnels_that_cannot_work_are_refused() {
    check(
        "[tunnel]\nports = [443, 0, 70000]\nidle_timeout = \"0\"\nconnections = 0\nearly_size = \"1KiB\"",
        "weir.toml:2: [tunnel] ports = 0: not a port; one is from 1 to 65535\n\
         weir.toml:2: [tunnel] ports = 70000: not a port; one is from 1 to 65535\n\
         weir.toml:3: [tunnel] idle_timeout = \"0\": must be longer than 0\n\
         weir.toml:4: [tunnel] connections = 0: must be from 1 to 1000000\n\
         weir.toml:5: [tunnel] early_size = \"1KiB\": must be from \"4KiB\" to \"64KiB\"",
    );
    let message = load_file("[tunnel]\ndeny_hosts = [\"[\"]").unwrap_err();
    assert!(
        message.starts_with("weir.toml:2: [tunnel] deny_hosts = \"[\": not a glob: "),
        "{message}"
    );
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let check = |variable, value, expected: &str| {
        let message = load_environment(&[(variable, value)]).unwrap_err();
        assert_eq!(message, format!("environment {variable}: {expected}"));
    };
    check(
        "WEIR__LISTEN__PROXI",
        "x",
        "not a known variable; did you mean WEIR__LISTEN__PROXY?",
    );
    check(
        "WEIR__MIRROR__PATH",
        "/",
        "[[mirror]] can only be written in the file",
    );
    check(
        "WEIR__LISTEN__HEAD_FIELDS",
        "many",
        "[listen] head_fields = \"many\": expected a whole number",
    );
    check(
        "WEIR__LISTEN__HEAD_FIELDS",
        "5",
        "[listen] head_fields = 5: must be from 16 to 1000",
    );
    check(
        "WEIR__SERVER__NAME_FILE",
        "/nowhere/at/all",
        "/nowhere/at/all: cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn mistakes_in_flags_name_the_flag() {
    let flags = Flags {
        listen: vec!["here".to_owned()],
        ..Flags::default()
    };
    let message = load_with(None, &[], flags).unwrap_err();
    assert!(
        message.starts_with("flag --listen: [listen] proxy = \"here\": "),
        "{message}"
    );
}

#[test]
fn all_mistakes_are_reported_together() {
    let file = "[listen]\nadmni = \"\"\nproxy = [\"here\"]\n[tls]\n[log]\nlevel = \"loud\"\n";
    let environment = [("WEIR__LISTEN__PORT", "1")];
    let message = load_with(Some(file), &environment, Flags::default()).unwrap_err();
    let starts = [
        "weir.toml:2: [listen] admni: not a known key",
        "weir.toml:3: [listen] proxy = \"here\": ",
        "weir.toml:4: [tls]: ",
        "weir.toml:6: [log] level = \"loud\": ",
        "environment WEIR__LISTEN__PORT: not a known variable",
    ];
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{message}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(
            line.starts_with(start),
            "{line} does not begin with {start}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_not_called_missing_as_well() {
    check(
        "[[mirror]]\npath = 1\nupstreams = [\"http://a.example/\"]",
        "weir.toml:2: [[mirror]] path = 1: invalid type: integer `1`, expected text in quotes",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sources = super::Sources {
        file: Some("/nowhere/weir.toml".into()),
        ..super::Sources::default()
    };
    assert_eq!(
        super::load(&sources).unwrap_err().to_string(),
        "/nowhere/weir.toml: cannot be read: No such file or directory (os error 2)"
    );
}
