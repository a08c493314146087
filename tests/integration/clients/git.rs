//! git over smart HTTP: what a branch points to is asked each time, packs pass through.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Site, lacks, prepare, write};
use weir_tests::program::{Program, Run};

/// What every call of git is given, so that the machine's settings are not.
const OPTIONS: [&str; 6] = [
    "-c",
    "user.name=demo",
    "-c",
    "user.email=demo@demo.invalid",
    "-c",
    "init.defaultBranch=main",
];

/// nginx in front of git's own program for the web, with one repository.
struct Hosting {
    site: Site,
    /// Ends with the test.
    _runner: Child,
    repositories: TempDir,
}

impl Hosting {
    async fn new() -> Self {
        let repositories = tempfile::tempdir().expect("a folder");
        let path = repositories.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let runner = Command::new(fcgiwrap())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .kill_on_drop(true)
            .spawn()
            .expect("fcgiwrap can be started");
        let programs = prepare(repositories.path(), &["git", "--exec-path"])
            .await
            .text();
        let root = repositories.path().display();
        let lines = format!(
            "location /git/ {{
               fastcgi_pass unix:{}; client_max_body_size 0;
               fastcgi_param SCRIPT_FILENAME {}/git-http-backend; fastcgi_param GIT_PROJECT_ROOT {root};
               fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $uri;
               fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string;
               fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
               fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_param SERVER_PROTOCOL $server_protocol;
               fastcgi_param REMOTE_ADDR $remote_addr;
             }}",
            path.display(),
            programs.trim()
        );
        let hosting = Self {
            site: Site::serving(&lines).await,
            _runner: runner,
            repositories,
        };
        let create = ["init", "-q", "--bare", "git/demo.git"];
        hosting.directly(&create).await;
        let allow = ["-C", "git/demo.git", "config", "http.receivepack", "true"];
        hosting.directly(&allow).await;
        hosting.publish("first").await;
        hosting
    }

    /// git where the repositories are, without a proxy.
    async fn directly(&self, arguments: &[&str]) {
        let git = git(Program::new("git"), arguments);
        git.within(self.repositories.path())
            .run()
            .await
            .assert_code(0);
    }

    /// A commit with this text, made behind the gateway's back.
    async fn publish(&self, text: &str) {
        write(&self.repositories.path().join("tree/file"), text);
        let place = ["--git-dir=git/demo.git", "--work-tree=tree"];
        self.directly(&[&place[..], &["add", "file"]].concat())
            .await;
        self.directly(&[&place[..], &["commit", "-q", "-m", text]].concat())
            .await;
    }

    /// git with the gateway as proxy.
    async fn through(&self, arguments: &[&str]) -> Run {
        git(self.site.fresh("git", "home"), arguments).run().await
    }

    async fn clone_to(&self, name: &str) -> Run {
        let url = self.site.nginx.url("/git/demo.git");
        self.through(&["clone", "-q", &url, name]).await
    }

    /// The file as it was checked out.
    fn text(&self, name: &str) -> String {
        let bytes = self.site.downloaded(&format!("home/{name}/file"));
        String::from_utf8(bytes).expect("text")
    }
}

fn git(program: Program, arguments: &[&str]) -> Program {
    program
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(OPTIONS)
        .args(arguments)
}

/// Where Debian puts it is not in the path of an ordinary user.
fn fcgiwrap() -> &'static str {
    if std::path::Path::new("/usr/sbin/fcgiwrap").exists() {
        "/usr/sbin/fcgiwrap"
    } else {
        "fcgiwrap"
    }
}

fn lacks_any() -> bool {
    lacks(&["git"]) || (fcgiwrap() == "fcgiwrap" && lacks(&["fcgiwrap"]))
}

#[tokio::test]
async fn git_sees_every_commit_at_once() {
    if lacks_any() {
        return;
    }
    let mut hosting = Hosting::new().await;
    hosting.clone_to("cold").await.assert_code(0);
    assert_eq!(hosting.text("cold"), "first");
    hosting.clone_to("warm").await.assert_code(0);
    assert_eq!(hosting.text("warm"), "first");

    hosting.publish("second").await;
    hosting
        .through(&["-C", "cold", "pull", "-q", "--ff-only"])
        .await
        .assert_code(0);
    assert_eq!(hosting.text("cold"), "second");
    hosting.clone_to("newer").await.assert_code(0);
    assert_eq!(hosting.text("newer"), "second");

    let asked = hosting.site.asked("info/refs?service=git-upload-pack");
    assert_eq!(asked.len(), 4, "{asked:?}");
    hosting.site.goes_down().await;
    let run = hosting.clone_to("down").await;
    run.assert_code(128);
    assert!(
        ["502", "503", "504"].iter().any(|status| run.shows(status)),
        "{}",
        run.stderr
    );
    assert_eq!(hosting.site.gateway.metric("weir_store_objects").await, 0.0);
    hosting.site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn git_pushes_through() {
    if lacks_any() {
        return;
    }
    let hosting = Hosting::new().await;
    hosting.clone_to("work").await.assert_code(0);
    // More than git keeps in memory before it sends in chunks of unknown number.
    let content = weir_tests::Content::new(7, 3 * 1024 * 1024);
    let file = hosting.site.folder.path().join("home/work/large");
    std::fs::write(file, content.bytes()).expect("writes");
    hosting
        .through(&["-C", "work", "add", "large"])
        .await
        .assert_code(0);
    hosting
        .through(&["-C", "work", "commit", "-q", "-m", "large"])
        .await
        .assert_code(0);
    hosting
        .through(&["-C", "work", "push", "-q", "origin", "HEAD"])
        .await
        .assert_code(0);
    hosting.clone_to("again").await.assert_code(0);
    assert!(hosting.site.downloaded("home/again/large") == content.bytes());
    hosting.site.gateway.finish().await;
}
