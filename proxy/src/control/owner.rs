//! Whether some process owns a data folder, asked from outside and without getting in anybody's way.
//!
//! The owner holds a lock (flock) on a file of the folder. Trying to take that lock would tell as well, and would for a
//! moment be in the way of a gateway that starts; the kernel's list of locks (`/proc/locks`) tells without. Locks of
//! processes in other containers are not in it: then nobody seems to own the folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file that the store locks; a test keeps both the same.
const LOCK: &str = "owner.lock";

/// Whether a running process owns `folder`, as far as this can be seen.
pub(crate) fn is_owned(folder: &Path) -> bool {
    let Ok(lock) = fs::metadata(folder.join(LOCK)) else {
        return false;
    };
    // A list of locks that is not there says of nobody that they own it.
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| is_held(line, lock.ino()))
}

/// Whether a line like `1: FLOCK  ADVISORY  WRITE 100 fe:01:2097154 0 EOF` is about this file. The device in front of
/// the inode's number is left out: some file systems show another one here than to stat(2), and who takes another
/// disk's lock for this one only waits for a while in vain.
fn is_held(line: &str, inode: u64) -> bool {
    let mut words = line.split_whitespace().skip(1);
    // `->`: somebody who waits for the lock.
    let is_flock = words.next() == Some("FLOCK");
    let file = words.nth(3).and_then(|file| file.rsplit(':').next());
    is_flock && file.and_then(|inode| inode.parse().ok()) == Some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use weir_cache::device::file::FileDevice;
    use weir_cache::ports::Device;

    #[test]
    fn only_locks_on_the_file_count() {
        let check = |line, expected| assert_eq!(is_held(line, 42), expected, "{line}");
        check("1: FLOCK  ADVISORY  WRITE 100 fe:01:42 0 EOF", true);
        check("1: FLOCK  ADVISORY  WRITE 100 fe:01:43 0 EOF", false);
        check("1: POSIX  ADVISORY  WRITE 100 fe:01:42 0 EOF", false);
        check("1: -> FLOCK  ADVISORY  WRITE 100 fe:01:42 0 EOF", false);
        check("", false);
    }

    #[test]
    fn a_folder_is_owned_while_its_lock_is_held() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_owned(folder.path()));
        File::create(folder.path().join(LOCK)).unwrap();
        assert!(!is_owned(folder.path()));
        let device = FileDevice::new(folder.path());
        assert!(device.lock(LOCK).unwrap());
        assert!(is_owned(folder.path()));
        device.unlock();
        assert!(!is_owned(folder.path()));
    }
}
