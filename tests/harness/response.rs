//! A response as it stood on the wire, read by rules that forgive nothing (RFC 9112 §2.2, §5, §7.1).
//!
//! A repairing parser would hide what these tests look for: a bare LF, a space before a colon or a
//! body that ended early.

use bytes::Bytes;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// No body is possible: HEAD, 1xx, 204, 304.
    NoBody,
    /// After exactly Content-Length bytes.
    Length,
    /// After the final chunk.
    Chunked,
    /// By FIN, where neither length nor chunks were announced.
    Closed,
    /// Before its announced end, by FIN.
    ShortFin,
    /// Before its announced end, by RST.
    ShortReset,
}

impl Ending {
    /// Whether the client has reason to believe that it has everything.
    pub fn is_clean(self) -> bool {
        !matches!(self, Self::ShortFin | Self::ShortReset)
    }
}

/// How the body after a head is framed (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// None.
    Nothing,
    /// Exactly so many bytes.
    Length(usize),
    /// Chunks.
    Chunks,
    /// Until the connection ends.
    UntilClose,
}

/// Status line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Three digits.
    pub status: u16,
    /// Names as written, values without surrounding white space.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Parses a head with its final empty line.
    ///
    /// # Errors
    /// Says what a strict reader refuses.
    pub fn parse(raw: &[u8]) -> Result<Self, String> {
        let text = raw
            .strip_suffix(b"\r\n\r\n")
            .ok_or("no empty line at the end")?;
        let mut lines = split_lines(text)?.into_iter();
        let status = parse_status(lines.next().unwrap_or_default())?;
        let fields = lines.map(parse_field).collect::<Result<_, _>>()?;
        Ok(Self { status, fields })
    }

    /// The value of a field that occurs at most once.
    ///
    /// # Panics
    /// When it occurs twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(
            values.len() <= 1,
            "{name} occurs {} times: {self:?}",
            values.len()
        );
        values.first().copied()
    }

    /// All values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self
            .fields
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// How the body is framed, for a response to HEAD or to any other method.
    ///
    /// # Errors
    /// When two framings contradict each other.
    pub fn framing(&self, method: &str) -> Result<Framing, String> {
        if method == "HEAD" || self.status < 200 || self.status == 204 || self.status == 304 {
            return Ok(Framing::Nothing);
        }
        let lengths = self.values("content-length");
        let codings = self.values("transfer-encoding");
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Ok(Framing::UntilClose),
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunks),
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .map(Framing::Length)
                .map_err(|error| format!("{error}: {length}")),
            _ => Err(format!(
                "framing in doubt: lengths {lengths:?}, codings {codings:?}"
            )),
        }
    }
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status line and fields.
    pub head: Head,
    /// The body, without chunk framing.
    pub body: Bytes,
    /// How it ended.
    pub ending: Ending,
}

impl Response {
    /// Three digits.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A field that occurs at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// Whether the store answered.
    ///
    /// # Panics
    /// When X-Cache is neither HIT nor MISS.
    pub fn is_hit(&self) -> bool {
        match self.field("x-cache") {
            Some("HIT") => true,
            Some("MISS") => false,
            other => panic!("X-Cache is {other:?}: {:?}", self.head),
        }
    }

    /// Checks that this is the complete `status` response with `body`.
    ///
    /// # Panics
    /// When it is not, saying in what it differs.
    #[track_caller]
    pub fn assert_is(&self, status: u16, body: &[u8]) {
        assert_eq!(self.status(), status, "{:?} {:?}", self.head, self.text());
        assert!(
            self.ending.is_clean(),
            "ended early ({:?}) after {}",
            self.ending,
            self.body.len()
        );
        assert!(
            self.body == body,
            "other bytes: {} received, {} expected, first difference at {:?}",
            self.body.len(),
            body.len(),
            self.body
                .iter()
                .zip(body)
                .position(|(left, right)| left != right),
        );
    }

    /// The whole body as text.
    pub fn text_whole(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first part of the body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(600)]).into_owned()
    }
}

/// CRLF ends a line; a CR or LF anywhere else is an error.
fn split_lines(text: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.split("\r\n").collect();
    match lines.iter().find(|line| line.contains(['\r', '\n', '\0'])) {
        Some(line) => Err(format!("bare CR, LF or NUL in {line:?}")),
        None => Ok(lines),
    }
}

fn parse_status(line: &str) -> Result<u16, String> {
    let rest = line
        .strip_prefix("HTTP/1.1 ")
        .ok_or(format!("status line {line:?}"))?;
    let (digits, _reason) = rest
        .split_once(' ')
        .ok_or(format!("no space after {line:?}"))?;
    match digits.parse() {
        Ok(status) if digits.len() == 3 && (100..600).contains(&status) => Ok(status),
        _ => Err(format!("status in {line:?}")),
    }
}

fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or(format!("no colon in {line:?}"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("field name in {line:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Result<u16, ()>) {
        let parsed = Head::parse(raw.as_bytes());
        assert_eq!(
            parsed.as_ref().map(|head| head.status).map_err(|_| ()),
            expected,
            "{parsed:?}"
        );
    }

    #[test]
    fn only_a_faultless_head_is_accepted() {
        check("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", Ok(200));
        check("HTTP/1.1 204 \r\n\r\n", Ok(204));
        check("HTTP/1.0 200 OK\r\n\r\n", Err(()));
        check("HTTP/1.1 200\r\n\r\n", Err(()));
        check("HTTP/1.1 099 OK\r\n\r\n", Err(()));
        check("HTTP/1.1 200 OK\nA: b\r\n\r\n", Err(()));
        check("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Err(()));
        check("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", Err(()));
        check("HTTP/1.1 200 OK\r\nA: b\r\n", Err(()));
    }

    #[test]
    fn framing_in_doubt_is_an_error() {
        let head = |fields: &str| {
            let raw = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            Head::parse(raw.as_bytes()).expect("parses")
        };
        let length = head("Content-Length: 4\r\n");
        assert_eq!(length.framing("GET"), Ok(Framing::Length(4)));
        assert_eq!(length.framing("HEAD"), Ok(Framing::Nothing));
        assert_eq!(
            head("Transfer-Encoding: chunked\r\n").framing("GET"),
            Ok(Framing::Chunks)
        );
        assert_eq!(head("").framing("GET"), Ok(Framing::UntilClose));
        for fields in [
            "Content-Length: 4\r\nContent-Length: 4\r\n",
            "Content-Length: +4\r\n",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert!(head(fields).framing("GET").is_err(), "{fields}");
        }
    }
}
