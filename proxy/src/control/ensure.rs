//! `weir ensure`, the gateway's side: one URL a connection, news of its bytes, and what came of it.
//!
//! The fill belongs to the object: it never waits for this connection, and goes on when it breaks.

use super::dialog::{Dialog, DialogError};
use super::protocol::{Progress, Reply, Wanted};
use super::shown::Ensured as Shown;
use super::{Refused, subject};
use crate::gateway::Gateway;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use weir_cache::engine::{Ensured, Failure, Lack, LastResponse, Onlooker, Way};
use weir_policies::target::{Form, Forms, Resource};

/// URLs that are ensured at once; connections for other commands stay free.
pub(super) const ENSURED_MAX: usize = 64;
/// Between two lines of news.
const NEWS_INTERVAL: Duration = Duration::from_millis(250);
/// So often a line is written although nothing is new: it finds out whether anybody still listens.
const QUIET_NEWS_MAX: u32 = 8;

/// Ensures one URL. An error ends the connection without an answer; a refusal is the answer.
pub(super) async fn ensure<S>(
    gateway: &Gateway,
    permits: &Semaphore,
    wanted: &Wanted,
    dialog: &mut Dialog<S>,
) -> Result<Result<Shown, Refused>, DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Ok(_permit) = permits.try_acquire() else {
        let refused = format!("{ENSURED_MAX} URLs are being ensured already: try a few at a time");
        return Ok(Err(refused));
    };
    let request = resource(wanted, &gateway.forms).and_then(|resource| gateway.filling(resource));
    let request = match request {
        Ok(request) => request,
        Err(refused) => return Ok(Err(refused)),
    };
    let target = request.resource.target.to_string();
    let onlooker = Onlooker::default();
    let ensuring = gateway.engine.ensure(&request, &onlooker);
    tokio::pin!(ensuring);
    let mut news = interval_at(Instant::now() + NEWS_INTERVAL, NEWS_INTERVAL);
    news.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut quiet) = (Progress::default(), 0);
    let ensured = loop {
        tokio::select! {
            biased;
            ensured = &mut ensuring => break ensured,
            _ = news.tick() => {}
        }
        let now = onlooker.arrived().map_or(told, Progress::from);
        quiet = if now == told { quiet + 1 } else { 0 };
        if quiet == 0 || quiet >= QUIET_NEWS_MAX {
            (told, quiet) = (now, 0);
            dialog.say(&Reply::<()>::Progress(now)).await?;
        }
    };
    Ok(Ok(shown(target, &ensured)))
}

/// By default as `/download/` asks; where that is not served, nobody follows redirects here.
fn resource(wanted: &Wanted, forms: &Forms) -> Result<Resource, Refused> {
    let form = match wanted.form.into() {
        Form::Download if !forms.path_forms => Form::Forward,
        form => form,
    };
    subject::understand(&wanted.url, form, forms)
}

fn shown(target: String, ensured: &Ensured) -> Shown {
    let (outcome, object, reason) = match ensured {
        Ensured::Here(object, _) if object.head().status.as_u16() >= 400 => {
            let status = object.head().status.as_u16();
            let reason = format!("the upstream answers {status}, and that answer is stored");
            ("failed", None, Some(reason))
        }
        Ensured::Here(object, Way::Hit) => ("cached", Some(object), None),
        Ensured::Here(object, Way::Revalidated) => ("revalidated", Some(object), None),
        Ensured::Here(object, Way::Fetched) => ("fetched", Some(object), None),
        Ensured::Stale(object, lack) => ("stale", Some(object), Some(why(lack))),
        Ensured::Missing(lack) => ("failed", None, Some(why(lack))),
    };
    Shown {
        outcome: outcome.to_owned(),
        target,
        length_bytes: object.map(|object| object.length()),
        reason,
    }
}

fn why(lack: &Lack) -> String {
    match lack {
        Lack::Failed(failure) => match &**failure {
            Failure::Origin(error) => error.to_string(),
            Failure::Status(answer) => {
                format!("the upstream answered {}", answer.status.as_u16())
            }
        },
        Lack::Response(last) => response(last),
        Lack::NotShared => "a rule says store = \"never\"".to_owned(),
        Lack::Full => "too many fills at once, or the gateway is stopping".to_owned(),
        Lack::Contradicted => {
            "its origin answers with other bytes than the immutable object's: see weir conflict"
                .to_owned()
        }
        Lack::Unsettled => "it was gone again every time: the URL keeps changing".to_owned(),
    }
}

fn response(last: &LastResponse) -> String {
    let words = last.fate.in_words();
    match last.status {
        Some(status) => format!("{}, {words}", status.as_u16()),
        None => words,
    }
}
