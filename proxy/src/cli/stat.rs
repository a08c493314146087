//! `weir stat`: what a running gateway holds and does.

use super::quantity::{duration, size};
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
    disks(&mut table, status);
    let pinned = status.store_pinned_objects;
    table.line_if(
        "pinned",
        (pinned > 0).then(|| format!("{pinned} objects")).as_deref(),
    );
    let evicted = size(status.store_evicted_bytes_total);
    table.line("removed", &evicted);
    purges(&mut table, status);
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

/// Only where they are not all well.
fn disks(table: &mut Table, status: &Status) {
    let state = status.store_state.as_deref().unwrap_or("healthy");
    let reason = status.store_state_reason.as_deref();
    match reason {
        Some(reason) => table.line("disks", &format!("{state}: {reason}")),
        None if state != "healthy" => table.line("disks", &format!("{state}: see weir disks")),
        None => {}
    }
}

/// Only where there were any.
fn purges(table: &mut Table, status: &Status) {
    let (purged, pending) = (status.store_purged_objects_total, status.store_bans);
    if purged > 0 || pending > 0 {
        let words = format!("{purged} objects, {pending} purges not worked off yet");
        table.line("purged", &words);
    }
}

fn ratio(ratio: &Ratio, show: impl Fn(u64) -> String) -> String {
    let (hits, misses) = (show(ratio.hits), show(ratio.misses));
    let share = ratio.hit_ratio.map_or(String::new(), |share| {
        format!(" (hit ratio {:.1} %)", share * 100.0)
    });
    format!("{hits} from the store, {misses} not{share}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
