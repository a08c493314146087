//! What records say: amendments and doubts as fields (tlv.rs).
//!
//! ```text
//! amendment                                          doubt
//! 0x0001 key, first 128 bits, LE                     0x0001 sequence, u64 LE
//! 0x0002 variant, u64 LE                             0x0002 number, u64 LE
//! 0x0003 sequence, u64 LE
//! 0x0004 headers: (name, value)… as in fields.rs
//! 0x0005 requested and responded, i64 Unix seconds
//! 0x8001 invalidated (empty value)
//! 0x8002 pinned (empty value)
//! 0x8003 upper bound of the lifetime, u64 LE seconds; absent: none
//! ```
//! Types are never reused; an unknown one without bit 15 makes the record unreadable, any other is passed over.

use crate::object::{Amendment, ObjectHead, Sequence};
use crate::store::fields;
use crate::store::layout::Slot;
use crate::store::tlv::{Cursor, FieldReader, FieldWriter, FormatError, OPTIONAL};

const KEY: u16 = 0x0001;
const VARIANT: u16 = 0x0002;
const SEQUENCE: u16 = 0x0003;
const HEADERS: u16 = 0x0004;
const EXCHANGE: u16 = 0x0005;
const INVALIDATED: u16 = OPTIONAL | 0x0001;
const PINNED: u16 = OPTIONAL | 0x0002;
const LIFETIME_MAX: u16 = OPTIONAL | 0x0003;

const DOUBT_SEQUENCE: u16 = 0x0001;
const DOUBT_NUMBER: u16 = 0x0002;

/// An amendment and the generation it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Bound {
    pub(in crate::store) slot: Slot,
    pub(in crate::store) sequence: Sequence,
    pub(in crate::store) amendment: Amendment,
}

/// Part of the log was lost: whatever is older than both may have been amended in that part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Doubt {
    /// Objects from here on were begun later.
    pub(in crate::store) sequence: Sequence,
    /// Records above this one were written later.
    pub(in crate::store) number: u64,
}

impl Bound {
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        writer.put(KEY, &self.slot.key.to_le_bytes());
        writer.put(VARIANT, &self.slot.variant.to_le_bytes());
        writer.put(SEQUENCE, &self.sequence.0.to_le_bytes());
        writer.put(HEADERS, &fields::encode_headers(&self.amendment.headers));
        writer.put(EXCHANGE, &fields::encode_exchange(self.amendment.exchange));
        if self.amendment.invalidated {
            writer.put(INVALIDATED, &[]);
        }
        if self.amendment.pinned {
            writer.put(PINNED, &[]);
        }
        if let Some(seconds) = self.amendment.lifetime_max {
            writer.put(LIFETIME_MAX, &seconds.to_le_bytes());
        }
        writer.bytes
    }

    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Self, FormatError> {
        let (mut key, mut variant, mut sequence) = (None, None, None);
        let (mut headers, mut exchange) = (None, None);
        let (mut invalidated, mut pinned, mut lifetime_max) = (false, false, None);
        let mut reader = FieldReader::new(payload);
        while let Some((kind, value)) = reader.next()? {
            let mut cursor = Cursor::new(value);
            match kind {
                KEY => key = Some(u128::from_le_bytes(cursor.array()?)),
                VARIANT => variant = Some(cursor.u64()?),
                SEQUENCE => sequence = Some(cursor.u64()?),
                HEADERS => headers = Some(fields::decode_headers(value)?),
                EXCHANGE => exchange = Some(fields::decode_exchange(value)?),
                INVALIDATED => invalidated = true,
                PINNED => pinned = true,
                LIFETIME_MAX => lifetime_max = Some(cursor.u64()?),
                _ if kind & OPTIONAL != 0 => {}
                _ => return Err(FormatError::UnknownMandatory(kind)),
            }
        }
        let (slot, sequence) = generation(key, variant, sequence)?;
        Ok(Self {
            slot,
            sequence,
            amendment: Amendment {
                headers: headers.ok_or(FormatError::Missing("headers"))?,
                exchange: exchange.ok_or(FormatError::Missing("exchange"))?,
                invalidated,
                pinned,
                lifetime_max,
            },
        })
    }
}

/// The generation that an amendment is bound to, without the amendment: heads are large, and cleaning goes through many
/// while nobody else can write.
pub(in crate::store) fn generation_in(payload: &[u8]) -> Result<(Slot, Sequence), FormatError> {
    let (mut key, mut variant, mut sequence) = (None, None, None);
    let mut reader = FieldReader::new(payload);
    while let Some((kind, value)) = reader.next()? {
        let mut cursor = Cursor::new(value);
        match kind {
            KEY => key = Some(u128::from_le_bytes(cursor.array()?)),
            VARIANT => variant = Some(cursor.u64()?),
            SEQUENCE => sequence = Some(cursor.u64()?),
            _ => {}
        }
    }
    generation(key, variant, sequence)
}

fn generation(
    key: Option<u128>,
    variant: Option<u64>,
    sequence: Option<u64>,
) -> Result<(Slot, Sequence), FormatError> {
    let slot = Slot {
        key: key.ok_or(FormatError::Missing("key"))?,
        variant: variant.ok_or(FormatError::Missing("variant"))?,
    };
    let sequence = sequence.ok_or(FormatError::Missing("sequence"))?;
    Ok((slot, Sequence(sequence)))
}

impl Doubt {
    pub(in crate::store) fn encode(self) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        writer.put(DOUBT_SEQUENCE, &self.sequence.0.to_le_bytes());
        writer.put(DOUBT_NUMBER, &self.number.to_le_bytes());
        writer.bytes
    }

    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Self, FormatError> {
        let (mut sequence, mut number) = (None, None);
        let mut reader = FieldReader::new(payload);
        while let Some((kind, value)) = reader.next()? {
            match kind {
                DOUBT_SEQUENCE => sequence = Some(Cursor::new(value).u64()?),
                DOUBT_NUMBER => number = Some(Cursor::new(value).u64()?),
                _ if kind & OPTIONAL != 0 => {}
                _ => return Err(FormatError::UnknownMandatory(kind)),
            }
        }
        Ok(Self {
            sequence: Sequence(sequence.ok_or(FormatError::Missing("sequence"))?),
            number: number.ok_or(FormatError::Missing("number"))?,
        })
    }

    /// Both at once.
    pub(in crate::store) fn wider(self, other: Self) -> Self {
        Self {
            sequence: self.sequence.max(other.sequence),
            number: self.number.max(other.number),
        }
    }

    /// Whether what was lost may have said something of this object; `number` is that of its newest record, 0 for
    /// none. What an operator declared immutable has nothing to ask its origin for.
    pub(in crate::store) fn covers(
        self,
        head: &ObjectHead,
        sequence: Sequence,
        number: u64,
    ) -> bool {
        sequence < self.sequence && number <= self.number && !head.immutable
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
