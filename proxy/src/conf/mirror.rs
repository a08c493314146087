//! `[[mirror]]`: a path of this gateway behind which whole sites appear.

use super::check::{Check, Section, quoted};
use serde::{Deserialize, Serialize};
use weir_policies::target::{Mirror, Scheme, Target};

/// One `[[mirror]]` as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MirrorConfig {
    /// Path on this gateway.
    pub(crate) path: String,
    /// Base URLs, tried in order.
    pub(crate) upstreams: Vec<String>,
    /// Identity of the stored objects; the first upstream where nothing is said.
    pub(crate) key: Option<String>,
    /// Weir acts for the origin of this site.
    pub(crate) cdn: bool,
}

/// Prefixes that the path forms take before any mirror can.
const RESERVED_PREFIXES: [&str; 7] = [
    "/download/",
    "/http/",
    "/https/",
    "/ftp/",
    "/http:",
    "/https:",
    "/ftp:",
];

impl MirrorConfig {
    /// Checks number `index`. `None` when it is not usable, which has been noted then.
    pub(super) fn check(
        &self,
        index: usize,
        path_forms: bool,
        check: &mut Check<'_>,
    ) -> Option<Mirror> {
        let mut section = check.element("mirror", index);
        let path = self.check_path(path_forms, &mut section);
        if self.upstreams.is_empty() {
            section.refuse_missing(
                "upstreams",
                "at least one base URL is needed, like [\"http://deb.debian.org/debian/\"]",
            );
        }
        let upstreams = section.each("upstreams", &self.upstreams, parse_base);
        let key = match self.key.as_deref() {
            None => upstreams.first().cloned(),
            Some(written) => parse_base(written)
                .map_err(|reason| section.refuse("key", quoted(written), reason))
                .ok(),
        };
        Some(Mirror {
            path: path?,
            upstreams,
            key: key?,
            cdn: self.cdn,
        })
    }

    /// The path with a slash on both sides.
    fn check_path(&self, path_forms: bool, section: &mut Section<'_, '_>) -> Option<String> {
        if self.path.is_empty() {
            section.refuse_missing("path", "is needed, like \"/debian/\"");
            return None;
        }
        let Some(path) = normal_path(&self.path) else {
            let reason = "not a path; write visible ASCII without \"?\", \"#\", \"%\", \"\\\", \
                          \"//\" and dot-segments, like \"/debian/\"";
            section.refuse("path", quoted(&self.path), reason);
            return None;
        };
        let reserved = RESERVED_PREFIXES
            .iter()
            .find(|prefix| path.starts_with(**prefix));
        if let Some(prefix) = reserved.filter(|_| path_forms) {
            let reason = format!(
                "would never be reached: {prefix} belongs to the path forms; choose another path, \
                 or set [listen] path_forms = false"
            );
            section.refuse("path", quoted(&self.path), reason);
            return None;
        }
        Some(path)
    }
}

/// Notes every path that is there twice: which mirror is meant could not be told.
pub(super) fn check_distinct(mirrors: &[(usize, Mirror)], check: &mut Check<'_>) {
    for (position, (index, mirror)) in mirrors.iter().enumerate() {
        if mirrors
            .iter()
            .take(position)
            .any(|(_, earlier)| earlier.path == mirror.path)
        {
            let mut section = check.element("mirror", *index);
            section.refuse(
                "path",
                quoted(&mirror.path),
                "another mirror has this path already",
            );
        }
    }
}

/// With a slash on both sides; `None` for anything that a request target could not contain in just this form.
fn normal_path(written: &str) -> Option<String> {
    let trimmed = written.strip_prefix('/').unwrap_or(written);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\\"<>^`{|}".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    if trimmed.is_empty() {
        // Of the path `/` nothing is left to be split into segments.
        return matches!(written, "/" | "").then(|| "/".to_owned());
    }
    let usable = trimmed.bytes().all(is_plain) && trimmed.split('/').all(is_segment);
    usable.then(|| format!("/{trimmed}/"))
}

/// A URL that paths can be appended to.
fn parse_base(written: &str) -> Result<Target, String> {
    let base = Target::parse(written).map_err(|error| {
        format!("{error}; write a base URL, like \"http://deb.debian.org/debian/\"")
    })?;
    match base.scheme() {
        Scheme::Http | Scheme::Https if base.path_and_query().contains('?') => {
            Err("a base URL has no query".to_owned())
        }
        Scheme::Http | Scheme::Https => Ok(base),
        Scheme::Ftp => Err("ftp upstreams are not yet available; use http or https".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_get_a_slash_on_both_sides() {
        let check = |written: &str, normal: Option<&str>| {
            assert_eq!(normal_path(written).as_deref(), normal, "{written:?}");
        };
        check("/", Some("/"));
        check("debian", Some("/debian/"));
        check("/debian", Some("/debian/"));
        check("/debian/", Some("/debian/"));
        check("/a/b-1.0~x", Some("/a/b-1.0~x/"));
        for wrong in [
            "//", "/a//b", "/a/../b", "/.", "/a b", "/a?b", "/a#b", "/%61", "/ä", "/a\\b", "///",
        ] {
            check(wrong, None);
        }
    }
}
