//! Questions to the kernel that no safe wrapper asks: which pages are resident, and has this thread read from disk.
//!
//! The only unsafe code of this crate. Each call passes pointers to local structures of the kernel's layout.
#![expect(
    unsafe_code,
    reason = "cachestat(2) and getrusage(RUSAGE_THREAD) have no safe wrapper"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The number of cachestat(2) (Linux 6.5), the same on all architectures that Weir is built for.
const SYS_CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range` of linux/mman.h.
#[repr(C)]
struct CachestatRange {
    offset: u64,
    length: u64,
}

/// `struct cachestat` of linux/mman.h.
#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether every page of the range is in the page cache.
pub(super) fn is_resident(file: BorrowedFd<'_>, offset: u64, length: u64) -> io::Result<bool> {
    let page = page_bytes();
    let first = offset / page;
    let pages = offset
        .saturating_add(length)
        .div_ceil(page)
        .saturating_sub(first);
    let range = CachestatRange {
        offset: first * page,
        length: pages * page,
    };
    let mut found = Cachestat::default();
    // SAFETY: the descriptor is open for the length of the borrow; both pointers are to live local values of the
    // kernel's layout, of which it reads the first and writes the second; flags must be 0.
    let result = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            &raw mut found,
            0_u32,
        )
    };
    if result == 0 {
        Ok(found.cached >= pages)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Bytes of a page of memory: not 4096 on every machine.
fn page_bytes() -> u64 {
    // SAFETY: sysconf takes a number and returns one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096).max(1)
}

/// Blocks that the calling thread has read from disks so far.
pub(super) fn blocks_read() -> io::Result<i64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a live local value that the kernel fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all bytes were zeroed, which is a valid value of this plain structure, and the kernel has filled it.
    Ok(unsafe { usage.assume_init() }.ru_inblock)
}
