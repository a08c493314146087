//! What is said of mistakes in `[[rule]]`, word for word.

use super::super::load_file;
use super::check;

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
