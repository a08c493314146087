//! Lists of globs, compiled into one automaton that runs in linear time whatever the globs are. Their number and
//! length are bounded, so that what a configuration can cost is bounded as well.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The most bytes in one glob.
pub(super) const GLOB_BYTES_MAX: usize = 1024;
/// The most globs in one list of one rule.
pub(super) const GLOBS_MAX: usize = 256;

/// What a glob is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A host: no case, `*` spans labels.
    Host,
    /// A path: `*` and `?` stop at `/`.
    Path,
}

/// A glob that cannot be used.
#[derive(Debug)]
pub(crate) struct WrongGlob {
    /// The glob; empty when it is about the list as a whole.
    pub(crate) glob: String,
    /// Why.
    pub(crate) reason: String,
}

/// Compiles a list; `None` for an empty one, which matches everything.
///
/// # Errors
/// The first glob that cannot be used.
pub(crate) fn globs(patterns: &[String], subject: Subject) -> Result<Option<GlobSet>, WrongGlob> {
    if patterns.is_empty() {
        return Ok(None);
    }
    if patterns.len() > GLOBS_MAX {
        let reason = format!("more than {GLOBS_MAX} globs in one list");
        return Err(wrong("", reason));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.len() > GLOB_BYTES_MAX {
            let reason = format!("a glob longer than {GLOB_BYTES_MAX} bytes");
            return Err(wrong(pattern, reason));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(subject == Subject::Path)
            .case_insensitive(subject == Subject::Host)
            .build();
        set.add(glob.map_err(|error| wrong(pattern, format!("not a glob: {}", error.kind())))?);
    }
    let set = set.build().map_err(|error| wrong("", error.to_string()))?;
    Ok(Some(set))
}

fn wrong(glob: &str, reason: String) -> WrongGlob {
    WrongGlob {
        glob: glob.to_owned(),
        reason,
    }
}
