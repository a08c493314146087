//! Chunked bodies, well-formed and not, at every split.

use super::*;
use proptest::prelude::*;

/// Decodes `pieces` as they arrive. `Ok`: the data, and what was left behind the end; `Err`: malformed or incomplete.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let mut decoder = ChunkDecoder::default();
    let mut buffer = BytesMut::new();
    let (mut data, mut ended) = (Vec::new(), false);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !ended {
            match decoder.step(&mut buffer)? {
                Chunk::Data(bytes) => data.extend_from_slice(&bytes),
                Chunk::End => ended = true,
                Chunk::Incomplete => break,
            }
        }
    }
    if ended {
        Ok((data, buffer.to_vec()))
    } else {
        Err("incomplete")
    }
}

#[test]
fn every_split_of_a_chunked_body_decodes_the_same() {
    let wire: &[u8] = b"5\r\nhello\r\n1;a=\"b\"\r\n \r\n0005 \r\nworld\r\n0;end\r\nX-Trailer: 1\r\nHost: h\r\n\r\nrest";
    let expected = Ok((b"hello world".to_vec(), b"rest".to_vec()));
    for first in 0..=wire.len() {
        for second in first..=wire.len() {
            let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
            assert_eq!(decode(pieces), expected, "split at {first} and {second}");
        }
    }
    assert_eq!(decode(wire.chunks(1)), expected);
}

#[test]
fn row_119_malformed_chunks_are_refused_at_every_split() {
    let cases: [&[u8]; 20] = [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"5,\r\nhello\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a\0b\r\nhello\r\n0\r\n\r\n",
        b"5\r\r\nhello\r\n0\r\n\r\n",
        b"10000000000000000\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
    ];
    for wire in cases {
        for split in 0..=wire.len() {
            let (first, second) = wire.split_at(split);
            let decoded = decode([first, second]);
            let shown = String::from_utf8_lossy(wire);
            assert!(
                decoded.is_err_and(|why| why != "incomplete"),
                "{shown:?} split at {split}"
            );
        }
    }
}

#[test]
fn a_body_without_its_last_chunk_never_ends() {
    let wire = b"5\r\nhello\r\n0\r\n\r\n";
    for length in 0..wire.len() {
        assert_eq!(decode([&wire[..length]]), Err("incomplete"), "{length}");
    }
}

#[test]
fn the_largest_size_is_data_to_come_and_not_an_overflow() {
    let mut buffer = BytesMut::from(&b"ffffffffffffffff\r\nhello"[..]);
    let mut decoder = ChunkDecoder::default();
    assert_eq!(
        decoder.step(&mut buffer),
        Ok(Chunk::Data(Bytes::from_static(b"hello")))
    );
    assert_eq!(decoder.step(&mut buffer), Ok(Chunk::Incomplete));
}

#[test]
fn extensions_and_trailers_are_bounded_even_without_a_line_end() {
    let check = |prefix: &str, filler: &str, allowed: usize| {
        let fits = format!("{prefix}{}", filler.repeat(allowed / filler.len()));
        assert_eq!(decode([fits.as_bytes()]), Err("incomplete"));
        let too_long = format!("{prefix}{}", filler.repeat(1_000_000 / filler.len()));
        let decoded = decode(too_long.as_bytes().chunks(1000));
        assert!(
            decoded.is_err_and(|why| why.contains("too long")),
            "{prefix}"
        );
    };
    check("5;", "x", 4 * 1024);
    check("0\r\nA: ", "x", 16 * 1024 - 10);
    check("0\r\n", "A: b\r\n", 16 * 1024 - 10);
}

proptest! {
    #[test]
    fn any_data_in_any_chunks_at_any_split_survives(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        split in 1_usize..50,
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        prop_assert_eq!(decode(wire.chunks(split)), Ok((chunks.concat(), Vec::new())));
    }

    #[test]
    fn garbage_never_panics(wire in prop::collection::vec(any::<u8>(), 0..200), split in 1_usize..9) {
        let whole = decode([wire.as_slice()]);
        prop_assert_eq!(decode(wire.chunks(split)).ok(), whole.ok());
    }
}
