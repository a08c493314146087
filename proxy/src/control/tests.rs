//! The control socket as hostile and broken peers see it.
