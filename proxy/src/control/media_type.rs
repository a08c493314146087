//! The media type of an imported file, told by the extension of its name: what mirrors and archives hold.

/// For everything that is not known.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions in lower case.
const TYPES: [(&str, &str); 34] = [
    ("7z", "application/x-7z-compressed"),
    ("apk", "application/octet-stream"),
    ("asc", "application/pgp-signature"),
    ("bz2", "application/x-bzip2"),
    ("conda", "application/octet-stream"),
    ("crate", "application/gzip"),
    ("css", "text/css; charset=utf-8"),
    ("deb", "application/vnd.debian.binary-package"),
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("gem", "application/octet-stream"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("iso", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("pom", "application/xml"),
    ("rpm", "application/x-rpm"),
    ("sh", "application/x-sh"),
    ("sig", "application/pgp-signature"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("whl", "application/zip"),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// By the last extension of the path's last segment.
pub(super) fn of_path(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return UNKNOWN;
    };
    let known = TYPES
        .iter()
        .find(|(known, _)| !stem.is_empty() && extension.eq_ignore_ascii_case(known));
    known.map_or(UNKNOWN, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_tells() {
        let check = |path, expected| assert_eq!(of_path(path), expected, "{path}");
        check("/a/b-1.0.tar.gz", "application/gzip");
        check("/a/B.RPM", "application/x-rpm");
        check("/a.zip/b", UNKNOWN);
        check("/.zip", UNKNOWN);
        check("/", UNKNOWN);
        check("/a.unheard", UNKNOWN);
    }
}
