//! The front over real sockets.

mod passing;
mod talking;
mod world;
