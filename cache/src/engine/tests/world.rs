//! An engine over a memory disk, a scripted origin and a manual clock, and the clients that use it.

use super::origin::{Script, ScriptedOrigin};
use crate::clock::ManualClock;
use crate::device::memory::MemoryDevice;
use crate::engine::{Answer, Engine, EngineSettings, FetchRequest, OnAbandon, ReadError};
use crate::ports::{Clock, Origin, OriginError};
use crate::store::{Durability, Object, Store, StoreSettings, UNIT_BYTES, Verify};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use weir_policies::outcome::Outcome;
use weir_policies::rules::Rules;
use weir_policies::target::{Form, Resource, Target};
use weir_policies::verdict::{self, PurgeRight, Verdict};

pub(crate) struct World {
    pub(crate) device: Arc<MemoryDevice>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) origin: Arc<ScriptedOrigin>,
    pub(crate) engine: Arc<Engine>,
}

/// What a client received.
#[derive(PartialEq, Eq)]
pub(crate) enum Got {
    Whole(Vec<u8>),
    /// The bytes before the response was cut.
    Cut(Vec<u8>),
    /// An error status of the upstream, told to everybody.
    Status(u16),
    Failed(OriginError),
    NotCached,
}

/// Bodies by their length: a failing test is read by people.
impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(body) if body.len() < 80 => {
                write!(f, "Whole({:?})", String::from_utf8_lossy(body))
            }
            Self::Whole(body) => write!(f, "Whole({} bytes)", body.len()),
            Self::Cut(body) => write!(f, "Cut({} bytes)", body.len()),
            Self::Status(status) => write!(f, "Status({status})"),
            Self::Failed(error) => write!(f, "Failed({error})"),
            Self::NotCached => write!(f, "NotCached"),
        }
    }
}

pub(crate) fn engine_settings() -> EngineSettings {
    EngineSettings {
        memory_bytes: 64 << 20,
        on_abandon: OnAbandon::Finish,
        hold_down: Duration::from_secs(1),
        flights_max: 1000,
        readers_max: 1000,
        total_time: Duration::from_secs(3600),
        redirects_max: 5,
        retries_max: 3,
        range_wait: Duration::ZERO,
        rate_min: None,
    }
}

pub(crate) fn store_settings() -> StoreSettings {
    StoreSettings {
        capacity_bytes: None,
        reserve_bytes: 0,
        high_watermark: 0.80,
        low_watermark: 0.78,
        durability: Durability::Relaxed,
        verify: Verify::Always,
        sha256: true,
        threads_per_disk: 2,
        queue_per_disk: 64,
        objects_max: 100_000,
        parity: 2,
        disk_deadline: Duration::from_secs(300),
        scrub_interval: None,
        scrub_bytes_per_second: 1 << 30,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(engine_settings()).await
    }

    pub(crate) async fn with(settings: EngineSettings) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = Arc::new(ManualClock::starting_at(start));
        let origin = Arc::new(ScriptedOrigin::default());
        Self::on(Arc::new(MemoryDevice::new()), clock, origin, settings).await
    }

    pub(crate) async fn on(
        device: Arc<MemoryDevice>,
        clock: Arc<ManualClock>,
        origin: Arc<ScriptedOrigin>,
        settings: EngineSettings,
    ) -> Self {
        let disk: Arc<dyn crate::ports::Device> = Arc::clone(&device) as _;
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let store = Store::open(vec![disk], store_settings(), Arc::clone(&time))
            .await
            .expect("a store");
        let from: Arc<dyn Origin> = Arc::clone(&origin) as _;
        let engine = Engine::new(store, from, time, settings);
        Self {
            device,
            clock,
            origin,
            engine,
        }
    }

    pub(crate) fn script(&self, url: &str, script: Script) {
        self.origin.set(url, script);
    }

    pub(crate) async fn fetch(&self, url: &str, fields: &[(&'static str, &str)]) -> Answer {
        self.engine.fetch(&request(Method::GET, url, fields)).await
    }

    /// A GET whose resource and plan are `adapted` by the test, as rules and mirrors would.
    pub(crate) async fn fetch_as(
        &self,
        url: &str,
        adapt: impl FnOnce(&mut FetchRequest),
    ) -> Answer {
        let mut request = request(Method::GET, url, &[]);
        adapt(&mut request);
        self.engine.fetch(&request).await
    }

    pub(crate) async fn get_as(
        &self,
        url: &str,
        adapt: impl FnOnce(&mut FetchRequest),
    ) -> (Got, Option<Outcome>) {
        let answer = self.fetch_as(url, adapt).await;
        let outcome = outcome(&answer);
        (read(answer).await, outcome)
    }

    /// Lets everything that runs come to its end.
    pub(crate) async fn settle(&self) {
        self.engine.tasks().idle().await;
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        self.engine.store().expect("a store")
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn get(&self, url: &str) -> (Got, Option<Outcome>) {
        let answer = self.fetch(url, &[]).await;
        let outcome = outcome(&answer);
        (read(answer).await, outcome)
    }
}

pub(crate) fn request(method: Method, url: &str, fields: &[(&'static str, &str)]) -> FetchRequest {
    let target = Target::parse(url).expect("a URL");
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a field value"),
        );
    }
    let resource = Resource {
        form: Form::Forward,
        target: target.clone(),
        upstreams: vec![target.clone()],
        as_asked: url.to_owned(),
        cdn: false,
    };
    let rules = Arc::new(Rules::default());
    let denied = PurgeRight::Denied;
    let verdict = verdict::judge(&method, &headers, &resource, &rules, "node", denied);
    let Verdict::Cache(plan) = verdict else {
        panic!("{method} {url} is not for the cache");
    };
    FetchRequest::new(resource, method, &headers, plan)
}

pub(crate) fn outcome(answer: &Answer) -> Option<Outcome> {
    match answer {
        Answer::Stored { outcome, .. }
        | Answer::Growing { outcome, .. }
        | Answer::Private { outcome, .. } => Some(*outcome),
        Answer::Parts { .. } => Some(Outcome::Hit),
        Answer::Failed(_) | Answer::NotCached => None,
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(answer: Answer) -> Got {
    let mut body = Vec::new();
    match answer {
        Answer::Stored { object, .. } => Got::Whole(stored(&object).await),
        Answer::Growing { mut reader, .. } => loop {
            match reader.next(usize::MAX).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return Got::Whole(body),
                Err(ReadError::Store(error)) => panic!("the store failed a reader: {error}"),
                Err(_) => return Got::Cut(body),
            }
        },
        Answer::Parts { assembly, .. } => {
            for (object, from, to) in assembly.slices(0, assembly.length) {
                let bytes = stored(object).await;
                body.extend_from_slice(&bytes[from as usize..to as usize]);
            }
            Got::Whole(body)
        }
        Answer::Private { mut response, .. } => loop {
            match response.body.next().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return Got::Whole(body),
                Err(_) => return Got::Cut(body),
            }
        },
        Answer::Failed(failure) => match &*failure {
            crate::engine::Failure::Origin(error) => Got::Failed(error.clone()),
            crate::engine::Failure::Status(answer) => Got::Status(answer.status.as_u16()),
        },
        Answer::NotCached => Got::NotCached,
    }
}

pub(crate) async fn stored(object: &Object) -> Vec<u8> {
    let mut body = Vec::new();
    while (body.len() as u64) < object.length() {
        let at = body.len() as u64;
        let length = (object.length() - at).min(UNIT_BYTES - at % UNIT_BYTES);
        body.extend_from_slice(
            &object
                .read(at, length as usize)
                .await
                .expect("stored bytes are whole"),
        );
    }
    body
}

/// Bytes that say where they belong.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| {
            ((at as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(seed.wrapping_mul(0xd6e8_feb8_6659_fd93))
                >> 24) as u8
        })
        .collect()
}
