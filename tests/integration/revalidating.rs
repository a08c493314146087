//! What is stored and what its origin says later: conditions both ways, stale use, changed archives, parts.

mod asking;
mod background;
mod conflicts;
mod down;
mod lasting;
mod ranges;
mod signed;

/// Field lines of a response that is stored with a validator, stale at once, and may be used stale.
const STALE: &str = "Cache-Control: max-age=60\r\nAge: 90\r\nETag: \"v1\"\r\n";
