//! `weir scrub`, the gateway's side: the pass belongs to the store and needs nobody who waits for it.

use super::protocol::{ScrubOrder, ScrubbedDepth};
use super::shown::Scrub;
use super::{Refused, disks};
use crate::gateway::Gateway;
use weir_cache::store::report::ScrubDepth;

/// Does as told; how it is afterwards.
pub(super) fn scrub(gateway: &Gateway, order: &ScrubOrder) -> Result<Scrub, Refused> {
    let store = disks::store(gateway)?;
    match order {
        ScrubOrder::Start { depth } => store.start_scrub((*depth).into()),
        ScrubOrder::Pause => store.pause_scrub(),
        ScrubOrder::Status => {}
    }
    Ok(store.scrub().into())
}

impl From<ScrubbedDepth> for ScrubDepth {
    fn from(asked: ScrubbedDepth) -> Self {
        match asked {
            ScrubbedDepth::Blocks => Self::Blocks,
            ScrubbedDepth::Parity => Self::Parity,
        }
    }
}
