//! Maven, which asks for everything with `Cache-Control: no-cache`, also for what never changes.
//!
//! A real build would need plugins of the public repository. A project with nothing but a parent and an extension
//! resolves both from a repository, and needs no plugin to be validated.

use super::{Site, lacks, write};
use weir_tests::program::Run;

/// A zip archive without entries.
const EMPTY_JAR: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// The files of releases that the project needs. Every extension is given plexus-utils by Maven itself.
const RELEASED: [&str; 4] = [
    "/parent-1.0.pom",
    "/extension-1.0.pom",
    "/extension-1.0.jar",
    "/plexus-utils-1.1.jar",
];
const METADATA: &str = "/maven2/demo/parent/maven-metadata.xml";

fn pom(artifact: &str, version: &str) -> String {
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>demo</groupId>\
         <artifactId>{artifact}</artifactId><version>{version}</version><packaging>pom</packaging></project>"
    )
}

/// The parent's versions, of which the project takes the newest.
fn metadata(versions: &[&str]) -> String {
    let list: String = versions
        .iter()
        .map(|version| format!("<version>{version}</version>"))
        .collect();
    format!(
        "<metadata><groupId>demo</groupId><artifactId>parent</artifactId>\
         <versioning><versions>{list}</versions></versioning></metadata>"
    )
}

const PROJECT: &str = "<project><modelVersion>4.0.0</modelVersion>
<parent><groupId>demo</groupId><artifactId>parent</artifactId><version>[1.0,2.0)</version><relativePath/></parent>
<artifactId>app</artifactId><version>1</version><packaging>pom</packaging>
<build><extensions><extension>
<groupId>demo</groupId><artifactId>extension</artifactId><version>1.0</version>
</extension></extensions></build></project>";

fn publish(site: &Site) {
    let put = |path: &str, bytes: &[u8]| site.nginx.put(&format!("/maven2/{path}"), bytes);
    put(
        "demo/parent/1.0/parent-1.0.pom",
        pom("parent", "1.0").as_bytes(),
    );
    put(
        "demo/extension/1.0/extension-1.0.pom",
        pom("extension", "1.0").as_bytes(),
    );
    put("demo/extension/1.0/extension-1.0.jar", EMPTY_JAR);
    put(
        "org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1.jar",
        EMPTY_JAR,
    );
    site.nginx.put(METADATA, metadata(&["1.0"]).as_bytes());
}

/// Validates the project with an empty local repository. All repositories are nginx's, through the gateway as proxy
/// or through a path form.
async fn validate(site: &Site, home: &str, way: Way) -> Run {
    let folder = site.home(home);
    let origin = site.nginx.url("/maven2/");
    let (url, proxy) = match way {
        Way::Proxy => (origin, proxy_setting(site)),
        Way::PathForm => (
            format!("{}/{origin}", site.gateway.proxy_url()),
            String::new(),
        ),
    };
    let local = folder.join("repository");
    let settings = format!(
        "<settings><localRepository>{}</localRepository>{proxy}<mirrors><mirror><id>demo</id>\
         <mirrorOf>*</mirrorOf><url>{url}</url></mirror></mirrors></settings>",
        local.display()
    );
    write(&folder.join("settings.xml"), &settings);
    write(&folder.join("pom.xml"), PROJECT);
    let options = [
        "-B",
        "-e",
        "-s",
        "settings.xml",
        "-gs",
        "settings.xml",
        "validate",
    ];
    site.program("mvn")
        .within(&folder)
        .args(options)
        .run()
        .await
}

#[derive(Clone, Copy)]
enum Way {
    Proxy,
    PathForm,
}

fn proxy_setting(site: &Site) -> String {
    let port = site.gateway.proxy().port();
    format!(
        "<proxies><proxy><id>weir</id><active>true</active><protocol>http</protocol><host>127.0.0.1</host>\
         <port>{port}</port><nonProxyHosts>none.invalid</nonProxyHosts></proxy></proxies>"
    )
}

#[tokio::test]
async fn maven_is_right_in_every_state() {
    if lacks(&["mvn", "java"]) {
        return;
    }
    let mut site = Site::new().await;
    publish(&site);
    validate(&site, "cold", Way::Proxy).await.assert_code(0);
    site.gateway.settled().await;
    validate(&site, "warm", Way::PathForm).await.assert_code(0);
    site.assert_fetched_once(&RELEASED);
    site.assert_confirmed(METADATA);

    site.nginx.put(
        "/maven2/demo/parent/1.1/parent-1.1.pom",
        pom("parent", "1.1").as_bytes(),
    );
    site.put_later(METADATA, metadata(&["1.0", "1.1"]).as_bytes());
    validate(&site, "newer", Way::Proxy).await.assert_code(0);
    site.assert_fetched_once(&["/parent-1.1.pom"]);

    site.goes_down().await;
    validate(&site, "down", Way::Proxy).await.assert_code(0);
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn maven_says_what_it_lacks_while_the_origin_is_down() {
    if lacks(&["mvn", "java"]) {
        return;
    }
    let mut site = Site::new().await;
    site.goes_down().await;
    let run = validate(&site, "none", Way::Proxy).await;
    assert!(run.assert_code(1).text().contains("demo:parent"), "{run:?}");
    site.gateway.finish_with_warnings().await;
}

/// What Maven sends, with or without a JDK on this machine.
#[tokio::test]
async fn a_release_is_a_hit_although_maven_wants_no_cache() {
    const FIELDS: &str = "Cache-Control: no-cache\r\nCache-store: no-store\r\nPragma: no-cache\r\n\
                          User-Agent: Apache-Maven/3.8.7\r\nAccept-Encoding: gzip,deflate\r\n";
    let site = Site::new().await;
    publish(&site);
    let jar = site
        .nginx
        .url("/maven2/demo/extension/1.0/extension-1.0.jar");
    let metadata = site.nginx.url(METADATA);
    for round in 0..3 {
        let response = site.gateway.get_with(&jar, FIELDS).await;
        response.assert_is(200, EMPTY_JAR);
        assert_eq!(response.is_hit(), round > 0, "{:?}", response.head);
        let response = site.gateway.get_with(&metadata, FIELDS).await;
        assert_eq!(response.status(), 200);
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&["/extension-1.0.jar"]);
    assert_eq!(
        site.asked(METADATA).len(),
        3,
        "{:?}",
        site.nginx.access_log()
    );
    site.gateway.finish().await;
}
