//! `weir ensure`: URLs are stored when it says so, and those that are not are named.

use std::fmt::Write as _;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use weir_tests::deadline::within;
use weir_tests::gateway::builder::binary;
use weir_tests::{Gate, Gateway, Program, Run, Script, skip::skip};

use crate::stage::{FRESH, Stage, ruled};

/// What `weir ensure` says of `path`, asked with `options`.
async fn ensure(stage: &Stage, path: &str, options: &[&str]) -> Run {
    let url = stage.origin.url(path);
    let words = ["ensure", url.as_str()].into_iter();
    stage
        .gateway
        .weir(words.chain(options.iter().copied()))
        .await
}

/// Checks that `path` is not stored, for `reason`, and that this is said.
#[track_caller]
fn assert_failed(run: &Run, url: &str, reason: &str) {
    run.assert_code(1);
    let named = run.stderr.lines().find(|line| line.contains(url));
    let named = named.unwrap_or_else(|| panic!("{url} is not named in {}", run.stderr));
    assert!(named.contains(reason), "{reason:?} is not in {named:?}");
    let line = run.text();
    assert!(
        line.starts_with("failed  ") || line.starts_with("stale  "),
        "{line}"
    );
}

/// A list of URLs in the gateway's folder.
fn list(gateway: &Gateway, text: &str) -> String {
    let file = gateway.home().folder().join("urls");
    std::fs::write(&file, text).expect("writes");
    file.display().to_string()
}

#[tokio::test]
async fn an_ensured_url_is_a_hit_while_the_origin_is_down() {
    let stage = Stage::new().await;
    stage.fresh("/file", b"0123456789");
    let run = ensure(&stage, "/file", &[]).await;
    let url = stage.origin.url("/file");
    assert_eq!(
        run.assert_code(0).text(),
        format!("fetched  {url}  10 bytes\n")
    );
    let Stage { gateway, origin } = stage;
    drop(origin);
    let served = gateway.get(&url).await;
    served.assert_is(200, b"0123456789");
    assert!(served.is_hit(), "{:?}", served.head);
    let run = gateway.weir(["ensure", &url]).await;
    assert_eq!(
        run.assert_code(0).text(),
        format!("cached  {url}  10 bytes\n")
    );
    gateway.finish().await;
}

#[tokio::test]
async fn ensure_of_200_urls_with_one_failing_exits_1_and_names_the_one() {
    let stage = Stage::new().await;
    let mut urls = String::from("# the files of a release\n\n");
    for number in 0..200 {
        let path = format!("/file-{number}");
        if number != 117 {
            stage.fresh(&path, path.as_bytes());
        }
        writeln!(urls, "{}", stage.origin.url(&path)).expect("writes");
    }
    let file = list(&stage.gateway, &urls);
    let run = stage
        .gateway
        .weir(["ensure", "--from", &file, "--parallel", "16"])
        .await;
    run.assert_code(1);
    let failed = stage.origin.url("/file-117");
    let named: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("http://"))
        .collect();
    assert_eq!(
        named,
        [format!("weir: {failed}: the upstream answered 404")]
    );
    assert!(run.stderr.contains("1 of 200 URLs"), "{}", run.stderr);
    let text = run.text();
    assert_eq!(text.lines().count(), 200, "{text}");
    let fetched = text.lines().filter(|line| line.starts_with("fetched  "));
    assert_eq!(fetched.count(), 199, "{text}");
    assert_eq!(stage.gateway.metric("weir_store_objects").await, 199.0);
    stage.finish().await;
}

#[tokio::test]
async fn each_reason_to_have_nothing_is_said() {
    let stage = Stage::new().await;
    let on = |path: &str, fields: &str| stage.origin.on(path, Script::ok(fields, b"x"));
    on("/private", "Cache-Control: private\r\n");
    on("/no-store", "Cache-Control: no-store\r\n");
    on("/vary", "Cache-Control: max-age=60\r\nVary: *\r\n");
    on("/never-fresh", "");
    stage
        .origin
        .on("/500", Script::status("500 Oops", "", b"x"));
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=60\r\n\r\nx";
    stage.origin.on("/short", Script::of(short).close());
    stage.origin.on("/silent", Script::of("").close());
    let lasting = Script::status("404 Not Found", "Cache-Control: max-age=60\r\n", b"none");
    stage.origin.on("/lasting-404", lasting);
    for (path, reason) in [
        ("/private", "200, not stored: Cache-Control: private"),
        ("/no-store", "no-store"),
        ("/vary", "Vary: *"),
        ("/never-fresh", "never fresh"),
        ("/500", "the upstream answered 500"),
        ("/short", "truncated"),
        ("/silent", "without an answer"),
        ("/missing", "the upstream answered 404"),
        ("/lasting-404", "404"),
    ] {
        let run = ensure(&stage, path, &[]).await;
        assert_failed(&run, &stage.origin.url(path), reason);
    }
    let run = ensure(&stage, "/lasting-404", &[]).await;
    assert_failed(&run, &stage.origin.url("/lasting-404"), "404");
    for url in [
        "nonsense",
        "ftp://host/file",
        "http://169.254.169.254/latest",
    ] {
        let run = stage.gateway.weir(["ensure", url]).await;
        assert_failed(&run, url, "");
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn addresses_that_clients_may_not_reach_are_not_reached_by_commands() {
    let builder = Gateway::builder().config(|config| {
        config.remove("upstream");
    });
    let stage = Stage::with(builder).await;
    stage.fresh("/file", b"x");
    let run = ensure(&stage, "/file", &[]).await;
    assert_failed(&run, &stage.origin.url("/file"), "refused");
    stage.origin.assert_untouched();
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_rule_against_storing_holds_for_commands() {
    let stage = Stage::with(ruled("host = [\"127.0.0.1\"]\nstore = \"never\"\n")).await;
    stage.fresh("/file", b"x");
    let run = ensure(&stage, "/file", &[]).await;
    assert_failed(&run, &stage.origin.url("/file"), "never");
    assert_eq!(stage.origin.requests(), 0);
    stage.finish().await;
}

#[tokio::test]
async fn a_wrong_digest_is_not_stored() {
    let zeros = "0".repeat(64);
    let rule = format!("host = [\"127.0.0.1\"]\npath = [\"/file\"]\nverify = \"sha256:{zeros}\"\n");
    let stage = Stage::with(ruled(&rule)).await;
    stage.fresh("/file", b"x");
    let run = ensure(&stage, "/file", &[]).await;
    assert_failed(&run, &stage.origin.url("/file"), "digest");
    let mut gateway = stage.gateway;
    gateway.expect_log("the digest is not the expected one");
    gateway.expect_log("the body is not what was published");
    gateway.finish().await;
}

#[tokio::test]
async fn redirects_are_followed_as_for_download_and_not_for_forward_clients() {
    let stage = Stage::new().await;
    let there = stage.origin.url("/there");
    let moved = format!("Location: {there}\r\n{FRESH}");
    stage
        .origin
        .on("/here", Script::status("302 Found", &moved, b""));
    stage.fresh("/there", b"0123456789");
    let run = ensure(&stage, "/here", &["--forward"]).await;
    assert!(
        run.assert_code(0).text().ends_with("  0 bytes\n"),
        "{}",
        run.text()
    );
    assert_eq!(stage.origin.record().count("/there"), 0);
    let run = ensure(&stage, "/here", &[]).await;
    assert!(
        run.assert_code(0).text().ends_with("  10 bytes\n"),
        "{}",
        run.text()
    );
    let only = "Cache-Control: only-if-cached\r\n";
    let path = format!("/download/{}", stage.origin.url("/here"));
    let mut client = stage.gateway.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{only}\r\n");
    client
        .exchange(&request)
        .await
        .assert_is(200, b"0123456789");
    stage.finish().await;
}

#[tokio::test]
async fn a_running_download_is_joined_and_waited_for() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let body = vec![b'x'; 100_000];
    stage
        .origin
        .on("/file", Script::ok_in_halves(FRESH, &body, 50_000, &gate));
    let url = stage.origin.url("/file");
    let mut client = stage.gateway.connect().await;
    client
        .send(weir_tests::client::forward("GET", &url, ""))
        .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    let path = stage.gateway.home().data().join("control.sock");
    let mut command = UnixStream::connect(path).await.expect("connects");
    let asked = format!("{{\"command\":\"ensure\",\"url\":\"{url}\",\"form\":\"forward\"}}\n");
    command.write_all(asked.as_bytes()).await.expect("writes");
    let mut lines = BufReader::new(command).lines();
    let news = within("news", lines.next_line()).await.expect("reads");
    assert_eq!(
        news.as_deref(),
        Some("{\"progress\":{\"bytes\":50000,\"total\":100000}}")
    );
    gate.open();
    let mut last = String::new();
    while let Some(line) = within("the answer", lines.next_line())
        .await
        .expect("reads")
    {
        last = line;
    }
    assert!(last.contains("\"outcome\":\"fetched\""), "{last}");
    assert!(last.contains("\"length_bytes\":100000"), "{last}");
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_fill_goes_on_when_its_command_is_interrupted() {
    let stage = Stage::new().await;
    let (gate, reached) = (Gate::new(), Gate::new());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n{FRESH}\r\n01234");
    let script = Script::of(head).reached(&reached).wait(&gate).then("56789");
    stage.origin.on("/file", script);
    let url = stage.origin.url("/file");
    {
        let ensuring = stage.gateway.weir(["ensure", &url]);
        tokio::select! {
            run = ensuring => panic!("ended too early: {run:?}"),
            () = reached.passed("the fill has begun") => {}
        }
        // Dropped here: the process is killed.
    }
    gate.open();
    stage.assert_hit("/file", b"0123456789").await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_stale_object_counts_once_its_origin_has_vouched_for_it() {
    let stage = Stage::new().await;
    let stale = "Cache-Control: max-age=1\r\nAge: 5\r\nETag: \"v1\"\r\n";
    let holds = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v1\"\r\n\r\n";
    stage
        .origin
        .on_each("/file", [Script::ok(stale, b"x"), Script::of(holds)]);
    // It is stored, though it is never fresh: its origin has sent it just now.
    assert!(
        ensure(&stage, "/file", &[])
            .await
            .assert_code(0)
            .text()
            .starts_with("fetched")
    );
    let second = ensure(&stage, "/file", &[]).await;
    assert!(
        second.assert_code(0).text().starts_with("revalidated"),
        "{}",
        second.text()
    );
    let third = ensure(&stage, "/file", &[]).await;
    assert!(
        third.assert_code(0).text().starts_with("cached"),
        "{}",
        third.text()
    );
    assert_eq!(stage.origin.requests(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn a_stale_object_of_an_origin_that_is_down_is_stale_and_exits_1() {
    let stage = Stage::with(Gateway::builder().set("fill.stale_for", "1h")).await;
    let stale = "Cache-Control: max-age=1\r\nAge: 5\r\nETag: \"v1\"\r\n";
    stage
        .origin
        .on_each("/file", [Script::ok(stale, b"x"), Script::of("").close()]);
    ensure(&stage, "/file", &[]).await.assert_code(0);
    let run = ensure(&stage, "/file", &[]).await;
    let url = stage.origin.url("/file");
    assert_failed(&run, &url, "stale: ");
    assert!(
        run.text().starts_with(&format!("stale  {url}  1 bytes  ")),
        "{}",
        run.text()
    );
    stage.finish().await;
}

#[tokio::test]
async fn a_range_that_is_stored_is_not_the_object() {
    let stage = Stage::with(ruled("host = [\"127.0.0.1\"]\nrange_miss = \"part\"\n")).await;
    let part = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\
                ETag: \"v1\"\r\nCache-Control: max-age=600\r\n\r\n01234";
    let whole = Script::ok(
        "ETag: \"v1\"\r\nCache-Control: max-age=600\r\n",
        b"0123456789",
    );
    stage.origin.on_request("/file", move |seen| {
        if seen.values("range").is_empty() {
            whole.clone()
        } else {
            Script::of(part)
        }
    });
    let ranged = stage.get_with("/file", "Range: bytes=0-4\r\n").await;
    ranged.assert_is(206, b"01234");
    stage.gateway.settled().await;
    let run = ensure(&stage, "/file", &[]).await;
    assert!(
        run.assert_code(0).text().starts_with("fetched"),
        "{}",
        run.text()
    );
    stage.assert_hit("/file", b"0123456789").await;
    stage.finish().await;
}

#[tokio::test]
async fn wrong_usage_and_a_missing_gateway_are_said_once() {
    let home = Gateway::builder().home();
    home.weir(["ensure"]).await.assert_code(2);
    home.weir(["ensure", "http://h/", "--parallel", "0"])
        .await
        .assert_code(2);
    home.weir(["ensure", "http://h/", "--parallel", "65"])
        .await
        .assert_code(2);
    let run = home.weir(["ensure", "--from", "/nonexistent/list"]).await;
    assert!(
        run.assert_code(1).stderr.contains("/nonexistent/list"),
        "{}",
        run.stderr
    );
    let run = home.weir(["ensure", "http://h/a", "http://h/b"]).await;
    assert_eq!(
        run.assert_code(1).stderr.matches("no gateway runs").count(),
        1
    );
}

#[tokio::test]
async fn an_origin_that_is_gone_fails_every_url_and_stops_nothing() {
    let stage = Stage::new().await;
    let urls: String = (0..8)
        .map(|number| stage.origin.url(&format!("/{number}\n")))
        .collect();
    let Stage { gateway, origin } = stage;
    drop(origin);
    let file = list(&gateway, &urls);
    let run = gateway.weir(["ensure", "--from", &file]).await;
    run.assert_code(1);
    assert_eq!(run.text().lines().count(), 8, "{}", run.text());
    assert!(run.stderr.contains("8 of 8 URLs"), "{}", run.stderr);
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn on_a_terminal_there_are_bars() {
    let version = Program::new("sh")
        .args(["-c", "script --version"])
        .run()
        .await;
    if !version.text().contains("util-linux") {
        return skip("there is no script(1) of util-linux");
    }
    let stage = Stage::new().await;
    let (gate, reached) = (Gate::new(), Gate::new());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n{FRESH}\r\n01234");
    let script = Script::of(head).reached(&reached).wait(&gate).then("56789");
    stage.origin.on("/file", script);
    let url = stage.origin.url("/file");
    let home = stage.gateway.home();
    let (weir, data) = (
        binary().display().to_string(),
        home.data().display().to_string(),
    );
    let missing = stage.origin.url("/missing");
    let command = format!("'{weir}' ensure --data '{data}' '{url}' '{missing}'");
    let terminal = Program::new("script").env("TERM", "xterm");
    let terminal = terminal.args(["-qec", &command, "/dev/null"]).run();
    let opened = async {
        reached.passed("the fill has begun").await;
        gate.open();
    };
    let (run, ()) = tokio::join!(terminal, opened);
    let text = run.assert_code(1).text();
    for words in [
        "2 URLs",
        "\u{1b}[",
        &format!("fetched  {url}  10 bytes"),
        "answered 404",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn clients_and_commands_share_one_fetch() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.origin.on(
        "/file",
        Script::ok_in_halves(FRESH, b"0123456789", 5, &gate),
    );
    let url = stage.origin.url("/file");
    let commands = async {
        let runs = [(); 5].map(|()| stage.gateway.weir(["ensure", &url]));
        futures::future::join_all(runs).await
    };
    let opened = async {
        let seen = |record: &weir_tests::origin::Record| !record.requests.is_empty();
        stage.origin.wait_for("a request", seen).await;
        gate.open();
    };
    let (runs, ()) = tokio::join!(commands, opened);
    for run in runs {
        run.assert_code(0);
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
