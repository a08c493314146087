//! Binary.
mod upstream;
fn main() {}
