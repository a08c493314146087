//! `weir ensure`: where URLs come from, and where what is said of them goes.

use weir_tests::gateway::builder::binary;
use weir_tests::{Gateway, Program};

use crate::stage::Stage;

/// A list of URLs in the gateway's folder.
fn list(gateway: &Gateway, text: impl AsRef<[u8]>) -> String {
    let file = gateway.home().folder().join("urls");
    std::fs::write(&file, text).expect("writes");
    file.display().to_string()
}

#[tokio::test]
async fn a_list_comes_from_the_standard_input_too() {
    let stage = Stage::new().await;
    stage.fresh("/a", b"a");
    stage.fresh("/b", b"b");
    let (a, b) = (stage.origin.url("/a"), stage.origin.url("/b"));
    let file = list(&stage.gateway, format!("# both\n{a}\r\n\n{b}\n"));
    let home = stage.gateway.home();
    let (weir, data) = (
        binary().display().to_string(),
        home.data().display().to_string(),
    );
    let script = format!("'{weir}' ensure --from - --parallel 1 --data '{data}' < '{file}'");
    let run = Program::new("sh").args(["-c", &script]).run().await;
    let expected = format!("fetched  {a}  1 bytes\nfetched  {b}  1 bytes\n");
    assert_eq!(run.assert_code(0).text(), expected);
    let empty = list(&stage.gateway, "# nothing\n");
    let run = stage.gateway.weir(["ensure", "--from", &empty]).await;
    assert_eq!(run.assert_code(0).text(), "");
    stage.finish().await;
}

#[tokio::test]
async fn lines_that_are_no_text_are_named_and_the_others_count() {
    let stage = Stage::new().await;
    stage.fresh("/a", b"a");
    let url = stage.origin.url("/a");
    let marked = [b"\xef\xbb\xbf", url.as_bytes(), b"\n\xff\xfe\n"].concat();
    let file = list(&stage.gateway, marked);
    let run = stage.gateway.weir(["ensure", "--from", &file]).await;
    let said = run.assert_code(1).text();
    assert_eq!(said, format!("fetched  {url}  1 bytes\n"));
    assert!(run.stderr.contains("urls: line 2: "), "{}", run.stderr);
    stage.finish().await;
}

#[tokio::test]
async fn what_cannot_be_ensured_is_named_once_in_each_place() {
    let stage = Stage::new().await;
    for (url, reason) in [
        ("", "an empty URL"),
        ("nonsense", "malformed target"),
        ("ftp://x/y", "scheme ftp is not served yet"),
    ] {
        let run = stage.gateway.weir(["ensure", url]).await;
        let failed = run.assert_code(1).stderr.lines().next().unwrap_or_default();
        let expected = format!("weir: {url}: {reason}");
        assert!(failed.starts_with(&expected), "{failed}");
        let line = format!("failed  {url}  {reason}");
        assert!(run.text().starts_with(&line), "{}", run.text());
    }
    let home = stage.gateway.home();
    let weir = binary().display().to_string();
    let data = home.data().display().to_string();
    let script = format!("'{weir}' ensure --data '{data}' nonsense 2>&1");
    let run = Program::new("sh").args(["-c", &script]).run().await;
    assert_eq!(run.assert_code(1).text().matches("malformed").count(), 1);
    stage.finish().await;
}
