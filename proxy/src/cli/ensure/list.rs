//! A list of URLs: one a line, with comments. A line that cannot be one is named and left out; the others count.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The longest line of a list, bytes: a URL and its escapes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// What some editors put in front of a text (U+FEFF as UTF-8).
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What a list says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// In their order.
    pub(super) urls: Vec<String>,
    /// Lines that were left out: their numbers, from 1, and why.
    pub(super) left_out: Vec<(usize, &'static str)>,
}

impl List {
    /// Reads a list; `-` is the standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::of(io::stdin().lock());
        }
        Self::of(BufReader::new(File::open(path)?))
    }

    fn of(mut source: impl BufRead) -> io::Result<Self> {
        let mut list = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let limit = (LINE_BYTES_MAX + 1) as u64;
            if (&mut source).take(limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() > LINE_BYTES_MAX {
                list.left_out.push((number, "longer than any URL"));
                if line.last() != Some(&b'\n') {
                    source.skip_until(b'\n')?;
                }
                continue;
            }
            let text = line.strip_prefix(MARK).filter(|_| number == 1);
            list.add(number, text.unwrap_or(&line));
        }
        Ok(list)
    }

    fn add(&mut self, number: usize, line: &[u8]) {
        match str::from_utf8(line).map(str::trim) {
            Ok(url) if url.is_empty() || url.starts_with('#') => {}
            Ok(url) => self.urls.push(url.to_owned()),
            Err(_) => self.left_out.push((number, "not UTF-8 text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[u8], urls: &[&str], left_out: &[(usize, &'static str)]) {
        let expected = List {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            left_out: left_out.to_vec(),
        };
        assert_eq!(List::of(list).unwrap(), expected, "{list:?}");
    }

    #[test]
    fn a_list_has_a_url_a_line_and_comments() {
        check(b"", &[], &[]);
        check(b"\n# a comment\n  # another\n \t\n", &[], &[]);
        let lines = b"http://h/a\r\n\n http://h/b#c \n";
        check(lines, &["http://h/a", "http://h/b#c"], &[]);
        check(b"http://h/a", &["http://h/a"], &[]);
    }

    #[test]
    fn a_mark_in_front_of_the_text_is_none_of_it() {
        check(b"\xef\xbb\xbfhttp://h/a\n", &["http://h/a"], &[]);
        check(b"\xef\xbb\xbf# comment\n", &[], &[]);
    }

    #[test]
    fn lines_that_are_no_text_are_left_out_by_their_number() {
        let lines = b"http://h/a\n\xff\xfe\nhttp://h/b\n";
        let expected = [(2, "not UTF-8 text")];
        check(lines, &["http://h/a", "http://h/b"], &expected);
        let long = format!("http://h/{}", "a".repeat(LINE_BYTES_MAX));
        let expected = [(1, "longer than any URL")];
        check(long.as_bytes(), &[], &expected);
        check(format!("{long}\nu\n").as_bytes(), &["u"], &expected);
        let just = "a".repeat(LINE_BYTES_MAX - 1);
        check(format!("{just}\nu\n").as_bytes(), &[&just, "u"], &[]);
    }
}
