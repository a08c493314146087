//! A disk of the array as an ordinary device: every call runs on the disk's own threads, and fails when the disk goes
//! out while it is waited for. For code that knows one device at a time; coordinator's threads only.

use super::disk::{Disk, DiskFault};
use crate::ports::{Device, DeviceFile, Space};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct GuardedDevice(Arc<Disk>);

impl GuardedDevice {
    pub(crate) fn new(disk: Arc<Disk>) -> Self {
        Self(disk)
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.0.ask(call).map_err(as_error)
    }
}

/// One open file of a [`GuardedDevice`].
#[derive(Debug)]
struct GuardedFile {
    disk: Arc<Disk>,
    file: Arc<dyn DeviceFile>,
}

impl GuardedFile {
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn DeviceFile) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        let called = self.disk.ask(move |_| call(file.as_ref()));
        called.map_err(as_error)
    }
}

fn as_error(fault: DiskFault) -> io::Error {
    match fault {
        DiskFault::Io(error) => error,
        DiskFault::Out | DiskFault::Closed => io::Error::new(io::ErrorKind::TimedOut, fault),
    }
}

impl Device for GuardedDevice {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let path = path.to_owned();
        let file = self.call(move |device| device.create(&path))?;
        let disk = Arc::clone(&self.0);
        Ok(Arc::new(GuardedFile { disk, file }))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        let path = path.to_owned();
        let file = self.call(move |device| device.open(&path, write))?;
        let disk = Arc::clone(&self.0);
        Ok(Arc::new(GuardedFile { disk, file }))
    }

    fn open_unbuffered(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let path = path.to_owned();
        let file = self.call(move |device| device.open_unbuffered(&path))?;
        let disk = Arc::clone(&self.0);
        Ok(Arc::new(GuardedFile { disk, file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.call(move |device| device.rename(&from, &to))
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let path = path.to_owned();
        self.call(move |device| device.unlink(&path))
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        let path = path.to_owned();
        self.call(move |device| device.mkdir(&path))
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let path = path.to_owned();
        self.call(move |device| device.read_dir(&path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = path.to_owned();
        self.call(move |device| device.sync_dir(&path))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.call(|device| device.sync_all())
    }

    fn space(&self) -> io::Result<Space> {
        self.call(|device| device.space())
    }

    fn lock(&self, path: &str) -> io::Result<bool> {
        let path = path.to_owned();
        self.call(move |device| device.lock(&path))
    }

    fn unlock(&self) {
        self.0.unlock();
    }

    fn boot_id(&self) -> io::Result<String> {
        self.call(|device| device.boot_id())
    }
}

impl DeviceFile for GuardedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let length = buffer.len();
        let read = self.call(move |file| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })?;
        buffer.copy_from_slice(&read);
        Ok(())
    }

    fn read_resident_at(&self, _buffer: &mut [u8], _offset: u64) -> bool {
        false
    }

    fn write_all_at(&self, buffers: &[io::IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = buffers
            .iter()
            .flat_map(|buffer| buffer.iter())
            .copied()
            .collect();
        self.call(move |file| file.write_all_at(&[io::IoSlice::new(&bytes)], offset))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.call(move |file| file.allocate(length))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.call(move |file| file.truncate(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(|file| file.sync_data())
    }

    fn length(&self) -> io::Result<u64> {
        self.call(|file| file.length())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
