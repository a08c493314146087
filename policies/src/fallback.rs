//! Where else an object may be found: the `fallback` bases of a rule, such as a central archive.
//!
//! A base is a URL. Without placeholders the path and query that were not found are put behind it; with placeholders
//! in its path it says itself how the archive is laid out: `https://archive.example/{host}/{path}`.
//!
//! Invariants: scheme and host are fixed by the operator, so a client's URL decides no more than a path below them;
//! that path cannot climb out of the base. Deliberately absent: when a fallback is asked, and in which order.

#[cfg(test)]
mod tests;

use crate::address::is_metadata_service;
use crate::target::{Form, Resource, Scheme, Target, TargetError};
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest base, bytes.
const TEMPLATE_BYTES_MAX: usize = 1024;
/// The most placeholders in one base; with the longest path in each, a URL stays small.
const PLACEHOLDERS_MAX: usize = 8;

/// One base, with what stands for the parts of the URL that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    base: Target,
    /// Empty: the path and query are put behind the base.
    layout: Vec<Piece>,
}

/// One piece of what stands behind a base.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// As it is written.
    Text(String),
    /// `{scheme}`
    Scheme,
    /// `{host}`, with the port where it is not the scheme's own.
    Host,
    /// `{path}` without its leading slash.
    Path,
    /// `{file}`: the last segment of the path.
    File,
    /// `{sha256}` of the URL, in hex.
    Sha256,
}

/// Why a text is no base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FallbackError {
    /// No URL.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// Neither http nor https.
    #[error("only http and https bases are asked")]
    Scheme,
    /// A cloud's metadata service.
    #[error("a metadata service is nobody's archive")]
    MetadataService,
    /// There would be two queries.
    #[error("a base URL has no query")]
    Query,
    /// The client would choose the host.
    #[error("placeholders stand in the path, not in the host")]
    PlaceholderInHost,
    /// Not one of those there are.
    #[error(
        "unknown placeholder; there are {{scheme}}, {{host}}, {{path}}, {{file}} and {{sha256}}"
    )]
    Placeholder,
    /// Longer than a base needs to be.
    #[error("longer than {TEMPLATE_BYTES_MAX} bytes, or more than {PLACEHOLDERS_MAX} placeholders")]
    TooLong,
}

impl Fallback {
    /// Reads a base.
    ///
    /// # Errors
    /// [`FallbackError`]
    pub fn parse(written: &str) -> Result<Self, FallbackError> {
        if written.len() > TEMPLATE_BYTES_MAX {
            return Err(FallbackError::TooLong);
        }
        let (base, layout) = match written.find(['{', '}']) {
            None => (written, Vec::new()),
            Some(_) => {
                let (root, path) = split_root(written)?;
                (root, pieces(path)?)
            }
        };
        let fallback = Self {
            base: Target::parse(base)?,
            layout,
        };
        fallback.check()?;
        Ok(fallback)
    }

    /// The URL of `missing` below this base; `{sha256}` is that of its normal URL.
    ///
    /// # Errors
    /// [`TargetError`] when the parts do not make a URL below the base.
    pub fn target(&self, missing: &Target) -> Result<Target, TargetError> {
        self.locate(missing, &missing.to_string())
    }

    /// The URL of `missing` below this base; `{sha256}` is that of the URL as the client wrote it, which is how
    /// openEuler's cache-proxy names the objects in its bucket. Below a mirror nobody wrote a URL: there it is the
    /// normal one.
    ///
    /// # Errors
    /// As [`Fallback::target`].
    pub fn target_of(&self, missing: &Resource) -> Result<Target, TargetError> {
        match missing.form {
            Form::Mirror => self.target(&missing.target),
            Form::Forward | Form::Download | Form::Path => {
                self.locate(&missing.target, &missing.as_asked)
            }
        }
    }

    fn locate(&self, missing: &Target, url: &str) -> Result<Target, TargetError> {
        let (path, query) = match missing.path_and_query().split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (missing.path_and_query(), None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut below = if self.layout.is_empty() {
            path.to_owned()
        } else {
            self.fill_in(missing, path, url)?
        };
        // Two URLs that differ in their query are two objects. The digest has told them apart already.
        if let Some(query) = query.filter(|_| !self.layout.contains(&Piece::Sha256)) {
            below.push('?');
            below.push_str(query);
        }
        self.base.join(&below)
    }

    fn fill_in(&self, missing: &Target, path: &str, url: &str) -> Result<String, TargetError> {
        let mut filled = String::new();
        for piece in &self.layout {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Scheme => filled.push_str(missing.scheme().as_str()),
                Piece::Host => filled.push_str(&missing.authority()),
                Piece::Path => filled.push_str(path),
                Piece::File => match path.rsplit('/').next() {
                    None | Some("") => {
                        return Err(TargetError::Malformed("no file name for {file}"));
                    }
                    Some(file) => filled.push_str(file),
                },
                Piece::Sha256 => filled.push_str(&sha256_hex(url)),
            }
        }
        Ok(filled)
    }

    fn check(&self) -> Result<(), FallbackError> {
        if !matches!(self.base.scheme(), Scheme::Http | Scheme::Https) {
            return Err(FallbackError::Scheme);
        }
        if is_metadata_service(self.base.host()) {
            return Err(FallbackError::MetadataService);
        }
        let written = self.layout.iter().any(|piece| match piece {
            Piece::Text(text) => text.contains('?'),
            _ => false,
        });
        if written || self.base.path_and_query().contains('?') {
            return Err(FallbackError::Query);
        }
        // What is wrong with the written text is found out now and not with the first file that is missing.
        let example = Target::parse("http://host.example/path/file")?;
        self.target(&example)?;
        Ok(())
    }
}

impl fmt::Display for Fallback {
    /// As a configuration would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)?;
        for piece in &self.layout {
            f.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Scheme => "{scheme}",
                Piece::Host => "{host}",
                Piece::Path => "{path}",
                Piece::File => "{file}",
                Piece::Sha256 => "{sha256}",
            })?;
        }
        Ok(())
    }
}

/// Splits `scheme://host` from the path with its placeholders.
fn split_root(written: &str) -> Result<(&str, &str), FallbackError> {
    let malformed = TargetError::Malformed("no // behind the scheme");
    let host = written.find("://").ok_or(malformed)? + "://".len();
    let (_, behind) = written.split_at_checked(host).unwrap_or((written, ""));
    let root = host + behind.find('/').unwrap_or(behind.len());
    let (root, path) = written.split_at_checked(root).unwrap_or((written, ""));
    if root.contains(['{', '}']) {
        return Err(FallbackError::PlaceholderInHost);
    }
    Ok((root, path.strip_prefix('/').unwrap_or(path)))
}

fn pieces(path: &str) -> Result<Vec<Piece>, FallbackError> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((text, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or(FallbackError::Placeholder)?;
        pieces.extend(text_piece(text)?);
        pieces.push(placeholder(name)?);
        rest = behind;
    }
    pieces.extend(text_piece(rest)?);
    let placeholders = pieces
        .iter()
        .filter(|piece| !matches!(piece, Piece::Text(_)));
    if placeholders.count() > PLACEHOLDERS_MAX {
        return Err(FallbackError::TooLong);
    }
    Ok(pieces)
}

fn text_piece(text: &str) -> Result<Option<Piece>, FallbackError> {
    if text.contains('}') {
        return Err(FallbackError::Placeholder);
    }
    Ok((!text.is_empty()).then(|| Piece::Text(text.to_owned())))
}

fn placeholder(name: &str) -> Result<Piece, FallbackError> {
    match name {
        "scheme" => Ok(Piece::Scheme),
        "host" => Ok(Piece::Host),
        "path" => Ok(Piece::Path),
        "file" => Ok(Piece::File),
        "sha256" => Ok(Piece::Sha256),
        _ => Err(FallbackError::Placeholder),
    }
}

fn sha256_hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
