//! Every way to ask for a URL, and every way to disguise one.

use super::*;

fn mirror(path: &str, bases: &[&str]) -> Mirror {
    let upstreams: Vec<Target> = bases
        .iter()
        .map(|base| Target::parse(base).unwrap())
        .collect();
    Mirror {
        path: path.to_owned(),
        key: upstreams[0].clone(),
        upstreams,
        cdn: false,
    }
}

fn forms() -> Forms {
    let mirrors = vec![
        mirror("/debian/", &["http://one/debian/", "https://two/d"]),
        mirror("/debian/security/", &["http://sec/"]),
    ];
    Forms {
        path_forms: true,
        mirrors,
    }
}

/// `form target` of a resource, the debug text of anything else, the error's text.
fn asked(forms: &Forms, method: &Method, text: &str) -> String {
    match ask(method, text, forms) {
        Ok(Asked::Resource(resource)) => {
            format!("{} {}", resource.form.as_str(), resource.target)
        }
        Ok(Asked::Own(page)) => format!("{page:?}"),
        Ok(other) => format!("{other:?}"),
        Err(TargetError::Malformed(_)) => "malformed".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(asked(&forms(), &Method::GET, text), expected, "{text}");
}

#[test]
fn absolute_form_is_a_forward_request() {
    check("http://h/p?q", "forward http://h/p?q");
    check("https://h/p", "forward https://h/p");
    check("ftp://h/p", "forward ftp://h/p");
    check("gopher://h/", r#"scheme "gopher" is not served"#);
    check("h:80", "malformed");
    check("", "malformed");
    // Absolute-form never means the gateway's own pages.
    check(
        "http://h/download/https://x/",
        "forward http://h/download/https://x/",
    );
}

#[test]
fn download_takes_a_url_as_it_stands() {
    check("/download/https://h/p?q=1&r", "download https://h/p?q=1&r");
    check("/download/https:/h/p", "download https://h/p");
    check("/download/HTTP://H/a//b", "download http://h/a//b");
    check("/download/ftp://h/p", "download ftp://h/p");
    check("/download/https://h/a/../b", "download https://h/b");
    check("/download/https://h", "download https://h/");
    check("/download/", "EmptyDownload");
    check("/download/?x", "EmptyDownload");
    for text in [
        "gopher://h/",
        "h/p",
        "//h/p",
        "https%3A%2F%2Fh",
        "https:///p",
        "../debian/x",
    ] {
        check(&format!("/download/{text}"), "malformed");
    }
    let refusal = ask(&Method::GET, "/download/gopher://h/", &forms()).unwrap_err();
    assert!(
        refusal.to_string().contains("Bad download url"),
        "{refusal}"
    );
}

#[test]
fn path_forms_take_three_spellings() {
    check("/https://h/p?q", "path https://h/p?q");
    check("/https:/h/p", "path https://h/p");
    check("/https/h/p", "path https://h/p");
    check("/HTTP/h/p", "path http://h/p");
    check("/ftp/h:2121/p", "path ftp://h:2121/p");
    check("/https/", "malformed");
    check("/http://user@h/", "malformed");
    check("/https", "Unknown");
    check("/httpsx/h", "Unknown");
    check("/gopher://h/", "Unknown");
}

#[test]
fn a_colon_may_be_escaped_where_a_client_resolves_links() {
    check(
        "/http%3A/127.0.0.1%3A8000/p%3Aq",
        "path http://127.0.0.1:8000/p%3Aq",
    );
    check("/https%3a//h%3a444/p?x=%3A", "path https://h:444/p?x=%3A");
    check("/https/h%3A444/p", "path https://h:444/p");
    check("/download/https%3A//h/p", "download https://h/p");
    check("/https%3A", "Unknown");
    check("/https%3Ah/p", "Unknown");
    check("/http/user%3Apass@h/", "malformed");
    check("/http/h%2Fp/", "malformed");
    check("/x/../http%3A/h/", "malformed");
}

#[test]
fn the_longest_mirror_wins_and_keeps_its_order() {
    check("/debian/dists/x?q", "mirror http://one/debian/dists/x?q");
    check("/debian", "mirror http://one/debian/");
    check("/debian/security/x", "mirror http://sec/x");
    check("/debianx", "Unknown");
    let Ok(Asked::Resource(resource)) = ask(&Method::GET, "/debian/a/../b", &forms()) else {
        panic!("not a resource");
    };
    let upstreams: Vec<String> = resource.upstreams.iter().map(Target::to_string).collect();
    assert_eq!(upstreams, ["http://one/debian/b", "https://two/d/b"]);
    assert_eq!(resource.as_asked, "/debian/a/../b");
}

#[test]
fn only_a_mirror_can_act_for_its_origin() {
    let mut acting = mirror("/a/", &["http://one/"]);
    acting.cdn = true;
    let forms = Forms {
        path_forms: true,
        mirrors: vec![acting, mirror("/b/", &["http://two/"])],
    };
    let check = |text: &str, expected: bool| match ask(&Method::GET, text, &forms) {
        Ok(Asked::Resource(resource)) => assert_eq!(resource.cdn, expected, "{text}"),
        other => panic!("{other:?}"),
    };
    check("/a/p", true);
    check("/b/p", false);
    check("http://one/p", false);
    check("/download/http://one/p", false);
}

#[test]
fn row_31_a_mirror_is_matched_after_dot_segments() {
    check("/debian/../x", "Unknown");
    check("/x/../debian/y", "mirror http://one/debian/y");
    check("/%64ebian/y", "mirror http://one/debian/y");
    check("/debian/security/../y", "mirror http://one/debian/y");
    check("/debian/..%2f..%2fy", "malformed");
    check("//debian/y", "Unknown");
    check(r"/debian/\..\y", "malformed");
}

#[test]
fn a_disguised_path_form_is_refused() {
    check("/x/../download/https://h/", "malformed");
    check("/%64ownload/https://h/", "malformed");
    check("/./https://h/", "malformed");
}

#[test]
fn reserved_prefixes_win_over_a_mirror_at_the_root() {
    let mut forms = Forms {
        path_forms: true,
        mirrors: vec![mirror("/", &["http://root/base"])],
    };
    let at = |forms: &Forms, text: &str| asked(forms, &Method::GET, text);
    assert_eq!(at(&forms, "/"), "mirror http://root/base/");
    assert_eq!(at(&forms, "/download/https://h/"), "download https://h/");
    assert_eq!(at(&forms, "/https/h/p"), "path https://h/p");
    assert_eq!(at(&forms, "/other"), "mirror http://root/base/other");
    forms.path_forms = false;
    assert_eq!(
        at(&forms, "/download/https://h/"),
        "mirror http://root/base/download/https://h/"
    );
    assert_eq!(
        at(&forms, "/https/h/p"),
        "mirror http://root/base/https/h/p"
    );
}

#[test]
fn the_rest_is_ours() {
    check("/", "Welcome");
    check("/?x", "Welcome");
    check("/favicon.ico", "Unknown");
    let closed = Forms::default();
    assert_eq!(
        asked(&closed, &Method::GET, "/download/https://h/"),
        "Unknown"
    );
    assert_eq!(asked(&closed, &Method::GET, "/"), "Welcome");
}

#[test]
fn row_30_no_form_takes_a_fragment_space_or_8_bit() {
    let texts = [
        "http://h/#f",
        "/download/https://h/#f",
        "/debian/x#f",
        "/debian/a b",
        "/debian/é",
        "/\0",
    ];
    for text in texts {
        check(text, "malformed");
    }
    // IDN reaches a request line only as punycode.
    check("http://bücher.example/", "malformed");
}

#[test]
fn row_58_connect_needs_a_host_and_a_port() {
    let tunnel = |text| ask(&Method::CONNECT, text, &forms());
    let to = |host: &str, port| {
        Ok(Asked::Tunnel {
            host: host.to_owned(),
            port,
        })
    };
    assert_eq!(tunnel("H.Example.:443"), to("h.example", 443));
    assert_eq!(tunnel("[::1]:443"), to("[::1]", 443));
    let bad = [
        "h",
        "h:",
        "h:0",
        "h:70000",
        "http://h:443/",
        "http://h:443",
        "u@h:443",
        "*",
        "/",
        "",
    ];
    for text in bad {
        assert!(
            matches!(tunnel(text), Err(TargetError::Malformed(_))),
            "{text}"
        );
    }
    assert!(tunnel("127.1:443").is_err());
}

#[test]
fn row_41_only_options_asks_the_whole_server() {
    assert_eq!(ask(&Method::OPTIONS, "*", &forms()), Ok(Asked::ServerWide));
    check("*", "malformed");
    assert_eq!(
        asked(&forms(), &Method::OPTIONS, "/debian/x"),
        "mirror http://one/debian/x"
    );
}

#[test]
fn row_70_as_asked_holds_no_credentials() {
    let written = |text| match ask(&Method::GET, text, &forms()) {
        Ok(Asked::Resource(resource)) => resource.as_asked,
        other => panic!("{other:?}"),
    };
    assert_eq!(written("ftp://user:secret@H/p?a@b"), "ftp://H/p?a@b");
    assert_eq!(written("/download/ftp://user:secret@h/p"), "ftp://h/p");
    assert_eq!(
        written("HTTP://H:80/%7e/a/../@b"),
        "HTTP://H:80/%7e/a/../@b"
    );
    assert_eq!(written("/https:/h/p?q"), "https://h/p?q");
}
