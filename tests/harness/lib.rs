//! The harness: everything a test needs to look at Weir from outside.
//!
//! One gateway process a test, in a folder of its own, ended when the test ends; origins that write
//! exactly the bytes they are told to and record exactly the bytes they get; a client that repairs
//! nothing; real programs. Every wait has a deadline, every port is chosen by the system.
//!
//! It deliberately knows nothing of Weir's crates: what it needs, a stranger could see.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness says that a test failed by panicking, with the reason in the message"
)]

pub mod certificate;
pub mod client;
pub mod content;
pub mod deadline;
pub mod disk;
pub mod gateway;
pub mod handshake;
pub mod http2;
pub mod mail;
pub mod nginx;
pub mod origin;
pub mod program;
pub mod refusing;
pub mod response;
pub mod seed;
pub mod skip;

pub use client::{RawClient, get};
pub use content::Content;
pub use disk::Mounted;
pub use gateway::Gateway;
pub use handshake::{Doorway, Handshake};
pub use http2::{Http2Origin, StreamScript};
pub use mail::{MailSink, Protection};
pub use nginx::Nginx;
pub use origin::{Gate, Origin, Script};
pub use program::{Program, Run};
pub use response::{Ending, Response};
