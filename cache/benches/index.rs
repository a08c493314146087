//! What a million objects cost before anybody asks for one: memory per index entry, and the start of the gateway with
//! the checkpoint of a clean close and without it.
//!
//! `cargo bench -p weir-cache --bench index` prints microseconds of processor time and of waiting, and bytes of
//! resident memory, per object. Behind `--`: `--data=FOLDER`, which is to have room for a million inodes, `--objects=N`,
//! `--rounds=N`, `--drop-caches` (root only: starts with nothing in the page cache, also for everybody else on this
//! machine).
//!
//! One disk. The files are empty and made by name, since a start reads names only: the same files that a store would
//! have made, but for their contents. Each start is a process of its own, so that its memory is its own.

mod measure;

use measure::{Outcome, processor_time};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Objects unless `--objects` says otherwise.
const OBJECTS: u64 = 1_000_000;
/// Starts of each kind.
const ROUNDS: usize = 3;
/// First sequence of the first epoch.
const FIRST_SEQUENCE: u64 = 1 << 48;
/// What a child is told.
const START: &str = "start";
/// Ends as a killed process does.
const KILLED: &str = "killed";

fn main() -> Outcome<()> {
    let mut table = io::stdout().lock();
    if let Some(folder) = measure::argument(START) {
        return start(&mut table, Path::new(&folder));
    }
    if !measure::is_wanted() {
        writeln!(table, "run by `cargo bench`")?;
        return Ok(());
    }
    let objects = measure::argument("objects").map_or(Ok(OBJECTS), |objects| objects.parse())?;
    let rounds = measure::argument("rounds").map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let root = measure::data_folder()?;
    let folder = root.path().join("disk");
    fs::create_dir(&folder)?;
    // Formats it; the second start is the one whose memory is compared with.
    run(&folder, End::Clean)?;
    let empty = run(&folder, End::Clean)?;
    let before = Instant::now();
    make(&folder, objects)?;
    writeln!(
        table,
        "{objects} objects, {rounds} rounds, on {}; their files took {:.0} s",
        folder.display(),
        before.elapsed().as_secs_f64()
    )?;
    let rest = empty.resident;
    writeln!(table, "a store without objects: {} KiB", rest / 1024)?;
    writeln!(
        table,
        "{:<30} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "per object", "CPU us", "elapsed us", "memory B", "peak B", "close us"
    )?;
    // What the clean close of the folder's making says is true of no object.
    run(&folder, End::Killed)?;
    let (mut scans, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        scans.push(run(&folder, End::Clean)?);
        loads.push(run(&folder, End::Killed)?);
    }
    print(&mut table, "no checkpoint", &scans, &empty)?;
    print(&mut table, "checkpoint", &loads, &empty)?;
    if std::env::args().any(|argument| argument == "--drop-caches") {
        drop_caches()?;
        let scan = run(&folder, End::Clean)?;
        drop_caches()?;
        let load = run(&folder, End::Killed)?;
        print(&mut table, "no checkpoint, cold", &[scan], &empty)?;
        print(&mut table, "checkpoint, cold", &[load], &empty)?;
    }
    Ok(())
}

/// How a start ends.
#[derive(Clone, Copy)]
enum End {
    Clean,
    Killed,
}

/// What a start has cost.
struct Cost {
    objects: u64,
    processor_micros: u64,
    elapsed_micros: u64,
    /// Resident when the store was open, bytes.
    resident: u64,
    /// The most that was resident until then, bytes.
    peak: u64,
    /// Processor time of the close, 0 of a process that was killed.
    close_micros: u64,
}

impl Display for Cost {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            line,
            "{} {} {} {} {} {}",
            self.objects,
            self.processor_micros,
            self.elapsed_micros,
            self.resident,
            self.peak,
            self.close_micros
        )
    }
}

impl Cost {
    fn parse(line: &str) -> Option<Self> {
        let numbers = line.split_whitespace().map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
        let [
            objects,
            processor_micros,
            elapsed_micros,
            resident,
            peak,
            close_micros,
        ] = numbers.try_into().ok()?;
        Some(Self {
            objects,
            processor_micros,
            elapsed_micros,
            resident,
            peak,
            close_micros,
        })
    }
}

/// Starts a store in a process of its own.
fn run(folder: &Path, end: End) -> Outcome<Cost> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(format!("--{START}={}", folder.display()));
    if matches!(end, End::Killed) {
        command.arg(format!("--{KILLED}"));
    }
    let output = command.output()?;
    let line = String::from_utf8(output.stdout)?;
    Cost::parse(&line).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the start said {line:?} and {errors:?}").into()
    })
}

/// The child.
fn start(table: &mut impl Write, folder: &Path) -> Outcome<()> {
    let runtime = measure::runtime()?;
    let folders = [folder.to_owned()];
    let (processor, began) = (processor_time(), Instant::now());
    let store = runtime.block_on(measure::open(&folders, measure::settings(false)))?;
    let mut cost = Cost {
        objects: store.stats().objects.get(),
        processor_micros: micros(processor_time().saturating_sub(processor)),
        elapsed_micros: micros(began.elapsed()),
        resident: memory("VmRSS:")?,
        peak: memory("VmHWM:")?,
        close_micros: 0,
    };
    if std::env::args().any(|argument| argument == format!("--{KILLED}")) {
        writeln!(table, "{cost}")?;
        table.flush()?;
        std::process::exit(0);
    }
    let processor = processor_time();
    runtime.block_on(measure::close(store));
    cost.close_micros = micros(processor_time().saturating_sub(processor));
    writeln!(table, "{cost}")?;
    Ok(())
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A number of bytes that the kernel tells of this process.
fn memory(field: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kibibytes.ok_or("no such field")?.trim().parse::<u64>()? * 1024)
}

/// The files of objects of one disk, in the folders that their names say.
fn make(folder: &Path, objects: u64) -> io::Result<()> {
    let objects_folder = folder.join("ec");
    let folder_of = |prefix: u64| -> PathBuf { objects_folder.join(format!("{prefix:03x}")) };
    for prefix in 0..0x1000 {
        fs::create_dir_all(folder_of(prefix))?;
    }
    for number in 0..objects {
        let high = measure::mixed(number);
        let low = measure::mixed(!number);
        let sequence = FIRST_SEQUENCE + 1 + number;
        // One disk and one copy in units of 256 KiB: geometry 0006, shard 0.
        let length = 1 + low % 65_536;
        let name = format!(
            "{high:016x}{low:016x}-{:016x}-{sequence:016x}-0006-0-{length:x}.s",
            0
        );
        File::create(folder_of(high >> 52).join(name))?;
    }
    Ok(())
}

/// Writes back and forgets what the kernel has in memory.
fn drop_caches() -> io::Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn print(table: &mut impl Write, name: &str, costs: &[Cost], empty: &Cost) -> io::Result<()> {
    let each = |number: fn(&Cost) -> u64| {
        let numbers = costs.iter().map(|cost| {
            let more = number(cost).saturating_sub(number(empty));
            more as f64 / cost.objects.max(1) as f64
        });
        measure::median(&numbers.collect::<Vec<_>>())
    };
    let fewest = costs.iter().map(|cost| cost.objects).min().unwrap_or(0);
    writeln!(
        table,
        "{name:<30} {:>10.2} {:>10.2} {:>10.1} {:>10.1} {:>10.2}   {fewest} objects",
        each(|cost| cost.processor_micros),
        each(|cost| cost.elapsed_micros),
        each(|cost| cost.resident),
        each(|cost| cost.peak),
        each(|cost| cost.close_micros),
    )
}
