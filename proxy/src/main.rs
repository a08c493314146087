//! Binary.

mod error_page;
mod front;
mod pass;
mod record;

fn main() {}
