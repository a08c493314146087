//! Would append-only packs pay for small objects? Three copies of each on 6 disks, as files and as records of packs.
//!
//! `cargo bench -p weir-cache --bench small_objects` prints microseconds of processor time per object, medians of the
//! rounds. Behind `--`: `--data=FOLDER`, `--rounds=N`, `--objects=N`.
//!
//! | Column | What |
//! |---|---|
//! | `store` | the store on 6 folders, all of it: threads, index, heads, checksums, digest |
//! | `1 disk` | the same on one folder |
//! | `files` | only the calls that the store makes for files, and the checksum of what is read |
//! | `packs` | only the calls that packs would need, and the same checksum |
//! | `files+`, `packs+` | the same, each copy as one job on its disk's thread |
//!
//! `files` and `packs` are to be compared with each other, with threads or without: the difference is what packs could
//! save of `store` at best. "Disks" are folders of one file system; everything is read from the page cache.

mod measure;

#[path = "small_objects/files.rs"]
mod files;
#[path = "small_objects/hands.rs"]
mod hands;
#[path = "small_objects/packs.rs"]
mod packs;
#[path = "small_objects/records.rs"]
mod records;
#[path = "small_objects/stored.rs"]
mod stored;

use bytes::Bytes;
use files::Files;
use hands::Hands;
use measure::{Outcome, cost, micros_each};
use packs::Packs;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SIZES: [usize; 4] = [1024, 4 * 1024, 16 * 1024, 64 * 1024];
const DISKS: usize = 6;
/// Of each size in each round.
const OBJECTS: usize = 1000;
const ROUNDS: usize = 5;

/// What is done, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Put,
    GetCold,
    GetWarm,
    /// In packs: its share of a compaction at 50 % of dead records.
    Evict,
    /// Per object that is found at a start without a checkpoint. Of files: see the bench of the index.
    Recover,
}

/// Who does it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Store,
    OneDisk,
    Files,
    Packs,
    FilesByHands,
    PacksByHands,
}

const STEPS: [(Step, &str); 5] = [
    (Step::Put, "put"),
    (Step::GetCold, "get, handle cold"),
    (Step::GetWarm, "get, handle warm"),
    (Step::Evict, "evict / compact"),
    (Step::Recover, "recover"),
];
const WAYS: [(Way, &str); 6] = [
    (Way::Store, "store"),
    (Way::OneDisk, "1 disk"),
    (Way::Files, "files"),
    (Way::Packs, "packs"),
    (Way::FilesByHands, "files+"),
    (Way::PacksByHands, "packs+"),
];

/// Microseconds, one of each round.
type Costs = BTreeMap<(Step, Way), Vec<f64>>;

fn main() -> Outcome<()> {
    let mut table = io::stdout().lock();
    if !measure::is_wanted() {
        writeln!(table, "run by `cargo bench`")?;
        return Ok(());
    }
    raise_file_limit();
    let objects = measure::argument("objects").map_or(Ok(OBJECTS), |objects| objects.parse())?;
    let rounds = measure::argument("rounds").map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let root = measure::data_folder()?;
    writeln!(
        table,
        "us of CPU per object, {COPIES} copies on {DISKS} disks, {objects} objects, {rounds} rounds, on {}",
        root.path().display(),
        COPIES = records::COPIES
    )?;
    let mut all: Vec<Costs> = SIZES.iter().map(|_| Costs::new()).collect();
    let mut spaces = BTreeMap::new();
    // Round by round, so that a disturbance meets all alike. The first round only warms up.
    for round in 0..=rounds {
        for (length, costs) in SIZES.iter().zip(&mut all) {
            let mut bench = Round {
                body: measure::body(*length),
                objects,
                costs: Costs::new(),
            };
            let folder = tempfile::tempdir_in(root.path())?;
            spaces.insert(*length, bench.run(folder.path())?);
            for (place, mut values) in bench.costs.into_iter().filter(|_| round > 0) {
                costs.entry(place).or_default().append(&mut values);
            }
        }
    }
    for (length, costs) in SIZES.iter().zip(&all) {
        print(&mut table, *length, costs)?;
    }
    for (length, [files, packs]) in spaces {
        writeln!(
            table,
            "{length:>6} bytes: {:.1} KiB and {:.2} files an object as files, {:.1} KiB as packs without dead records",
            files.kibibytes, files.count, packs.kibibytes
        )?;
    }
    Ok(())
}

/// The store keeps more handles the more files a process may open; the gateway asks for all it can get.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer the handles are just colder.
    setrlimit(Resource::Nofile, limit).ok();
}

/// One round of one size.
struct Round {
    body: Bytes,
    objects: usize,
    costs: Costs,
}

impl Round {
    /// What the objects take as files and as packs.
    fn run(&mut self, root: &Path) -> Outcome<[Space; 2]> {
        let files = self.files(&root.join("files"))?;
        let packs = self.packs(&root.join("packs"))?;
        self.by_hands(root)?;
        let runtime = measure::runtime()?;
        for (way, disks) in [(Way::Store, DISKS), (Way::OneDisk, 1)] {
            let folders = measure::folders(&root.join(format!("store-{disks}")), disks)?;
            let costs = runtime.block_on(stored::measure(&folders, self.objects, &self.body))?;
            for (step, cost) in costs {
                self.costs.entry((step, way)).or_default().push(cost);
            }
        }
        Ok([files, packs])
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        0..self.objects as u64
    }

    fn files(&mut self, root: &Path) -> Outcome<Space> {
        let files = Files::new(root, DISKS)?;
        let (length, sum) = (self.body.len(), records::checksum(&self.body));
        let body = self.body.clone();
        self.note(Step::Put, Way::Files, self.objects, |number| {
            files.put(number, &body)
        })?;
        let space = Space::of(files.folders(), self.objects)?;
        self.note(Step::GetCold, Way::Files, self.objects, |number| {
            files.get_cold(number, length, sum)
        })?;
        let open = self.numbers().take(1000);
        let open: Vec<_> = open
            .map(|number| files.open(number, length))
            .collect::<Outcome<_>>()?;
        let mut handles = open.iter();
        self.note(Step::GetWarm, Way::Files, open.len(), |_| {
            let file = handles.next().ok_or("no handle")?;
            Files::get_warm(file.as_ref(), length, sum)
        })?;
        self.note(Step::Evict, Way::Files, self.objects, |number| {
            files.evict(number)
        })?;
        Ok(space)
    }

    fn packs(&mut self, root: &Path) -> Outcome<Space> {
        let mut packs = Packs::new(root, DISKS)?;
        let (length, sum) = (self.body.len(), records::checksum(&self.body));
        let body = self.body.clone();
        self.note(Step::Put, Way::Packs, self.objects, |number| {
            packs.put(number, &body, sum)
        })?;
        let space = Space::of(packs.folders(), self.objects)?;
        self.note(Step::GetCold, Way::Packs, self.objects, |number| {
            packs.get_cold(number, length)
        })?;
        self.note(Step::GetWarm, Way::Packs, self.objects, |number| {
            packs.get_warm(number, length, sum)
        })?;
        let mut found = 0;
        let spent = cost(|| {
            found = packs.recover()?;
            Ok(())
        })?;
        self.add(Step::Recover, Way::Packs, spent, found / records::COPIES);
        // Every second one on each disk; that many are dead when the compaction comes.
        let mut copied = 0;
        let spent = cost(|| {
            for number in (0..self.objects as u64).filter(|number| number / 6 % 2 == 0) {
                packs.evict(number);
            }
            copied = packs.compact()?;
            Ok(())
        })?;
        self.add(Step::Evict, Way::Packs, spent, copied);
        for number in (0..self.objects as u64).filter(|number| number / 6 % 2 == 1) {
            packs.get_cold(number, length)?;
        }
        Ok(space)
    }

    /// With a thread for each disk. What a compaction costs does not depend on threads: it is not done object by object.
    fn by_hands(&mut self, root: &Path) -> Outcome<()> {
        let hands = Hands::start(DISKS)?;
        let files = Arc::new(Files::new(&root.join("files-by-hands"), DISKS)?);
        let mut packs = Packs::new(&root.join("packs-by-hands"), DISKS)?;
        let (body, sum) = (self.body.clone(), records::checksum(&self.body));
        self.note(Step::Put, Way::FilesByHands, self.objects, |number| {
            hands.each(records::places_of(number, DISKS), |disk| {
                let (files, body) = (Arc::clone(&files), body.clone());
                move || files.put_copy(disk, number, &body)
            })?;
            Ok(())
        })?;
        self.note(Step::Evict, Way::FilesByHands, self.objects, |number| {
            hands.each(records::places_of(number, DISKS), |disk| {
                let files = Arc::clone(&files);
                move || files.evict_copy(disk, number)
            })?;
            Ok(())
        })?;
        self.note(Step::Put, Way::PacksByHands, self.objects, |number| {
            packs.put_by(&hands, number, &body, sum)
        })?;
        let compactions = self.costs.get(&(Step::Evict, Way::Packs)).cloned();
        let place = (Step::Evict, Way::PacksByHands);
        self.costs.insert(place, compactions.unwrap_or_default());
        Ok(())
    }

    fn note(
        &mut self,
        step: Step,
        way: Way,
        objects: usize,
        mut work: impl FnMut(u64) -> Outcome<()>,
    ) -> Outcome<()> {
        let spent = cost(|| (0..objects as u64).try_for_each(&mut work))?;
        self.add(step, way, spent, objects);
        Ok(())
    }

    fn add(&mut self, step: Step, way: Way, spent: std::time::Duration, objects: usize) {
        let costs = self.costs.entry((step, way)).or_default();
        costs.push(micros_each(spent, objects));
    }
}

/// What the files below some folders take, for each object.
struct Space {
    kibibytes: f64,
    count: f64,
}

impl Space {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    fn of(folders: &[PathBuf], objects: usize) -> io::Result<Self> {
        let (mut bytes, mut count) = (0, 0_u64);
        for folder in folders {
            add_files(folder, &mut bytes, &mut count)?;
        }
        Ok(Self {
            kibibytes: bytes as f64 / 1024.0 / objects as f64,
            count: count as f64 / objects as f64,
        })
    }
}

/// Packs count with what is written, not with what is set aside for more.
fn add_files(folder: &Path, bytes: &mut u64, count: &mut u64) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
        let entry = entry?;
        if entry.is_dir() {
            add_files(&path, bytes, count)?;
            continue;
        }
        let is_pack = path.extension().is_some_and(|extension| extension == "pk");
        *bytes += if is_pack {
            entry.len()
        } else {
            entry.blocks() * 512
        };
        *count += 1;
    }
    Ok(())
}

fn print(table: &mut impl Write, length: usize, costs: &Costs) -> io::Result<()> {
    write!(table, "{:<24}", format!("{length} bytes"))?;
    for (_, way) in WAYS {
        write!(table, " {way:>8}")?;
    }
    writeln!(table, " {:>8}", "saved")?;
    let of = |step, way| {
        costs
            .get(&(step, way))
            .map(|values| measure::median(values))
    };
    for (step, name) in STEPS {
        print_row(table, name, |way| of(step, way))?;
    }
    print_row(table, "put and evict", |way| {
        Some(of(Step::Put, way)? + of(Step::Evict, way)?)
    })
}

fn print_row(
    table: &mut impl Write,
    name: &str,
    cost: impl Fn(Way) -> Option<f64>,
) -> io::Result<()> {
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    write!(table, "  {name:<22}")?;
    for (way, _) in WAYS {
        write!(table, " {:>8}", shown(cost(way)))?;
    }
    let saved = cost(Way::Files).zip(cost(Way::Packs));
    writeln!(
        table,
        " {:>8}",
        shown(saved.map(|(files, packs)| files - packs))
    )
}
