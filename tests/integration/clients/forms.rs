//! The ways to ask without a proxy setting: download path, path forms, mirrors.

use super::{ARCHIVE, Site};
use weir_tests::refusing::Refusing;
use weir_tests::{Gateway, Nginx, Script};

/// Checks that each path of the gateway yields the file, and that the origin was asked once.
async fn one_fetch(site: Site, paths: &[String]) {
    for (index, path) in paths.iter().enumerate() {
        let name = format!("file{index}");
        let url = format!("{}{path}", site.gateway.proxy_url());
        let run = site
            .program("curl")
            .args(["-sS", "-f", "-o", &name, &url])
            .run()
            .await;
        run.assert_code(0);
        site.assert_downloaded(&name);
        site.gateway.settled().await;
    }
    assert_eq!(
        site.fetches(),
        1,
        "one key for every form: {:?}",
        site.nginx.access_log()
    );
    site.gateway.finish().await;
}

#[tokio::test]
async fn download_path_and_path_forms_share_one_key() {
    let site = Site::new().await;
    let (authority, url) = (site.nginx.authority(), site.nginx.url(ARCHIVE));
    let paths = [
        format!("/download/{url}"),
        format!("/{url}"),
        format!("/http/{authority}{ARCHIVE}"),
        format!("/download/http:/{authority}{ARCHIVE}"),
    ];
    one_fetch(site, &paths).await;
}

#[tokio::test]
async fn an_encrypted_origin_is_reached_through_the_path_forms() {
    let site = Site::encrypted().await;
    let (authority, url) = (site.nginx.authority(), site.nginx.url(ARCHIVE));
    let paths = [
        format!("/download/{url}"),
        format!("/{url}"),
        format!("/https/{authority}{ARCHIVE}"),
        format!("/download/https:/{authority}{ARCHIVE}"),
    ];
    one_fetch(site, &paths).await;
}

#[tokio::test]
async fn a_forward_request_finds_what_the_download_path_stored() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    let path = format!("{}/download/{url}", site.gateway.proxy_url());
    let run = site
        .program("wget")
        .args(["--no-config", "-nv", "-O", "file", &path])
        .run()
        .await;
    run.assert_code(0);
    site.assert_downloaded("file");
    site.gateway.settled().await;
    let hit = site.gateway.get(&url).await;
    hit.assert_is(200, &site.content.bytes());
    assert!(hit.is_hit());
    site.gateway.finish().await;
}

#[tokio::test]
async fn the_query_and_empty_segments_are_kept() {
    let origin = weir_tests::Origin::start().await;
    let gateway = Gateway::start().await;
    for path in ["/f?x=1&y=http://a/b", "/a//b?c=%20d", "/f?", "/f?x=%2F&&"] {
        origin.on(path, Script::ok("", path.as_bytes()));
        gateway
            .get_path(&format!("/download/{}", origin.url(path)))
            .await;
        let record = origin.record();
        assert_eq!(record.requests.last().map(|seen| seen.target()), Some(path));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_mirror_goes_to_the_next_upstream_when_one_is_down() {
    let down = Refusing::start();
    let nginx = Nginx::start().await;
    let upstreams = [format!("{}/cached/", down.url()), nginx.url("/cached/")];
    let builder = Gateway::builder().mirror("/files/", &[&upstreams[0], &upstreams[1]]);
    let site = Site::of(nginx, builder.start().await);
    for attempt in ["cold", "warm"] {
        let response = site.gateway.get_path("/files/file-1.0.tar.gz").await;
        response.assert_is(200, &site.content.bytes());
        assert_eq!(response.is_hit(), attempt == "warm");
        site.gateway.settled().await;
    }
    assert_eq!(site.fetches(), 1);
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_mirror_with_no_upstream_left_says_so() {
    let down = [Refusing::start(), Refusing::start()];
    let upstreams = down.each_ref().map(|one| format!("{}/", one.url()));
    let builder = Gateway::builder().mirror("/files/", &[&upstreams[0], &upstreams[1]]);
    let gateway = builder.start().await;
    let response = gateway.get_path("/files/x").await;
    assert!(
        [502, 504].contains(&response.status()),
        "{}",
        response.status()
    );
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_path_that_means_nothing_is_not_served() {
    let gateway = Gateway::start().await;
    for path in ["/nothing", "/download/nothing", "/http/"] {
        let status = gateway.get_path(path).await.status();
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_root_tells_how_to_ask() {
    let gateway = Gateway::start().await;
    let response = gateway.get_path("/").await;
    assert!(
        response.status() == 200 && response.text().contains("/download/"),
        "{response:?}"
    );
    gateway.finish().await;
}

#[tokio::test]
async fn path_forms_can_be_switched_off() {
    let origin = weir_tests::Origin::start().await;
    origin.on("/x", Script::ok("", b"x"));
    let gateway = Gateway::builder()
        .set("listen.path_forms", false)
        .start()
        .await;
    let form = format!("/http/{}/x", origin.authority());
    let status = gateway.get_path(&form).await.status();
    assert!((400..500).contains(&status), "{status}");
    origin.assert_untouched();
    gateway.get(&origin.url("/x")).await.assert_is(200, b"x");
    gateway.finish().await;
}

#[tokio::test]
async fn what_a_mirror_does_not_cache_goes_to_its_upstream_and_not_to_its_name() {
    let origin = weir_tests::Origin::start().await;
    origin.on("/base/upload", Script::ok("", b"taken"));
    let upstream = origin.url("/base/");
    let builder = Gateway::builder().config(|config| {
        let mirror = format!(
            "[[mirror]]\npath = \"/files/\"\nkey = \"http://name.invalid/\"\nupstreams = [\"{upstream}\"]"
        );
        let mirror: toml::Table = toml::from_str(&mirror).expect("TOML");
        config.extend(mirror);
    });
    let gateway = builder.start().await;
    let mut client = gateway.connect().await;
    let request = "POST /files/upload HTTP/1.1\r\nHost: weir\r\nContent-Length: 4\r\n\r\ndata";
    client.send(request).await;
    client.response("POST").await.assert_is(200, b"taken");
    assert_eq!(
        origin.record().requests[0].values("host"),
        [origin.authority()]
    );
    gateway.finish().await;
}
