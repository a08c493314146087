//! Which bytes of a representation a body is: all of them, or a part. What continues a broken body may tell more.

use crate::engine::fill::announced_length;
use crate::engine::growing::Growing;
use crate::ports::OriginResponse;
use weir_policies::range::ContentRange;

/// Which bytes of a representation a body is.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::fill) struct Extent {
    /// The first one: 0 but for a part.
    pub(in crate::engine::fill) start: u64,
    /// One past the last one, where it is known.
    pub(in crate::engine::fill) end: Option<u64>,
    /// Bytes of the whole representation, where it is known.
    pub(in crate::engine::fill) total: Option<u64>,
}

impl Extent {
    pub(super) fn of(growing: &Growing) -> Self {
        let length = growing.length();
        match ContentRange::of(&growing.head().headers) {
            Some(ContentRange::Part { range, total }) => Self {
                start: range.start,
                end: Some(range.end),
                total,
            },
            _ => Self {
                start: 0,
                end: length,
                total: length,
            },
        }
    }

    /// What a response that continues tells of the whole, where nobody had said it before.
    pub(super) fn learn(&mut self, response: &OriginResponse) {
        let total = match ContentRange::of(&response.headers) {
            Some(ContentRange::Part { total, .. }) => total,
            _ => announced_length(response),
        };
        self.total = self.total.or(total);
        self.end = self.end.or(self.total);
    }
}
