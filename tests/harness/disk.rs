//! Disks of a test: real file systems in memory or in a file, that can be taken away, cut off and filled.
//!
//! Each is unmounted when its value is dropped, also after a panic. Mounting needs root: where it is refused there is
//! no disk, and the test says why it is skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::deadline::until;

/// Why a test without disks did not run.
pub const NEEDS_ROOT: &str = "mounting a file system needs root";

/// Why a test without disks in files did not run.
pub const NEEDS_LOOP: &str = "mounting a file needs root, loop devices and mkfs";

/// Stops a file system of the ext4 or XFS kind at once: what a power cut leaves behind.
const SHUT_DOWN: &str = "\
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, 0x8004587d, struct.pack('I', int(sys.argv[2])))
";

/// What a file system has written of its journal when its power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// Everything: the names of new files are there, and what is in them is not.
    Written,
    /// Only what it had written anyway.
    Lost,
}

/// A file system on a folder of its own.
pub struct Mounted {
    folder: TempDir,
    source: Source,
    is_mounted: bool,
    is_hanging: bool,
}

/// What the file system is on.
enum Source {
    /// Memory.
    Memory { mebibytes: u32 },
    /// A file, through a loop device.
    Image {
        file: PathBuf,
        options: &'static str,
    },
}

impl Mounted {
    /// A file system in memory, at most `mebibytes` large; none without the privilege to mount.
    ///
    /// # Panics
    /// When a folder cannot be made.
    pub fn in_memory(mebibytes: u32) -> Option<Self> {
        Self::new(Source::Memory { mebibytes })
    }

    /// `count` of them.
    pub fn several_in_memory(count: usize, mebibytes: u32) -> Option<Vec<Self>> {
        (0..count).map(|_| Self::in_memory(mebibytes)).collect()
    }

    /// A file system of a kind (`ext4`, `xfs`) in a file below `folder`; none without its `mkfs`, loop devices or the
    /// privilege to mount.
    ///
    /// # Panics
    /// When the file cannot be made.
    pub fn in_file(folder: &Path, name: &str, kind: &str, mebibytes: u64) -> Option<Self> {
        let image = folder.join(name);
        let file = std::fs::File::create(&image).expect("creates");
        file.set_len(mebibytes * 1024 * 1024).expect("grows");
        let image_text = image.display().to_string();
        let quiet = ["-q", &image_text];
        run(&format!("mkfs.{kind}"), &quiet).ok()?;
        let options = match kind {
            "ext4" => "loop,errors=remount-ro",
            _ => "loop",
        };
        Self::new(Source::Image {
            file: image,
            options,
        })
    }

    fn new(source: Source) -> Option<Self> {
        let mut disk = Self {
            folder: tempfile::tempdir().expect("a folder"),
            source,
            is_mounted: false,
            is_hanging: false,
        };
        disk.try_mount().ok()?;
        Some(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes it away, although it is in use: whoever looks finds the empty folder below, and files that are open stay.
    ///
    /// # Panics
    /// When that is refused.
    pub fn unplug(&mut self) {
        let folder = self.path().display().to_string();
        run("umount", &["-l", &folder]).unwrap_or_else(|error| panic!("{error}"));
        self.is_mounted = false;
    }

    /// Brings it back: what was in a file is there, what was in memory is gone.
    ///
    /// # Panics
    /// When that is refused.
    pub fn plug(&mut self) {
        self.try_mount().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Mounts a disk in a file anew, once nobody uses it any more: what a machine finds that starts again.
    ///
    /// # Panics
    /// When somebody uses it for ever, or mounting is refused.
    pub async fn start_again(&mut self) {
        let Source::Image { file, .. } = &self.source else {
            panic!("what was in memory is gone");
        };
        let (folder, image) = (
            self.path().display().to_string(),
            file.display().to_string(),
        );
        let is_unmounted = async || run("umount", &[&folder]).is_ok();
        until("nobody uses a disk any more", is_unmounted).await;
        // As long as the file system lives on somewhere, a new mount would show the same one.
        let is_free = async || !is_attached(&image);
        until("a disk has no device any more", is_free).await;
        self.is_mounted = false;
        self.plug();
    }

    /// Takes a disk in a file away although it is in use, and brings back what is in the file by now: those who had it
    /// open never hear of it again.
    ///
    /// # Panics
    /// When mounting is refused.
    pub fn reconnect(&mut self) {
        self.unplug();
        let Source::Image { file, .. } = &mut self.source else {
            panic!("what was in memory is gone");
        };
        let copy = file.with_extension("again");
        std::fs::copy(&file, &copy).expect("copies");
        *file = copy;
        self.plug();
    }

    /// Cuts its power: nothing is written any more, and every call fails until it is mounted anew.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn cut_power(&self, journal: Journal) -> Result<(), String> {
        let folder = self.path().display().to_string();
        let flag = match journal {
            Journal::Written => "1",
            Journal::Lost => "2",
        };
        run("python3", &["-c", SHUT_DOWN, &folder, flag])
    }

    /// Has the kernel meet an error of the file system, so that it lets nothing be written any more: ext4 only.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn fail(&self) -> Result<(), String> {
        let mounts = std::fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        let folder = self.path().display().to_string();
        let mut lines = mounts.lines().map(|line| line.split(' '));
        let device = lines.find_map(|mut words| {
            let device = words.next()?.strip_prefix("/dev/")?;
            (words.next()? == folder).then_some(device)
        });
        let device = device.ok_or("not on a device")?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        std::fs::write(&trigger, "1").map_err(|error| format!("{trigger}: {error}"))
    }

    /// Has it answer no call that writes, until it is awake again.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn hang(&mut self) -> Result<(), String> {
        run("fsfreeze", &["-f", &self.path().display().to_string()])?;
        self.is_hanging = true;
        Ok(())
    }

    /// Ends [`Self::hang`].
    ///
    /// # Panics
    /// When that is refused.
    pub fn wake(&mut self) {
        let folder = self.path().display().to_string();
        run("fsfreeze", &["-u", &folder]).unwrap_or_else(|error| panic!("{error}"));
        self.is_hanging = false;
    }

    /// Writes until nothing fits any more; the file that takes the space.
    ///
    /// # Panics
    /// When not even a file can be made.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("creates");
        for size in [1 << 20, 4096, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }

    fn try_mount(&mut self) -> Result<(), String> {
        let folder = self.path().display().to_string();
        match &self.source {
            Source::Memory { mebibytes } => {
                let size = format!("size={mebibytes}m");
                let words = ["-t", "tmpfs", "-o", &size, "weir-test", &folder];
                run("mount", &words)?;
            }
            Source::Image { file, options } => {
                let image = file.display().to_string();
                run("mount", &["-o", options, &image, &folder])?;
            }
        }
        self.is_mounted = true;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.is_mounted {
            return;
        }
        let folder = self.path().display().to_string();
        if self.is_hanging
            && let Err(error) = run("fsfreeze", &["-u", &folder])
        {
            eprintln!("{folder} still hangs: {error}");
        }
        if let Err(error) = run("umount", &["-l", &folder]) {
            eprintln!("{folder} is still mounted: {error}");
        }
    }
}

/// Whether some loop device has this file.
fn is_attached(image: &str) -> bool {
    let found = Command::new("losetup").args(["-j", image]).output();
    found.is_ok_and(|found| !found.stdout.is_empty())
}

/// Runs a program to its end; the error says what it said. Not in the runtime: these take milliseconds, and a drop
/// cannot wait for a task.
fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let failed = |why: String| Err(format!("{program} {}: {why}", words.join(" ")));
    let ran = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => failed(String::from_utf8_lossy(&stderr).trim().to_owned()),
        Err(error) => failed(error.to_string()),
    }
}
