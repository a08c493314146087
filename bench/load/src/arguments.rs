//! The command line: `--name value` pairs, all of them needed but the timeout.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Told when the command line is not understood.
pub(crate) const USAGE: &str = "usage: weir-load --address IP:PORT --path PATH --length BYTES --connections COUNT \
                                --transfers COUNT [--stall-seconds SECONDS]";

/// A transfer that gets no byte for this long has failed, unless the command line says otherwise.
const STALL_SECONDS_DEFAULT: u64 = 120;

/// What to download, how often, and from whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The server.
    pub(crate) address: SocketAddr,
    /// The request target, in origin form.
    pub(crate) path: String,
    /// Bytes that the body must have.
    pub(crate) length: u64,
    /// Connections at once.
    pub(crate) connections: u64,
    /// Transfers over all connections together.
    pub(crate) transfers: u64,
    /// Longest time without a byte.
    pub(crate) stall: Duration,
}

impl Arguments {
    /// Reads the command line without the program's name; the error says which argument is wrong.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let words: Vec<String> = words.collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [name, value] => Ok((name.as_str(), value.as_str())),
            _ => Err(format!("a value is missing behind {}", pair.concat())),
        });
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        let known = [
            "address",
            "path",
            "length",
            "connections",
            "transfers",
            "stall-seconds",
        ];
        for (name, _) in &pairs {
            if !known
                .iter()
                .any(|known| name.strip_prefix("--") == Some(known))
            {
                return Err(format!("{name} is not known"));
            }
        }
        let stall_seconds = optional(&pairs, "--stall-seconds")?.unwrap_or(STALL_SECONDS_DEFAULT);
        Ok(Self {
            address: needed(&pairs, "--address")?,
            path: needed(&pairs, "--path")?,
            length: needed(&pairs, "--length")?,
            connections: needed(&pairs, "--connections")?,
            transfers: needed(&pairs, "--transfers")?,
            stall: Duration::from_secs(stall_seconds),
        })
    }
}

fn needed<T: FromStr>(pairs: &[(&str, &str)], name: &str) -> Result<T, String> {
    optional(pairs, name)?.ok_or_else(|| format!("{name} is missing"))
}

fn optional<T: FromStr>(pairs: &[(&str, &str)], name: &str) -> Result<Option<T>, String> {
    let Some((_, value)) = pairs.iter().find(|(own, _)| *own == name) else {
        return Ok(None);
    };
    match value.parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(format!("{name} cannot be {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "--address 127.0.0.1:80 --path /a --length 5 --connections 2 --transfers 4";

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_whole_line_is_understood() {
        let arguments = parse(WHOLE).expect("all are there");
        assert_eq!((arguments.length, arguments.transfers), (5, 4));
        assert_eq!(arguments.stall, Duration::from_secs(STALL_SECONDS_DEFAULT));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("", "--address"),
            ("--address 127.0.0.1:80", "--path"),
            ("--address nowhere", "nowhere"),
            ("--address", "--address"),
            ("--speed 3", "--speed"),
        ] {
            let problem = parse(line).expect_err(line);
            assert!(problem.contains(named), "{line}: {problem}");
        }
    }
}
