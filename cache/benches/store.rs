//! What a gigabyte costs: fills and hits of the store, beside the same bytes in a plain file.
//!
//! `cargo bench -p weir-cache --bench store` prints processor seconds per GB (10^9 bytes), the median of the rounds,
//! with the smallest and the largest, and the median of the ratios to the plain file of the same round. Behind `--`:
//! `--data=FOLDER`, which is to have 4 GB, `--rounds=N`. Everything is read from the page cache.
//!
//! Objects of 64 MiB, as many as an object has places to begin at on 6 disks: so each disk has as much data as parity,
//! and what a disk that is out costs is an average. "Disks" are folders of one file system.

mod measure;

use bytes::Bytes;
use measure::{Outcome, cost, cost_of};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_cache::store::{Store, UNIT_BYTES};
use weir_policies::key::CacheKey;

/// Of each object, bytes.
const OBJECT_BYTES: usize = 64 * 1024 * 1024;
/// Disks of the array.
const DISKS: usize = 6;
/// Rounds that the median is taken of.
const ROUNDS: usize = 7;

fn main() -> Outcome<()> {
    let mut table = io::stdout().lock();
    if !measure::is_wanted() {
        writeln!(table, "run by `cargo bench`")?;
        return Ok(());
    }
    let rounds = measure::argument("rounds").map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let root = measure::data_folder()?;
    let bench = Bench {
        root: root.path().to_owned(),
        body: measure::body(OBJECT_BYTES),
        keys: keys(),
    };
    let runtime = measure::runtime()?;
    writeln!(
        table,
        "CPU-s/GB, {DISKS} objects of {OBJECT_BYTES} bytes, {rounds} rounds, on {}",
        bench.root.display()
    )?;
    writeln!(
        table,
        "{:<34} {:>8} {:>17} {:>7}",
        "", "median", "min-max", "ratio"
    )?;
    print(&mut table, &runtime.block_on(bench.fills(rounds))?)?;
    print(&mut table, &runtime.block_on(bench.hits(rounds))?)?;
    Ok(())
}

/// One object for each place that the first byte may have.
fn keys() -> Vec<CacheKey> {
    let disks = DISKS as u128;
    let begins_at = |place: u128| {
        let mut keys = (0_u64..).map(measure::key);
        keys.find(|key| key.short() % disks == place)
    };
    (0..disks).filter_map(begins_at).collect()
}

/// One row.
struct Row {
    name: &'static str,
    /// Of each round.
    seconds_per_gigabyte: Vec<f64>,
}

impl Row {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            seconds_per_gigabyte: Vec::new(),
        }
    }
}

struct Bench {
    root: PathBuf,
    body: Bytes,
    keys: Vec<CacheKey>,
}

impl Bench {
    async fn fills(&self, rounds: usize) -> Outcome<Vec<Row>> {
        let plain = self.root.join("plain");
        let kinds = [
            ("fill, 1 disk, digest off", 1, false),
            ("fill, 1 disk", 1, true),
            ("fill, 6 disks, digest off", DISKS, false),
            ("fill, 6 disks", DISKS, true),
        ];
        let mut rows = vec![Row::new("plain file write")];
        rows.extend(kinds.map(|(name, ..)| Row::new(name)));
        // Side by side within a round, so that a disturbance meets all alike. The first round only warms up.
        for round in 0..=rounds {
            let mut costs = vec![cost(|| self.write_plain(&plain))?];
            std::fs::remove_file(&plain)?;
            for (name, disks, digest) in kinds {
                // A store of its own: what a store lets go of is freed a little later, at the cost of the next row.
                let store = self.open(name, disks, digest).await?;
                costs.push(cost_of(self.fill(&store)).await?);
                measure::close(store).await;
                std::fs::remove_dir_all(self.root.join(name))?;
            }
            self.note(&mut rows, costs, round);
        }
        Ok(rows)
    }

    async fn hits(&self, rounds: usize) -> Outcome<Vec<Row>> {
        let plain = self.root.join("plain");
        self.write_plain(&plain)?;
        let kinds = [
            ("hit, 1 disk", 1, 0),
            ("hit, 6 disks", DISKS, 0),
            ("hit, 6 disks, one out", DISKS, 1),
            ("hit, 6 disks, two out", DISKS, 2),
        ];
        let mut rows = vec![Row::new("plain file read")];
        let mut stores = Vec::new();
        for (name, disks, out) in kinds {
            stores.push(self.filled(name, disks, out).await?);
            rows.push(Row::new(name));
        }
        for round in 0..=rounds {
            let mut costs = vec![cost(|| read_plain(&plain))?];
            for store in &stores {
                costs.push(cost_of(self.read(store)).await?);
            }
            self.note(&mut rows, costs, round);
        }
        for store in stores {
            measure::close(store).await;
        }
        Ok(rows)
    }

    async fn open(&self, name: &str, disks: usize, digest: bool) -> Outcome<Arc<Store>> {
        let folders = measure::folders(&self.root.join(name), disks)?;
        measure::open(&folders, measure::settings(digest)).await
    }

    /// A store with all objects, some of whose disks are not there any more.
    async fn filled(&self, name: &str, disks: usize, out: usize) -> Outcome<Arc<Store>> {
        let store = self.open(name, disks, false).await?;
        self.fill(&store).await?;
        measure::close(store).await;
        let folders = measure::folders(&self.root.join(name), disks)?;
        let left = folders.get(out..).unwrap_or_default();
        measure::open(left, measure::settings(false)).await
    }

    async fn fill(&self, store: &Store) -> Outcome<()> {
        for key in &self.keys {
            measure::put(store, *key, &self.body).await?;
        }
        Ok(())
    }

    async fn read(&self, store: &Store) -> Outcome<()> {
        for key in &self.keys {
            measure::get(store, *key).await?;
        }
        Ok(())
    }

    fn write_plain(&self, path: &Path) -> Outcome<()> {
        let mut file = File::create(path)?;
        for _ in &self.keys {
            for piece in measure::pieces(&self.body) {
                file.write_all(&piece)?;
            }
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn note(&self, rows: &mut [Row], costs: Vec<std::time::Duration>, round: usize) {
        let gigabytes = (self.keys.len() * self.body.len()) as f64 / 1e9;
        for (row, cost) in rows.iter_mut().zip(costs).filter(|_| round > 0) {
            row.seconds_per_gigabyte
                .push(cost.as_secs_f64() / gigabytes);
        }
    }
}

fn read_plain(path: &Path) -> Outcome<()> {
    let file = File::open(path)?;
    let mut buffer = vec![0; usize::try_from(UNIT_BYTES)?];
    let mut offset = 0;
    loop {
        let bytes = file.read_at(&mut buffer, offset)?;
        if bytes == 0 {
            return Ok(());
        }
        std::hint::black_box(&buffer);
        offset += bytes as u64;
    }
}

/// The first row is what the others are compared with.
fn print(table: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let plain = rows.first().map(|row| row.seconds_per_gigabyte.as_slice());
    for row in rows {
        let values = &row.seconds_per_gigabyte;
        let ratios = values.iter().zip(plain.unwrap_or_default());
        let ratios: Vec<f64> = ratios.map(|(value, plain)| value / plain).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        writeln!(
            table,
            "{:<34} {:>8.3} {:>17} {:>7.2}",
            row.name,
            measure::median(values),
            format!("{least:.3}-{most:.3}"),
            measure::median(&ratios)
        )?;
    }
    Ok(())
}
