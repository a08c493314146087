//! `weir notify`: whether a message would reach anybody.

use super::table::Table;
use super::{Exit, Place, caller, complain, print};
use crate::control::notify::TestReport;
use crate::control::protocol::Command;
use clap::{Args, Subcommand};

/// What there is to do about notifications.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Have the gateway send a test message by every configured way; exit 1 unless all of them arrived
    Test {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let Action::Test { json, place } = self.action;
        let report: TestReport = match caller::ask(&place, &Command::NotifyTest) {
            Ok(report) => report,
            Err(exit) => return exit,
        };
        let text = if json {
            caller::json(&report)
        } else {
            Ok(lines(&report))
        };
        let printed = match text {
            Ok(text) => print(&text),
            Err(exit) => exit,
        };
        if report.channels.is_empty() {
            complain(
                &"weir: nobody would be told: set webhook or smtp in [notify] of the configuration",
            );
        }
        match printed {
            Exit::Done => judge(&report),
            failed => failed,
        }
    }
}

fn lines(report: &TestReport) -> String {
    let mut table = Table::default();
    for tested in &report.channels {
        let outcome = match &tested.reason {
            None => "delivered".to_owned(),
            Some(reason) => format!("not delivered: {reason}"),
        };
        table.line(tested.channel.as_str(), &outcome);
    }
    table.into_text()
}

fn judge(report: &TestReport) -> Exit {
    let all_delivered = report.channels.iter().all(|tested| tested.delivered);
    if all_delivered && !report.channels.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::notify::ChannelReport;
    use crate::notify::Channel;

    #[test]
    fn only_when_everything_arrived_it_is_done() {
        let tested = |reason: Option<&str>| ChannelReport {
            channel: Channel::Mail,
            delivered: reason.is_none(),
            reason: reason.map(str::to_owned),
        };
        let check = |channels: Vec<ChannelReport>, exit: Exit| {
            assert_eq!(judge(&TestReport { channels }), exit);
        };
        check(vec![], Exit::Failed);
        check(vec![tested(None)], Exit::Done);
        check(vec![tested(None), tested(Some("refused"))], Exit::Failed);
    }
}
