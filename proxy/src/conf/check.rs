//! Where the second stage puts what it finds wrong: each section checks its keys through a [`Section`], which knows
//! where every value came from.
//!
//! A check never stops at the first problem. It hands back a usable value even for a wrong key, so that the rest can
//! be checked; the settings are only handed out when there was no problem at all.

use super::layers::Origins;
use super::problem::{KeyPath, Problem};
use super::size::ByteSize;
use super::span::TimeSpan;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Collects the problems of the second stage.
#[derive(Debug)]
pub(super) struct Check<'a> {
    origins: &'a Origins,
    problems: Vec<Problem>,
}

/// The view on one section.
#[derive(Debug)]
pub(super) struct Section<'c, 'a> {
    check: &'c mut Check<'a>,
    name: &'static str,
    index: Option<usize>,
}

impl<'a> Check<'a> {
    /// Nothing found yet.
    pub(super) fn new(origins: &'a Origins) -> Self {
        Self {
            origins,
            problems: Vec::new(),
        }
    }

    /// The section `[name]`.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        Section {
            check: self,
            name,
            index: None,
        }
    }

    /// Number `index`, counted from 0, of the sections `[[name]]`.
    pub(super) fn element(&mut self, name: &'static str, index: usize) -> Section<'_, 'a> {
        Section {
            check: self,
            name,
            index: Some(index),
        }
    }

    /// What was found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl Section<'_, '_> {
    /// Notes that `value` of `key` is wrong. The reason must not repeat the value, which may be a secret.
    pub(super) fn refuse(
        &mut self,
        key: &'static str,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) {
        let path = self.path(key);
        let origin = self.check.origins.of(&path);
        self.check
            .problems
            .push(Problem::of_value(origin, path, value, reason));
    }

    /// Notes that `key` is needed and was not written.
    pub(super) fn refuse_missing(&mut self, key: &'static str, reason: impl Into<String>) {
        let path = self.path(key);
        let origin = self.check.origins.of(&path);
        self.check
            .problems
            .push(Problem::of_key(origin, path, reason));
    }

    /// A length of time that must not be zero.
    pub(super) fn positive(&mut self, key: &'static str, span: TimeSpan) -> Duration {
        if span.get().is_zero() {
            self.refuse(key, quoted(span), "must be longer than 0");
        }
        span.get()
    }

    /// A number within bounds.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        value: u64,
        bounds: RangeInclusive<u64>,
    ) -> usize {
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start(), bounds.end());
            self.refuse(key, value, format!("must be from {least} to {most}"));
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    /// A number of bytes within bounds.
    pub(super) fn bytes(
        &mut self,
        key: &'static str,
        size: ByteSize,
        bounds: RangeInclusive<ByteSize>,
    ) -> usize {
        if !bounds.contains(&size) {
            let (least, most) = (bounds.start(), bounds.end());
            self.refuse(
                key,
                quoted(size),
                format!("must be from \"{least}\" to \"{most}\""),
            );
        }
        usize::try_from(size.get()).unwrap_or(usize::MAX)
    }

    /// Every item of a list, parsed; items that do not parse are refused one by one and left out.
    pub(super) fn each<T, E: Into<String>>(
        &mut self,
        key: &'static str,
        items: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut parsed = Vec::with_capacity(items.len());
        for item in items {
            match parse(item) {
                Ok(value) => parsed.push(value),
                Err(reason) => self.refuse(key, quoted(item), reason),
            }
        }
        parsed
    }

    fn path(&self, key: &'static str) -> KeyPath {
        KeyPath {
            section: self.name.to_owned(),
            index: self.index,
            key: key.to_owned(),
        }
    }
}

/// A text value as TOML would write it.
pub(super) fn quoted(text: impl fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}
