//! What a request is and what is wanted done with it.
//!
//! The lowest floor. Everything here is a pure function of its arguments: no I/O, no clock (callers pass
//! `now`), no runtime, no logging. It doubles as the vocabulary of the floors above, so no `common` room is
//! ever needed.
//!
//! Reading order: [`target`] (what was asked for) → [`key`] (its identity) → [`rules`] and [`verdict`] (what to
//! do) → [`credentials`] (whose a request is) → [`storability`], [`freshness`], [`vary`], [`reuse`] (RFC 9111) →
//! [`range`], [`conditional`] (what to answer) → [`hop`], [`outcome`] (how it travels and what it is called) →
//! [`address`], [`tunnel`] (where Weir may connect); [`tags`], [`purge`], [`pattern`] (what an operator
//! wants gone, or to see).

pub mod address;
pub mod cache_control;
pub mod conditional;
pub mod credentials;
pub mod effect;
pub mod fallback;
pub mod freshness;
pub mod hop;
pub mod invalidation;
pub mod key;
pub mod outcome;
pub mod pattern;
pub mod purge;
pub mod range;
pub mod redirect;
pub mod retry;
pub mod reuse;
pub mod revalidation;
pub mod rules;
pub mod storability;
pub mod tags;
pub mod target;
pub mod time;
pub mod tunnel;
pub mod vary;
pub mod verdict;
