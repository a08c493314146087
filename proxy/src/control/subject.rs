//! What an operator names: a URL, read as the gateway would read it from a client.

use super::Refused;
use http::Method;
use weir_policies::target::{self, Asked, Form, Forms, OwnPage, Resource, Target};

/// Reads an absolute URL asked for in `form`, or a path as clients ask this gateway for it (a mirror's, say). A refusal
/// names it.
pub(super) fn read(url: &str, form: Form, forms: &Forms) -> Result<Resource, Refused> {
    let named = |reason| match url {
        "" => reason,
        _ => format!("{url}: {reason}"),
    };
    understand(url, form, forms).map_err(named)
}

/// As [`read`], where the URL is named by whoever tells the refusal.
pub(super) fn understand(url: &str, form: Form, forms: &Forms) -> Result<Resource, Refused> {
    if url.is_empty() {
        return Err("an empty URL".to_owned());
    }
    let request_target = match form {
        _ if url.starts_with('/') => url.to_owned(),
        Form::Download => format!("/download/{url}"),
        Form::Path => format!("/{url}"),
        Form::Forward | Form::Mirror => url.to_owned(),
    };
    match target::ask(&Method::GET, &request_target, forms) {
        Ok(Asked::Resource(resource)) => Ok(resource),
        Ok(Asked::Own(_)) if !url.starts_with('/') => Err(no_url(url)),
        Ok(Asked::Own(OwnPage::Unknown)) if !forms.path_forms => {
            Err("no mirror has this path, and [listen] path_forms is off".to_owned())
        }
        Ok(Asked::Own(_)) => Err("no mirror has this path".to_owned()),
        Ok(Asked::Tunnel { .. } | Asked::ServerWide) => Err("not a URL".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why something that was to be one is none; behind a path form it may have looked like another path.
fn no_url(text: &str) -> Refused {
    match Target::parse(text) {
        Err(error) => error.to_string(),
        // Only where paths are not served.
        Ok(_) => "not served in this form: [listen] path_forms is off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policies::target::Mirror;

    fn forms(path_forms: bool) -> Forms {
        let upstream = Target::parse("http://origin/debian/").unwrap();
        Forms {
            path_forms,
            mirrors: vec![Mirror {
                path: "/debian/".to_owned(),
                upstreams: vec![upstream.clone()],
                key: upstream,
                cdn: false,
            }],
        }
    }

    #[test]
    fn a_url_is_read_as_from_a_client() {
        let check = |url, form, expected: (&str, Form)| {
            let resource = read(url, form, &forms(true)).unwrap();
            let found = (resource.target.to_string(), resource.form);
            assert_eq!(found, (expected.0.to_owned(), expected.1), "{url}");
        };
        check(
            "HTTP://Host:80",
            Form::Forward,
            ("http://host/", Form::Forward),
        );
        check(
            "https://h/a?b",
            Form::Download,
            ("https://h/a?b", Form::Download),
        );
        check("https://h/a", Form::Path, ("https://h/a", Form::Path));
        check("/https/h/a", Form::Forward, ("https://h/a", Form::Path));
        check(
            "/debian/x",
            Form::Forward,
            ("http://origin/debian/x", Form::Mirror),
        );
    }

    #[test]
    fn what_is_no_resource_is_refused_with_a_reason() {
        let check = |url, path_forms, words: &str| {
            let refused = read(url, Form::Path, &forms(path_forms)).unwrap_err();
            assert!(refused.contains(words), "{url}: {refused}");
        };
        check("/nowhere", true, "no mirror");
        check("/https/h/a", false, "path_forms");
        check("*", true, "*");
        check("", true, "an empty URL");
        check("gopher://h/", true, "\"gopher\" is not served");
        check("nonsense", true, "nonsense: malformed");
        check("http://h/", false, "path_forms is off");
    }
}
