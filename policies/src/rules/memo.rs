//! Remembers which rule speaks for a URL: most requests are for what was asked for a moment ago, and holding a path
//! against a hundred globs costs more than the rest of the verdict together.
//!
//! A table of fixed size, each URL in the one place that its hash gives, the last one staying. What is remembered can
//! only be what would be found again: rules never change once they are compiled, and the query has no part in them.
//!
//! Bounded by the number of places and by [`BYTES_MAX`] of each. Deliberately absent: rules with conditions on the
//! response, which are few and see other facts every time.

use crate::effect::Effect;
use crate::target::{Form, Resource, Scheme};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// URLs remembered at once; a power of two.
const PLACES: usize = 4096;
/// Longer hosts and paths are not remembered, bytes.
const BYTES_MAX: usize = 512;

/// The table.
#[derive(Debug)]
pub(super) struct Memo {
    places: Box<[Mutex<Option<Remembered>>]>,
    /// Secret of the process: nobody can build URLs that push each other out.
    secret: RandomState,
}

#[derive(Debug)]
struct Remembered {
    form: Form,
    scheme: Scheme,
    host: Box<str>,
    path: Box<str>,
    effect: Arc<Effect>,
}

impl Memo {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            secret: RandomState::new(),
        }
    }

    /// What is remembered of `resource`, else what `find` finds.
    pub(super) fn effect(
        &self,
        resource: &Resource,
        find: impl FnOnce() -> Arc<Effect>,
    ) -> Arc<Effect> {
        let Some(place) = self.place(resource) else {
            return find();
        };
        let mut remembered = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.as_ref().filter(|known| known.is_of(resource)) {
            return Arc::clone(&known.effect);
        }
        drop(remembered);
        let effect = find();
        remembered = place.lock().unwrap_or_else(PoisonError::into_inner);
        *remembered = Some(Remembered::new(resource, &effect));
        effect
    }

    /// `None` for what is too long to be remembered.
    fn place(&self, resource: &Resource) -> Option<&Mutex<Option<Remembered>>> {
        let (host, path) = (resource.target.host(), resource.target.path());
        if host.len().saturating_add(path.len()) > BYTES_MAX {
            return None;
        }
        let hash = self.secret.hash_one((resource.form, host, path));
        let place = usize::try_from(hash % PLACES as u64).ok()?;
        self.places.get(place)
    }
}

impl Remembered {
    fn new(resource: &Resource, effect: &Arc<Effect>) -> Self {
        Self {
            form: resource.form,
            scheme: resource.target.scheme(),
            host: resource.target.host().into(),
            path: resource.target.path().into(),
            effect: Arc::clone(effect),
        }
    }

    fn is_of(&self, resource: &Resource) -> bool {
        let target = &resource.target;
        self.form == resource.form
            && self.scheme == target.scheme()
            && *self.host == *target.host()
            && *self.path == *target.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use std::cell::Cell;

    fn resource(form: Form, url: &str) -> Resource {
        let target = Target::parse(url).unwrap();
        Resource {
            form,
            upstreams: vec![target.clone()],
            target,
            as_asked: url.to_owned(),
            cdn: false,
        }
    }

    #[test]
    fn whatever_a_rule_can_ask_for_is_told_apart() {
        let memo = Memo::new();
        let looks = Cell::new(0);
        let check = |form, url: &str, fresh_looks: u32| {
            let before = looks.get();
            for _ in 0..2 {
                let effect = memo.effect(&resource(form, url), || {
                    looks.set(looks.get() + 1);
                    let rule = Some(format!("{form:?} {url}"));
                    Arc::new(Effect {
                        rule,
                        ..Effect::default()
                    })
                });
                let same = |rule: &str| {
                    rule.split('?').next() == format!("{form:?} {url}").split('?').next()
                };
                assert!(effect.rule.as_deref().is_some_and(same), "{effect:?}");
            }
            assert_eq!(looks.get() - before, fresh_looks, "{form:?} {url}");
        };
        check(Form::Forward, "http://h/p", 1);
        check(Form::Download, "http://h/p", 1);
        check(Form::Download, "https://h/p", 1);
        check(Form::Download, "https://h2/p", 1);
        check(Form::Download, "https://h2/q", 1);
        check(Form::Download, "https://h2/q?x", 0);
        check(Form::Forward, &format!("http://h/{}", "x".repeat(600)), 2);
    }

    #[test]
    fn a_place_belongs_to_the_last_one() {
        let memo = Memo::new();
        let urls: Vec<String> = (0..3 * PLACES).map(|n| format!("http://h/{n}")).collect();
        for url in urls.iter().chain(&urls) {
            let effect = memo.effect(&resource(Form::Forward, url), || {
                let rule = Some(url.clone());
                Arc::new(Effect {
                    rule,
                    ..Effect::default()
                })
            });
            assert_eq!(effect.rule.as_deref(), Some(url.as_str()));
        }
    }
}
