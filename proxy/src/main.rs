//! Binary.

mod error_page;
mod front;
mod gateway;
mod pass;
mod record;
mod respond;
mod upstream;

fn main() {}
