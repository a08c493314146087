//! Which request fields say who asks: the one list for sharing, storing, reuse and redirects.
//!
//! Authorization is not the only one. Package registries and object stores have fields of their own, and an answer to
//! one of those is no more everybody's than an answer to Authorization: RFC 9111 §3.5 is read as if it named them all.
//!
//! Deliberately absent: Cookie, which archives may drop and which therefore has its own way through [`crate::verdict`]
//! and [`crate::storability`]; Proxy-Authorization, which is said to Weir itself and ends here ([`crate::hop`]). A field
//! that is not in the list is public: for an origin that knows its clients by a name of its own choice there are rules
//! (`store = "never"`), or a `Vary` or `private` of that origin.

use http::{HeaderMap, HeaderName};

/// Sorted, for the look-up.
const FIELDS: [&str; 30] = [
    "api-key",
    "apikey",
    "authorization",
    "cf-access-client-secret",
    "cf-access-token",
    "deploy-token",
    "dpop",
    "job-token",
    "ocp-apim-subscription-key",
    "private-token",
    "x-access-token",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-api-key",
    "x-api-token",
    "x-apikey",
    "x-auth-key",
    "x-auth-token",
    "x-cos-security-token",
    "x-functions-key",
    "x-goog-api-key",
    "x-goog-encryption-key",
    "x-goog-iam-authorization-token",
    "x-jfrog-art-api",
    "x-ms-encryption-key",
    "x-nuget-apikey",
    "x-obs-security-token",
    "x-oss-security-token",
    "x-registry-auth",
    "x-vault-token",
];

/// Whether a request with these fields says who asks. Cookies are another matter, see above.
#[must_use]
pub fn are_in(request: &HeaderMap) -> bool {
    request.keys().any(is_credential)
}

/// Whether a field of this name says who asks. Cookies are another matter, see above.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    is_listed(name.as_str())
}

/// [`is_credential`] of a name in lower case.
pub(crate) fn is_listed(name: &str) -> bool {
    FIELDS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_list_is_sorted_and_in_lower_case() {
        assert!(FIELDS.is_sorted());
        for name in FIELDS {
            assert_eq!(HeaderName::from_static(name).as_str(), name);
        }
    }

    #[test]
    fn a_request_with_any_of_them_says_who_asks() {
        let check = |name: &str, expected: bool| {
            let name: HeaderName = name.parse().unwrap();
            let request = HeaderMap::from_iter([
                (HeaderName::from_static("accept"), "*/*".parse().unwrap()),
                (name.clone(), HeaderValue::from_static("x")),
            ]);
            assert_eq!(are_in(&request), expected, "{name}");
        };
        for name in FIELDS {
            check(name, true);
        }
        check("X-JFrog-Art-Api", true);
        for name in ["user-agent", "cookie", "proxy-authorization", "x-api-keys"] {
            check(name, false);
        }
        assert!(!are_in(&HeaderMap::new()));
    }
}
