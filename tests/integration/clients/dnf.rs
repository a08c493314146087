//! dnf, with a repository made by createrepo_c.

use super::{Site, date_later, lacks, prepare, write};
use weir_tests::program::Run;
use weir_tests::skip::skip;

const REPOMD: &str = "/dnf/repodata/repomd.xml";
const PROGRAMS: [&str; 3] = ["dnf", "rpmbuild", "createrepo_c"];

/// dnf wants to be root even where it only downloads.
fn cannot_run() -> bool {
    if lacks(&PROGRAMS) {
        return true;
    }
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("dnf downloads packages as root only");
    }
    !is_root
}

/// Adds a version of the package to the repository that nginx serves.
async fn publish(site: &Site, version: &str) {
    let build = site.home(&format!("build-{version}"));
    let spec = format!(
        "Name: weir-demo\nVersion: {version}\nRelease: 1\nSummary: A demo\nLicense: MIT\nBuildArch: noarch\n\
         %description\nA demo.\n%install\nmkdir -p %{{buildroot}}/opt\n\
         echo {version} > %{{buildroot}}/opt/weir-demo\n%files\n/opt/weir-demo\n"
    );
    write(&build.join("demo.spec"), &spec);
    let top = format!("_topdir {}", build.display());
    prepare(
        &build,
        &["rpmbuild", "--quiet", "-bb", "-D", &top, "demo.spec"],
    )
    .await;
    let name = package(version);
    let made = std::fs::read(build.join("RPMS/noarch").join(&name)).expect("it was built");
    site.nginx.put(&format!("/dnf/{name}"), &made);
    let folder = site.nginx.root().join("dnf");
    prepare(&folder, &["createrepo_c", "-q", "."]).await;
    let packages = std::fs::read_dir(&folder).expect("reads").count();
    date_later(&folder.join("repodata/repomd.xml"), packages);
}

fn package(version: &str) -> String {
    format!("weir-demo-{version}-1.noarch.rpm")
}

/// dnf with caches and a root of its own downloads packages.
async fn download(site: &Site, home: &str, packages: &[&str]) -> Run {
    let folder = site.home(home);
    let path = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "[main]\nproxy={}\ncachedir={}\npersistdir={}\nlogdir={}\nreposdir={}\ngpgcheck=0\nplugins=0\n\
         retries=1\nmodule_platform_id=platform:demo\n\
         [demo]\nname=demo\nbaseurl={}\n",
        site.gateway.proxy_url(),
        path("cache"),
        path("state"),
        path("log"),
        path("none"),
        site.nginx.url("/dnf/"),
    );
    write(&folder.join("dnf.conf"), &config);
    let root = format!("--installroot={}", path("root"));
    let options = [
        "-c",
        "dnf.conf",
        &root,
        "--releasever=1",
        "-y",
        "--downloadonly",
        "--downloaddir=.",
    ];
    let dnf = site
        .program("dnf")
        .within(&folder)
        .env("HOME", &path("home"));
    dnf.args(options).arg("install").args(packages).run().await
}

/// Checks that this run downloaded the package as it is served.
#[track_caller]
fn assert_package(site: &Site, home: &str, version: &str) {
    let name = package(version);
    let served = std::fs::read(site.nginx.root().join("dnf").join(&name)).expect("it is served");
    assert!(
        site.downloaded(&format!("{home}/{name}")) == served,
        "{home}: {name} has other bytes"
    );
}

#[tokio::test]
async fn dnf_is_right_in_every_state() {
    if cannot_run() {
        return;
    }
    let mut site = Site::new().await;
    publish(&site, "1.0").await;
    for home in ["cold", "warm"] {
        download(&site, home, &["weir-demo"]).await.assert_code(0);
        assert_package(&site, home, "1.0");
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[&package("1.0")]);
    site.assert_confirmed(REPOMD);

    publish(&site, "1.1").await;
    download(&site, "newer", &["weir-demo"])
        .await
        .assert_code(0);
    assert_package(&site, "newer", "1.1");

    site.goes_down().await;
    download(&site, "down", &["weir-demo"]).await.assert_code(0);
    assert_package(&site, "down", "1.1");
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn dnf_with_a_cache_of_its_own_sees_what_is_new() {
    if cannot_run() {
        return;
    }
    let site = Site::new().await;
    for version in ["1.0", "1.1", "1.2"] {
        publish(&site, version).await;
        let known = download(&site, "known", &["--refresh", "weir-demo"]).await;
        known.assert_code(0);
        assert_package(&site, "known", version);
    }
    site.gateway.finish().await;
}

#[tokio::test]
async fn dnf_says_what_it_lacks_while_the_origin_is_down() {
    if cannot_run() {
        return;
    }
    let mut site = Site::new().await;
    publish(&site, "1.0").await;
    publish(&site, "1.1").await;
    download(&site, "cold", &["weir-demo-1.1"])
        .await
        .assert_code(0);
    site.goes_down().await;
    // The indexes are known, this package is not.
    let run = download(&site, "down", &["weir-demo-1.0"]).await;
    run.assert_code(1);
    assert!(run.stderr.contains("weir-demo-1.0"), "{}", run.stderr);
    site.gateway.finish_with_warnings().await;
}

/// What a dnf that was built with zchunk sends (Debian's was not): as many ranges as it puts into one request.
#[tokio::test]
async fn many_ranges_of_a_chunked_index_are_never_refused() {
    const RANGES: usize = 256;
    let site = Site::new().await;
    let path = "/dnf/repodata/abc-primary.xml.zck";
    site.nginx.put(path, &site.content.bytes());
    let step = site.content.length() / RANGES;
    let ranges: Vec<String> = (0..RANGES)
        .map(|index| format!("{}-{}", index * step, index * step + 9))
        .collect();
    let field = format!("Range: bytes={}\r\n", ranges.join(","));
    let url = site.nginx.url(path);
    for _ in 0..3 {
        let response = site.gateway.get_with(&url, &field).await;
        match response.status() {
            200 => assert!(response.body == site.content.bytes(), "other bytes"),
            206 => assert_parts(&site, &response.body, step),
            status => panic!("{status}: {:?}", response.head),
        }
        site.gateway
            .get(&url)
            .await
            .assert_is(200, &site.content.bytes());
        site.gateway.settled().await;
    }
    site.gateway.finish().await;
}

/// Every part is there, in its place and with its bytes.
fn assert_parts(site: &Site, body: &[u8], step: usize) {
    let mut rest = body;
    let mut start = 0;
    while start + step <= site.content.length() {
        let part = site.content.slice(start, start + 10);
        let at = rest.windows(10).position(|bytes| bytes == part);
        let at = at.unwrap_or_else(|| panic!("the part at {start} is missing"));
        rest = rest.get(at..).expect("found there");
        start += step;
    }
}
