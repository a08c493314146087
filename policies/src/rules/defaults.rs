//! The rules that come with Weir. They stand behind those of the operator, and are made of nothing that an operator
//! could not write.
//!
//! Their order is their meaning: content-addressed names first, then metadata, then names that move, then archives;
//! what is left follows the standard. When in doubt a URL belongs to an earlier one: asking an origin once too often
//! costs a round trip, an archive that is held too long costs somebody's trust.

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;

use super::RuleSpec;
use super::name::ARCHIVE_EXTENSIONS;
use crate::effect::{Effect, RangeMiss};
use crate::freshness::Adjust;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// How long metadata is shared without asking its origin. An index and the packages that it names belong together, so
/// nobody guesses how long it may last, and what a CDN says of it (up to an hour) is cut to this; clients to whom even
/// a minute is too old (apt, dnf, pip) say so themselves with max-age=0. A minute spares the origin the burst of a
/// build farm that updates at once.
const METADATA_FRESH: u64 = MINUTE;
/// How long metadata answers while its origin is down. The metadata of distributions is valid for about as long and
/// says so inside.
const METADATA_STALE: u64 = 7 * DAY;
/// How long an archive is not asked for again. Its bytes are not expected to change at all; asking once a month finds
/// out if they did.
const ARCHIVE_FRESH: u64 = 30 * DAY;
/// How long an archive answers while its origin is down: build recipes name archives for years.
const ARCHIVE_STALE: u64 = 3650 * DAY;

/// The rules that come with Weir, in their order.
#[must_use]
pub fn shipped() -> Vec<RuleSpec> {
    vec![
        content_addressed(),
        repository_metadata(),
        metadata_of_hosts("npm-metadata", &NPM_HOSTS, &["/*", "/@*/*", "/-/**"]),
        metadata_of_hosts("cargo-index", &["index.crates.io"], &["/**"]),
        metadata_of_hosts(
            "rubygems-index",
            &["rubygems.org", "index.rubygems.org"],
            &["/versions", "/names", "/info/*", "/api/v1/dependencies*"],
        ),
        moving_names(),
        moving_branches(),
        archives(),
        release_downloads(),
        download_endpoints(),
        go_modules(),
    ]
}

/// npm's registry and those that are laid out like it. A package is a bare segment there, which nothing but the host
/// gives away.
const NPM_HOSTS: [&str; 3] = [
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "registry.npmmirror.com",
];

/// Words that say by themselves that something moves, wherever they stand.
const MOVING: &str = "{latest,Latest,LATEST,nightly,Nightly,nightlies}";
/// Words that say so as a whole segment or at the end of a name: `y-master.zip`, but not the package `task-master-ai`.
const MOVING_ALONE: &str = "{current,daily,head,HEAD,master,snapshot,snapshots,SNAPSHOT,tip,trunk}";
/// Components of Debian, Alpine and conda are called so as well: as a segment it moves only where branches stand.
const MAIN: &str = "main";
/// Segments that a branch stands behind.
const BRANCH_PARENT: &str =
    "{archive,blob,branch,raw,tarball,tree,zip,zipball,tar.gz,legacy.zip,legacy.tar.gz}";

fn immutable() -> Adjust {
    Adjust {
        ttl_min: Some(ARCHIVE_FRESH),
        stale_for: Some(ARCHIVE_STALE),
        immutable: true,
        ..Adjust::default()
    }
}

fn revalidated() -> Adjust {
    Adjust {
        ttl_default: Some(0),
        ttl_max: Some(METADATA_FRESH),
        stale_for: Some(METADATA_STALE),
        ..Adjust::default()
    }
}

fn rule(name: &str, path: &[&str], adjust: Adjust) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        path: owned(path),
        effect: Effect {
            range_miss: if adjust.immutable {
                RangeMiss::Whole
            } else {
                RangeMiss::Part
            },
            adjust,
            ..Effect::default()
        },
        ..RuleSpec::default()
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// apt's `by-hash`: the name is the digest of the bytes. Stands before the metadata around it.
fn content_addressed() -> RuleSpec {
    let by_hash = ["**/by-hash/{MD5Sum,SHA1,SHA256,SHA512}/*"];
    RuleSpec {
        versioned: true,
        ..rule("content-addressed", &by_hash, immutable())
    }
}

/// Indexes of package repositories, by the layouts that their programs expect on every host.
fn repository_metadata() -> RuleSpec {
    let paths = [
        // apt, and opkg of OpenWrt.
        "**/dists/**",
        "**/{Packages,Sources,Release,InRelease}",
        "**/{Packages,Sources,Release}.*",
        "**/{Contents,Translation}-*",
        // dnf, zypper; xbps.
        "**/repodata/**",
        "**/*-repodata",
        // apk.
        "**/APKINDEX*",
        // pacman.
        "**/*.{db,files}",
        "**/*.{db,files}.sig",
        "**/*.{db,files}.tar.*",
        // conda.
        "**/*repodata*.json*",
        "**/repodata_shards.*",
        "**/channeldata.json*",
        // Maven.
        "**/maven-metadata.xml*",
        "**/*-SNAPSHOT*",
        "**/*-SNAPSHOT*/**",
        // CRAN; Slackware.
        "**/PACKAGES*",
        // Simple indexes of Python.
        "**/{simple,+simple}/",
        "**/{simple,+simple}/*/",
        "**/pypi/*/json",
        "**/pypi/*/*/json",
        // Go.
        "**/@v/list",
        "**/@latest",
        // RubyGems.
        "**/specs.*.gz",
        "**/{latest,prerelease}_specs.*.gz",
    ];
    rule("repository-metadata", &paths, revalidated())
}

/// Metadata that only its host gives away.
fn metadata_of_hosts(name: &str, hosts: &[&str], paths: &[&str]) -> RuleSpec {
    RuleSpec {
        host: owned(hosts),
        ..rule(name, paths, revalidated())
    }
}

/// `…/latest/tool-1.0.tgz`, `node-latest-v20.tar.gz`, `refs/heads`: whatever else the name says, it moves.
fn moving_names() -> RuleSpec {
    let mut paths = vec![
        "**/refs/heads/**".to_owned(),
        format!("**/{MOVING_ALONE}/**"),
        format!("**/{BRANCH_PARENT}/{MAIN}"),
        format!("**/{BRANCH_PARENT}/{MAIN}/**"),
    ];
    // A word of a name or of a folder's name.
    for word in [
        MOVING.to_owned(),
        format!("{MOVING}[-_.]*"),
        format!("*[-_.]{MOVING}"),
        format!("*[-_.]{MOVING}[-_.]*"),
    ] {
        paths.extend([format!("**/{word}"), format!("**/{word}/**")]);
    }
    for word in [MOVING_ALONE, MAIN] {
        paths.extend([
            format!("**/{word}"),
            format!("**/{word}.*"),
            format!("**/*[-_.]{word}"),
            // Letters follow, of an extension and not of a version.
            format!("**/*[-_.]{word}.[a-zA-Z]*"),
        ]);
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    rule("moving-names", &paths, Adjust::default())
}

/// Files of a repository's branches: `/owner/repository/branch/…`, where a name with a digit promises nothing.
fn moving_branches() -> RuleSpec {
    RuleSpec {
        host: owned(&["raw.githubusercontent.com"]),
        ..rule("moving-branches", &["/**"], Adjust::default())
    }
}

/// Archives, packages and images with a version in their name.
fn archives() -> RuleSpec {
    RuleSpec {
        extension: owned(&ARCHIVE_EXTENSIONS),
        versioned: true,
        ..rule("archives", &[], immutable())
    }
}

/// Files of a release, where the version stands in the folder: `/releases/download/v1.2.3/tool-linux-amd64.tar.gz`.
fn release_downloads() -> RuleSpec {
    RuleSpec {
        extension: owned(&ARCHIVE_EXTENSIONS),
        ..rule(
            "release-downloads",
            &["**/releases/download/*[0-9].[0-9]*/*"],
            immutable(),
        )
    }
}

/// Archives whose URL ends in `/download`: crates.io and SourceForge.
fn download_endpoints() -> RuleSpec {
    let archive = format!("*[0-9].[0-9]*.{{{}}}", ARCHIVE_EXTENSIONS.join(","));
    let paths = [
        "**/api/v1/crates/*/*[0-9].[0-9]*/download",
        &format!("/projects/*/files/{archive}/download"),
        &format!("/projects/*/files/**/{archive}/download"),
    ];
    rule("download-endpoints", &paths, immutable())
}

/// Versions of Go modules: `@v/v1.2.3.zip`, and the small files beside it. `@v/v1.info` asks which version `v1` is.
fn go_modules() -> RuleSpec {
    rule(
        "go-modules",
        &["**/@v/v[0-9]*.[0-9]*.[0-9]*.{info,mod,zip}"],
        immutable(),
    )
}
