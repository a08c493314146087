//! Rows 72–96: what one client sends or one origin says must not reach another client as the wrong bytes
//! (RFC 9111 §2–§4, RFC 9110 §14, §15.4.5).

mod credentials;
mod invalidation;
mod keys;
mod numbers;
mod pages;
mod parts;
mod storing;
mod updates;
mod variants;
