//! Python's urllib and requests, with the proxy from the environment.

use super::Site;
use super::states::in_every_state;
use weir_tests::program::{Program, Run};
use weir_tests::skip::skip;

const URLLIB: &str = "
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as response:
    open(sys.argv[2], 'wb').write(response.read())
";

const REQUESTS: &str = "
import sys, requests
response = requests.get(sys.argv[1], timeout=60)
response.raise_for_status()
open(sys.argv[2], 'wb').write(response.content)
";

/// The first Python that has a module: the one in the path may be somebody's own, the system's is what packages serve.
pub(super) async fn python_with(module: &str) -> Option<&'static str> {
    for python in ["python3", "/usr/bin/python3"] {
        let import = ["-c", &format!("import {module}")];
        let present = super::has(python) || std::path::Path::new(python).is_file();
        if present && Program::new(python).args(import).run().await.code == Some(0) {
            return Some(python);
        }
    }
    skip(&format!(
        "no python3 with {module} on this machine; tests/run installs it"
    ));
    None
}

/// Runs a script with URL and file name.
async fn script(site: &Site, python: &str, text: &str, url: &str, name: &str) -> Run {
    let proxy = site.gateway.proxy_url();
    let python = site.program(python).env("http_proxy", &proxy);
    python.args(["-c", text, url, name]).run().await
}

#[tokio::test]
async fn urllib_is_right_in_every_state() {
    let Some(python) = python_with("urllib.request").await else {
        return;
    };
    in_every_state(async |site: &Site, url: &str, name: &str| {
        script(site, python, URLLIB, url, name).await
    })
    .await;
}

#[tokio::test]
async fn requests_is_right_in_every_state() {
    let Some(python) = python_with("requests").await else {
        return;
    };
    in_every_state(async |site: &Site, url: &str, name: &str| {
        script(site, python, REQUESTS, url, name).await
    })
    .await;
}
