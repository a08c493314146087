//! The notifications as a whole, with receivers on loopback.
