//! `weir ls`: a walk through everything that is stored, a page at a time.
//!
//! The head of every object that is not open is read from its file: a walk costs the disk one small read an object.
//! The next page is looked for when the last one has been taken, so whoever reads slowly slows down only the walk; who
//! reads nothing for a minute ends it. In memory there is one page. In no order.

use super::dialog::{Dialog, DialogError};
use super::protocol::{Filter, Listing, Reply};
use super::purge::scope;
use super::shown::{Listed as Shown, ListedObject};
use super::{Refused, subject};
use crate::access_log::rfc3339;
use crate::gateway::Gateway;
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use weir_cache::engine::{EntryKind, Listed};
use weir_policies::pattern::UrlPattern;
use weir_policies::purge::PurgeScope;
use weir_policies::target::{Form, Forms};

/// Walks at once: each keeps a thread of the disk pool busy.
pub(super) const WALKS_MAX: usize = 4;
/// Objects looked at for one page.
const PAGE: usize = 64;
/// After so many pages without anything to show an empty one is sent: it finds out whether anybody still listens.
const SILENT_PAGES_MAX: u32 = 16;

/// Walks that may still begin.
pub(super) type Walks = Semaphore;

/// What is shown.
enum Wanted {
    Matching(UrlPattern),
    CoveredBy(PurgeScope),
}

/// A walk under way.
struct Walk {
    wanted: Wanted,
    now: SystemTime,
    /// Objects that may still be listed.
    left: u64,
    told: Shown,
}

/// An error ends the connection without an answer; a refusal is the answer.
pub(super) async fn list<S>(
    gateway: &Gateway,
    walks: &Walks,
    listing: &Listing,
    dialog: &mut Dialog<S>,
) -> Result<Result<Shown, Refused>, DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Ok(_permit) = walks.try_acquire() else {
        return Ok(Err(too_many_walks()));
    };
    let mut walk = match Walk::of(gateway, listing) {
        Ok(walk) => walk,
        Err(refused) => return Ok(Err(refused)),
    };
    let (mut cursor, mut silent) = (None, 0);
    while walk.told.is_whole {
        let page = match gateway.engine.survey(cursor, PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let found = walk.take(page.listed);
        silent = if found.is_empty() { silent + 1 } else { 0 };
        if silent == 0 || silent >= SILENT_PAGES_MAX {
            silent = 0;
            dialog.say(&Reply::<()>::Objects(found)).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(Ok(walk.told))
}

pub(super) fn too_many_walks() -> Refused {
    format!("{WALKS_MAX} walks through the store are under way: try again when one has ended")
}

impl Walk {
    fn of(gateway: &Gateway, listing: &Listing) -> Result<Self, Refused> {
        let wanted = match &listing.filter {
            Filter::Pattern(text) => Wanted::Matching(pattern(text, &gateway.forms)?),
            Filter::Scope(asked) => Wanted::CoveredBy(scope(asked, &gateway.forms)?),
        };
        Ok(Self {
            wanted,
            now: gateway.clock.wall(),
            left: listing.limit.unwrap_or(u64::MAX),
            told: Shown {
                objects: 0,
                bytes: 0,
                is_whole: true,
            },
        })
    }

    fn take(&mut self, page: Vec<Listed>) -> Vec<ListedObject> {
        let mut found = Vec::new();
        for listed in page {
            if !self.wants(&listed) {
                continue;
            }
            if self.left == 0 {
                self.told.is_whole = false;
                break;
            }
            self.left -= 1;
            self.told.objects = self.told.objects.saturating_add(1);
            self.told.bytes = self.told.bytes.saturating_add(listed.length);
            found.push(shown(listed, self.now));
        }
        found
    }

    fn wants(&self, listed: &Listed) -> bool {
        match &self.wanted {
            Wanted::Matching(pattern) => pattern.matches(&listed.url),
            Wanted::CoveredBy(scope) => listed.is_covered_by(scope),
        }
    }
}

/// A path of this gateway stands for what it is kept under; what follows its first `*` is not part of it.
fn pattern(text: &str, forms: &Forms) -> Result<UrlPattern, Refused> {
    let written = if text.starts_with('/') {
        let end = text.find('*').unwrap_or(text.len());
        let (path, rest) = text.split_at(end);
        let target = subject::read(path, Form::Forward, forms)?.target;
        format!("{target}{rest}")
    } else {
        text.to_owned()
    };
    UrlPattern::parse(&written).map_err(|error| error.to_string())
}

fn shown(listed: Listed, now: SystemTime) -> ListedObject {
    let age = now.duration_since(listed.stored_at).unwrap_or_default();
    ListedObject {
        kind: kind(listed.entry).to_owned(),
        status: listed.status.as_u16(),
        length_bytes: listed.length,
        sequence: listed.sequence.0,
        stored_at: rfc3339(listed.stored_at),
        age_seconds: age.as_secs(),
        unused_seconds: listed.unused_for,
        pinned: listed.pinned,
        immutable: listed.immutable,
        invalidated: listed.invalidated,
        url: listed.url,
        tags: listed.tags,
        content_type: listed.content_type,
    }
}

fn kind(entry: EntryKind) -> &'static str {
    match entry {
        EntryKind::Plain => "plain",
        EntryKind::Followed => "followed",
        EntryKind::Conflict => "conflict",
        EntryKind::Part => "part",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_begin_with_a_path_of_the_gateway() {
        let forms = Forms {
            path_forms: true,
            ..Forms::default()
        };
        let check = |text: &str, url: &str, expected: bool| {
            let pattern = pattern(text, &forms).unwrap();
            assert_eq!(pattern.matches(url), expected, "{text} {url}");
        };
        check("/download/http://H/a/*.deb", "http://h/a/b.deb", true);
        check("/download/http://H/a/*.deb", "http://h/b.deb", false);
        check("/http/h/a", "http://h/abc", true);
        check("http://h/a", "http://h/abc", true);
        check("*.deb", "http://h/a/b.deb", true);
        assert!(pattern("/nowhere/*", &forms).is_err());
    }
}
