//! What the erasure codes cost: GB/s of object data beside memcpy of the same data, one thread.
//!
//! `cargo bench -p weir-cache --bench parity` prints a table; each number is the median of nine rounds. Nothing is
//! asserted and CI does not run it: a shared machine says little about speed, and equality is the tests' matter.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use weir_cache::parity::{Codec, Coder, Kernel, ParityError, ParityShards, Shard};

/// The stripe unit of large objects.
const UNIT_BYTES: usize = 256 * 1024;
/// What the store's buffers are aligned to.
const ALIGNMENT_BYTES: usize = 4096;
/// Rounds that the median is taken of.
const ROUNDS: usize = 9;
/// So long does a round take at least, to be well above the clock's resolution.
const ROUND_MIN: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut table = io::stdout().lock();
    // `cargo test --all-targets` runs this as well, without the flag, and waits for nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        writeln!(table, "run by `cargo bench`")?;
        return Ok(());
    }
    let best = Kernel::best();
    writeln!(
        table,
        "GB/s of object data, units of {UNIT_BYTES} bytes, best kernel {}",
        best.name()
    )?;
    writeln!(
        table,
        "{:>20} {:>3} {:>8} {:>8} {:>9} {:>9}",
        "", "k", "memcpy", "encode", "1 lost", "2 lost"
    )?;
    for data_shards in [4, 10] {
        for kernel in Kernel::available() {
            let coder = Coder::on_kernel(Codec::PQ, data_shards, kernel)?;
            let rates = Rates::measure(&coder, data_shards, 2)?;
            rates.write(&mut table, kernel.name(), data_shards)?;
            if kernel == best && data_shards == 4 {
                let word = if rates.encode >= rates.memcpy / 2.0 {
                    "reaches"
                } else {
                    "misses"
                };
                writeln!(table, "{:>20} encode {word} half of memcpy", "")?;
            }
        }
        let coder = Coder::new(Codec::ReedSolomon(ParityShards::ONE), data_shards)?;
        Rates::measure(&coder, data_shards, 1)?.write(&mut table, "Reed-Solomon 1", data_shards)?;
    }
    Ok(())
}

/// GB of object data per second.
struct Rates {
    memcpy: f64,
    encode: f64,
    one_lost: f64,
    /// 0 where the code does not survive it.
    two_lost: f64,
}

impl Rates {
    fn measure(
        coder: &Coder,
        data_shards: usize,
        parity_shards: usize,
    ) -> Result<Self, ParityError> {
        let data = buffers(data_shards);
        let sources: Vec<&[u8]> = data.iter().map(Unit::bytes).collect();
        let mut parity = buffers(parity_shards);
        encode(coder, &sources, &mut parity)?;
        let all = sources.iter().copied();
        let all: Vec<&[u8]> = all.chain(parity.iter().map(Unit::bytes)).collect();
        let bytes = data_shards * UNIT_BYTES;
        let mut copies = buffers(data_shards);
        let mut encoded = buffers(parity_shards);
        let mut rebuilt = buffers(parity_shards);

        let mut rates: [Vec<f64>; 4] = [const { Vec::new() }; 4];
        let [memcpy, encodes, one_lost, two_lost] = &mut rates;
        // Side by side within a round, so that a disturbance meets all alike.
        for _ in 0..ROUNDS {
            memcpy.push(rate(bytes, || copy(&sources, &mut copies))?);
            encodes.push(rate(bytes, || encode(coder, &sources, &mut encoded))?);
            one_lost.push(rate(bytes, || rebuild(coder, &all, &mut rebuilt, 1))?);
            if parity_shards > 1 {
                two_lost.push(rate(bytes, || rebuild(coder, &all, &mut rebuilt, 2))?);
            }
        }
        let [memcpy, encode, one_lost, two_lost] = rates.map(median);
        Ok(Self {
            memcpy,
            encode,
            one_lost,
            two_lost,
        })
    }

    fn write(&self, table: &mut impl Write, name: &str, data_shards: usize) -> io::Result<()> {
        writeln!(
            table,
            "{name:>20} {data_shards:>3} {:>8.1} {:>8.1} {:>9.1} {:>9.1}",
            self.memcpy, self.encode, self.one_lost, self.two_lost
        )
    }
}

fn copy(sources: &[&[u8]], copies: &mut [Unit]) -> Result<(), ParityError> {
    for (source, copy) in sources.iter().zip(copies) {
        copy.bytes_mut().copy_from_slice(black_box(source));
        black_box(copy.bytes());
    }
    Ok(())
}

fn encode(coder: &Coder, sources: &[&[u8]], parity: &mut [Unit]) -> Result<(), ParityError> {
    let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Unit::bytes_mut).collect();
    coder.encode(black_box(sources), black_box(&mut outputs))
}

/// Of the first data shards: all losses of data cost the same.
fn rebuild(
    coder: &Coder,
    all: &[&[u8]],
    rebuilt: &mut [Unit],
    lost: usize,
) -> Result<(), ParityError> {
    let wanted = rebuilt.iter_mut().take(lost).map(Unit::bytes_mut);
    let present = all.iter().skip(lost).copied();
    let shards = wanted.map(Shard::Wanted).chain(present.map(Shard::Present));
    let mut shards: Vec<Shard<'_>> = shards.collect();
    coder.reconstruct(black_box(&mut shards))
}

/// The rate of one round.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with one digit")]
fn rate(
    bytes: usize,
    mut work: impl FnMut() -> Result<(), ParityError>,
) -> Result<f64, ParityError> {
    work()?;
    let start = Instant::now();
    let mut done_bytes = 0_usize;
    while start.elapsed() < ROUND_MIN {
        for _ in 0..16 {
            work()?;
        }
        done_bytes += 16 * bytes;
    }
    Ok(done_bytes as f64 / start.elapsed().as_secs_f64() / 1e9)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// One unit in memory of its own, aligned as the store's buffers are.
struct Unit {
    memory: Vec<u8>,
    offset: usize,
}

impl Unit {
    fn new(seed: u8) -> Self {
        let mut memory = vec![0; UNIT_BYTES + ALIGNMENT_BYTES];
        let offset = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
        let mut state = u32::from(seed) + 1;
        for byte in &mut memory {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
        Self { memory, offset }
    }

    fn bytes(&self) -> &[u8] {
        self.memory
            .get(self.offset..self.offset + UNIT_BYTES)
            .unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory
            .get_mut(self.offset..self.offset + UNIT_BYTES)
            .unwrap_or_default()
    }
}

fn buffers(count: usize) -> Vec<Unit> {
    (0..=u8::MAX).take(count).map(Unit::new).collect()
}
