//! How a cacheable request is to be treated: what the rules, the request and the mirror say, put together once.
//!
//! Invariant: what is learned later ([`Plan::refined`]) can take sharing away and never give it. Deliberately absent:
//! what is stored already, and what the response says of itself.

use crate::cache_control::RequestDirectives;
use crate::credentials;
use crate::effect::{Effect, Overlay, StoreRule};
use crate::freshness::Adjust;
use crate::rules::{ResponseFacts, Rules, is_archive};
use crate::target::{Form, Resource};
use http::HeaderMap;
use http::header::COOKIE;
use std::borrow::Cow;
use std::sync::Arc;

/// How a cacheable request is to be treated.
#[derive(Debug, Clone)]
pub struct Plan {
    /// May lead or join a shared fill: no credentials, no Cookie that counts, no request no-store, no rule against
    /// it.
    pub shared: bool,
    /// The request's Cookie does not count and must not reach the upstream: archives are the same for everybody.
    pub drop_cookie: bool,
    /// The upstream is asked for `Accept-Encoding: identity`, and the bytes are what their digests say they are.
    pub identity_only: bool,
    /// Redirects are followed for the client.
    pub follows: bool,
    /// What the rules say, with the overlay over it.
    pub effect: Arc<Effect>,
    /// What rules and the mirror say of freshness.
    pub adjust: Adjust,
    /// The request's own directives.
    pub directives: RequestDirectives,
    /// The rules, when some of them can only be judged with the response: see [`Plan::refined`].
    pub rules: Option<Arc<Rules>>,
    /// What is laid over the effect of every rule, also of one that speaks later: see [`Plan::overlaid`].
    pub overlay: Option<Overlay>,
}

impl Plan {
    /// A body of GET or HEAD changes nothing here (RFC 9110 §9.3.1): it has no part in the key and is never sent
    /// upstream.
    pub(super) fn of(headers: &HeaderMap, resource: &Resource, rules: &Arc<Rules>) -> Self {
        let directives = RequestDirectives::of(headers);
        let effect = rules.effect(resource);
        let immutable = effect.adjust.immutable;
        let has_cookie = headers.contains_key(COOKIE);
        let personal = credentials::are_in(headers) || (has_cookie && !immutable);
        let shared = !personal && !directives.no_store && effect.store != StoreRule::Never;
        Self {
            shared,
            drop_cookie: shared && has_cookie,
            identity_only: immutable && is_archive(resource.target.path()),
            follows: follows(&effect, resource.form),
            adjust: adjust(&effect, resource),
            effect,
            directives,
            rules: rules.look_at_responses().then(|| Arc::clone(rules)),
            overlay: None,
        }
    }

    /// The plan with something laid over what the rules say now and may say of the response.
    #[must_use]
    pub fn overlaid(self, overlay: Overlay) -> Self {
        let effect = Arc::new(overlay.over(&self.effect));
        Self {
            shared: self.shared && effect.store != StoreRule::Never,
            effect,
            overlay: Some(overlay),
            ..self
        }
    }

    /// The plan as it is once the fields of a response to `resource` are known, fetched or stored: rules about sizes
    /// and media types have their say. How the upstream was asked is decided by then and stays as it was.
    ///
    /// Of a 304 the stored fields are wanted, not its own.
    #[must_use]
    pub fn refined(&self, resource: &Resource, response: &HeaderMap) -> Cow<'_, Self> {
        let Some(rules) = &self.rules else {
            return Cow::Borrowed(self);
        };
        let by_rule = rules.effect_of_response(resource, &ResponseFacts::of(response));
        let effect = match self.overlay {
            None => by_rule,
            Some(overlay) => Arc::new(overlay.over(&by_rule)),
        };
        // Of an effect with something over it, every look makes another one.
        if Arc::ptr_eq(&effect, &self.effect) || effect == self.effect {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            shared: self.shared && effect.store != StoreRule::Never,
            adjust: adjust(&effect, resource),
            effect,
            ..self.clone()
        })
    }
}

/// Whoever asks by path has no redirect of its own to follow: the URL would not lead back through here.
fn follows(effect: &Effect, form: Form) -> bool {
    let by_form = match form {
        Form::Download | Form::Path => true,
        Form::Forward | Form::Mirror => false,
    };
    effect.follow_redirects.unwrap_or(by_form)
}

fn adjust(effect: &Effect, resource: &Resource) -> Adjust {
    Adjust {
        cdn: resource.cdn,
        ..effect.adjust
    }
}
