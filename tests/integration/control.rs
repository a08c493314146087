//! Commands to a running gateway: what they say, what they change, and who may give them.

mod ensure;
mod ensuring_lists;
mod explain;
mod import;
mod listing;
mod manual;
mod pinning;
mod purging;
mod querying;
mod socket;
mod stat;
mod upgrading;
