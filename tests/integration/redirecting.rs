//! Redirect mode by rule: `miss = "redirect"` and `miss = "redirect+fetch"`, raw and with the programs that follow.

use tempfile::TempDir;
use toml::Table;

use crate::compatibility::{ask, assert_sent_to, filled};
use crate::stage::{FRESH, Stage};
use weir_tests::gateway::Builder;
use weir_tests::program::Run;
use weir_tests::{Content, Gateway, Origin, Program, Script};

const POINTED: &str = "redirect";
const FETCHED: &str = "redirect+fetch";

/// A gateway whose misses are redirects.
fn redirecting(miss: &str) -> Builder {
    let rule = format!("[[rule]]\nname = \"elsewhere\"\nmiss = \"{miss}\"\n");
    let rule: Table = toml::from_str(&rule).expect("TOML");
    Gateway::builder().config(|config| config.extend(rule))
}

/// Every way to ask by path for a path of the origin.
fn forms(origin: &Origin, path: &str) -> [String; 3] {
    [
        format!("/download/{}", origin.url(path)),
        format!("/{}", origin.url(path)),
        format!("/http/{}{path}", origin.authority()),
    ]
}

#[tokio::test]
async fn a_miss_is_redirected_and_nothing_is_fetched() {
    let stage = Stage::with(redirecting(POINTED)).await;
    for path in forms(&stage.origin, "/f.gz?x=1") {
        for method in ["GET", "HEAD"] {
            let sent = ask(&stage.gateway, method, &path, "").await;
            assert_sent_to(&sent, &stage.origin.url("/f.gz?x=1"));
        }
    }
    stage.gateway.settled().await;
    stage.origin.assert_untouched();
    let counted = "weir_requests_total{form=\"download\",result=\"redirected\"}";
    assert!(stage.gateway.metric(counted).await >= 2.0);
    let home = stage.gateway.home();
    stage.finish().await;
    let log = home.access_log().join("\n");
    assert!(log.contains("TCP_MISS_REDIRECT/302"), "{log}");
}

#[tokio::test]
async fn a_miss_is_redirected_and_fetched_once_for_every_form() {
    for number in 0..3 {
        let stage = Stage::with(redirecting(FETCHED)).await;
        stage.fresh("/f.gz", b"the archive");
        let path = &forms(&stage.origin, "/f.gz")[number];
        let sent = stage.gateway.get_path(path).await;
        assert_sent_to(&sent, &stage.origin.url("/f.gz"));
        filled(&stage.gateway, &stage.origin, 1).await;
        for hit in forms(&stage.origin, "/f.gz") {
            let hit = stage.gateway.get_path(&hit).await;
            hit.assert_is(200, b"the archive");
            assert!(hit.is_hit());
        }
        assert_eq!(stage.origin.requests(), 1, "{path}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_mirror_redirects_to_its_first_upstream() {
    let origin = Origin::start().await;
    let bases = [
        origin.url("/first/"),
        "http://second.invalid/base/".to_owned(),
    ];
    let builder = redirecting(FETCHED).mirror("/files/", &[&bases[0], &bases[1]]);
    let gateway = builder.start().await;
    origin.on("/first/a/f.gz", Script::ok(FRESH, b"the archive"));
    let sent = gateway.get_path("/files/a/f.gz").await;
    assert_sent_to(&sent, &origin.url("/first/a/f.gz"));
    filled(&gateway, &origin, 1).await;
    let hit = gateway.get_path("/files/a/f.gz").await;
    hit.assert_is(200, b"the archive");
    assert!(hit.is_hit());
    assert_eq!(origin.requests(), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_forward_request_streams_for_it_would_come_straight_back() {
    for miss in [POINTED, FETCHED] {
        let stage = Stage::with(redirecting(miss)).await;
        stage.fresh("/f.gz", b"the archive");
        let response = stage.get("/f.gz").await;
        response.assert_is(200, b"the archive");
        stage.assert_hit("/f.gz", b"the archive").await;
        assert_eq!(stage.origin.requests(), 1);
        stage.finish().await;
    }
}

#[tokio::test]
async fn what_is_cached_is_served_in_either_mode() {
    for miss in [POINTED, FETCHED] {
        let stage = Stage::with(redirecting(miss)).await;
        stage.fresh("/f.gz", b"0123456789");
        stage.get("/f.gz").await.assert_is(200, b"0123456789");
        stage.gateway.settled().await;
        let path = &forms(&stage.origin, "/f.gz")[0];
        let whole = stage.gateway.get_path(path).await;
        whole.assert_is(200, b"0123456789");
        assert!(whole.is_hit());
        let part = ask(&stage.gateway, "GET", path, "Range: bytes=0-1\r\n").await;
        part.assert_is(206, b"01");
        assert_eq!(stage.origin.requests(), 1);
        stage.finish().await;
    }
}

#[tokio::test]
async fn ranges_and_conditions_go_with_the_client() {
    let stage = Stage::with(redirecting(FETCHED)).await;
    for (number, fields) in [
        "Range: bytes=0-1\r\n",
        "If-None-Match: \"x\"\r\n",
        "If-Match: \"x\"\r\n",
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("/{number}.gz");
        stage.fresh(&file, b"0123456789");
        let path = &forms(&stage.origin, &file)[0];
        let sent = ask(&stage.gateway, "GET", path, fields).await;
        assert_sent_to(&sent, &stage.origin.url(&file));
        filled(&stage.gateway, &stage.origin, number + 1).await;
        stage.assert_hit(&file, b"0123456789").await;
    }
    for seen in stage.origin.record().requests {
        for name in ["range", "if-none-match", "if-match", "if-modified-since"] {
            assert_eq!(seen.values(name), [""; 0], "the fill is for everybody");
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_request_that_is_not_for_others_is_not_fetched_for_them() {
    let stage = Stage::with(redirecting(FETCHED)).await;
    let path = &forms(&stage.origin, "/f.gz")[0];
    let sent = ask(&stage.gateway, "GET", path, "Cache-Control: no-store\r\n").await;
    assert_sent_to(&sent, &stage.origin.url("/f.gz"));
    stage.gateway.settled().await;
    stage.origin.assert_untouched();
    let asked = "Cache-Control: only-if-cached\r\n";
    let none = ask(&stage.gateway, "GET", path, asked).await;
    assert_eq!(none.status(), 504);
    stage.origin.assert_untouched();
    stage.finish().await;
}

#[tokio::test]
async fn credentials_are_for_this_host_and_stream() {
    let stage = Stage::with(redirecting(FETCHED)).await;
    stage.fresh("/f.gz", b"private");
    let path = &forms(&stage.origin, "/f.gz")[0];
    for fields in ["Authorization: Basic eDp5\r\n", "Cookie: a=b\r\n"] {
        let response = ask(&stage.gateway, "GET", path, fields).await;
        response.assert_is(200, b"private");
    }
    stage.finish().await;
}

/// A gateway that redirects and fetches, an archive behind it, and a folder to download into.
struct Followed {
    stage: Stage,
    content: Content,
    folder: TempDir,
}

impl Followed {
    async fn new() -> Self {
        let stage = Stage::with(redirecting(FETCHED)).await;
        let content = Content::new(3, 2 * 1024 * 1024 + 321);
        stage
            .origin
            .on("/f-1.0.tar.gz", Script::ok(FRESH, &content.bytes()));
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            stage,
            content,
            folder,
        }
    }

    /// Where the program is told to look.
    fn url(&self) -> String {
        let origin = self.stage.origin.url("/f-1.0.tar.gz");
        format!("{}/download/{origin}", self.stage.gateway.proxy_url())
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Run {
        let program = Program::new(program).within(self.folder.path());
        program.args(arguments).arg(self.url()).run().await
    }

    fn assert_downloaded(&self, name: &str) {
        let bytes = std::fs::read(self.folder.path().join(name)).expect("it was downloaded");
        assert_eq!(bytes.len(), self.content.length(), "{name}");
        assert!(self.content.holds_at(0, &bytes), "{name} has other bytes");
    }
}

#[tokio::test]
async fn curl_follows_and_exactly_one_fill_is_behind_it() {
    let site = Followed::new().await;
    let options = ["-sS", "-f", "-L", "-w", "%{num_redirects}", "-o"];
    for (name, redirects) in [("first", "1"), ("second", "0")] {
        let run = site.run("curl", &[&options[..], &[name]].concat()).await;
        assert_eq!(run.assert_code(0).text(), redirects);
        site.assert_downloaded(name);
        filled(&site.stage.gateway, &site.stage.origin, 1).await;
    }
    assert_eq!(site.stage.origin.requests(), 2, "curl's own and the fill");
    site.stage.finish().await;
}

#[tokio::test]
async fn wget_follows_and_exactly_one_fill_is_behind_it() {
    let site = Followed::new().await;
    for (name, is_redirected) in [("first", true), ("second", false)] {
        let options = ["--no-config", "--tries=1", "-S", "-O", name];
        let run = site.run("wget", &options).await;
        run.assert_code(0);
        assert_eq!(run.shows("302 Found"), is_redirected, "{}", run.stderr);
        site.assert_downloaded(name);
        filled(&site.stage.gateway, &site.stage.origin, 1).await;
    }
    assert_eq!(site.stage.origin.requests(), 2, "wget's own and the fill");
    site.stage.finish().await;
}

#[tokio::test]
async fn a_crowd_of_curls_follows_and_exactly_one_fill_is_behind_it() {
    let site = Followed::new().await;
    let names: Vec<String> = (0..8).map(|number| format!("file{number}")).collect();
    let all = names.iter().map(|name| async {
        let run = site.run("curl", &["-sS", "-f", "-L", "-o", name]).await;
        run.assert_code(0);
        site.assert_downloaded(name);
    });
    futures::future::join_all(all).await;
    filled(&site.stage.gateway, &site.stage.origin, 1).await;
    site.stage.finish().await;
}
