//! One ban, what it applies to, and how it stands in the metadata log.
//!
//! ```text
//! ban                                                        survivors
//! 0x0001 sequence, u64 LE                                    numbers of the bans that are not over, u64 LE each
//! 0x0002 kind of the scope: url, prefix, tag                 (of those with a lower number than this record)
//! 0x0003 text of the scope
//! 0x0004 mode: 0 remove, 1 stale
//! 0x8001 keys, their first 128 bits, 16 bytes LE each: where to find the objects of one URL
//! ```
//! Types are never reused; an unknown one without bit 15 makes the record unreadable, any other is passed over.

use crate::object::{ObjectHead, Sequence};
use crate::store::tlv::{Cursor, FieldReader, FieldWriter, FormatError, OPTIONAL};
use weir_policies::purge::{PurgeMode, PurgeScope};

const SEQUENCE: u16 = 0x0001;
const SCOPE_KIND: u16 = 0x0002;
const SCOPE_TEXT: u16 = 0x0003;
const MODE: u16 = 0x0004;
const KEYS: u16 = OPTIONAL | 0x0001;

const REMOVE: u8 = 0;
const STALE: u8 = 1;

/// A purge that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Ban {
    /// Of its record. Grows in the order in which bans and amendments were made.
    pub(in crate::store) number: u64,
    /// What has a lower one is older.
    pub(in crate::store) sequence: Sequence,
    pub(in crate::store) scope: PurgeScope,
    pub(in crate::store) mode: PurgeMode,
    /// Of the entries of one URL; empty for other scopes, and where nobody knew them.
    pub(in crate::store) keys: Vec<u128>,
}

impl Ban {
    /// Whether it is about such an object, whenever that came.
    pub(in crate::store) fn concerns(&self, head: &ObjectHead) -> bool {
        let is_exempt = self.mode == PurgeMode::Stale && head.immutable;
        !is_exempt && self.scope.covers(&head.url, &head.tags)
    }

    /// Whether it applies to this object. `amendment`: number of the newest record about it, 0 for none; what was
    /// written down later than a soft ban has taken it into account.
    pub(in crate::store) fn applies_to(
        &self,
        head: &ObjectHead,
        sequence: Sequence,
        amendment: u64,
    ) -> bool {
        let is_settled = self.mode == PurgeMode::Stale && amendment > self.number;
        sequence < self.sequence && !is_settled && self.concerns(head)
    }

    /// Whether its keys lead to all that it covers; else everything has to be looked at.
    pub(in crate::store) fn is_found_by_keys(&self) -> bool {
        self.scope.is_one_url() && !self.keys.is_empty()
    }

    /// Whether `later` does all that this one does.
    pub(in crate::store) fn is_weaker_than(&self, later: &Self) -> bool {
        self.scope == later.scope
            && self.number < later.number
            && (self.mode == later.mode || later.mode == PurgeMode::Remove)
    }

    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        let (kind, text) = self.scope.parts();
        let mode = match self.mode {
            PurgeMode::Remove => REMOVE,
            PurgeMode::Stale => STALE,
        };
        let keys: Vec<u8> = self.keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        writer.put(SEQUENCE, &self.sequence.0.to_le_bytes());
        writer.put(SCOPE_KIND, kind.as_bytes());
        writer.put(SCOPE_TEXT, text.as_bytes());
        writer.put(MODE, &[mode]);
        writer.put(KEYS, &keys);
        writer.bytes
    }

    pub(in crate::store) fn decode(number: u64, payload: &[u8]) -> Result<Self, FormatError> {
        let (mut sequence, mut kind, mut text, mut mode) = (None, None, None, None);
        let mut keys = Vec::new();
        let mut reader = FieldReader::new(payload);
        while let Some((field, value)) = reader.next()? {
            let mut cursor = Cursor::new(value);
            match field {
                SEQUENCE => sequence = Some(Sequence(cursor.u64()?)),
                SCOPE_KIND => kind = Some(as_text(value)?),
                SCOPE_TEXT => text = Some(as_text(value)?),
                MODE => mode = Some(mode_of(cursor.u8()?)?),
                KEYS => {
                    while !cursor.is_empty() {
                        keys.push(u128::from_le_bytes(cursor.array()?));
                    }
                }
                _ if field & OPTIONAL != 0 => {}
                _ => return Err(FormatError::UnknownMandatory(field)),
            }
        }
        let kind = kind.ok_or(FormatError::Missing("scope"))?;
        let text = text.ok_or(FormatError::Missing("scope"))?;
        Ok(Self {
            number,
            sequence: sequence.ok_or(FormatError::Missing("sequence"))?,
            scope: PurgeScope::from_parts(kind, text).ok_or(FormatError::Malformed("scope"))?,
            mode: mode.ok_or(FormatError::Missing("mode"))?,
            keys,
        })
    }
}

fn as_text(value: &[u8]) -> Result<&str, FormatError> {
    std::str::from_utf8(value).map_err(|_| FormatError::Malformed("scope"))
}

fn mode_of(byte: u8) -> Result<PurgeMode, FormatError> {
    match byte {
        REMOVE => Ok(PurgeMode::Remove),
        STALE => Ok(PurgeMode::Stale),
        _ => Err(FormatError::Malformed("mode")),
    }
}

/// The payload of a record of survivors.
pub(in crate::store) fn encode_survivors(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// What [`encode_survivors`] wrote.
pub(in crate::store) fn decode_survivors(payload: &[u8]) -> Result<Vec<u64>, FormatError> {
    let mut cursor = Cursor::new(payload);
    let mut numbers = Vec::new();
    while !cursor.is_empty() {
        numbers.push(cursor.u64()?);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::head;

    fn ban(mode: PurgeMode) -> Ban {
        Ban {
            number: 7,
            sequence: Sequence(100),
            scope: PurgeScope::prefix("http://host/").unwrap(),
            mode,
            keys: vec![1, u128::MAX],
        }
    }

    #[test]
    fn a_ban_is_read_back_and_a_cut_one_is_none() {
        for mode in [PurgeMode::Remove, PurgeMode::Stale] {
            let ban = ban(mode);
            let bytes = ban.encode();
            assert_eq!(Ban::decode(7, &bytes).as_ref(), Ok(&ban));
            // Whole without the optional keys at its end: 6 bytes in front of two keys. Nowhere else.
            let without_keys = bytes.len() - 6 - 32;
            for cut in 0..bytes.len() {
                let decoded = Ban::decode(7, &bytes[..cut]);
                assert_eq!(decoded.is_ok(), cut == without_keys, "{cut} {decoded:?}");
            }
            let keyless = Ban::decode(7, &bytes[..without_keys]).unwrap();
            assert_eq!(
                keyless,
                Ban {
                    keys: Vec::new(),
                    ..ban
                }
            );
        }
        let numbers = vec![0, 5, u64::MAX];
        assert_eq!(decode_survivors(&encode_survivors(&numbers)), Ok(numbers));
        assert!(decode_survivors(&[1, 2, 3]).is_err());
    }

    #[test]
    fn a_ban_applies_to_what_is_older_and_a_soft_one_to_what_nobody_has_vouched_for_since() {
        let (hard, soft) = (ban(PurgeMode::Remove), ban(PurgeMode::Stale));
        let check = |ban: &Ban, sequence, amendment, expected| {
            let applies = ban.applies_to(&head(1), Sequence(sequence), amendment);
            assert_eq!(applies, expected, "{ban:?} {sequence} {amendment}");
        };
        check(&hard, 99, 0, true);
        check(&hard, 99, 8, true);
        check(&hard, 100, 0, false);
        check(&soft, 99, 0, true);
        check(&soft, 99, 6, true);
        check(&soft, 99, 8, false);
        let mut imported = head(1);
        imported.immutable = true;
        assert!(hard.applies_to(&imported, Sequence(1), 0));
        assert!(!soft.applies_to(&imported, Sequence(1), 0));
        assert!(soft.is_weaker_than(&Ban {
            number: 8,
            ..hard.clone()
        }));
        assert!(!hard.is_weaker_than(&Ban { number: 8, ..soft }));
        assert!(!hard.is_weaker_than(&hard));
    }
}
