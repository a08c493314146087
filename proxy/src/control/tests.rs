//! The control socket as hostile and broken peers see it, over a real store in a folder of the test.

use super::protocol::COMMAND_BYTES_MAX;
use super::*;
use crate::conf::{self, Flags, Sources};
use crate::pass::RecordSink;
use crate::record::{Record, RequestIds};
use crate::serve::settings::engine_settings;
use crate::tunnel::{Dialer, Tunnels};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use weir_cache::clock::SystemClock;
use weir_cache::device::file::FileDevice;
use weir_cache::engine::{Algorithms, BodyDigests, Engine, hex};
use weir_cache::ports::{Clock, Device, Origin, OriginError, OriginRequest, OriginResponse};
use weir_cache::store::Store;

const URL: &str = "http://host/file.tar.gz";

/// An upstream that nobody may ask here.
struct Silent;

#[async_trait]
impl Origin for Silent {
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError> {
        panic!("{} was asked for", request.target)
    }
}

#[async_trait]
impl Dialer for Silent {
    async fn dial(&self, host: &str, _: u16) -> Result<(TcpStream, SocketAddr), OriginError> {
        panic!("a tunnel to {host} was asked for")
    }
}

struct Unwritten;

impl RecordSink for Unwritten {
    fn finished(&self, _: Record) {}
}

async fn control(folder: &Path) -> Arc<Control> {
    let flags = Flags {
        data: vec![folder.display().to_string()],
        ..Flags::default()
    };
    let settings = conf::load(&Sources {
        flags,
        ..Sources::default()
    });
    let settings = settings.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let disk: Arc<dyn Device> = Arc::new(FileDevice::new(folder));
    let store = Store::open(vec![disk], settings.store.clone(), Arc::clone(&clock));
    let store = store.await.unwrap();
    let (_, current) = tokio::sync::watch::channel(Arc::new(settings.notify.clone()));
    let events = store.events().subscribe();
    let notifier = Notifier::start(events, current, "node".to_owned(), Arc::clone(&clock));
    let engine = Engine::new(
        store,
        Arc::new(Silent),
        Arc::clone(&clock),
        engine_settings(&settings),
    );
    let vitals = Vitals {
        metrics: Arc::new(Metrics::new("0")),
        readiness: Arc::default(),
        notifier,
        clock: Arc::clone(&clock),
        started: Duration::ZERO,
    };
    let gateway = Arc::new(Gateway {
        engine,
        forms: settings.forms,
        rules: Arc::new(settings.rules),
        access: settings.access,
        stale_for_seconds: 0,
        cache_proxy: None,
        node: "node".to_owned(),
        tunnels: Tunnels::new(
            settings.tunnel,
            Arc::new(Silent),
            Arc::new(Unwritten),
            Arc::clone(&clock),
        ),
        clock,
        sink: Arc::new(Unwritten),
        request_ids: Arc::new(RequestIds::default()),
    });
    // Nobody is there to reload.
    let (reloads, _) = mpsc::channel(1);
    Control::new(gateway, reloads, vitals)
}

/// A gateway and one connection to it.
struct Talk {
    folder: TempDir,
    control: Arc<Control>,
}

impl Talk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control = control(folder.path()).await;
        Self { folder, control }
    }

    fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(1 << 20);
        let control = Arc::clone(&self.control);
        let permit = Arc::clone(&control.permits).try_acquire_owned().unwrap();
        let served = tokio::spawn(async move { control.connection(far, permit).await });
        (near, served)
    }

    /// Writes `bytes`, closes the writing side, and reads the lines of the answer.
    async fn say(&self, bytes: &[u8]) -> Vec<Value> {
        let (mut near, served) = self.connect();
        // A gateway that gave up does not read to the end.
        drop(near.write_all(bytes).await);
        near.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        served.await.expect("no panic");
        let lines = answer.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn command(&self, command: &Value, body: &[u8]) -> Vec<Value> {
        let line = format!("{command}\n");
        self.say(&[line.as_bytes(), body].concat()).await
    }

    async fn held(&self) -> u64 {
        let command = json!({"command": "explain", "url": URL, "form": "forward"});
        let answer = self.command(&command, b"").await;
        let objects = answer[0]["done"]["entries"][0]["objects"].as_array();
        objects.unwrap().len() as u64
    }

    /// Nothing is stored, and no file is left of what was begun.
    async fn assert_nothing_stored(&self) {
        assert_eq!(self.held().await, 0);
        let tmp = self.folder.path().join("tmp");
        // The file of a dropped writer is removed by a job behind it in the disk's pool.
        let gone = async {
            while std::fs::read_dir(&tmp).unwrap().next().is_some() {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
        gone.expect("a file is left in tmp/");
    }
}

fn import(body: &[u8], change: impl FnOnce(&mut Value)) -> Value {
    let mut digests = BodyDigests::new(Algorithms::Sha256);
    digests.update(body);
    let sha256 = hex(&digests.finish().sha256);
    let length = body.len();
    let mut command =
        json!({"command": "import", "url": URL, "body_bytes": length, "sha256": sha256});
    change(&mut command);
    command
}

fn failure(answer: &[Value]) -> &str {
    let last = answer.last().expect("an answer");
    last["failed"].as_str().expect("a refusal")
}

#[tokio::test]
async fn garbage_is_answered_and_harms_nobody() {
    let talk = Talk::new().await;
    let deep = "[".repeat(COMMAND_BYTES_MAX / 2);
    let cases = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "\n".to_owned(),
        "{}\n".to_owned(),
        "null\n".to_owned(),
        "\u{0}\u{1}\u{2}\n".to_owned(),
        format!("{deep}\n"),
        json!({"command": "explain", "url": 1, "form": "forward"}).to_string() + "\n",
        json!({"command": "import", "url": URL, "body_bytes": -1, "sha256": ""}).to_string() + "\n",
    ];
    for case in cases {
        let answer = talk.say(case.as_bytes()).await;
        assert_eq!(answer.len(), 1);
        assert!(failure(&answer).contains("not a command"), "{answer:?}");
    }
    let answer = talk.say(b"\xff\xfe\n").await;
    assert!(failure(&answer).contains("not a command"), "{answer:?}");
    assert_eq!(talk.held().await, 0);
}

#[tokio::test]
async fn a_line_without_end_is_refused_at_its_bound() {
    let talk = Talk::new().await;
    let answer = talk.say(&vec![b'a'; COMMAND_BYTES_MAX + 1]).await;
    assert!(failure(&answer).contains("longer"), "{answer:?}");
    let answer = talk.say(b"{\"command\":\"exp").await;
    assert!(failure(&answer).contains("whole line"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_let_go() {
    let talk = Talk::new().await;
    let (near, served) = talk.connect();
    served.await.expect("no panic");
    drop(near);
    assert_eq!(talk.control.permits.available_permits(), CONNECTIONS_MAX);
}

#[tokio::test]
async fn urls_and_fields_that_are_none_are_refused_in_words() {
    let talk = Talk::new().await;
    let check = async |url: &str, fields: Value, word: &str| {
        let command =
            json!({"command": "explain", "url": url, "form": "forward", "headers": fields});
        let answer = talk.command(&command, b"").await;
        assert!(failure(&answer).contains(word), "{url}: {answer:?}");
    };
    check("", json!([]), "an empty URL").await;
    check("http://h/\u{0}", json!([]), "malformed").await;
    check(&"http://h/".repeat(4000), json!([]), "longer").await;
    check("http://user:pass@h/", json!([]), "userinfo").await;
    check(URL, json!([["a b", "c"]]), "a b").await;
    check(URL, json!([["a", "b\r\nc: d"]]), "not a request field").await;
    let many: Vec<[&str; 2]> = vec![["a", ""]; 2_000];
    let command = json!({"command": "explain", "url": URL, "form": "forward", "headers": many});
    talk.command(&command, b"").await;
}

#[tokio::test]
async fn a_secret_in_a_wrong_field_is_not_repeated() {
    let talk = Talk::new().await;
    let fields = json!([["authorization", "secret\n"]]);
    let command = json!({"command": "explain", "url": URL, "form": "forward", "headers": fields});
    let answer = talk.command(&command, b"").await;
    assert!(!failure(&answer).contains("secret"), "{answer:?}");
}

#[tokio::test]
async fn a_file_is_asked_for_taken_and_explained() {
    let talk = Talk::new().await;
    let body = vec![7; 700_000];
    let answer = talk.command(&import(&body, |_| {}), &body).await;
    assert_eq!(answer[0], json!("ready"));
    let object = &answer[1]["done"]["object"];
    assert_eq!(object["length_bytes"], 700_000);
    assert_eq!(object["verdict"], "fresh");
    assert_eq!(object["pinned"], true);
    assert_eq!(talk.held().await, 1);
    let again = talk.command(&import(&body, |_| {}), b"").await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0]["done"]["outcome"], "same");
}

#[tokio::test]
async fn what_is_announced_wrongly_is_refused_before_the_body() {
    let talk = Talk::new().await;
    let check = async |key: &str, value: Value, word: &str| {
        let command = import(b"body", |command| command[key] = value.clone());
        let answer = talk.command(&command, b"").await;
        assert_eq!(answer.len(), 1, "{key}: {answer:?}");
        assert!(failure(&answer).contains(word), "{key}: {answer:?}");
    };
    check("url", json!("no-url"), "scheme").await;
    check("sha256", json!("abc"), "64").await;
    check("md5", json!("abc"), "32").await;
    check("content_type", json!("text/\u{7f}"), "media type").await;
    check("body_bytes", json!(u64::MAX), "no room").await;
    check("other", json!("forse"), "forse").await;
    talk.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_body_that_is_not_as_announced_leaves_nothing() {
    let talk = Talk::new().await;
    let body = vec![7; 300_000];
    let mut flipped = body.clone();
    flipped[299_999] ^= 1;
    let answer = talk.command(&import(&body, |_| {}), &flipped).await;
    assert!(failure(&answer).contains("sha256"), "{answer:?}");
    let wrong_md5 = import(&body, |command| command["md5"] = json!("0".repeat(32)));
    let answer = talk.command(&wrong_md5, &body).await;
    assert!(failure(&answer).contains("md5"), "{answer:?}");
    talk.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_body_leaves_nothing() {
    let talk = Talk::new().await;
    let body = vec![7; 600_000];
    for sent in [0, 1, 262_144, 599_999] {
        let answer = talk.command(&import(&body, |_| {}), &body[..sent]).await;
        assert_eq!(answer, [json!("ready")], "{sent} bytes");
    }
    talk.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_url_without_conflict_has_nothing_to_decide() {
    let talk = Talk::new().await;
    for command in ["conflict-accept", "conflict-reject"] {
        let answer = talk
            .command(&json!({"command": command, "url": URL}), b"")
            .await;
        assert!(failure(&answer).contains("no conflict"), "{answer:?}");
    }
    let shown = talk
        .command(&json!({"command": "conflict-show", "url": URL}), b"")
        .await;
    assert_eq!(shown[0]["done"]["conflicts"], json!([]));
}

#[tokio::test]
async fn a_reload_that_nobody_is_there_to_make_is_refused() {
    let talk = Talk::new().await;
    let answer = talk.say(b"{\"command\":\"reload\"}\n").await;
    assert!(answer[0]["failed"].as_str().is_some(), "{answer:?}");
}

#[tokio::test]
async fn disks_are_reported_to_whoever_asks() {
    let talk = Talk::new().await;
    let answer = talk.command(&json!({"command": "disks"}), b"").await;
    let done = &answer[0]["done"];
    assert!(
        done["state"].is_string() && done["disks"].is_array(),
        "{answer:?}"
    );
    assert_eq!(done["has_majority"], true);
    let order = json!({"command": "scrub", "order": "status"});
    let answer = talk.command(&order, b"").await;
    assert!(answer[0]["done"]["progress"].is_object(), "{answer:?}");
    let answer = talk.command(&json!({"command": "stat"}), b"").await;
    assert_eq!(answer[0]["done"]["store_state"], "healthy");
    assert_eq!(answer[0]["done"]["store_state_reason"], Value::Null);
}

#[tokio::test]
async fn a_change_of_the_disks_that_cannot_be_is_refused_in_words() {
    let talk = Talk::new().await;
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().display().to_string();
    let check = async |change: Value, word: &str| {
        let mut command = json!({"command": "disk-change"});
        let told = change.as_object().unwrap().clone();
        command.as_object_mut().unwrap().extend(told);
        let answer = talk.command(&command, b"").await;
        assert!(failure(&answer).contains(word), "{change}: {answer:?}");
    };
    let absent = format!("{folder}/absent");
    check(
        json!({"change": "replace", "slot": 7, "folder": folder}),
        "slot 7",
    )
    .await;
    check(
        json!({"change": "replace", "slot": 0, "folder": absent}),
        "mount the device",
    )
    .await;
    check(json!({"change": "add", "folder": "relative"}), "absolute").await;
    check(json!({"change": "add", "folder": "/\u{0}"}), "absolute").await;
    check(json!({"change": "retire", "slot": 7}), "slot 7").await;
    check(json!({"change": "retire", "slot": 70_000}), "not a command").await;
    check(json!({"change": "forget"}), "not a command").await;
    assert!(!Path::new(&absent).exists());
}

#[tokio::test]
async fn what_is_there_is_ensured_without_a_fetch() {
    let talk = Talk::new().await;
    let body = vec![7; 1000];
    talk.command(&import(&body, |_| {}), &body).await;
    for form in ["forward", "download", "path"] {
        let command = json!({"command": "ensure", "url": URL, "form": form});
        let answer = talk.command(&command, b"").await;
        let done = &answer.last().expect("an answer")["done"];
        assert_eq!(done["outcome"], "cached", "{form}: {answer:?}");
        assert_eq!(done["length_bytes"], 1000);
    }
}

#[tokio::test]
async fn what_no_client_may_have_is_not_ensured() {
    let talk = Talk::new().await;
    let check = async |url: &str, word: &str| {
        let command = json!({"command": "ensure", "url": url, "form": "forward"});
        let answer = talk.command(&command, b"").await;
        assert!(failure(&answer).contains(word), "{url}: {answer:?}");
    };
    check("", "an empty URL").await;
    check("ftp://host/file", "ftp is not served yet").await;
    check("http://metadata.google.internal/", "403").await;
    check("http://user:pass@h/", "userinfo").await;
}

#[tokio::test]
async fn commands_that_wait_for_fills_leave_room_for_others() {
    let talk = Talk::new().await;
    let all = u32::try_from(ensure::ENSURED_MAX).unwrap();
    let running = talk.control.ensuring.try_acquire_many(all).unwrap();
    let command = json!({"command": "ensure", "url": URL, "form": "forward"});
    let answer = talk.command(&command, b"").await;
    assert!(failure(&answer).contains("64 URLs"), "{answer:?}");
    const { assert!(ensure::ENSURED_MAX < CONNECTIONS_MAX) };
    let answer = talk.command(&json!({"command": "stat"}), b"").await;
    assert_eq!(answer[0]["done"]["requests"]["hit_ratio"], Value::Null);
    drop(running);
}
