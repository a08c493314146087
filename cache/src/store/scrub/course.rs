//! Where a scrub stands, and how that is kept over a restart.
//!
//! Each disk has a small text in its root folder, so that a disk takes its own place with it:
//!
//! ```text
//! weir scrub 1
//! change 7                 grows with every start, pause and end; where disks disagree the highest is right
//! pass 3                   number of the pass that is under way, or of the last one
//! under-way yes
//! paused no
//! depth blocks
//! folder 1041              the next one to be read on this disk, of 4096
//! started 1767225600       wall time, seconds
//! ended 1764547200         of the last whole pass, 0 for none
//! waiting-since 1767225600 the next pass is due an interval after that
//! sum 0123456789abcdef     XXH3-64 of all lines before
//! ```
//! A file that reads otherwise is not believed: that costs one pass from the start, and nothing else.
//!
//! Wall time may jump. While the store runs, ages are measured on monotonic time alone; wall time only bridges a
//! restart, and a time that lies in the future there is taken for now.

use super::super::layout::{SCRUB_COURSE, TEMPORARY};
use super::super::report::ScrubDepth;
use crate::ports::{Clock, Device};
use std::io::{self, IoSlice};
use std::time::{Duration, SystemTime};
use twox_hash::XxHash3_64;

/// Folders of a disk: one for each of the first three digits of a key.
pub(super) const FOLDERS: u16 = 4096;
/// A longer file is not ours, bytes.
const BYTES_MAX: u64 = 4096;
const TITLE: &str = "weir scrub 1";

/// What all disks say alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) change: u64,
    pub(super) pass: u64,
    pub(super) is_under_way: bool,
    pub(super) is_paused: bool,
    pub(super) depth: ScrubDepth,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            change: 0,
            pass: 0,
            is_under_way: false,
            is_paused: false,
            depth: ScrubDepth::Blocks,
        }
    }
}

/// What one disk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) course: Course,
    /// The next one to be read.
    pub(super) folder: u16,
    /// Wall times, seconds.
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) waiting_since: u64,
}

impl Saved {
    pub(super) fn encode(&self) -> String {
        let course = &self.course;
        let text = format!(
            "{TITLE}\nchange {}\npass {}\nunder-way {}\npaused {}\ndepth {}\nfolder {}\nstarted {}\nended {}\n\
             waiting-since {}\n",
            course.change,
            course.pass,
            word(course.is_under_way),
            word(course.is_paused),
            depth_word(course.depth),
            self.folder,
            self.started,
            self.ended,
            self.waiting_since,
        );
        let sum = XxHash3_64::oneshot(text.as_bytes());
        format!("{text}sum {sum:016x}\n")
    }

    /// `None` unless it is exactly what [`Self::encode`] writes.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|title| *title == TITLE)?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let saved = Self {
            course: Course {
                change: value("change")?.parse().ok()?,
                pass: value("pass")?.parse().ok()?,
                is_under_way: value("under-way")? == "yes",
                is_paused: value("paused")? == "yes",
                depth: depth_of(value("depth")?)?,
            },
            folder: value("folder")?.parse().ok()?,
            started: value("started")?.parse().ok()?,
            ended: value("ended")?.parse().ok()?,
            waiting_since: value("waiting-since")?.parse().ok()?,
        };
        // Writing it again compares the sum, and every other spelling.
        (saved.folder <= FOLDERS && saved.encode() == text).then_some(saved)
    }

    /// Reads it from a disk; `None` when there is none, or none that can be believed.
    pub(super) fn load(device: &dyn Device) -> io::Result<Option<Self>> {
        let file = match device.open(SCRUB_COURSE, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.length()?.min(BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        let saved = std::str::from_utf8(&bytes).ok().and_then(Self::decode);
        if saved.is_none() {
            let disk = device.name();
            tracing::warn!(disk, "where the scrub was is not readable; it starts over");
        }
        Ok(saved)
    }

    /// Writes it to a disk: whole, or not at all.
    pub(super) fn store(&self, device: &dyn Device) -> io::Result<()> {
        let path = format!("{TEMPORARY}/{SCRUB_COURSE}");
        let file = match device.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                device.unlink(&path)?;
                device.create(&path)?
            }
            created => created?,
        };
        file.write_all_at(&[IoSlice::new(self.encode().as_bytes())], 0)?;
        file.sync_data()?;
        device.rename(&path, SCRUB_COURSE)?;
        // A pause that somebody has asked for is not to be forgotten.
        device.sync_dir("")
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn depth_word(depth: ScrubDepth) -> &'static str {
    match depth {
        ScrubDepth::Blocks => "blocks",
        ScrubDepth::Parity => "parity",
    }
}

fn depth_of(word: &str) -> Option<ScrubDepth> {
    [ScrubDepth::Blocks, ScrubDepth::Parity]
        .into_iter()
        .find(|depth| depth_word(*depth) == word)
}

/// How long ago something was: measured on monotonic time from when it was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    known: Duration,
    at: Duration,
}

impl Age {
    /// Of what is just now.
    pub(super) fn none(clock: &dyn Clock) -> Self {
        Self {
            known: Duration::ZERO,
            at: clock.elapsed(),
        }
    }

    /// Of what was at this wall time; the future counts as now.
    pub(super) fn since(wall_seconds: u64, clock: &dyn Clock) -> Self {
        let then = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(wall_seconds));
        let age = then.and_then(|then| clock.wall().duration_since(then).ok());
        Self {
            known: age.unwrap_or_default(),
            at: clock.elapsed(),
        }
    }

    pub(super) fn now(&self, clock: &dyn Clock) -> Duration {
        let since = clock.elapsed().saturating_sub(self.at);
        self.known.saturating_add(since)
    }

    /// The wall time that belongs to it by today's clock, seconds; at least 1, as 0 stands for never.
    pub(super) fn wall_seconds(&self, clock: &dyn Clock) -> u64 {
        let now = clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        let then = now.unwrap_or_default().saturating_sub(self.now(clock));
        then.as_secs().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use proptest::prelude::*;

    const SAVED: Saved = Saved {
        course: Course {
            change: 7,
            pass: 3,
            is_under_way: true,
            is_paused: false,
            depth: ScrubDepth::Parity,
        },
        folder: 1041,
        started: 1_767_225_600,
        ended: 0,
        waiting_since: 1_767_225_600,
    };

    #[test]
    fn a_course_is_read_back() {
        assert_eq!(Saved::decode(&SAVED.encode()), Some(SAVED));
    }

    #[test]
    fn a_damaged_course_is_not_believed() {
        let bytes = SAVED.encode().into_bytes();
        for place in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[place] ^= 1;
            let text = String::from_utf8(rotten).unwrap();
            assert_eq!(Saved::decode(&text), None, "{place}");
            let cut = std::str::from_utf8(&bytes[..place]).unwrap();
            assert_eq!(Saved::decode(cut), None, "{place}");
        }
        let beyond = Saved {
            folder: FOLDERS + 1,
            ..SAVED
        };
        assert_eq!(Saved::decode(&beyond.encode()), None);
    }

    #[test]
    fn an_age_is_not_moved_by_the_wall_clock() {
        let clock = ManualClock::default();
        let age = Age::none(&clock);
        clock.advance(Duration::from_secs(100));
        for wall in [0, 1_000_000, 4_000_000_000] {
            clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(wall));
            assert_eq!(age.now(&clock), Duration::from_secs(100), "{wall}");
            assert_eq!(age.wall_seconds(&clock), wall.saturating_sub(100).max(1));
        }
    }

    #[test]
    fn a_time_in_the_future_is_now() {
        let clock = ManualClock::default();
        assert_eq!(Age::since(u64::MAX, &clock).now(&clock), Duration::ZERO);
        assert_eq!(
            Age::since(4_000_000_000, &clock).now(&clock),
            Duration::ZERO
        );
        let past = Age::since(1_767_225_590, &clock);
        assert_eq!(past.now(&clock), Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn garbage_is_never_a_course_and_never_panics(text in "\\PC{0,200}") {
            prop_assert_eq!(Saved::decode(&text), None);
        }
    }
}
