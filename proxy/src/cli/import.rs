//! `weir import`: files go into a running gateway.
//!
//! A file is read twice: once for its digests, which are announced, and once on its way. The gateway computes them
//! again from what arrives and decides; a file that changes in between is refused.

use super::caller::{Caller, Unanswered};
use super::{Exit, Place, complain, print};
use crate::control::protocol::{Announced, Command, OtherBytes, Reply};
use crate::control::shown::Stored;
use clap::Args;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use weir_cache::engine::{Algorithms, BodyDigests, from_hex, hex};

/// Bytes read from a file at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Options of `weir import`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A URL and the file to store under it; the last = that stands before the name of a file separates them
    #[arg(required = true, value_name = "URL=FILE", value_parser = parse_pair)]
    pairs: Vec<Pair>,
    /// The file must have this sha256; for one file
    #[arg(long, value_name = "HEX", value_parser = parse_digest::<32>)]
    sha256: Option<Digest<32>>,
    /// The file must have this md5; for one file
    #[arg(long, value_name = "HEX", value_parser = parse_digest::<16>)]
    md5: Option<Digest<16>>,
    /// The media type; by default the extension in the URL tells
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Put the files in the place of other bytes that are stored under their URLs
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    place: Place,
}

/// Where what goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    url: String,
    file: PathBuf,
}

/// A digest that the operator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest<const N: usize>([u8; N]);

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        if self.pairs.len() > 1 && (self.sha256.is_some() || self.md5.is_some()) {
            complain(&"weir: --sha256 and --md5 are for one file: import the others by themselves");
            return Exit::Usage;
        }
        let mut exit = Exit::Done;
        for pair in &self.pairs {
            exit = match self.import(pair) {
                Ok(line) if print(&line) == Exit::Done => exit,
                Ok(_) => Exit::Failed,
                Err(Trouble::Said(said)) => return said,
                Err(Trouble::Reason(reason)) => {
                    let file = pair.file.display();
                    complain(&format!("weir: {file}: {reason}; nothing was stored"));
                    Exit::Failed
                }
            };
        }
        exit
    }

    fn import(&self, pair: &Pair) -> Result<String, Trouble> {
        let mut file = File::open(&pair.file)?;
        let announced = self.announced(pair, &mut file)?;
        let length = announced.body_bytes;
        let mut caller = Caller::reach(&self.place).map_err(Trouble::Said)?;
        caller.send(&Command::Import(announced))?;
        let mut reply = caller.reply::<Stored>()?;
        if reply == Reply::Ready {
            file.rewind()?;
            send(&mut file, length, &mut caller)?;
            reply = caller.reply()?;
        }
        match reply {
            Reply::Done(stored) => Ok(done(&stored)),
            Reply::Failed(reason) => Err(Trouble::Reason(reason)),
            Reply::Ready | Reply::Progress(_) | Reply::Objects(_) => {
                Err(Trouble::Reason("the gateway asks twice".to_owned()))
            }
        }
    }

    /// Reads the whole file for its digests and compares them with those that are known.
    fn announced(&self, pair: &Pair, file: &mut File) -> Result<Announced, Trouble> {
        let (length, sha256, md5) = self.digests(file)?;
        if let Some(Digest(expected)) = self.sha256 {
            check("sha256", &sha256, &expected)?;
        }
        if let (Some(md5), Some(Digest(expected))) = (md5, self.md5) {
            check("md5", &md5, &expected)?;
        }
        let modified = file.metadata()?.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Announced {
            url: pair.url.clone(),
            body_bytes: length,
            sha256: hex(&sha256),
            md5: self.md5.map(|Digest(md5)| hex(&md5)),
            content_type: self.content_type.clone(),
            modified_unix_seconds: modified.map(|since| since.as_secs()),
            other: if self.replace {
                OtherBytes::Replace
            } else {
                OtherBytes::Refuse
            },
        })
    }

    fn digests(&self, file: &mut File) -> io::Result<(u64, [u8; 32], Option<[u8; 16]>)> {
        let mut digests = BodyDigests::new(match self.md5 {
            Some(_) => Algorithms::Sha256AndMd5,
            None => Algorithms::Sha256,
        });
        let mut buffer = vec![0; PIECE_BYTES];
        let mut length = 0_u64;
        loop {
            let read = file.read(&mut buffer)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                let found = digests.finish();
                return Ok((length, found.sha256, found.md5));
            };
            digests.update(piece);
            length = length.saturating_add(piece.len() as u64);
        }
    }
}

/// Why one file was not imported.
enum Trouble {
    /// It has been said, and holds for the other files as well.
    Said(Exit),
    /// Still to be said, with the name of the file.
    Reason(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Reason(error.to_string())
    }
}

impl From<Unanswered> for Trouble {
    fn from(unanswered: Unanswered) -> Self {
        Self::Reason(unanswered.to_string())
    }
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

/// Exactly `length` bytes: of a file that grew, those that were announced.
fn send(file: &mut File, length: u64, caller: &mut Caller) -> Result<(), Trouble> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut limited = file.take(length);
    loop {
        let read = limited.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        match caller.body().write_all(piece) {
            Ok(()) => {}
            // The gateway has given up, and its answer says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Trouble::Reason(error.to_string())),
        }
    }
    if limited.limit() > 0 {
        return Err(Trouble::Reason(
            "it became shorter while it was sent".to_owned(),
        ));
    }
    Ok(())
}

fn check(algorithm: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (hex(found), hex(expected));
    Err(format!("it has {algorithm} {found}, expected {expected}"))
}

fn done(stored: &Stored) -> String {
    let Stored {
        outcome,
        target,
        object,
    } = stored;
    let word = match outcome.as_str() {
        "same" => "there already",
        _ => "imported",
    };
    let sha256 = object.sha256.as_deref().unwrap_or("not kept");
    let bytes = object.length_bytes;
    format!("{word}  {target}  {bytes} bytes  sha256 {sha256}\n")
}

fn parse_digest<const N: usize>(digits: &str) -> Result<Digest<N>, String> {
    let read = from_hex(digits).map(Digest);
    read.ok_or_else(|| format!("it has {} hexadecimal digits", N * 2))
}

/// Both URLs and names of files may have an `=` in them: of all places to split, the last that leaves the name of a
/// file that is there; else simply the last.
fn parse_pair(written: &str) -> Result<Pair, &'static str> {
    let pair = |at: usize| {
        let (url, file) = written.split_at_checked(at)?;
        let file = PathBuf::from(file.strip_prefix('=')?);
        Some(Pair {
            url: url.to_owned(),
            file,
        })
    };
    let splits = || written.rmatch_indices('=').filter_map(|(at, _)| pair(at));
    let existing = splits().find(|pair| pair.file.is_file());
    existing
        .or_else(|| splits().next())
        .filter(|pair| !pair.url.is_empty() && !pair.file.as_os_str().is_empty())
        .ok_or("a URL and a file are written URL=FILE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_before_the_name_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let check = |url: &str, name: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            let pair = parse_pair(&format!("{url}={}", file.display())).unwrap();
            assert_eq!((pair.url.as_str(), pair.file), (url, file));
        };
        check("http://h/a.tar.gz", "a.tar.gz");
        check("http://h/a?v=1&x=2", "b");
        check("http://h/a?v=1", "c=d=e");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for written in ["", "=", "http://h/a", "http://h/a=", "=file"] {
            assert!(parse_pair(written).is_err(), "{written:?}");
        }
        let pair = parse_pair("http://h/a?b=/nonexistent/file").unwrap();
        assert_eq!(pair.url, "http://h/a?b");
    }
}
