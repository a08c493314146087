//! Parts of one representation, and what they make up together.

use super::RANGE_FIELD;
use crate::object::ObjectHead;
use crate::store::Object;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use weir_policies::range::{ByteRange, Piece, pieces};
use weir_policies::vary::Selection;

/// A range that stored parts cover.
#[derive(Debug)]
pub struct Assembly {
    /// The head of the whole representation.
    pub head: ObjectHead,
    /// Bytes of the whole representation.
    pub length: u64,
    pieces: Vec<(ByteRange, Held)>,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) object: Arc<Object>,
    /// Which bytes of the representation it has.
    pub(super) range: ByteRange,
}

/// The parts of one representation.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) total: u64,
    pub(super) held: Vec<Held>,
}

impl Assembly {
    /// The objects that have `start..end`, in order, each with its own bytes: (object, from, to).
    pub fn slices(
        &self,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = (&Arc<Object>, u64, u64)> + '_ {
        self.pieces.iter().filter_map(move |(piece, held)| {
            let (from, to) = (piece.start.max(start), piece.end.min(end));
            let offset = held.range.start;
            (from < to).then(|| (&held.object, from - offset, to - offset))
        })
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.pieces.iter().map(|(_, held)| &held.object)
    }
}

impl Parts {
    fn ranges(&self) -> Vec<ByteRange> {
        self.held.iter().map(|held| held.range).collect()
    }

    /// `wanted`, if it is here altogether.
    pub(super) fn assemble(&self, wanted: ByteRange) -> Option<Assembly> {
        let mut found = Vec::new();
        for piece in pieces(&self.ranges(), wanted) {
            let Piece::Held { part, range } = piece else {
                return None;
            };
            found.push((range, self.held.get(part)?.clone()));
        }
        let (_, first) = found.first()?;
        Some(Assembly {
            head: whole_head(first.object.head(), self.total),
            length: self.total,
            pieces: found,
        })
    }
}

/// The head of the representation that a part belongs to.
fn whole_head(part: &ObjectHead, total: u64) -> ObjectHead {
    let mut head = part.clone();
    head.status = StatusCode::OK;
    head.headers.remove(header::CONTENT_RANGE);
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(total));
    head.selection = Selection(own_selection(part));
    head
}

/// What really selected a part.
pub(super) fn own_selection(part: &ObjectHead) -> Vec<(String, Option<Vec<u8>>)> {
    let fields = part.selection.0.iter();
    fields
        .filter(|(name, _)| name != RANGE_FIELD)
        .cloned()
        .collect()
}

/// The selection of a part, besides what the origin says.
pub(in crate::engine) fn part_selection(mut selection: Selection, range: ByteRange) -> Selection {
    let value = format!("{}-{}", range.start, range.end);
    selection
        .0
        .insert(0, (RANGE_FIELD.to_owned(), Some(value.into_bytes())));
    selection
}
