//! The diagnostic log: `tracing` to standard error, one compact line an event, with Pingora's `log` records in it.
//!
//! `RUST_LOG` wins over the configured level, so that one start can be looked at closely without touching the
//! configuration. Libraries are held at `warn`: at `info` and below they speak per connection and print what they
//! send.
//!
//! Invariant: an event is one line, and nothing a client or an upstream sent can control a terminal or look like
//! another event ([`OneLine`]). That is why there is no color: the library's own escape sequences could not be told
//! from smuggled ones.
//!
//! Deliberately not here: the access log, which has a writer of its own that never blocks.

use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::io::{self, Write};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload;

/// Crates whose ordinary chatter would drown ours; each name is a prefix of targets.
const QUIET: [&str; 4] = ["pingora", "hickory", "rustls", "tokio_rustls"];
/// Says at `error` that a pooled connection was still being watched when it was wanted; a fresh one is opened then.
/// What really fails there comes back as an error value.
const HARMLESS: &str = "pingora_core::connectors";
/// Levels of `[log] level`.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Changes how much is logged while the program runs.
pub(crate) struct Verbosity {
    environment: Option<String>,
    replace: Replace,
}

type Replace = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Starts logging. Once per process, before anything that logs.
///
/// # Errors
/// An unknown level, a `RUST_LOG` that cannot be parsed, or a logger that is installed already.
pub(crate) fn init(level: &str) -> anyhow::Result<Verbosity> {
    let environment = std::env::var("RUST_LOG").ok();
    let filter = filter(level, environment.as_deref())?;
    LogTracer::builder()
        .with_max_level(level_max(&filter))
        .init()
        .context("cannot take over the log records of libraries")?;
    let (subscriber, replace) = subscriber(filter, io::stderr);
    tracing::subscriber::set_global_default(subscriber).context("cannot install the log")?;
    Ok(Verbosity {
        environment,
        replace,
    })
}

impl Verbosity {
    /// Logs at `level` from now on; `RUST_LOG` still wins.
    ///
    /// # Errors
    /// An unknown level.
    pub(crate) fn set(&self, level: &str) -> anyhow::Result<()> {
        let filter = filter(level, self.environment.as_deref())?;
        tracing_log::log::set_max_level(level_max(&filter));
        (self.replace)(filter).context("the log does not take another level")
    }
}

/// Records of libraries that nobody will see are not even formatted.
fn level_max(filter: &EnvFilter) -> tracing_log::log::LevelFilter {
    filter
        .max_level_hint()
        .unwrap_or(LevelFilter::TRACE)
        .as_log()
}

fn subscriber<W>(filter: EnvFilter, writer: W) -> (impl Subscriber + Send + Sync + use<W>, Replace)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .compact()
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(OneLine(writer))
        .with_filter_reloading();
    let handle = builder.reload_handle();
    let replace = Box::new(move |filter| handle.reload(filter));
    (builder.finish(), replace)
}

/// Escapes whatever an event holds besides text: line breaks, escape sequences, marks that turn the reading order
/// around. The subscriber writes each event with one call, its own line feed last.
#[derive(Debug)]
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len() + 1);
        for character in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if is_text(character) {
                line.push(character);
            } else {
                // Writing to a String cannot fail.
                write!(line, "{}", character.escape_default()).unwrap_or_default();
            }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_text(character: char) -> bool {
    let turns_reading_order =
        matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns_reading_order
}

/// The filter of the environment where there is one, else of the setting.
fn filter(level: &str, environment: Option<&str>) -> anyhow::Result<EnvFilter> {
    if let Some(directives) = environment.filter(|directives| !directives.trim().is_empty()) {
        return EnvFilter::try_new(directives)
            .with_context(|| format!("RUST_LOG={directives:?} cannot be read"));
    }
    if !LEVELS.contains(&level) {
        bail!(
            "unknown log level {level:?}: use one of {}",
            LEVELS.join(", ")
        );
    }
    // Whoever asks for less than warnings gets less from libraries as well.
    let library_level = if matches!(level, "off" | "error") {
        level
    } else {
        "warn"
    };
    let quiet = QUIET.map(|target| format!("{target}={library_level}"));
    let directives = format!("{level},{},{HARMLESS}=off", quiet.join(","));
    EnvFilter::try_new(directives).context("the log filter is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Collects what would go to standard error.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, environment: Option<&str>, speak: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let filter = filter(level, environment).unwrap();
        let (subscriber, _) = subscriber(filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, speak);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_only_warn_and_weir_speaks_at_its_level() {
        let text = logged("info", None, || {
            tracing::info!(target: "pingora_core::server", "server starting");
            tracing::warn!(target: "pingora_proxy", "library warning");
            tracing::info!("ours");
            tracing::debug!("too much");
        });
        let messages: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(": ").nth(1))
            .collect();
        assert_eq!(messages, ["library warning", "ours"], "{text}");
    }

    #[test]
    fn log_records_arrive_under_their_own_target() {
        // Global and once per process; another test may have done it.
        LogTracer::init().unwrap_or_default();
        let text = logged("info", None, || {
            tracing_log::log::info!(target: "pingora_core::server", "chatter");
            tracing_log::log::warn!(target: "pingora_core::server", "bad upstream");
        });
        assert!(
            text.contains("WARN pingora_core::server: bad upstream"),
            "{text}"
        );
        assert!(
            !text.contains("chatter") && !text.contains("log.file"),
            "{text}"
        );
    }

    #[test]
    fn the_level_can_change_meanwhile() {
        let page = Page::default();
        let writer = page.clone();
        let first = filter("warn", None).unwrap();
        let (subscriber, replace) = subscriber(first, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            replace(filter("info", None).unwrap()).unwrap();
            tracing::info!("after");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("after") && !text.contains("before"), "{text}");
    }

    #[test]
    fn the_environment_wins() {
        let text = logged("error", Some("pingora=debug"), || {
            tracing::debug!(target: "pingora_core::server", "now wanted");
            tracing::error!(target: "weir", "not asked for");
        });
        assert!(
            text.contains("now wanted") && !text.contains("not asked for"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_environment_is_none() {
        let text = logged("info", Some(" "), || tracing::info!("ours"));
        assert!(text.contains("ours"), "{text}");
    }

    #[test]
    fn an_event_is_one_line_that_begins_with_the_time_and_controls_nothing() {
        let hostile = "\x1b[31mred\r\n2026-01-01T00:00:00Z ERROR forged\u{9b}\u{202e} ü";
        let text = logged(
            "info",
            None,
            || tracing::warn!(host = %hostile, "refused {hostile}"),
        );
        assert!(
            text.starts_with("20") && text.get(10..11) == Some("T"),
            "{text:?}"
        );
        let escaped = "\\u{1b}[31mred\\r\\n2026-01-01T00:00:00Z ERROR forged\\u{9b}\\u{202e} ü";
        assert!(text.ends_with(&format!("host={escaped}\n")), "{text:?}");
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(text.trim_end().chars().all(is_text), "{text:?}");
    }

    #[test]
    fn unreadable_settings_are_refused_with_a_way_out() {
        let error = filter("verbose", None).unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown log level \"verbose\": use one of off, error, warn, info, debug, trace"
        );
        let error = filter("info", Some("weir=loud")).unwrap_err().to_string();
        assert_eq!(error, "RUST_LOG=\"weir=loud\" cannot be read");
    }
}
