//! What an operator names: a URL, read as the gateway would read it from a client.

use super::Refused;
use http::Method;
use weir_policies::target::{self, Asked, Form, Forms, OwnPage, Resource};

/// Reads an absolute URL asked for in `form`, or a path as clients ask this gateway for it (a mirror's, say).
pub(super) fn read(url: &str, form: Form, forms: &Forms) -> Result<Resource, Refused> {
    let request_target = match form {
        _ if url.starts_with('/') => url.to_owned(),
        Form::Download => format!("/download/{url}"),
        Form::Path => format!("/{url}"),
        Form::Forward | Form::Mirror => url.to_owned(),
    };
    match target::ask(&Method::GET, &request_target, forms) {
        Ok(Asked::Resource(resource)) => Ok(resource),
        Ok(Asked::Own(OwnPage::Unknown)) if !forms.path_forms => Err(format!(
            "{request_target}: no mirror has this path, and [listen] path_forms is off"
        )),
        Ok(Asked::Own(_)) => Err(format!("{request_target}: no mirror has this path")),
        Ok(Asked::Tunnel { .. } | Asked::ServerWide) => Err(format!("{url}: not a URL")),
        Err(error) => Err(format!("{url}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policies::target::{Mirror, Target};

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
        check("", true, "no mirror");
        check("gopher://h/", true, "no mirror");
    }
}
