//! Request targets of every form (RFC 9112 §3.2) and the gateway's own path forms and mirrors.
//!
//! Deliberately absent: the Host field (an absolute-form target wins over it, RFC 9112 §3.2.2) and any policy on what
//! may be asked for.

#[cfg(test)]
mod tests;

use super::TargetError::Malformed;
use super::host;
use super::path::{AboveRoot, check_visible, normal_path};
use super::{
    Asked, Form, Forms, Mirror, OwnPage, Resource, Scheme, TARGET_BYTES_MAX, Target, TargetError,
};
use http::Method;

/// The prefix that openEuler's cache-proxy has. It and the path forms win over a mirror at `/`.
const DOWNLOAD: &str = "/download/";
/// What a path form or a URL behind [`DOWNLOAD`] may start with.
const SCHEMES: [Scheme; 3] = [Scheme::Http, Scheme::Https, Scheme::Ftp];

/// What a client makes of a colon in a path.
const ESCAPED_COLON: [&str; 2] = ["%3A", "%3a"];

/// Reads a request target of any form.
///
/// `method` decides between CONNECT's authority-form, `OPTIONS *` and the rest. The Host header is only checked by
/// the caller; an absolute-form target wins over it (RFC 9112 §3.2.2).
///
/// # Errors
/// [`TargetError`]; nothing may be sent upstream then.
pub fn ask(method: &Method, request_target: &str, forms: &Forms) -> Result<Asked, TargetError> {
    if request_target.len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong(TARGET_BYTES_MAX));
    }
    check_visible(request_target)?;
    if method == Method::CONNECT {
        return tunnel(request_target);
    }
    if request_target == "*" {
        return match *method {
            Method::OPTIONS => Ok(Asked::ServerWide),
            _ => Err(Malformed("* belongs to OPTIONS")),
        };
    }
    if request_target.starts_with('/') {
        return origin_form(request_target, forms);
    }
    let target = Target::parse(request_target)?;
    Ok(resource(
        Form::Forward,
        target,
        without_userinfo(request_target),
    ))
}

/// Authority-form (RFC 9112 §3.2.3): the port is part of it.
fn tunnel(text: &str) -> Result<Asked, TargetError> {
    if text.contains('@') {
        return Err(Malformed("userinfo in an authority"));
    }
    let authority = host::authority(text)?;
    let port = authority.port.ok_or(Malformed("CONNECT needs host:port"))?;
    Ok(Asked::Tunnel {
        host: authority.host,
        port,
    })
}

fn origin_form(text: &str, forms: &Forms) -> Result<Asked, TargetError> {
    if forms.path_forms {
        if let Some(rest) = text.strip_prefix(DOWNLOAD) {
            return download(rest);
        }
        if let Some((scheme, rest)) = text.get(1..).and_then(embedded) {
            return embedded_resource(Form::Path, scheme, rest);
        }
    }
    let (written, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let path = normal_path(written, AboveRoot::Stay)?;
    // Only dot-segments or escapes can lead here: one reader would see a path form, another a mirror.
    if forms.path_forms && is_reserved(&path) {
        return Err(Malformed("disguised /download/ or path form"));
    }
    if let Some((mirror, rest)) = longest_mirror(&forms.mirrors, &path) {
        return mirrored(mirror, rest, query, text);
    }
    Ok(Asked::Own(if path == "/" {
        OwnPage::Welcome
    } else {
        OwnPage::Unknown
    }))
}

fn is_reserved(path: &str) -> bool {
    path.starts_with(DOWNLOAD) || path.get(1..).and_then(embedded).is_some()
}

/// `/download/<url>`, as openEuler's cache-proxy has it; query and `//` are the URL's own.
fn download(rest: &str) -> Result<Asked, TargetError> {
    if rest.is_empty() || rest.starts_with('?') {
        return Ok(Asked::Own(OwnPage::EmptyDownload));
    }
    match embedded(rest) {
        Some((scheme, url)) => embedded_resource(Form::Download, scheme, url),
        // The words are part of the compatibility with cache-proxy.
        None => Err(Malformed(
            "Bad download url: it starts with http://, https:// or ftp://",
        )),
    }
}

/// Splits `https://h/p`, `https:/h/p` (collapsed by a front that merges slashes) or `https/h/p` behind its scheme. The
/// colon may be escaped: pip and others do that to one in a path when they resolve a relative link.
fn embedded(text: &str) -> Option<(Scheme, &str)> {
    SCHEMES.into_iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.as_str().len())?;
        if !head.eq_ignore_ascii_case(scheme.as_str()) {
            return None;
        }
        let colon = [":", ESCAPED_COLON[0], ESCAPED_COLON[1]];
        let mut behind = colon.iter().filter_map(|colon| rest.strip_prefix(colon));
        let behind = behind.next().unwrap_or(rest).strip_prefix('/')?;
        let has_colon = behind.len() + 1 < rest.len();
        let url = behind.strip_prefix('/').filter(|_| has_colon);
        Some((scheme, url.unwrap_or(behind)))
    })
}

fn embedded_resource(form: Form, scheme: Scheme, rest: &str) -> Result<Asked, TargetError> {
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // As the one behind the scheme; elsewhere in a URL escapes stay as they are.
    let authority = ESCAPED_COLON
        .iter()
        .fold(authority.to_owned(), |text, escaped| {
            text.replace(escaped, ":")
        });
    let url = format!("{}://{authority}{behind}", scheme.as_str());
    let target = Target::parse(&url)?;
    Ok(resource(form, target, without_userinfo(&url)))
}

fn resource(form: Form, target: Target, as_asked: String) -> Asked {
    let upstreams = vec![target.clone()];
    Asked::Resource(Resource {
        form,
        target,
        upstreams,
        as_asked,
        cdn: false,
    })
}

/// The mirror with the longest prefix of a normal path, and what is left of the path. `/debian` is `/debian/`.
fn longest_mirror<'a>(mirrors: &'a [Mirror], path: &'a str) -> Option<(&'a Mirror, &'a str)> {
    let rest = |mirror: &Mirror| {
        let bare = mirror.path.strip_suffix('/').unwrap_or(&mirror.path);
        if path == bare {
            Some("")
        } else {
            path.strip_prefix(mirror.path.as_str())
        }
    };
    let matching = mirrors
        .iter()
        .filter_map(|mirror| Some((mirror, rest(mirror)?)));
    matching.max_by_key(|(mirror, _)| mirror.path.len())
}

fn mirrored(
    mirror: &Mirror,
    rest: &str,
    query: Option<&str>,
    written: &str,
) -> Result<Asked, TargetError> {
    let rest = query.map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    let upstreams: Result<Vec<Target>, TargetError> = mirror
        .upstreams
        .iter()
        .map(|base| base.join(&rest))
        .collect();
    Ok(Asked::Resource(Resource {
        form: Form::Mirror,
        target: mirror.key.join(&rest)?,
        upstreams: upstreams?,
        as_asked: written.to_owned(),
        cdn: mirror.cdn,
    }))
}

/// Credentials of an ftp URL are for nobody's log. The URL has been parsed: its authority ends at the first `/` or `?`.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{behind}"),
        None => url.to_owned(),
    }
}
