//! A piece of memory that a disk may write into without the page cache between.
//!
//! O_DIRECT wants the address, the offset and the length to be multiples of the disk's block size. 4 KiB suits every
//! disk and file system that Weir is run on; one that wants more says EINVAL, and the caller goes the other way.
//! There is no unsafe code: the vector is a page longer than asked, and its use begins at the first aligned byte.

/// Address, offset and length are multiples of this, bytes.
pub(super) const ALIGNMENT_BYTES: usize = 4096;

/// A zeroed buffer at an aligned address.
#[derive(Debug)]
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// At least `bytes` long, rounded up to the alignment.
    pub(super) fn new(bytes: usize) -> Self {
        let length = bytes.next_multiple_of(ALIGNMENT_BYTES);
        let memory = vec![0; length.saturating_add(ALIGNMENT_BYTES)];
        // Never more than one alignment for bytes. Were it ever, the slice below is empty and nothing is read with it.
        let start = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
        Self {
            memory,
            start,
            length,
        }
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        let end = self.start.saturating_add(self.length);
        self.memory.get(self.start..end).unwrap_or_default()
    }

    /// All of it, to read into.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let end = self.start.saturating_add(self.length);
        self.memory.get_mut(self.start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_length_are_aligned() {
        for (bytes, length) in [(1, 4096), (4096, 4096), (4097, 8192), (1 << 20, 1 << 20)] {
            let mut buffer = AlignedBuffer::new(bytes);
            assert_eq!(buffer.bytes().len(), length, "{bytes}");
            assert_eq!(buffer.bytes().as_ptr().addr() % ALIGNMENT_BYTES, 0);
            assert_eq!(buffer.bytes_mut().len(), length);
        }
    }
}
