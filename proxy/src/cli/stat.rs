//! `weir stat`: what a running gateway holds and does.

use super::table::Table;
use super::{Exit, Place, caller, print};
use crate::control::protocol::Command;
use crate::control::shown::{Ratio, Status};
use clap::Args;

/// Options of `weir stat`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        match self.text() {
            Ok(text) => print(&text),
            Err(exit) => exit,
        }
    }

    fn text(self) -> Result<String, Exit> {
        let status: Status = caller::ask(&self.place, &Command::Stat)?;
        if self.json {
            caller::json(&status)
        } else {
            Ok(text(&status))
        }
    }
}

fn text(status: &Status) -> String {
    let mut table = Table::default();
    let up = duration(status.uptime_seconds);
    let (version, pid) = (&status.version, status.pid);
    table.line("weir", &format!("{version}, process {pid}, up {up}"));
    for problem in &status.problems {
        table.line("not ready", problem);
    }
    let (objects, stored) = (status.store_objects, size(status.store_bytes));
    let budget = match status.store_budget_bytes {
        Some(bytes) => format!("of {}", size(bytes)),
        None => "(what they may take is not measured yet)".to_owned(),
    };
    table.line("store", &format!("{objects} objects, {stored} {budget}"));
    let evicted = size(status.store_evicted_bytes_total);
    table.line("removed", &evicted);
    let (running, filled) = (status.fill_active, size(status.fill_bytes_total));
    table.line("fills", &format!("{running} running, {filled} fetched"));
    let (connections, tunnels) = (status.client_connections, status.tunnel_active);
    table.line(
        "clients",
        &format!("{connections} connections, {tunnels} tunnels"),
    );
    table.line(
        "requests",
        &ratio(&status.requests, |count| count.to_string()),
    );
    table.line("bytes", &ratio(&status.response_bytes, size));
    for (result, count) in &status.requests_total {
        if *count > 0 {
            table.line("  answered", &format!("{result} {count}"));
        }
    }
    table.into_text()
}

fn ratio(ratio: &Ratio, show: impl Fn(u64) -> String) -> String {
    let (hits, misses) = (show(ratio.hits), show(ratio.misses));
    let share = ratio.hit_ratio.map_or(String::new(), |share| {
        format!(" (hit ratio {:.1} %)", share * 100.0)
    });
    format!("{hits} from the store, {misses} not{share}")
}

/// Bytes, and the same in a unit that is read at a glance.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = bytes as f64;
    let mut unit = None;
    for larger in UNITS {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = Some(larger);
    }
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |unit| format!("{number:.1} {unit}"),
    )
}

fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_at_a_glance() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1536, "1.5 KiB");
        check(3 << 30, "3.0 GiB");
        check(u64::MAX, "16777216.0 TiB");
        let check = |seconds, expected: &str| assert_eq!(duration(seconds), expected);
        check(59, "59 s");
        check(3599, "59 min 59 s");
        check(86_399, "23 h 59 min");
        check(90_000, "1 d 1 h");
    }

    #[test]
    fn a_ratio_is_only_shown_where_there_is_one() {
        let shown = |hits, misses, hit_ratio| {
            let of = Ratio {
                hits,
                misses,
                hit_ratio,
            };
            ratio(&of, |count| count.to_string())
        };
        assert_eq!(shown(0, 0, None), "0 from the store, 0 not");
        let with = shown(3, 1, Some(0.75));
        assert_eq!(with, "3 from the store, 1 not (hit ratio 75.0 %)");
    }
}
