//! An archive made for the test: what apt sees when it is new, known, changed, and gone.

use std::path::Path;

use super::super::{LATER, Site, lacks, prepare, write};
use super::Apt;
use weir_tests::content::sha256;

const RELEASE: &str = "/debian/dists/stable/Release";

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
        archive.publish("1.0").await;
        archive
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
        self.index();
    }

    /// Writes the index under its name and under its digest, then the release that names both.
    fn index(&self) {
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
        let file = self.site.nginx.put(RELEASE, release.as_bytes());
        date_later(&file, self.packages.matches("Package:").count());
    }

    /// The digest of the index as it is now: its name where names are digests.
    fn digest(&self) -> String {
        sha256(self.packages.as_bytes())
    }

    /// An apt that knows nothing.
    fn apt(&self) -> Apt {
        let line = format!(
            "deb [trusted=yes arch={}] {} stable main\n",
            self.architecture,
            self.site.nginx.url("/debian")
        );
        Apt::new(&line, "", &self.site.gateway.proxy_url())
    }

    /// Updates, downloads the newest version, and checks that it is this one.
    async fn assert_downloads(&self, apt: &Apt, version: &str) {
        let update = apt.run(&["update"]).await;
        update.assert_code(0);
        assert!(!update.stderr.contains("Failed"), "{}", update.stderr);
        apt.run(&["download", "weir-demo"]).await.assert_code(0);
        let served = self
            .site
            .nginx
            .root()
            .join("debian/pool/main/w/weir-demo")
            .join(package(version));
        assert_eq!(
            apt.package(),
            Some(std::fs::read(served).expect("it is served")),
            "{version}"
        );
        self.site.gateway.settled().await;
    }
}

fn package(version: &str) -> String {
    format!("weir-demo_{version}_all.deb")
}

/// Each release is later than the one before.
fn date_later(file: &Path, count: usize) {
    let file = std::fs::File::options()
        .write(true)
        .open(file)
        .expect("opens");
    let written = file
        .metadata()
        .and_then(|data| data.modified())
        .expect("a date");
    let later = LATER * u32::try_from(count).expect("a few");
    file.set_modified(written + later).expect("a date");
}

#[tokio::test]
async fn apt_is_right_in_every_state() {
    if lacks(&["apt-get", "dpkg-deb"]) {
        return;
    }
    let mut archive = Archive::new().await;
    let first = archive.digest();
    let known = archive.apt();
    archive.assert_downloads(&known, "1.0").await;
    archive.assert_downloads(&archive.apt(), "1.0").await;
    archive.site.assert_fetched_once(&[&first, &package("1.0")]);
    archive.site.assert_confirmed(RELEASE);

    archive.publish("1.1").await;
    archive.assert_downloads(&known, "1.1").await;
    archive.assert_downloads(&archive.apt(), "1.1").await;
    archive
        .site
        .assert_fetched_once(&[&archive.digest(), &package("1.1")]);

    archive.site.goes_down().await;
    archive.assert_downloads(&known, "1.1").await;
    archive.assert_downloads(&archive.apt(), "1.1").await;
    archive.site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn apt_says_what_it_lacks_while_the_origin_is_down() {
    if lacks(&["apt-get", "dpkg-deb"]) {
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
