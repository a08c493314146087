//! Where else an object may be found: the `fallback` bases of a rule, such as a central archive.

use crate::target::{Target, TargetError};

/// One base, with what stands for the parts of the URL that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    template: String,
}

impl Fallback {
    /// Reads a base.
    ///
    /// # Errors
    /// [`TargetError`] when it is no URL.
    pub fn parse(written: &str) -> Result<Self, TargetError> {
        Target::parse(written)?;
        Ok(Self {
            template: written.to_owned(),
        })
    }

    /// The URL of `missing` below this base.
    ///
    /// # Errors
    /// [`TargetError`] when the parts do not make a URL.
    pub fn target(&self, missing: &Target) -> Result<Target, TargetError> {
        Target::parse(&self.template)?.join(missing.path_and_query().trim_start_matches('/'))
    }
}
