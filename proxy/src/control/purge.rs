//! `weir purge`: removes what is stored, or has its origin asked, or says what that would concern.

use super::dialog::{Dialog, DialogError};
use super::list::{Walks, too_many_walks};
use super::protocol::{Progress, Purging, Reply, Scope, ScopeKind, Then};
use super::shown::{Purged, WouldPurge};
use super::{Refused, subject};
use crate::gateway::Gateway;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::{Form, Forms};

/// So often a walk finds out whether anybody still listens.
const NEWS_INTERVAL: Duration = Duration::from_secs(2);

pub(super) async fn purge(gateway: &Gateway, purging: &Purging) -> Result<Purged, Refused> {
    let scope = scope(&purging.scope, &gateway.forms)?;
    let (mode, outcome) = match purging.then {
        Then::Remove => (PurgeMode::Remove, "removed"),
        Then::Ask => (PurgeMode::Stale, "stale"),
    };
    let purged = gateway.engine.purge(&scope, mode).await;
    let purged = purged.map_err(|error| format!("{scope}: {error}"))?;
    let (by, text) = scope.parts();
    Ok(Purged {
        by: by.to_owned(),
        scope: text.to_owned(),
        outcome: outcome.to_owned(),
        objects: purged.objects,
        bytes: purged.bytes,
        fetches: purged.flights as u64,
        is_pending: purged.is_pending,
    })
}

/// An error ends the connection without an answer; a refusal is the answer.
pub(super) async fn would_purge<S>(
    gateway: &Gateway,
    walks: &Walks,
    asked: &Scope,
    dialog: &mut Dialog<S>,
) -> Result<Result<WouldPurge, Refused>, DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Ok(_permit) = walks.try_acquire() else {
        return Ok(Err(too_many_walks()));
    };
    let scope = match scope(asked, &gateway.forms) {
        Ok(scope) => scope,
        Err(refused) => return Ok(Err(refused)),
    };
    let walking = gateway.engine.would_purge(&scope);
    tokio::pin!(walking);
    let mut news = interval_at(Instant::now() + NEWS_INTERVAL, NEWS_INTERVAL);
    news.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let would = loop {
        tokio::select! {
            biased;
            would = &mut walking => break would,
            _ = news.tick() => dialog.say(&Reply::<()>::Progress(Progress::default())).await?,
        }
    };
    let (by, text) = scope.parts();
    Ok(would
        .map_err(|error| error.to_string())
        .map(|would| WouldPurge {
            by: by.to_owned(),
            scope: text.to_owned(),
            objects: would.objects,
            bytes: would.bytes,
        }))
}

/// What is meant, in normal form. URLs belong together in whatever form they are asked for.
pub(super) fn scope(asked: &Scope, forms: &Forms) -> Result<PurgeScope, Refused> {
    let text = asked.text.as_str();
    let scope = match asked.by {
        ScopeKind::Url => {
            return Ok(PurgeScope::url(
                &subject::read(text, Form::Forward, forms)?.target,
            ));
        }
        ScopeKind::Prefix if text.starts_with('/') => {
            let resource = subject::read(text, Form::Forward, forms)?;
            PurgeScope::prefix(&resource.target.to_string())
        }
        ScopeKind::Prefix => PurgeScope::prefix(text),
        ScopeKind::Tag => PurgeScope::tag(text),
    };
    scope.map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_in_every_form() {
        let forms = Forms {
            path_forms: true,
            ..Forms::default()
        };
        let check = |by: ScopeKind, text: &str, expected: Option<(&str, &str)>| {
            let asked = Scope {
                by,
                text: text.to_owned(),
            };
            let scope = scope(&asked, &forms);
            assert_eq!(
                scope.as_ref().ok().map(PurgeScope::parts),
                expected,
                "{text}"
            );
        };
        let (url, prefix, tag) = (ScopeKind::Url, ScopeKind::Prefix, ScopeKind::Tag);
        check(url, "HTTP://H:80/a", Some(("url", "http://h/a")));
        check(url, "/download/http://h/a", Some(("url", "http://h/a")));
        check(url, "/http/h/a", Some(("url", "http://h/a")));
        check(url, "h/a", None);
        check(prefix, "http://H", Some(("prefix", "http://h/")));
        check(
            prefix,
            "/download/http://h/a",
            Some(("prefix", "http://h/a")),
        );
        check(prefix, "", None);
        check(prefix, "/", None);
        check(prefix, "/nowhere/", None);
        check(tag, "a-b", Some(("tag", "a-b")));
        check(tag, "a b", None);
    }
}
