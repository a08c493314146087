//! The front over real sockets.

mod connecting;
mod passing;
mod talking;
mod world;
