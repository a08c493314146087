//! What is said of mistakes, word for word: the messages are the user interface of a wrong configuration.

use super::{Flags, load_environment, load_file, load_with};

#[track_caller]
fn check(file: &str, expected: &str) {
    let message = load_file(file)
        .err()
        .unwrap_or_else(|| panic!("accepted: {file}"));
    assert_eq!(message, expected, "for {file:?}");
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
    for section in [
        "[limits]",
        "[tls]",
        "[notify]",
        "[[parent]]",
        "[object_store]",
    ] {
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
        "[store]\ndisks = [\"/a\", \"/b\"]",
        "weir.toml:2: [store] disks = [\"/a\", \"/b\"]: \
         several disks are not yet available; name one",
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
fn rules_that_cannot_work_are_refused() {
    check(
        "[[rule]]\nstore = \"never\"",
        "weir.toml:1: [[rule]] name: is needed: it is what logs call the rule",
    );
    check(
        "[[rule]]\nname = \"a\"\n[[rule]]\nname = \"a\"",
        "weir.toml:4: [[rule]] name = \"a\": another rule has this name",
    );
    check(
        "[[rule]]\nname = \"a\"\nform = [\"tunnel\"]",
        "weir.toml:3: [[rule]] form = [\"tunnel\"]: unknown variant `tunnel`, \
         expected one of `forward`, `download`, `path`, `mirror`",
    );
    check(
        "[[rule]]\nname = \"a\"\nttl_max = \"500ms\"",
        "weir.toml:3: [[rule]] ttl_max = \"500ms\": must be whole seconds",
    );
    let message = load_file("[[rule]]\nname = \"a\"\nhost = [\"[\"]").unwrap_err();
    assert!(
        message.starts_with("weir.toml:3: [[rule]] host = \"[\": not a glob: "),
        "{message}"
    );
    check(
        "[[rule]]\nname = \"archives\"",
        "weir.toml:2: [[rule]] name = \"archives\": a shipped rule has this name; choose another, \
         or set [rules] defaults = false",
    );
    let many = "[[rule]]\nname = \"a\"\n".repeat(1001);
    let message = load_file(&many).unwrap_err();
    assert!(message.ends_with("more than 1000 rules, shipped ones included"));
}

/// A rule called `a` for one URL, with these lines from line 5 on.
#[track_caller]
fn check_rule(lines: &str, expected: &str) {
    let rule = "[[rule]]\nname = \"a\"\nhost = [\"h\"]\npath = [\"/f\"]\n";
    check(
        &format!("{rule}{lines}"),
        &format!("weir.toml:5: [[rule]] {expected}"),
    );
}

#[test]
fn conditions_that_cannot_hold_are_refused() {
    check_rule(
        "size_min = \"2KiB\"\nsize_max = \"1KiB\"",
        "size_min = \"2KiB\": matches nothing: it is larger than size_max (\"1KiB\")",
    );
    check_rule(
        "media_type = [\"video/*\", \"rpm\"]",
        "media_type = \"rpm\": not a media type; write one like \"application/x-rpm\" or \"video/*\"",
    );
}

#[test]
fn conditions_that_match_nothing_are_refused() {
    let refused = |condition: &str, value: &str, reason: &str| {
        let message = load_file(&format!(
            "[[rule]]\nname = \"a\"\n{condition} = [\"{value}\"]"
        ))
        .unwrap_err();
        let start = format!("weir.toml:3: [[rule]] {condition} = \"{value}\": ");
        let told = message.strip_prefix(&start).expect(&message);
        assert!(told.contains(reason), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    };
    for host in ["https://h.example", "h.example/pub", "//h"] {
        refused("host", host, "without scheme and path");
    }
    for host in ["h.example:8080", "h.example:*", "[::1]:80"] {
        refused("host", host, "without a port");
    }
    for host in ["", "me@h.example", "bücher.example", "h.example."] {
        refused("host", host, "matches no host");
    }
    for path in ["", "nightly/*", "http://h/nightly"] {
        refused("path", path, "begin it with \"/\"");
    }
    for path in ["/file?version=1", "/file#top", "**/?.iso"] {
        refused("path", path, "without the query");
    }
    refused("path", "/two words", "%20");
    for extension in [".", "*.gz", "gz?x", "tar."] {
        refused("extension", extension, "like \"tar.gz\"");
    }
}

#[test]
fn several_rules_without_a_name_are_told_once_each() {
    check(
        "[[rule]]\n[[rule]]\nstore = \"never\"",
        "weir.toml:1: [[rule]] name: is needed: it is what logs call the rule\n\
         weir.toml:2: [[rule]] name: is needed: it is what logs call the rule",
    );
}

#[test]
fn redirects_for_a_forward_proxy_alone_are_refused() {
    for word in ["redirect", "redirect+fetch"] {
        check_rule(
            &format!("miss = \"{word}\"\nform = [\"forward\"]"),
            &format!(
                "miss = \"{word}\": has no effect: requests to a forward proxy are always streamed; \
                 name another form, or remove this"
            ),
        );
    }
    for form in ["[]", "[\"forward\", \"mirror\"]"] {
        let rule = format!("[[rule]]\nname = \"a\"\nmiss = \"redirect\"\nform = {form}");
        assert!(load_file(&rule).is_ok(), "{form}");
    }
}

#[test]
fn overriding_an_origin_has_to_be_said_in_so_many_words() {
    check_rule(
        "store = \"always\"",
        "store = \"always\": has to name what it overrides, like override = [\"no-store\"]; there \
         are \"no-store\", \"no-cache\", \"private\" and \"set-cookie\"",
    );
    check_rule(
        "override = [\"private\"]",
        "override: overrides are only for store = \"always\"; set that, or remove this",
    );
    check_rule(
        "override = [\"vary\"]\nstore = \"never\"",
        "override = [\"vary\"]: unknown variant `vary`, expected one of `no-store`, `no-cache`, \
         `private`, `set-cookie`",
    );
}

#[test]
fn effects_that_make_no_sense_are_refused() {
    check_rule(
        "ttl_min = \"2h\"\nttl_max = \"1h\"",
        "ttl_min = \"2h\": must not be longer than ttl_max (\"1h\")",
    );
    check_rule(
        "stale_for = \"1500ms\"",
        "stale_for = \"1500ms\": must be whole seconds",
    );
    check_rule(
        "negative_ttl = \"2d\"",
        "negative_ttl = \"2d\": too long; at most \"1d\"",
    );
    check_rule(
        "limit = \"0\"",
        "limit = \"0\": would refuse every object; leave it out for no limit",
    );
    check_rule(
        "miss = \"fetch\"",
        "miss = \"fetch\": unknown variant `fetch`, expected one of `stream`, `redirect`, \
         `redirect+fetch`",
    );
    check_rule(
        "range_miss = \"parts\"",
        "range_miss = \"parts\": unknown variant `parts`, expected `whole` or `part`",
    );
}

#[test]
fn a_digest_belongs_to_one_file() {
    check_rule(
        "verify = \"sha256:00\"",
        "verify = \"sha256:00\": not a digest; write \"sha256:\" and 64 hex digits, or \"md5:\" and 32",
    );
    let md5 = format!("md5:{}", "0".repeat(32));
    for conditions in ["", "host = [\"h\"]\n", "host = [\"h\"]\npath = [\"/*\"]\n"] {
        let rule = format!("[[rule]]\nverify = \"{md5}\"\nname = \"a\"\n{conditions}");
        let expected = format!(
            "weir.toml:2: [[rule]] verify = \"{md5}\": a digest belongs to one file; the rule needs \
             one host and one path, both without wildcards"
        );
        check(&rule, &expected);
    }
}

#[test]
fn fallbacks_that_cannot_work_are_refused() {
    let refused = |base: &str, reason: &str| {
        check_rule(
            &format!("fallback = [\"http://fine/\", \"{base}\"]"),
            &format!(
                "fallback = \"{base}\": {reason}; write a base URL, like \
                 \"https://archive.example/{{host}}/{{path}}\""
            ),
        );
    };
    refused("ftp://a/", "only http and https bases are asked");
    refused(
        "http://metadata.goog/",
        "a metadata service is nobody's archive",
    );
    refused(
        "http://{host}/",
        "placeholders stand in the path, not in the host",
    );
    refused(
        "http://a/{url}",
        "unknown placeholder; there are {scheme}, {host}, {path}, {file} and {sha256}",
    );
}

#[test]
fn fields_that_are_weirs_own_cannot_be_set() {
    for name in [
        "Connection",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Range",
        "If-Range",
        "If-None-Match",
        "Via",
        "Proxy-Authorization",
        "TE",
    ] {
        check_rule(
            &format!("headers = {{ {name} = \"hunter2\" }}"),
            &format!("headers = \"{name}\": this field is Weir's own and cannot be set by a rule"),
        );
    }
    let directives = "it is never sent for everybody; how long things are kept is said by ttl_default, ttl_min \
        and ttl_max";
    let cookies = "a cookie is one client's and never sent for everybody; send Authorization or the key of an \
        API instead";
    for (name, expected) in [
        ("Cookie", cookies),
        ("Cache-Control", directives),
        ("pragma", directives),
    ] {
        for value in ["hunter2", ""] {
            check_rule(
                &format!("headers = {{ {name} = \"{value}\" }}"),
                &format!("headers = \"{name}\": {expected}"),
            );
        }
    }
    check_rule(
        "headers = { \"a b\" = \"hunter2\" }",
        "headers = \"a b\": not the name of a field",
    );
    check_rule(
        "headers = { X-A = \"hunter2\\r\\nX-B: c\" }",
        "headers = \"X-A\": its value is not the value of a field: visible characters and spaces only",
    );
    check_rule(
        "headers = { X-A = \"1\", x-a = \"2\" }",
        "headers = \"x-a\": is there twice; case does not tell fields apart",
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
