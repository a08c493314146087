//! Binary.

mod access_log;
mod admin;
mod logging;
mod metrics;
mod readiness;
mod record;
mod tasks;

fn main() {}
