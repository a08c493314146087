//! A body that broke off, continued (RFC 9110 §14.2, §13.1.5).
//!
//! The sources are asked again from the URL that the client asked for, because signed URLs expire; what comes back must
//! be the same representation by a strong validator. A source that has another one is set aside for this object.
//!
//! Invariants: a byte is only ever appended behind the one that precedes it in the same representation; attempts
//! without progress are bounded and spend the budget of retries.

use super::Fill;
use super::body::Extent;
use crate::engine::sources::{Asked, Asking};
use crate::object::ObjectHead;
use crate::ports::OriginError;
use http::{HeaderValue, header};
use weir_policies::revalidation::{self, Resumption};
use weir_policies::target::Target;

/// With less than this since the last break the next attempt waits for a moment, bytes.
const PROGRESS_BYTES_MIN: u64 = 16 * 1024;

/// What became of a broken body.
pub(super) enum Resumed {
    /// Goes on with this response, of whose body so many bytes are here already.
    Continues(Box<Asked>, u64),
    /// Everything was here already.
    Complete,
    /// The origin has another representation now: a new object.
    Replaced(Box<Asked>),
    /// It cannot be continued.
    Failed(OriginError),
}

/// What resuming needs to remember between breaks of one body.
#[derive(Debug)]
pub(super) struct Resume {
    /// Where the last break was, and how often no byte came since.
    broke_at: u64,
    fruitless: u32,
    /// The source that the bytes so far came from.
    source: Target,
    /// Sources that have something else.
    set_aside: Vec<Target>,
}

impl Resume {
    pub(super) fn new(source: Target) -> Self {
        Self {
            broke_at: 0,
            fruitless: 0,
            source,
            set_aside: Vec::new(),
        }
    }

    /// Finds a response that continues `growing` at `received`.
    pub(super) async fn run(
        &mut self,
        fill: &Fill,
        head: &ObjectHead,
        extent: Extent,
        at: u64,
        error: OriginError,
    ) -> Resumed {
        let Some(validator) = revalidation::strong_validator(&head.headers, head.exchange) else {
            return Resumed::Failed(error);
        };
        let Some(asking) = asking_from(fill, at, extent, validator) else {
            return Resumed::Failed(error);
        };
        let progress = at.saturating_sub(self.broke_at);
        self.broke_at = at;
        if progress > 0 {
            self.fruitless = 0;
        }
        // An origin that breaks off after every few bytes is not asked at full speed.
        if (1..PROGRESS_BYTES_MIN).contains(&progress) {
            tokio::time::sleep(fill.engine.origins.breath()).await;
        }
        let mut error = error;
        while self.may_try(fill).await {
            match self.attempt(fill, head, extent, at, &asking).await {
                Ok(Some(resumed)) => return resumed,
                Ok(None) => {}
                Err(newer) => error = newer,
            }
        }
        Resumed::Failed(error)
    }

    /// The first attempt after progress is free.
    async fn may_try(&mut self, fill: &Fill) -> bool {
        let attempt = self.fruitless;
        self.fruitless += 1;
        if attempt == 0 {
            return true;
        }
        if attempt > fill.settings.retries_max {
            return false;
        }
        let Some(pause) = fill.engine.origins.pause(attempt) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    async fn attempt(
        &mut self,
        fill: &Fill,
        head: &ObjectHead,
        extent: Extent,
        at: u64,
        asking: &Asking,
    ) -> Result<Option<Resumed>, OriginError> {
        let mut failure = None;
        // The one that broke off first: it is the likeliest to have the same bytes.
        let others = fill.request.resource.upstreams.iter();
        let others = others.filter(|other| **other != self.source).cloned();
        let mut sources: Vec<Target> = std::iter::once(self.source.clone()).chain(others).collect();
        // One that answers and brings nothing is not asked first again.
        let fruitless = self.fruitless.saturating_sub(1) as usize;
        let first = fruitless % sources.len().max(1);
        sources.rotate_left(first);
        for source in sources {
            if self.set_aside.contains(&source) {
                continue;
            }
            let asked = match fill
                .engine
                .ask_one(&fill.request, asking, source.clone())
                .await
            {
                Ok(asked) => asked,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let answer = &asked.response;
            let resumption = revalidation::resumption(
                &head.headers,
                extent.total,
                at,
                answer.status,
                &answer.headers,
            );
            match resumption {
                Resumption::Continues => {
                    return Ok(Some(Resumed::Continues(Box::new(asked), 0)));
                }
                Resumption::Repeats => {
                    return Ok(Some(Resumed::Continues(Box::new(asked), at)));
                }
                Resumption::Complete => return Ok(Some(Resumed::Complete)),
                // What the URL's own origin says counts; a mirror that differs is only a bad mirror.
                Resumption::Replaced if source == self.source => {
                    return Ok(Some(Resumed::Replaced(Box::new(asked))));
                }
                Resumption::Replaced => self.set_aside(source),
                Resumption::Useless if !answer.status.is_server_error() => self.set_aside(source),
                Resumption::Useless => {}
            }
        }
        failure.map_or(Ok(None), Err)
    }

    fn set_aside(&mut self, source: Target) {
        let host = source.authority();
        tracing::warn!(
            host,
            "another size or validator than the bytes so far; set aside"
        );
        self.set_aside.push(source);
    }
}

/// The same request, for the rest, if it is still the same.
fn asking_from(fill: &Fill, at: u64, extent: Extent, validator: HeaderValue) -> Option<Asking> {
    let mut asking = fill.asking.clone();
    // Of a part no more than the part; of a whole whatever there is.
    let last = extent
        .end
        .filter(|end| extent.total != Some(*end) && *end > at);
    let last = last.map_or_else(String::new, |end| (end - 1).to_string());
    let range = HeaderValue::try_from(format!("bytes={at}-{last}")).ok()?;
    asking.headers.insert(header::RANGE, range);
    asking.headers.insert(header::IF_RANGE, validator);
    Some(asking)
}
