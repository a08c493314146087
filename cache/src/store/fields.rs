//! An object's head as fields: which type means what.
//!
//! Numbers are little-endian; strings are bytes without a terminator; lists are u32-counted items. Types are never
//! reused. A type with bit 15 is optional (see tlv.rs).
//!
//! ```text
//! 0x0001 key, 32 bytes                     0x8001 body length, u64 (absent: unknown at the start)
//! 0x0002 URL as asked                      0x8002 upstream: family 4|6, address, port u16
//! 0x0003 normal URL                        0x8003 origin id, u16
//! 0x0004 namespace                         0x8004 tags, list
//! 0x0005 redirects, list                   0x8005 pinned (empty value)
//! 0x0006 selection: (name, 0|1, value)…    0x8006 conflicts with sequence u64
//! 0x0007 status, u16                       0x8007 stored at: seconds i64, nanoseconds u32
//! 0x0008 headers: (name, value)…
//! 0x0009 requested and responded, i64 Unix      0x8008 bound of the lifetime, u64 seconds
//!        seconds                              0x8009 immutable (empty value)
//! ```

use super::tlv::{
    Cursor, FieldReader, FieldWriter, FormatError, OPTIONAL, UnknownField, put_counted,
};
use crate::object::{ObjectHead, Sequence};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_policies::freshness::Exchange;
use weir_policies::key::CacheKey;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

const KEY: u16 = 0x0001;
const URL_AS_ASKED: u16 = 0x0002;
const URL: u16 = 0x0003;
const NAMESPACE: u16 = 0x0004;
const REDIRECTS: u16 = 0x0005;
const SELECTION: u16 = 0x0006;
const STATUS: u16 = 0x0007;
const HEADERS: u16 = 0x0008;
const EXCHANGE: u16 = 0x0009;
const LENGTH: u16 = OPTIONAL | 0x0001;
const UPSTREAM: u16 = OPTIONAL | 0x0002;
const ORIGIN: u16 = OPTIONAL | 0x0003;
const TAGS: u16 = OPTIONAL | 0x0004;
const PINNED: u16 = OPTIONAL | 0x0005;
const CONFLICT: u16 = OPTIONAL | 0x0006;
const STORED_AT: u16 = OPTIONAL | 0x0007;
const LIFETIME_MAX: u16 = OPTIONAL | 0x0008;
const IMMUTABLE: u16 = OPTIONAL | 0x0009;

/// Decoded fields of a header.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) head: ObjectHead,
    pub(super) length: Option<u64>,
    pub(super) unknown: Vec<UnknownField>,
}

/// All fields of a head.
pub(super) fn encode(head: &ObjectHead, length: Option<u64>, unknown: &[UnknownField]) -> Vec<u8> {
    let mut writer = FieldWriter::default();
    writer.put(KEY, head.key.as_bytes());
    writer.put(URL_AS_ASKED, head.url_as_asked.as_bytes());
    writer.put(URL, head.url.as_bytes());
    writer.put(NAMESPACE, head.namespace.as_bytes());
    writer.put(REDIRECTS, &encode_list(&head.redirects));
    writer.put(SELECTION, &encode_selection(&head.selection));
    writer.put(STATUS, &head.status.as_u16().to_le_bytes());
    writer.put(HEADERS, &encode_headers(&head.headers));
    writer.put(EXCHANGE, &encode_exchange(head.exchange));
    if let Some(length) = length {
        writer.put(LENGTH, &length.to_le_bytes());
    }
    if let Some(upstream) = head.upstream {
        writer.put(UPSTREAM, &encode_address(upstream));
    }
    writer.put(ORIGIN, &head.origin_id.to_le_bytes());
    writer.put(TAGS, &encode_list(&head.tags));
    if head.pinned {
        writer.put(PINNED, &[]);
    }
    if let Some(Sequence(other)) = head.conflict_of {
        writer.put(CONFLICT, &other.to_le_bytes());
    }
    writer.put(STORED_AT, &encode_time(head.stored_at));
    if let Some(seconds) = head.lifetime_max {
        writer.put(LIFETIME_MAX, &seconds.to_le_bytes());
    }
    if head.immutable {
        writer.put(IMMUTABLE, &[]);
    }
    for field in unknown {
        writer.put(field.kind, &field.value);
    }
    writer.bytes
}

/// The mandatory fields while they are being collected.
#[derive(Debug, Default)]
struct Mandatory {
    key: Option<CacheKey>,
    url_as_asked: Option<String>,
    url: Option<String>,
    namespace: Option<String>,
    redirects: Option<Vec<String>>,
    selection: Option<Selection>,
    status: Option<StatusCode>,
    headers: Option<HeaderMap>,
    exchange: Option<Exchange>,
}

impl Mandatory {
    /// Takes a field; `false` when its type is not one of these.
    fn take(&mut self, kind: u16, value: &[u8]) -> Result<bool, FormatError> {
        let mut cursor = Cursor::new(value);
        match kind {
            KEY => self.key = Some(CacheKey::from_bytes(cursor.array()?)),
            URL_AS_ASKED => self.url_as_asked = Some(decode_text(value)?),
            URL => self.url = Some(decode_text(value)?),
            NAMESPACE => self.namespace = Some(decode_text(value)?),
            REDIRECTS => self.redirects = Some(decode_list(value)?),
            SELECTION => self.selection = Some(decode_selection(value)?),
            STATUS => self.status = Some(decode_status(value)?),
            HEADERS => self.headers = Some(decode_headers(value)?),
            EXCHANGE => self.exchange = Some(decode_exchange(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn into_head(self) -> Result<ObjectHead, FormatError> {
        Ok(ObjectHead {
            key: self.key.ok_or(FormatError::Missing("key"))?,
            selection: self.selection.ok_or(FormatError::Missing("selection"))?,
            url_as_asked: self
                .url_as_asked
                .ok_or(FormatError::Missing("URL as asked"))?,
            url: self.url.ok_or(FormatError::Missing("URL"))?,
            namespace: self.namespace.ok_or(FormatError::Missing("namespace"))?,
            redirects: self.redirects.ok_or(FormatError::Missing("redirects"))?,
            status: self.status.ok_or(FormatError::Missing("status"))?,
            headers: self.headers.ok_or(FormatError::Missing("headers"))?,
            exchange: self.exchange.ok_or(FormatError::Missing("exchange"))?,
            upstream: None,
            origin_id: 0,
            tags: Vec::new(),
            pinned: false,
            conflict_of: None,
            lifetime_max: None,
            immutable: false,
            invalidated: false,
            stored_at: UNIX_EPOCH,
        })
    }
}

/// Reads all fields.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, FormatError> {
    let mut mandatory = Mandatory::default();
    let mut optional = Vec::new();
    let mut reader = FieldReader::new(bytes);
    while let Some((kind, value)) = reader.next()? {
        if kind & OPTIONAL != 0 {
            optional.push((kind, value));
        } else if !mandatory.take(kind, value)? {
            return Err(FormatError::UnknownMandatory(kind));
        }
    }
    let mut decoded = Decoded {
        head: mandatory.into_head()?,
        length: None,
        unknown: Vec::new(),
    };
    for (kind, value) in optional {
        decoded.take_optional(kind, value)?;
    }
    Ok(decoded)
}

impl Decoded {
    fn take_optional(&mut self, kind: u16, value: &[u8]) -> Result<(), FormatError> {
        let mut cursor = Cursor::new(value);
        match kind {
            LENGTH => self.length = Some(cursor.u64()?),
            UPSTREAM => self.head.upstream = Some(decode_address(value)?),
            ORIGIN => self.head.origin_id = cursor.u16()?,
            TAGS => self.head.tags = decode_list(value)?,
            PINNED => self.head.pinned = true,
            CONFLICT => self.head.conflict_of = Some(Sequence(cursor.u64()?)),
            STORED_AT => self.head.stored_at = decode_time(value)?,
            LIFETIME_MAX => self.head.lifetime_max = Some(cursor.u64()?),
            IMMUTABLE => self.head.immutable = true,
            _ => self.unknown.push(UnknownField {
                kind,
                value: value.to_vec(),
            }),
        }
        Ok(())
    }
}

fn decode_text(value: &[u8]) -> Result<String, FormatError> {
    String::from_utf8(value.to_vec()).map_err(|_| FormatError::Malformed("text"))
}

fn encode_list(items: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        put_counted(&mut bytes, item.as_bytes());
    }
    bytes
}

fn decode_list(value: &[u8]) -> Result<Vec<String>, FormatError> {
    let (mut cursor, mut items) = (Cursor::new(value), Vec::new());
    while !cursor.is_empty() {
        items.push(decode_text(cursor.counted()?)?);
    }
    Ok(items)
}

fn encode_selection(selection: &Selection) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in &selection.0 {
        put_counted(&mut bytes, name.as_bytes());
        bytes.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put_counted(&mut bytes, value);
        }
    }
    bytes
}

fn decode_selection(value: &[u8]) -> Result<Selection, FormatError> {
    let (mut cursor, mut pairs) = (Cursor::new(value), Vec::new());
    while !cursor.is_empty() {
        let name = decode_text(cursor.counted()?)?;
        let value = match cursor.u8()? {
            0 => None,
            1 => Some(cursor.counted()?.to_vec()),
            _ => return Err(FormatError::Malformed("selection")),
        };
        pairs.push((name, value));
    }
    Ok(Selection(pairs))
}

fn decode_status(value: &[u8]) -> Result<StatusCode, FormatError> {
    StatusCode::from_u16(Cursor::new(value).u16()?).map_err(|_| FormatError::Malformed("status"))
}

pub(super) fn encode_headers(headers: &HeaderMap) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        put_counted(&mut bytes, name.as_str().as_bytes());
        put_counted(&mut bytes, value.as_bytes());
    }
    bytes
}

pub(super) fn decode_headers(value: &[u8]) -> Result<HeaderMap, FormatError> {
    let (mut cursor, mut headers) = (Cursor::new(value), HeaderMap::new());
    while !cursor.is_empty() {
        let name = HeaderName::from_bytes(cursor.counted()?)
            .map_err(|_| FormatError::Malformed("header name"))?;
        let value = HeaderValue::from_bytes(cursor.counted()?)
            .map_err(|_| FormatError::Malformed("header value"))?;
        headers
            .try_append(name, value)
            .map_err(|_| FormatError::Malformed("headers: too many"))?;
    }
    Ok(headers)
}

pub(super) fn encode_exchange(exchange: Exchange) -> Vec<u8> {
    [
        exchange.requested.0.to_le_bytes(),
        exchange.responded.0.to_le_bytes(),
    ]
    .concat()
}

pub(super) fn decode_exchange(value: &[u8]) -> Result<Exchange, FormatError> {
    let mut cursor = Cursor::new(value);
    Ok(Exchange {
        requested: UnixSeconds(cursor.i64()?),
        responded: UnixSeconds(cursor.i64()?),
    })
}

fn encode_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => [&[4][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[6][..], &ip.octets()].concat(),
    };
    bytes.extend_from_slice(&address.port().to_le_bytes());
    bytes
}

fn decode_address(value: &[u8]) -> Result<SocketAddr, FormatError> {
    let mut cursor = Cursor::new(value);
    let ip = match cursor.u8()? {
        4 => IpAddr::V4(Ipv4Addr::from(cursor.array::<4>()?)),
        6 => IpAddr::V6(Ipv6Addr::from(cursor.array::<16>()?)),
        _ => return Err(FormatError::Malformed("address")),
    };
    Ok(SocketAddr::new(ip, cursor.u16()?))
}

/// Times before 1970 become 1970: provenance only.
fn encode_time(time: SystemTime) -> Vec<u8> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    [
        &seconds.to_le_bytes()[..],
        &since.subsec_nanos().to_le_bytes(),
    ]
    .concat()
}

fn decode_time(value: &[u8]) -> Result<SystemTime, FormatError> {
    let mut cursor = Cursor::new(value);
    let seconds = u64::try_from(cursor.i64()?).unwrap_or(0);
    let nanoseconds = u64::from(cursor.u32()?);
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds)))
        .ok_or(FormatError::Malformed("time"))
}
