//! CDN-Cache-Control (RFC 9213): the same directives as a Dictionary of Structured Fields (RFC 8941 §3.2).
//!
//! Other than Cache-Control it is read strictly, as both documents demand: one error anywhere, a value of the wrong
//! type included, and the whole field counts as not sent. The origin's Cache-Control takes over then. Linear in the
//! length of the field; parameters and directives nobody knows are read over.

use super::tokens::Directive;
use std::borrow::Cow;

/// An integer has at most so many digits (RFC 8941 §3.3.1).
const INTEGER_DIGITS_MAX: usize = 15;
/// A decimal has at most so many before its point (RFC 8941 §3.3.2).
const DECIMAL_DIGITS_MAX: usize = 12;

/// What a member of the dictionary holds, as far as a directive can hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Integer(i64),
    Boolean(Truth),
    Text(Cow<'a, [u8]>),
    /// Decimals, tokens, byte sequences and inner lists: legal, and no value of any directive.
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
}

/// The directives of a field (its lines joined by commas), the last of each name. `None` when the field is not a
/// dictionary, is empty, or gives a directive that is known a value it cannot have.
pub(super) fn dictionary(field: &[u8]) -> Option<Vec<Directive<'_>>> {
    let mut members: Vec<(&[u8], Value<'_>)> = Vec::new();
    let mut text = Text(trim_spaces(field));
    while !text.is_empty() {
        let key = text.key()?;
        let value = match text.take(b'=') {
            Some(()) => text.member()?,
            None => Value::Boolean(Truth::Yes),
        };
        text.parameters()?;
        members.retain(|(known, _)| *known != key);
        members.push((key, value));
        if members.len() > super::DIRECTIVES_MAX {
            return None;
        }
        text.skip(b" \t");
        if text.is_empty() {
            break;
        }
        text.take(b',')?;
        text.skip(b" \t");
        // A comma at the end is an error (§4.2.2).
        (!text.is_empty()).then_some(())?;
    }
    if members.is_empty() {
        return None;
    }
    let directives = members
        .into_iter()
        .map(|(key, value)| directive(key, value))
        .collect::<Option<Vec<_>>>()?;
    Some(directives.into_iter().flatten().collect())
}

/// The member as a directive; `Some(None)` for one that says nothing (`?0`, or a name nobody knows).
fn directive<'a>(key: &[u8], value: Value<'a>) -> Option<Option<Directive<'a>>> {
    let name = String::from_utf8_lossy(key).into_owned();
    let value = match (Kind::of(&name), value) {
        (Kind::Unknown, _) | (Kind::Flag | Kind::Fields, Value::Boolean(Truth::No)) => {
            return Some(None);
        }
        (Kind::Flag | Kind::Fields, Value::Boolean(Truth::Yes)) => None,
        (Kind::Fields, Value::Text(names)) => Some(names),
        (Kind::Seconds, Value::Integer(seconds)) if seconds >= 0 => {
            Some(Cow::Owned(seconds.to_string().into_bytes()))
        }
        _ => return None,
    };
    Some(Some(Directive { name, value }))
}

/// What a directive's value is (RFC 9213 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Fields,
    Seconds,
    Unknown,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "no-store" | "public" | "must-revalidate" | "proxy-revalidate" | "must-understand"
            | "no-transform" | "immutable" => Self::Flag,
            "no-cache" | "private" => Self::Fields,
            "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error" => Self::Seconds,
            _ => Self::Unknown,
        }
    }
}

/// What is left to read.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.run(|byte| bytes.contains(&byte));
    }

    /// The longest run of bytes that fit.
    fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !fits(*byte));
        let (run, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        run
    }

    /// §3.1.2
    fn key(&mut self) -> Option<&'a [u8]> {
        let first = self.peek()?;
        (first.is_ascii_lowercase() || first == b'*').then_some(())?;
        Some(self.run(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        }))
    }

    fn member(&mut self) -> Option<Value<'a>> {
        if self.take(b'(').is_none() {
            return self.bare_item();
        }
        loop {
            self.skip(b" ");
            if self.take(b')').is_some() {
                return Some(Value::Foreign);
            }
            self.bare_item()?;
            self.parameters()?;
            matches!(self.peek()?, b' ' | b')').then_some(())?;
        }
    }

    /// §3.1.2: read over.
    fn parameters(&mut self) -> Option<()> {
        while self.take(b';').is_some() {
            self.skip(b" ");
            self.key()?;
            if self.take(b'=').is_some() {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn bare_item(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.bytes(),
            first if first.is_ascii_alphabetic() || first == b'*' => {
                self.run(|byte| {
                    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
                });
                Some(Value::Foreign)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let sign = if self.take(b'-').is_some() { -1 } else { 1 };
        let whole = self.run(|byte| byte.is_ascii_digit());
        (1..=INTEGER_DIGITS_MAX)
            .contains(&whole.len())
            .then_some(())?;
        if self.take(b'.').is_some() {
            let fraction = self.run(|byte| byte.is_ascii_digit());
            let fits = whole.len() <= DECIMAL_DIGITS_MAX && (1..=3).contains(&fraction.len());
            return fits.then_some(Value::Foreign);
        }
        let digits = whole.iter().map(|digit| i64::from(digit - b'0'));
        Some(Value::Integer(
            sign * digits.fold(0, |sum, digit| sum * 10 + digit),
        ))
    }

    fn string(&mut self) -> Option<Value<'a>> {
        self.take(b'"')?;
        let mut plain = Vec::new();
        loop {
            plain.extend_from_slice(
                self.run(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')),
            );
            if self.take(b'"').is_some() {
                return Some(Value::Text(Cow::Owned(plain)));
            }
            self.take(b'\\')?;
            let escaped = self.peek().filter(|byte| matches!(byte, b'"' | b'\\'))?;
            self.take(escaped)?;
            plain.push(escaped);
        }
    }

    fn boolean(&mut self) -> Option<Value<'a>> {
        self.take(b'?')?;
        if self.take(b'1').is_some() {
            return Some(Value::Boolean(Truth::Yes));
        }
        self.take(b'0')?;
        Some(Value::Boolean(Truth::No))
    }

    fn bytes(&mut self) -> Option<Value<'a>> {
        self.take(b':')?;
        self.run(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.take(b':')?;
        Some(Value::Foreign)
    }
}

fn trim_spaces(mut field: &[u8]) -> &[u8] {
    while let Some(rest) = field.strip_prefix(b" ") {
        field = rest;
    }
    while let Some(rest) = field.strip_suffix(b" ") {
        field = rest;
    }
    field
}
