//! What an operator sees: the admin port, the logs, the signals, the exit codes.

mod admin;
mod logs;
mod reloading;
mod starting;
mod stopping;
mod upgrading;
