//! Replicas that fail, come late and rot.

use super::super::merge::tests::Lost;
use super::*;
use crate::device::memory::{Fault, MemoryDevice, Operation};
use std::io::IoSlice;

const PATH: &str = "log/00000000000000ab.lg";

struct Rig {
    disks: Vec<Arc<MemoryDevice>>,
    mirror: Arc<Mirror>,
    lost: Arc<Lost>,
}

impl Rig {
    fn new(count: u8) -> Self {
        let disks: Vec<_> = (0..count).map(|_| Arc::new(MemoryDevice::new())).collect();
        let lost = Arc::new(Lost::default());
        let replicas = (0..).zip(&disks);
        let replicas = replicas
            .map(|(slot, disk)| (DiskSlot(slot), Arc::clone(disk) as Arc<dyn Device>))
            .collect();
        for disk in &disks {
            disk.mkdir("log").unwrap();
        }
        let mirror = Mirror::new(replicas, Arc::clone(&lost) as Arc<dyn ReplicaLoss>);
        Self {
            disks,
            mirror,
            lost,
        }
    }

    fn fail(&self, disk: usize, operation: Operation, errno: i32, times: u64) {
        self.disks[disk].add_fault(Fault {
            operation,
            path_contains: String::new(),
            errno,
            times,
        });
    }

    fn lost(&self) -> Vec<u8> {
        self.lost.0.lock().unwrap().clone()
    }

    /// All calls that change something, up to the first that fails.
    fn run(&self) -> io::Result<()> {
        let file = self.mirror.create(PATH)?;
        file.write_all_at(&[IoSlice::new(b"hello")], 0)?;
        file.sync_data()?;
        file.truncate(4)?;
        self.mirror.sync_dir("log")?;
        drop(file);
        let file = self.mirror.open(PATH, Access::Write)?;
        file.write_all_at(&[IoSlice::new(b"!")], 4)?;
        self.mirror.rename(PATH, "log/other")?;
        self.mirror.unlink("log/other")
    }
}

const CHANGES: [Operation; 8] = [
    Operation::Create,
    Operation::Write,
    Operation::SyncData,
    Operation::Truncate,
    Operation::SyncFolder,
    Operation::OpenForWriting,
    Operation::Rename,
    Operation::Unlink,
];

#[test]
fn a_disk_that_fails_where_another_does_not_is_lost_and_told_once() {
    for operation in CHANGES {
        for victim in 0..3 {
            let rig = Rig::new(3);
            rig.fail(usize::from(victim), operation, libc::EIO, u64::MAX);
            rig.run().unwrap();
            assert_eq!(rig.lost(), [victim], "{operation:?}");
            assert_eq!(rig.mirror.replicas().len(), 2);
            let calls = rig.disks[usize::from(victim)].calls();
            rig.run().unwrap();
            assert_eq!(
                rig.disks[usize::from(victim)].calls(),
                calls,
                "it is left alone"
            );
        }
    }
}

#[test]
fn where_all_fail_the_caller_hears_of_it_and_nobody_is_lost() {
    for operation in CHANGES {
        let rig = Rig::new(2);
        rig.fail(0, operation, libc::EIO, 1);
        rig.fail(1, operation, libc::EROFS, 1);
        let error = rig.run().unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(libc::EIO),
            "{operation:?}: the first one"
        );
        assert_eq!(rig.lost(), [0; 0]);
        assert_eq!(rig.mirror.replicas().len(), 2);
    }
}

#[test]
fn want_of_space_or_descriptors_costs_nobody_and_the_call_can_be_repeated() {
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::EMFILE, libc::ENFILE] {
        for victim in 0..3 {
            let rig = Rig::new(3);
            rig.fail(victim, Operation::Create, errno, 1);
            rig.fail(victim, Operation::Write, errno, 1);
            let error = rig.mirror.create(PATH).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno));
            let file = rig.mirror.create(PATH).unwrap();
            let write = || file.write_all_at(&[IoSlice::new(b"hello")], 3);
            assert_eq!(write().unwrap_err().raw_os_error(), Some(errno));
            write().unwrap();
            assert_eq!(rig.lost(), [0; 0]);
            for disk in &rig.disks {
                assert_eq!(disk.bytes(PATH).unwrap(), b"\0\0\0hello");
            }
        }
    }
}

#[test]
fn one_disk_sees_the_calls_that_were_made_and_its_errors_come_through() {
    let rig = Rig::new(1);
    let before = rig.disks[0].calls();
    rig.run().unwrap();
    assert_eq!(rig.disks[0].calls() - before, 9);
    for operation in CHANGES {
        for errno in [libc::EIO, libc::ENOSPC, libc::ENOENT] {
            let rig = Rig::new(1);
            rig.fail(0, operation, errno, 1);
            assert_eq!(rig.run().unwrap_err().raw_os_error(), Some(errno));
            assert_eq!(rig.lost(), [0; 0]);
        }
    }
    let rig = Rig::new(1);
    assert_eq!(
        rig.mirror.unlink(PATH).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert!(!rig.mirror.drop_replica(DiskSlot(0)), "the last one stays");
}

#[test]
fn what_one_disk_cannot_read_another_can() {
    let rig = Rig::new(3);
    let file = rig.mirror.create(PATH).unwrap();
    file.write_all_at(&[IoSlice::new(b"hello")], 0).unwrap();
    rig.fail(0, Operation::Read, libc::EIO, u64::MAX);
    rig.fail(1, Operation::Read, libc::EIO, u64::MAX);
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"hello");
    rig.fail(2, Operation::Read, libc::EBADF, u64::MAX);
    let error = file.read_exact_at(&mut bytes, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(rig.lost(), [0; 0], "reading loses nobody");
}

#[test]
fn a_copy_that_is_refused_is_overwritten_with_one_that_is_not() {
    let rig = Rig::new(3);
    let file = rig.mirror.create(PATH).unwrap();
    file.write_all_at(&[IoSlice::new(b"..good..")], 0).unwrap();
    assert!(rig.disks[0].flip(PATH, 3));
    let is_good = |bytes: &[u8]| {
        (bytes == b"good")
            .then_some(())
            .ok_or(io::Error::other("bad"))
    };
    file.read_checked(4, 2, is_good).unwrap();
    assert_eq!(rig.disks[0].bytes(PATH).unwrap(), b"..good..");
    for disk in &rig.disks {
        disk.flip(PATH, 3);
    }
    assert_eq!(
        file.read_checked(4, 2, is_good).unwrap_err().to_string(),
        "bad"
    );
}

#[test]
fn files_that_were_open_before_are_written_on_a_disk_that_came_later() {
    let rig = Rig::new(1);
    let file = rig.mirror.create(PATH).unwrap();
    let added = Arc::new(MemoryDevice::new());
    added.mkdir("log").unwrap();
    added.plant("log/0000000000000001.lg", b"of an earlier life");
    let device = Arc::clone(&added) as Arc<dyn Device>;
    rig.mirror
        .add_replica([7; 16], DiskSlot(5), device)
        .unwrap();
    file.write_all_at(&[IoSlice::new(b"hello")], 0).unwrap();
    assert_eq!(added.bytes(PATH).unwrap(), b"hello");
    assert_eq!(added.paths(), [PATH], "and nothing else is there");
    let again = Arc::clone(&added) as Arc<dyn Device>;
    assert!(rig.mirror.add_replica([7; 16], DiskSlot(5), again).is_err());
    assert!(rig.mirror.drop_replica(DiskSlot(0)));
    assert!(!rig.mirror.drop_replica(DiskSlot(0)));
    assert_eq!(rig.mirror.replicas(), [DiskSlot(5)]);
    file.write_all_at(&[IoSlice::new(b"y")], 0).unwrap();
    assert_eq!(added.bytes(PATH).unwrap(), b"yello");
    assert_eq!(rig.disks[0].bytes(PATH).unwrap(), b"hello");
}

#[test]
fn a_file_that_nobody_can_read_is_damage_on_a_disk_that_came_later_too() {
    let rig = Rig::new(1);
    rig.disks[0].plant(PATH, b"something");
    rig.fail(0, Operation::Open, libc::EIO, u64::MAX);
    let added = Arc::new(MemoryDevice::new());
    let device = Arc::clone(&added) as Arc<dyn Device>;
    rig.mirror
        .add_replica([7; 16], DiskSlot(5), device)
        .unwrap();
    assert_eq!(added.bytes(PATH).unwrap(), [0; 64]);
}
