//! What can be asked about the disks and the scrub of them.

use serde::{Deserialize, Serialize};

/// A change of the disks. Folders are absolute paths on the gateway's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum DiskChange {
    /// An empty folder takes the place of a disk that is out.
    Replace {
        /// Its place.
        slot: u8,
        /// The folder.
        folder: String,
    },
    /// An empty folder is another disk.
    Add {
        /// The folder.
        folder: String,
    },
    /// Everything moves off a disk.
    Retire {
        /// Its place.
        slot: u8,
    },
    /// The disks that are there are all there is.
    Accept,
}

/// What the scrub is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum ScrubOrder {
    /// Begin, or go on.
    Start {
        /// What is compared.
        depth: ScrubbedDepth,
    },
    /// Wait until it is started again.
    Pause,
    /// Go on as it does.
    Status,
}

/// What a scrub compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScrubbedDepth {
    /// Blocks with their checksums.
    #[default]
    Blocks,
    /// And the parity with the data.
    Parity,
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    #[test]
    fn commands_about_disks_are_spelled_as_documented() {
        let check = |line: &str, command: Command| {
            assert_eq!(serde_json::from_str::<Command>(line).unwrap(), command);
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
        };
        check(r#"{"command":"disks"}"#, Command::Disks);
        let (slot, folder) = (2, "/data/new".to_owned());
        check(
            r#"{"command":"disk-change","change":"replace","slot":2,"folder":"/data/new"}"#,
            Command::DiskChange(DiskChange::Replace { slot, folder }),
        );
        check(
            r#"{"command":"disk-change","change":"accept"}"#,
            Command::DiskChange(DiskChange::Accept),
        );
        let depth = ScrubbedDepth::Parity;
        check(
            r#"{"command":"scrub","order":"start","depth":"parity"}"#,
            Command::Scrub(ScrubOrder::Start { depth }),
        );
    }

    #[test]
    fn what_is_not_known_is_named() {
        let check = |line: &str, word: &str| {
            let error = serde_json::from_str::<Command>(line).unwrap_err();
            assert!(error.to_string().contains(word), "{line}: {error}");
        };
        check(
            r#"{"command":"disk-change","change":"format","slot":1}"#,
            "format",
        );
        check(
            r#"{"command":"disk-change","change":"retire","slot":1,"forse":1}"#,
            "forse",
        );
        check(
            r#"{"command":"disk-change","change":"retire","slot":256}"#,
            "256",
        );
        check(
            r#"{"command":"scrub","order":"start","depth":"sea"}"#,
            "sea",
        );
    }
}
