//! An archive made and signed for the test: what apt sees when it is new, known, changed, and gone.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::super::{Site, date_later, lacks, prepare, write};
use super::Apt;
use weir_tests::content::sha256;

const RELEASE: &str = "/debian/dists/stable/InRelease";
const PROGRAMS: [&str; 4] = ["apt-get", "dpkg-deb", "gpg", "gpg-agent"];

/// An archive in front of which the gateway stands.
struct Archive {
    site: Site,
    architecture: String,
    /// The paragraphs of its index.
    packages: String,
}

impl Archive {
    async fn new() -> Self {
        let site = Site::new().await;
        let ask = ["dpkg", "--print-architecture"];
        let architecture = prepare(site.folder.path(), &ask).await.text();
        let mut archive = Self {
            site,
            architecture: architecture.trim().to_owned(),
            packages: String::new(),
        };
        archive.gpg(&["--quick-gen-key", "demo", "ed25519"]).await;
        archive.gpg(&["--output", "demo.gpg", "--export"]).await;
        archive.publish("1.0").await;
        archive
    }

    /// gpg with keys of its own.
    async fn gpg(&self, arguments: &[&str]) {
        let keys = self.site.home("keys");
        std::fs::set_permissions(&keys, Permissions::from_mode(0o700)).expect("permits");
        let options = [
            "--homedir",
            ".",
            "--batch",
            "--yes",
            "--quiet",
            "--passphrase",
            "",
        ];
        let gpg = self.site.program("gpg").within(&keys);
        gpg.args(options).args(arguments).run().await.assert_code(0);
    }

    /// Builds a version of the package and adds it.
    async fn publish(&mut self, version: &str) {
        let control = format!(
            "Package: weir-demo\nVersion: {version}\nArchitecture: all\nMaintainer: demo <demo@demo.invalid>\n\
             Description: demo\n"
        );
        let folder = self.site.home(&format!("build-{version}"));
        write(&folder.join("tree/DEBIAN/control"), &control);
        prepare(
            &folder,
            &["dpkg-deb", "--root-owner-group", "-b", "tree", "out.deb"],
        )
        .await;
        let made = std::fs::read(folder.join("out.deb")).expect("it was built");
        let path = format!("pool/main/w/weir-demo/{}", package(version));
        self.site.nginx.put(&format!("/debian/{path}"), &made);
        self.packages = format!(
            "{control}Filename: {path}\nSize: {}\nSHA256: {}\n\n{}",
            made.len(),
            sha256(&made),
            self.packages
        );
        self.index().await;
    }

    /// Writes the index under its name and under its digest, then the signed release that names both.
    async fn index(&self) {
        let bytes = self.packages.as_bytes();
        let digest = sha256(bytes);
        let folder = format!("main/binary-{}", self.architecture);
        let put = |path: &str| {
            self.site
                .nginx
                .put(&format!("/debian/dists/stable/{path}"), bytes)
        };
        put(&format!("{folder}/Packages"));
        put(&format!("{folder}/by-hash/SHA256/{digest}"));
        let release = format!(
            "Suite: stable\nCodename: stable\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nAcquire-By-Hash: yes\n\
             Architectures: {}\nComponents: main\nSHA256:\n {digest} {} {folder}/Packages\n",
            self.architecture,
            bytes.len()
        );
        write(&self.site.folder.path().join("keys/Release"), &release);
        self.gpg(&["--output", "InRelease", "--clearsign", "Release"])
            .await;
        let file = self
            .site
            .nginx
            .put(RELEASE, &self.site.downloaded("keys/InRelease"));
        date_later(&file, self.packages.matches("Package:").count());
    }

    /// The digest of the index as it is now: its name where names are digests.
    fn digest(&self) -> String {
        sha256(self.packages.as_bytes())
    }

    /// An apt that knows nothing.
    fn apt(&self) -> Apt {
        let line = format!(
            "deb [signed-by={} arch={}] {} stable main\n",
            self.site.folder.path().join("keys/demo.gpg").display(),
            self.architecture,
            self.site.nginx.url("/debian")
        );
        Apt::new(&line, "", &self.site.gateway.proxy_url())
    }

    /// Updates without a word of warning, and downloads.
    async fn assert_updates(&self, apt: &Apt, version: &str) {
        let update = apt.run(&["update"]).await;
        update.assert_code(0);
        assert!(!update.stderr.contains("Failed"), "{}", update.stderr);
        self.assert_downloads(apt, version).await;
    }

    /// Downloads the newest version that apt knows of, and checks that it is this one.
    async fn assert_downloads(&self, apt: &Apt, version: &str) {
        apt.run(&["download", "weir-demo"]).await.assert_code(0);
        let pool = self.site.nginx.root().join("debian/pool/main/w/weir-demo");
        let served = std::fs::read(pool.join(package(version))).expect("it is served");
        assert_eq!(apt.package(), Some(served), "{version}");
        self.site.gateway.settled().await;
    }
}

fn package(version: &str) -> String {
    format!("weir-demo_{version}_all.deb")
}

#[tokio::test]
async fn apt_is_right_in_every_state() {
    if lacks(&PROGRAMS) {
        return;
    }
    let mut archive = Archive::new().await;
    let first = archive.digest();
    let known = archive.apt();
    archive.assert_updates(&known, "1.0").await;
    archive.assert_updates(&archive.apt(), "1.0").await;
    archive.site.assert_fetched_once(&[&first, &package("1.0")]);
    archive.site.assert_confirmed(RELEASE);

    archive.publish("1.1").await;
    archive.assert_updates(&known, "1.1").await;
    archive.assert_updates(&archive.apt(), "1.1").await;
    archive
        .site
        .assert_fetched_once(&[&archive.digest(), &package("1.1")]);

    archive.site.goes_down().await;
    archive.assert_updates(&known, "1.1").await;
    archive.assert_updates(&archive.apt(), "1.1").await;
    archive.site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn apt_says_what_it_lacks_while_the_origin_is_down() {
    if lacks(&PROGRAMS) {
        return;
    }
    let mut archive = Archive::new().await;
    let apt = archive.apt();
    apt.run(&["update"]).await.assert_code(0);
    archive.site.goes_down().await;
    let run = apt.run(&["download", "weir-demo"]).await;
    run.assert_code(100);
    assert!(run.shows(&package("1.0")), "{}", run.stderr);
    archive.site.gateway.finish_with_warnings().await;
}
