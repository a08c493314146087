//! pip, with a simple index in both of its forms: which one it gets is said by Accept.

use super::python::python_with;
use super::{Site, prepare};
use weir_tests::Content;
use weir_tests::program::Run;

/// The index of one project, as a page and as JSON under the same URL, as the public one does it.
const INDEX: &str = "location /simple/ {
   default_type text/html; add_header Vary Accept;
   if ($http_accept ~ simple.v1.json) { rewrite ^/simple/(.*)/$ /as-json/$1.json last; }
}
location /as-json/ { types { } default_type application/vnd.pypi.simple.v1+json; add_header Vary Accept; }";
const PAGE: &str = "/simple/weir-demo/";

/// Makes a wheel: an archive with one module, some weight, and what pip wants to know.
const WHEEL: &str = "
import sys, zipfile
version, weight = sys.argv[1], sys.argv[2]
folder = 'weir_demo-%s.dist-info/' % version
files = {
    'weir_demo.py': 'VERSION = %r' % version,
    'weir_demo_weight.bin': open(weight, 'rb').read(),
    folder + 'METADATA': 'Metadata-Version: 2.1\\nName: weir-demo\\nVersion: %s\\n' % version,
    folder + 'WHEEL': 'Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
}
files[folder + 'RECORD'] = ''.join(name + ',,\\n' for name in [*files, folder + 'RECORD'])
with zipfile.ZipFile('weir_demo-%s-py3-none-any.whl' % version, 'w') as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
";

fn wheel(version: &str) -> String {
    format!("weir_demo-{version}-py3-none-any.whl")
}

/// Adds a version to what is served, and an index of all of them.
async fn publish(site: &Site, python: &str, versions: &[&str]) {
    let newest = versions.last().expect("one");
    let folder = site.home("build");
    // Of a wheel that is small pip does not read just the end.
    std::fs::write(folder.join("weight"), Content::new(9, 200_000).bytes()).expect("writes");
    prepare(&folder, &[python, "-c", WHEEL, newest, "weight"]).await;
    let made = std::fs::read(folder.join(wheel(newest))).expect("it was made");
    site.nginx
        .put(&format!("/packages/{}", wheel(newest)), &made);
    let links = versions
        .iter()
        .map(|version| format!("<a href=\"../../packages/{0}\">{0}</a>\n", wheel(version)));
    let page = format!(
        "<!DOCTYPE html><html><body>{}</body></html>",
        links.collect::<String>()
    );
    site.put_later(&format!("{PAGE}index.html"), page.as_bytes());
    let files: Vec<String> = versions
        .iter()
        .map(|version| {
            format!(
                "{{\"filename\":\"{0}\",\"url\":\"../../packages/{0}\",\"hashes\":{{}}}}",
                wheel(version)
            )
        })
        .collect();
    let json = format!(
        "{{\"meta\":{{\"api-version\":\"1.0\"}},\"name\":\"weir-demo\",\"files\":[{}]}}",
        files.join(",")
    );
    site.put_later("/as-json/weir-demo.json", json.as_bytes());
}

/// pip with nothing of its own from earlier runs installs into a folder.
async fn install(site: &Site, python: &str, home: &str, options: &[&str]) -> Run {
    let (proxy, index) = (site.gateway.proxy_url(), site.nginx.url("/simple/"));
    let from = ["--index-url", &index, "--proxy", &proxy];
    install_from(site, python, home, &[&from, options].concat()).await
}

async fn install_from(site: &Site, python: &str, home: &str, options: &[&str]) -> Run {
    let pip = [
        "-m",
        "pip",
        "--isolated",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--retries",
        "0",
    ];
    let place = ["install", "--target", "into"];
    // Options say where the proxy is, if there is to be one.
    let python = site.fresh(python, home).env("http_proxy", "");
    let python = python.args(pip).args(place);
    python.args(options).run().await
}

/// The version that this run installed.
fn installed(site: &Site, home: &str) -> String {
    let bytes = site.downloaded(&format!("{home}/into/weir_demo.py"));
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn pip_is_right_in_every_state() {
    let Some(python) = python_with("pip").await else {
        return;
    };
    let mut site = Site::serving(INDEX).await;
    publish(&site, python, &["1.0"]).await;
    for home in ["cold", "warm"] {
        install(&site, python, home, &["weir-demo"])
            .await
            .assert_code(0);
        assert_eq!(installed(&site, home), "VERSION = '1.0'");
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[&wheel("1.0")]);
    site.assert_confirmed(PAGE);

    publish(&site, python, &["1.0", "1.1"]).await;
    install(&site, python, "newer", &["weir-demo"])
        .await
        .assert_code(0);
    assert_eq!(installed(&site, "newer"), "VERSION = '1.1'");

    site.goes_down().await;
    install(&site, python, "down", &["weir-demo"])
        .await
        .assert_code(0);
    assert_eq!(installed(&site, "down"), "VERSION = '1.1'");
    let run = install(&site, python, "none", &["weir-other"]).await;
    assert!(run.assert_code(1).shows("weir-other"), "{}", run.stderr);
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn pip_follows_relative_links_of_the_path_form() {
    let Some(python) = python_with("pip").await else {
        return;
    };
    let site = Site::serving(INDEX).await;
    publish(&site, python, &["1.0"]).await;
    let (gateway, index) = (site.gateway.proxy_url(), site.nginx.url("/simple/"));
    // pip escapes the colons in the path when it resolves the links.
    let index = format!("{gateway}/{index}");
    for home in ["cold", "warm"] {
        let options = ["--index-url", &index, "weir-demo"];
        let run = install_from(&site, python, home, &options);
        run.await.assert_code(0);
        assert_eq!(installed(&site, home), "VERSION = '1.0'");
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[&wheel("1.0")]);
    site.gateway.finish().await;
}

#[tokio::test]
async fn pip_and_a_browser_each_get_their_own_form_of_the_index() {
    let Some(python) = python_with("pip").await else {
        return;
    };
    let site = Site::serving(INDEX).await;
    publish(&site, python, &["1.0"]).await;
    let url = site.nginx.url(PAGE);
    for round in ["cold", "warm"] {
        let page = site.gateway.get_with(&url, "Accept: text/html\r\n").await;
        assert!(page.text().starts_with("<!DOCTYPE html>"), "{page:?}");
        let json = "Accept: application/vnd.pypi.simple.v1+json\r\n";
        let json = site.gateway.get_with(&url, json).await;
        assert!(json.text().starts_with("{\"meta\""), "{json:?}");
        install(&site, python, round, &["weir-demo"])
            .await
            .assert_code(0);
        site.gateway.settled().await;
    }
    site.gateway.finish().await;
}

#[tokio::test]
async fn pip_reads_the_end_of_a_wheel_first() {
    let Some(python) = python_with("pip").await else {
        return;
    };
    let site = Site::serving(INDEX).await;
    publish(&site, python, &["1.0"]).await;
    for home in ["cold", "warm"] {
        let lazily = ["--use-feature=fast-deps", "weir-demo"];
        install(&site, python, home, &lazily).await.assert_code(0);
        assert_eq!(installed(&site, home), "VERSION = '1.0'");
        site.gateway.settled().await;
    }
    site.assert_part_sent(&wheel("1.0"));
    let asked = site.asked(&wheel("1.0"));
    let fetches = asked.iter().filter(|line| line.starts_with("GET "));
    assert_eq!(fetches.count(), 1, "{asked:?}");
    site.gateway.finish().await;
}
