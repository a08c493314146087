//! The clients of the model: what they ask for, and what they got.

use super::book::Told;
use super::origin::{ASKED, VERSION};
use crate::engine::tests::world::{outcome, request, stored};
use crate::engine::{Answer, Engine, Failure, FetchRequest, FlightReader};
use crate::ports::{OriginError, OriginResponse};
use http::{HeaderMap, Method, StatusCode};
use rand::Rng;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::effect::RangeMiss;
use weir_policies::outcome::Outcome;

/// What a client insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insists {
    Nothing,
    NoCache,
    MaxStale(u64),
    OnlyIfCached,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) page: usize,
    pub(super) url: &'static str,
    pub(super) language: usize,
    pub(super) immutable: bool,
    pub(super) head: bool,
    pub(super) insists: Insists,
    pub(super) credentials: bool,
    /// First and last byte.
    pub(super) range: Option<(usize, usize)>,
    pub(super) range_miss: RangeMiss,
    /// What its rule allows while the origin fails, seconds.
    pub(super) stale_for: Option<u64>,
    pub(super) leaves_after: Option<usize>,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Got {
    Body(Vec<u8>),
    Cut(Vec<u8>),
    /// A head without a body, as it was wanted.
    Head,
    /// 416
    Unsatisfiable,
    Failed,
    NotCached,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) wish: Wish,
    pub(super) started: u64,
    pub(super) at: Duration,
    /// The last tick before it when nothing ran.
    pub(super) idle: u64,
    pub(super) outcome: Option<Outcome>,
    /// Of which version the head speaks.
    pub(super) told: Option<Told>,
    /// When its bytes were asked for.
    pub(super) asked: Option<u64>,
    /// The bytes are only those from..to.
    pub(super) slice: Option<(usize, usize)>,
    pub(super) got: Got,
    /// It stopped reading on its own.
    pub(super) left: bool,
    /// Seconds of freshness left, where it came from the store.
    pub(super) ttl: Option<i64>,
    /// What it was told of a failure.
    pub(super) failure: Option<Arc<Failure>>,
}

impl Wish {
    pub(super) fn random(random: &mut SmallRng, page: usize, url: &'static str) -> Self {
        let insists = match random.random_range(0..20) {
            0..2 => Insists::NoCache,
            2..4 => Insists::MaxStale(random.random_range(1..60)),
            4 => Insists::OnlyIfCached,
            _ => Insists::Nothing,
        };
        let from = random.random_range(0..400_000);
        let range = (from, from + random.random_range(0..200_000));
        let whole_ends = [
            (0, 200_000),
            (150_000, 400_000),
            (390_000, 10_000_000),
            range,
        ];
        Self {
            page,
            url,
            language: random.random_range(0..2),
            immutable: false,
            head: random.random_bool(0.08),
            insists,
            credentials: random.random_bool(0.06),
            range: random
                .random_bool(0.3)
                .then(|| whole_ends[random.random_range(0..4)]),
            range_miss: if random.random() {
                RangeMiss::Part
            } else {
                RangeMiss::Whole
            },
            stale_for: random.random_bool(0.3).then_some(20),
            leaves_after: random
                .random_bool(0.15)
                .then(|| random.random_range(0..400_000)),
        }
    }

    pub(super) fn plain(page: usize, url: &'static str, language: usize) -> Self {
        Self {
            page,
            url,
            language,
            immutable: false,
            head: false,
            insists: Insists::Nothing,
            credentials: false,
            range: None,
            range_miss: RangeMiss::Whole,
            stale_for: None,
            leaves_after: None,
        }
    }

    pub(super) fn request(&self) -> FetchRequest {
        let language = if self.language == 0 { "en" } else { "de" };
        let control = match self.insists {
            Insists::Nothing => None,
            Insists::NoCache => Some("no-cache".to_owned()),
            Insists::MaxStale(seconds) => Some(format!("max-stale={seconds}")),
            Insists::OnlyIfCached => Some("only-if-cached".to_owned()),
        };
        let range = self
            .range
            .map(|(from, last)| format!("bytes={from}-{last}"));
        let mut fields = vec![("accept-language", language)];
        if let Some(control) = &control {
            fields.push(("cache-control", control));
        }
        if let Some(range) = &range {
            fields.push(("range", range));
        }
        if self.credentials {
            fields.push(("authorization", "Basic Zm9vOmJhcg=="));
        }
        let method = if self.head { Method::HEAD } else { Method::GET };
        let mut request = request(method, self.url, &fields);
        request.plan.adjust.immutable = self.immutable;
        request.plan.adjust.stale_for = self.stale_for;
        let mut effect = (*request.plan.effect).clone();
        effect.range_miss = self.range_miss;
        request.plan.effect = effect.into();
        request
    }
}

impl Client {
    pub(super) fn new(wish: Wish, started: u64, at: Duration, idle: u64) -> Self {
        Self {
            wish,
            started,
            at,
            idle,
            outcome: None,
            told: None,
            asked: None,
            slice: None,
            got: Got::NotCached,
            left: false,
            ttl: None,
            failure: None,
        }
    }

    pub(super) async fn run(mut self, engine: Arc<Engine>) -> Self {
        let answer = engine.fetch(&self.wish.request()).await;
        self.outcome = outcome(&answer);
        self.slice = self.wish.range.map(|(from, last)| (from, last + 1));
        match answer {
            Answer::Stored { object, ttl, .. } => {
                self.ttl = Some(ttl);
                self.read_head(&object.head().headers);
                if self.wish.head {
                    self.got = Got::Head;
                    return self;
                }
                let body = stored(&object).await;
                let (from, to) = self.slice.unwrap_or((0, body.len()));
                let to = to.min(body.len());
                self.got = Got::Body(body.get(from..to).unwrap_or_default().to_vec());
            }
            Answer::Growing { reader, .. } => {
                self.read_head(&reader.head().headers);
                self.got = if self.wish.head {
                    Got::Head
                } else {
                    self.follow(reader).await
                };
            }
            Answer::Parts { assembly, .. } => {
                self.read_head(&assembly.head.headers);
                let mut body = Vec::new();
                let (from, to) = self.slice.expect("parts answer ranges only");
                for (object, from, to) in assembly.slices(from as u64, to as u64) {
                    let bytes = stored(object).await;
                    body.extend_from_slice(&bytes[from as usize..to as usize]);
                }
                self.got = Got::Body(body);
            }
            Answer::Private { response, .. } => self.take(*response).await,
            Answer::Failed(failure) => {
                assert!(
                    !matches!(&*failure, Failure::Status(answer) if answer.status.is_success()),
                    "a failure that is none"
                );
                self.got = Got::Failed;
                self.failure = Some(failure);
            }
            Answer::NotCached => self.got = Got::NotCached,
        }
        self
    }

    async fn follow(&mut self, mut reader: FlightReader) -> Got {
        let (from, to) = self.slice.unwrap_or((0, usize::MAX));
        reader.seek(from as u64);
        let mut body = Vec::new();
        while body.len() < to - from {
            match reader.next((to - from - body.len()).min(50_000)).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(crate::engine::ReadError::Store(error)) => {
                    panic!("the store failed a reader: {error}")
                }
                Err(_) => return Got::Cut(body),
            }
            if self
                .wish
                .leaves_after
                .is_some_and(|bytes| body.len() >= bytes)
            {
                self.left = true;
                return Got::Cut(body);
            }
        }
        Got::Body(body)
    }

    async fn take(&mut self, mut response: OriginResponse) {
        self.read_head(&response.headers);
        self.got = match response.status {
            StatusCode::OK => {
                self.slice = None;
                Got::Body(Vec::new())
            }
            StatusCode::PARTIAL_CONTENT => Got::Body(Vec::new()),
            StatusCode::RANGE_NOT_SATISFIABLE => Got::Unsatisfiable,
            status if status.is_server_error() => Got::Failed,
            status => panic!("a private {status}"),
        };
        if self.wish.head && matches!(self.got, Got::Body(_)) {
            self.got = Got::Head;
        }
        if !matches!(self.got, Got::Body(_)) {
            return;
        }
        let mut body = Vec::new();
        loop {
            match response.body.next().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return self.got = Got::Body(body),
                Err(_) => return self.got = Got::Cut(body),
            }
        }
    }

    /// Whether it was told that its origin is left alone.
    pub(super) fn is_suspended(&self) -> bool {
        let failure = self.failure.as_deref();
        matches!(failure, Some(Failure::Origin(OriginError::Suspended(..))))
    }

    /// Whether it was answered by a fetch of its own, that looked to the origin like anybody's.
    pub(super) fn went_alone(&self) -> bool {
        let wish = &self.wish;
        let is_own = matches!(self.outcome, Some(Outcome::Uncached(_) | Outcome::Bypass));
        is_own && !wish.head && !wish.credentials && wish.range.is_none()
    }

    /// What the head says of itself.
    fn read_head(&mut self, headers: &HeaderMap) {
        self.told = told_by(self.wish.page, headers);
        self.asked = asked_by(headers);
    }
}

/// When the origin was asked for the bytes under a head.
pub(super) fn asked_by(headers: &HeaderMap) -> Option<u64> {
    headers.get(ASKED)?.to_str().ok()?.parse().ok()
}

pub(super) fn told_by(page: usize, headers: &HeaderMap) -> Option<Told> {
    let (version, language) = headers.get(VERSION)?.to_str().ok()?.split_once('-')?;
    Some(Told {
        page,
        version: version.parse().ok()?,
        language: language.parse().ok()?,
    })
}
