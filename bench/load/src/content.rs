//! What the objects of the benchmark hold: each page begins with a mark that follows from its number.
//!
//! `bench/content.py` writes the same marks. A byte that is lost, doubled or moved shifts every mark behind it, so that
//! looking at one word a page finds it; what changes in place between two marks is found by the driver, which takes the
//! digest of each object from each server once.

/// Bytes from one mark to the next.
const PAGE_BYTES: u64 = 4096;

/// Bytes of a mark.
const MARK_BYTES: usize = 8;

/// Odd, with its bits well spread (2^64 divided by the golden ratio): marks of neighbors have nothing in common.
const MARK_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The mark of a page.
fn mark(page: u64) -> [u8; MARK_BYTES] {
    page.wrapping_add(1).wrapping_mul(MARK_STEP).to_le_bytes()
}

/// Where the first wrong mark in a piece of the body stands, by its offset in the body. Marks that do not lie in the
/// piece as a whole are passed over.
pub(crate) fn first_wrong(offset: u64, piece: &[u8]) -> Option<u64> {
    let mut page = offset.div_ceil(PAGE_BYTES);
    loop {
        let at = page.saturating_mul(PAGE_BYTES);
        let start = usize::try_from(at.checked_sub(offset)?).ok()?;
        let found = piece.get(start..start.checked_add(MARK_BYTES)?)?;
        if found != mark(page) {
            return Some(at);
        }
        page += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pages: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for page in 0..pages {
            bytes.extend(mark(page));
            bytes.resize(bytes.len() + 4096 - MARK_BYTES, 7);
        }
        bytes
    }

    #[test]
    fn whole_bodies_pass_however_they_are_cut() {
        let body = body(5);
        for piece_bytes in [1, 7, 4096, 5000, body.len()] {
            let mut offset = 0;
            for piece in body.chunks(piece_bytes) {
                assert_eq!(first_wrong(offset, piece), None, "{piece_bytes}");
                offset += piece.len() as u64;
            }
        }
    }

    #[test]
    fn a_lost_byte_is_found_at_the_next_mark() {
        let mut body = body(3);
        body.remove(5000);
        assert_eq!(first_wrong(0, &body), Some(8192));
    }

    #[test]
    fn the_first_mark_is_the_one_the_driver_writes() {
        assert_eq!(mark(0), [0x15, 0x7C, 0x4A, 0x7F, 0xB9, 0x79, 0x37, 0x9E]);
    }
}
