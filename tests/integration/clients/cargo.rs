//! cargo, with a sparse index. It offers to change to HTTP/2 with every request that is not encrypted.

use super::{Site, write};
use weir_tests::program::{Program, Run};

/// An origin that refuses whoever still offers to change the protocol.
const REGISTRY: &str = "if ($http_upgrade) { return 418; }
if ($http_http2_settings) { return 418; }
location /index/ { expires 0; }";
const ENTRY: &str = "/index/we/ir/weir-demo";

/// The one that runs this test: in another home the one in the path may not find its toolchain.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn download(version: &str) -> String {
    format!("/weir-demo/{version}/download")
}

/// Packs a version of the crate and adds it to the index.
async fn publish(site: &Site, version: &str) {
    let folder = site.home(&format!("build-{version}"));
    let manifest = format!(
        "[package]\nname = \"weir-demo\"\nversion = \"{version}\"\nedition = \"2021\"\n\
         description = \"d\"\nlicense = \"MIT\"\n[workspace]\n"
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(
        &folder.join("src/lib.rs"),
        &format!("pub const VERSION: &str = \"{version}\";\n"),
    );
    let options = [
        "package",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--quiet",
        "--target-dir",
        "made",
    ];
    let package = Program::new(cargo()).within(&folder).args(options);
    package.run().await.assert_code(0);
    let name = format!("made/package/weir-demo-{version}.crate");
    let made = std::fs::read(folder.join(&name)).expect("it was packed");
    site.nginx
        .put(&format!("/api/v1/crates{}", download(version)), &made);

    let dl = format!("{{\"dl\":\"{}\"}}", site.nginx.url("/api/v1/crates"));
    site.nginx.put("/index/config.json", dl.as_bytes());
    let sum = weir_tests::content::sha256(&made);
    let line = format!(
        "{{\"name\":\"weir-demo\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"{sum}\",\
         \"features\":{{}},\"yanked\":false}}\n"
    );
    let before = std::fs::read_to_string(site.nginx.root().join(ENTRY.trim_start_matches('/')));
    site.put_later(ENTRY, (before.unwrap_or_default() + &line).as_bytes());
}

/// cargo with a home of its own fetches what a package depends on.
async fn fetch(site: &Site, home: &str, dependency: &str) -> Run {
    let folder = site.home(home);
    let manifest = format!(
        "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [dependencies]\n{dependency} = {{ version = \"1\", registry = \"demo\" }}\n[workspace]\n"
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("src/lib.rs"), "");
    let index = format!("sparse+{}", site.nginx.url("/index/"));
    Program::new(cargo())
        .within(&folder)
        .env("CARGO_HOME", &folder.join("home").display().to_string())
        .env("CARGO_REGISTRIES_DEMO_INDEX", &index)
        .env("CARGO_NET_RETRY", "0")
        .env("CARGO_HTTP_DEBUG", "true")
        .env("CARGO_LOG", "network=debug")
        .env("http_proxy", &site.gateway.proxy_url())
        .arg("fetch")
        .run()
        .await
}

/// Checks which version was chosen, and that its source was unpacked.
#[track_caller]
fn assert_version(site: &Site, home: &str, version: &str) {
    let lock = String::from_utf8(site.downloaded(&format!("{home}/Cargo.lock"))).expect("text");
    assert!(lock.contains(&format!("version = \"{version}\"")), "{lock}");
    let sources = site.folder.path().join(home).join("home/registry/src");
    let files = weir_tests::gateway::builder::files_below(&sources);
    let wanted = format!("weir-demo-{version}/src/lib.rs");
    assert!(
        files.iter().any(|file| file.ends_with(&wanted)),
        "{files:?}"
    );
}

#[tokio::test]
async fn cargo_is_right_in_every_state() {
    let mut site = Site::serving(REGISTRY).await;
    publish(&site, "1.0.0").await;
    for home in ["cold", "warm"] {
        let run = fetch(&site, home, "weir-demo").await;
        run.assert_code(0);
        assert_version(&site, home, "1.0.0");
        assert!(run.shows("> Upgrade: h2c"), "{}", run.stderr);
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[&download("1.0.0")]);
    site.assert_confirmed(ENTRY);

    publish(&site, "1.1.0").await;
    fetch(&site, "newer", "weir-demo").await.assert_code(0);
    assert_version(&site, "newer", "1.1.0");

    site.goes_down().await;
    fetch(&site, "down", "weir-demo").await.assert_code(0);
    assert_version(&site, "down", "1.1.0");
    let run = fetch(&site, "none", "weir-other").await;
    assert!(run.assert_code(101).shows("weir-other"), "{}", run.stderr);
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn cargo_uses_the_path_form_of_an_index() {
    let site = Site::serving(REGISTRY).await;
    publish(&site, "1.0.0").await;
    let form = |path: &str| format!("{}/{}", site.gateway.proxy_url(), site.nginx.url(path));
    // Where the archives are is what the index says.
    let dl = format!("{{\"dl\":\"{}\"}}", form("/api/v1/crates"));
    site.nginx.put("/index/config.json", dl.as_bytes());
    let folder = site.home("form");
    let index = format!("sparse+{}", form("/index/"));
    let config = format!("[registries.demo]\nindex = \"{index}\"\n");
    write(&folder.join(".cargo/config.toml"), &config);
    let manifest = "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    [dependencies]\nweir-demo = { version = \"1\", registry = \"demo\" }\n[workspace]\n";
    write(&folder.join("Cargo.toml"), manifest);
    write(&folder.join("src/lib.rs"), "");
    let home = folder.join("home").display().to_string();
    let cargo = Program::new(cargo())
        .within(&folder)
        .env("CARGO_HOME", &home);
    cargo.arg("fetch").run().await.assert_code(0);
    assert_version(&site, "form", "1.0.0");
    site.gateway.finish().await;
}
