//! npm, with a registry of one package: its document comes in a short and a full form under one URL.

use super::{Site, lacks, prepare, write};
use weir_tests::program::Run;

/// A registry says for how long its documents hold, and that their form depends on Accept.
const REGISTRY: &str = "location = /weir-demo {
   expires 0; add_header Vary Accept; default_type application/json;
   if ($http_accept ~ vnd.npm.install-v1) { rewrite ^ /short/weir-demo last; }
   rewrite ^ /full/weir-demo last;
}
location /short/ { expires 0; add_header Vary Accept; default_type application/vnd.npm.install-v1+json; }
location /full/ { expires 0; add_header Vary Accept; default_type application/json; }";
const DOCUMENT: &str = "/weir-demo";

fn archive(version: &str) -> String {
    format!("weir-demo-{version}.tgz")
}

/// Packs a version, and writes both documents with all of them.
async fn publish(site: &Site, versions: &[&str]) {
    let newest = versions.last().expect("one");
    let folder = site.home("build");
    let package =
        format!("{{\"name\":\"weir-demo\",\"version\":\"{newest}\",\"license\":\"MIT\"}}");
    write(&folder.join("package.json"), &package);
    write(
        &folder.join("index.js"),
        &format!("module.exports = '{newest}';\n"),
    );
    let cache = folder.join("../build-cache").display().to_string();
    prepare(
        &folder,
        &["npm", "pack", "--silent", "--offline", "--cache", &cache],
    )
    .await;
    let made = std::fs::read(folder.join(archive(newest))).expect("it was packed");
    std::fs::remove_file(folder.join(archive(newest))).expect("is not packed next time");
    site.nginx
        .put(&format!("/weir-demo-files/{}", archive(newest)), &made);
    let mut listed = Vec::new();
    for version in versions {
        listed.push(version_of(site, version).await);
    }
    let document = |more: &str| {
        format!(
            "{{\"name\":\"weir-demo\",{more}\"dist-tags\":{{\"latest\":\"{newest}\"}},\"versions\":{{{}}}}}",
            listed.join(",")
        )
    };
    site.put_later("/short/weir-demo", document("").as_bytes());
    let full = document("\"readme\":\"only in full\",");
    site.put_later("/full/weir-demo", full.as_bytes());
}

/// The entry of one version in the document.
async fn version_of(site: &Site, version: &str) -> String {
    let file = format!("weir-demo-files/{}", archive(version));
    let sum = prepare(&site.nginx.root(), &["sha1sum", &file])
        .await
        .text();
    let sum = sum.split(' ').next().expect("a sum").to_owned();
    let url = site.nginx.url(&format!("/{file}"));
    format!(
        "\"{version}\":{{\"name\":\"weir-demo\",\"version\":\"{version}\",\
         \"dist\":{{\"tarball\":\"{url}\",\"shasum\":\"{sum}\"}}}}"
    )
}

/// npm with a home, a cache and settings of its own.
async fn npm(site: &Site, home: &str, words: &[&str]) -> Run {
    let (proxy, registry) = (site.gateway.proxy_url(), site.nginx.url("/"));
    let npm = site.fresh("npm", home).args(words);
    let settings = [
        "--cache",
        "cache",
        "--userconfig",
        "user.npmrc",
        "--globalconfig",
        "global.npmrc",
    ];
    let quiet = [
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--fetch-retries=0",
    ];
    npm.args(["--registry", &registry, "--proxy", &proxy])
        .args(settings)
        .args(quiet)
        .run()
        .await
}

async fn install(site: &Site, home: &str, package: &str) -> Run {
    write(&site.home(home).join("package.json"), "{\"private\":true}");
    npm(site, home, &["install", package]).await
}

/// What this run installed.
fn installed(site: &Site, home: &str) -> String {
    let bytes = site.downloaded(&format!("{home}/node_modules/weir-demo/index.js"));
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn npm_is_right_in_every_state() {
    if lacks(&["npm", "node"]) {
        return;
    }
    let mut site = Site::serving(REGISTRY).await;
    publish(&site, &["1.0.0"]).await;
    for home in ["cold", "warm"] {
        install(&site, home, "weir-demo").await.assert_code(0);
        assert_eq!(installed(&site, home), "module.exports = '1.0.0';\n");
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[&archive("1.0.0")]);
    site.assert_confirmed(DOCUMENT);

    publish(&site, &["1.0.0", "1.1.0"]).await;
    install(&site, "newer", "weir-demo").await.assert_code(0);
    assert_eq!(installed(&site, "newer"), "module.exports = '1.1.0';\n");

    site.goes_down().await;
    install(&site, "down", "weir-demo").await.assert_code(0);
    assert_eq!(installed(&site, "down"), "module.exports = '1.1.0';\n");
    let run = install(&site, "none", "weir-other").await;
    assert!(run.code.is_some_and(|code| code != 0), "{run:?}");
    assert!(run.shows("weir-other"), "{}", run.stderr);
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn the_short_and_the_full_document_are_not_mixed() {
    if lacks(&["npm", "node"]) {
        return;
    }
    let site = Site::serving(REGISTRY).await;
    publish(&site, &["1.0.0"]).await;
    for round in ["cold", "warm"] {
        install(&site, round, "weir-demo").await.assert_code(0);
        let view = npm(&site, round, &["view", "weir-demo", "readme"]).await;
        assert_eq!(view.assert_code(0).text().trim(), "only in full");
        let url = site.nginx.url(DOCUMENT);
        let short =
            "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*\r\n";
        let short = site.gateway.get_with(&url, short).await;
        assert!(!short.text().contains("only in full"), "{short:?}");
        site.gateway.settled().await;
    }
    site.gateway.finish().await;
}
