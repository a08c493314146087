//! What a file name tells: its extension, whether it carries a version, whether it is an archive's.
//!
//! The name is the last segment of a normal path. Nothing here looks at bytes or types; a name is a promise of whoever
//! gave it, and rules decide how far it is trusted.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Extensions of archives, packages and images: files that are published under a name of their own and not changed
/// afterwards. `tar.gz` and its like end in one of these.
pub(super) const ARCHIVE_EXTENSIONS: [&str; 64] = [
    // Compressed and packed files.
    "tar",
    "tgz",
    "tbz",
    "tbz2",
    "txz",
    "tlz",
    "tzst",
    "gz",
    "bz2",
    "xz",
    "zst",
    "lz",
    "lzma",
    "lz4",
    "z",
    "zip",
    "7z",
    "rar",
    "cpio", //
    // Packages of distributions.
    "rpm",
    "drpm",
    "deb",
    "udeb",
    "ddeb",
    "apk",
    "ipk",
    "xbps",
    "pkg",
    "snap",
    "flatpak",
    "appimage",
    "msi",
    "msix",
    "dmg",
    "cab", //
    // Packages of languages, and what stands beside them under the same promise.
    "jar",
    "war",
    "ear",
    "aar",
    "pom",
    "module",
    "jar.sha1",
    "jar.md5",
    "pom.sha1",
    "pom.md5",
    "whl",
    "whl.metadata",
    "egg",
    "crate",
    "gem",
    "conda",
    "nupkg",
    "snupkg",
    "vsix",
    "xpi",
    "phar", //
    // Images of disks and machines.
    "iso",
    "img",
    "qcow2",
    "vmdk",
    "vhd",
    "vhdx",
    "ova",
    "box",
];

/// Words with digits that name a platform or a format and no version. In lower case.
const NOT_VERSIONS: [&str; 46] = [
    "386",
    "32bit",
    "64bit",
    "aarch64",
    "amd64",
    "arm32",
    "arm64",
    "armv5",
    "armv6",
    "armv6l",
    "armv7",
    "armv7l",
    "armv8",
    "i386",
    "i486",
    "i586",
    "i686",
    "ia64",
    "linux32",
    "linux64",
    "loong64",
    "loongarch64",
    "mac64",
    "mips64",
    "mips64el",
    "mips64le",
    "osx64",
    "ppc64",
    "ppc64el",
    "ppc64le",
    "riscv32",
    "riscv64",
    "s390x",
    "sparc64",
    "win32",
    "win64",
    "x32",
    "x64",
    "x86", // Formats.
    "7z",
    "bz2",
    "lz4",
    "md5",
    "qcow2",
    "sha1",
    "tbz2",
];

/// The least hex characters that are taken for the beginning of a commit: what git prints.
const COMMIT_CHARACTERS_MIN: usize = 7;

/// Extensions, compared without regard to case; `tar.gz` is one as `gz` is.
#[derive(Debug)]
pub(super) struct Extensions(HashSet<String>);

impl Extensions {
    pub(super) fn of<'a>(extensions: impl IntoIterator<Item = &'a str>) -> Self {
        let lower = extensions.into_iter().map(str::to_ascii_lowercase);
        Self(lower.collect())
    }

    /// Whether the name ends in one of them behind something: `.gz` is a name, not an extension. One look for each
    /// dot, however many extensions there are: this is asked for every request.
    pub(super) fn end(&self, path: &str) -> bool {
        let name = name(path).to_ascii_lowercase();
        let mut dots = name.rmatch_indices('.');
        dots.any(|(dot, _)| {
            dot > 0
                && name
                    .get(dot + 1..)
                    .is_some_and(|tail| self.0.contains(tail))
        })
    }
}

/// Whether a path leads to an archive, a package or an image by its name. Their bytes gain nothing from being encoded
/// once more on the way.
#[must_use]
pub fn is_archive(path: &str) -> bool {
    // SourceForge: `/projects/x/files/x-1.0.zip/download`.
    let path = path.strip_suffix("/download").unwrap_or(path);
    static ARCHIVES: LazyLock<Extensions> = LazyLock::new(|| Extensions::of(ARCHIVE_EXTENSIONS));
    ARCHIVES.end(path)
}

/// Whether the name carries a version: a word with a digit that does not just name a platform or a format, or a word
/// of at least seven hex characters. `tool-1.2.tgz`, `linux-6.6.tar.bz2` and `9fceb02.zip` do, `tool-x86_64.tar.bz2`
/// does not.
pub(super) fn is_versioned(path: &str) -> bool {
    let mut before = "";
    for word in words(name(path)) {
        let is_platform = NOT_VERSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
            || (word == "64" && before.eq_ignore_ascii_case("x86"));
        if !is_platform && (has_digit(word) || is_commit(word)) {
            return true;
        }
        before = word;
    }
    false
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The runs of letters and digits. An escape (`%2B`) stands between words: its digits are nobody's version.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let pieces = name.split('%').enumerate().map(|(index, piece)| {
        // In a normal path two hex digits follow each `%`.
        let behind_escape = if index == 0 { 0 } else { 2 };
        piece.get(behind_escape..).unwrap_or_default()
    });
    pieces
        .flat_map(|piece| piece.split(|character: char| !character.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_commit(word: &str) -> bool {
    word.len() >= COMMIT_CHARACTERS_MIN && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_from_a_platform() {
        let check = |name: &str, versioned: bool| {
            assert_eq!(is_versioned(&format!("/v1/{name}")), versioned, "{name}");
        };
        for versioned in [
            "tool-1.tgz",
            "v2.zip",
            "curl-8_5_0.zip",
            "jdk17.tar.gz",
            "tool-x86_64-3.tar.gz",
            "foo_64.zip",
            "deadbee.zip",
            "abc%2B1.0.zip",
            "linux-6.6.tar.bz2",
        ] {
            check(versioned, true);
        }
        for not in [
            "",
            "tool.tgz",
            "tool-x86_64.tar.bz2",
            "tool-Linux-AMD64.zip",
            "tool-win32.7z",
            "disk.qcow2",
            "deadbe.zip",
            "c%2B%2B.zip",
            "source.tar.lz4",
        ] {
            check(not, false);
        }
    }

    #[test]
    fn archives_are_known_by_their_name() {
        for archive in [
            "/a/b.tar.gz",
            "/B.RPM",
            "/projects/x/files/x.zip/download",
            "/x.jar.sha1",
        ] {
            assert!(is_archive(archive), "{archive}");
        }
        for other in [
            "/a.tar.gz/b",
            "/.gz",
            "/gz",
            "/a.sha1",
            "/x.zip/other",
            "/app.js",
        ] {
            assert!(!is_archive(other), "{other}");
        }
    }
}
