//! A thread that only reads when nobody else wants to: the idle class of the I/O scheduler.
//!
//! Schedulers that know no classes ignore it; the pace is what protects clients there.
#![expect(unsafe_code, reason = "ioprio_set(2) has no safe wrapper")]

/// `IOPRIO_WHO_PROCESS` of linux/ioprio.h; with 0 for whom it is the calling thread.
const WHO_PROCESS: libc::c_int = 1;
/// `IOPRIO_CLASS_IDLE` of linux/ioprio.h, in its place.
const CLASS_IDLE: libc::c_int = 3 << 13;

/// From now on the calling thread reads at idle priority. Where the system refuses, it goes on as it is.
pub(super) fn read_when_idle() {
    // SAFETY: three numbers are passed, nothing is pointed to.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
    if result != 0 {
        tracing::debug!("the scrub reads at the usual priority: the system has no idle class");
    }
}
