//! The disks of a gateway, as an operator sees them: `weir disks --json`.

use std::time::Duration;

use serde_json::Value;

use super::Gateway;

/// Between two looks at something that only a command tells.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// So long is looked: a disk is noticed in a maintenance pass, and a rebuild takes its time.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// All disks at one moment.
#[derive(Debug, Clone)]
pub struct Disks(Value);

impl Disks {
    /// `healthy`, `degraded` or `failed`.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().expect("a state")
    }

    /// Grows whenever a disk is lost.
    pub fn epoch(&self) -> u64 {
        self.number(&self.0["epoch"])
    }

    /// Whether most of the disks have been seen.
    pub fn has_majority(&self) -> bool {
        self.0["has_majority"].as_bool().expect("a truth")
    }

    /// Objects that lack a shard on a live disk.
    pub fn underprotected_objects(&self) -> u64 {
        self.number(&self.0["underprotected_objects"])
    }

    /// The states of the disks by slot.
    pub fn states(&self) -> Vec<&str> {
        let states = self.all().iter();
        states
            .map(|disk| disk["state"].as_str().expect("a state"))
            .collect()
    }

    /// The slots, ascending.
    pub fn slots(&self) -> Vec<u64> {
        let disks = self.all().iter();
        disks.map(|disk| self.number(&disk["slot"])).collect()
    }

    /// The folders by slot, empty where none is known.
    pub fn folders(&self) -> Vec<&str> {
        let disks = self.all().iter();
        disks
            .map(|disk| disk["folder"].as_str().expect("a folder"))
            .collect()
    }

    /// Why a disk is not live.
    pub fn reason(&self, slot: usize) -> &str {
        self.all()[slot]["reason"].as_str().unwrap_or_default()
    }

    /// A number of a disk, as `used_bytes`.
    pub fn count(&self, slot: usize, name: &str) -> u64 {
        self.number(&self.all()[slot][name])
    }

    fn all(&self) -> &Vec<Value> {
        self.0["disks"].as_array().expect("a list")
    }

    fn number(&self, value: &Value) -> u64 {
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{value} is no number: {}", self.0))
    }
}

impl Gateway {
    /// The disks, now.
    pub async fn disks(&self) -> Disks {
        let run = self.weir(["disks", "--json"]).await;
        let text = run.assert_code(0).text();
        Disks(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Waits until the disks fulfill `condition`.
    ///
    /// # Panics
    /// When they do not within a minute, showing how they are.
    pub async fn disks_until(&self, what: &str, condition: impl Fn(&Disks) -> bool) -> Disks {
        let deadline = tokio::time::Instant::now() + LOOK_MAX;
        loop {
            let disks = self.disks().await;
            if condition(&disks) {
                return disks;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "gave up: {what}: {disks:?}"
            );
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Waits until the disk in `slot` has this state.
    pub async fn disk_becomes(&self, slot: usize, state: &str) -> Disks {
        let what = format!("disk {slot} becomes {state}");
        self.disks_until(&what, |disks| disks.states().get(slot) == Some(&state))
            .await
    }

    /// Waits until nothing is missing.
    pub async fn all_healthy(&self) -> Disks {
        let is_healthy = |disks: &Disks| {
            disks.state() == "healthy" && disks.states().iter().all(|state| *state == "live")
        };
        self.disks_until("all disks are healthy", is_healthy).await
    }

    /// Waits for a line of its log that holds all of these words.
    ///
    /// # Panics
    /// When it ends without one.
    pub async fn says(&self, words: &[&str]) -> String {
        let holds = |line: &str| words.iter().all(|word| line.contains(word));
        let line = self.stderr().wait_for(&words.join(" … "), holds).await;
        line.expect("the gateway goes on")
    }
}
