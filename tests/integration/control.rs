//! Commands to a running gateway: what they say, what they change, and who may give them.

mod explain;
mod import;
mod socket;
