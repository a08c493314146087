//! Looking at everything that is stored, a batch of the index at a time.

/// A place in a walk through the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurveyCursor(pub(super) u32);

impl SurveyCursor {
    /// Places of the index looked at for one page, at most.
    pub const LIMIT_MAX: usize = 4096;
}
