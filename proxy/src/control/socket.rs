//! Where the socket is, on both sides: made with its mode, reached however long the folder's path is, removed by
//! whoever made it.
//!
//! An address of a Unix socket holds 108 bytes. A longer path is reached through the open folder:
//! `/proc/self/fd/N/control.sock` is the same file.

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_to, listen, socket_with,
};
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Its name in the data folder.
pub(crate) const NAME: &str = "control.sock";
/// `sun_path` without the NUL at its end, bytes.
const PATH_BYTES_MAX: usize = 107;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// A socket that commands can connect to. Its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: UnixListener,
    _file: SocketFile,
}

/// The file of a socket that this process made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// A path to the socket that an address can hold.
#[derive(Debug)]
struct Reach {
    path: PathBuf,
    /// What the path goes through.
    _folder: Option<OwnedFd>,
}

impl Bound {
    /// Makes the socket in `folder`, which this process must own: one that is there already is a dead one.
    ///
    /// # Errors
    /// Those of the system, and something else than a socket by that name.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        Self::at(folder.join(NAME))
    }

    /// As [`Self::make`], under another name.
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        remove_stale(&path)?;
        let reach = Reach::of(&path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The mode of an unbound socket is the mode of the file that binding makes: never a moment open to others.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind_to(&socket, &SocketAddrUnix::new(&reach.path)?)?;
        let file = SocketFile::of(path)?;
        listen(&socket, BACKLOG)?;
        Ok(Self {
            listener: UnixListener::from_std(net::UnixListener::from(socket))?,
            _file: file,
        })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

/// Connects to the gateway that owns `folder`.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` when no gateway runs there.
pub(crate) fn connect(folder: &Path) -> io::Result<net::UnixStream> {
    connect_to(&folder.join(NAME))
}

/// As [`connect`], to a socket of another name.
pub(crate) fn connect_to(path: &Path) -> io::Result<net::UnixStream> {
    net::UnixStream::connect(Reach::of(path)?.path.as_path())
}

impl Reach {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self {
                path: path.to_owned(),
                _folder: None,
            });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(folder, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(name);
        Ok(Self {
            path,
            _folder: Some(opened),
        })
    }
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let made = std::fs::symlink_metadata(&path)?;
        Ok(Self {
            path,
            device: made.dev(),
            inode: made.ino(),
        })
    }

    fn is(&self, found: &Metadata) -> bool {
        (found.dev(), found.ino()) == (self.device, self.inode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // By now it may be the socket of the next gateway.
        let is_own = std::fs::symlink_metadata(&self.path).is_ok_and(|found| self.is(&found));
        if is_own && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove a socket");
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something else has the name of the socket; move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check_reachable(folder: &Path) {
        let bound = Bound::make(folder).unwrap();
        let made = std::fs::symlink_metadata(folder.join(NAME)).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o600);
        let connected = connect(folder).unwrap();
        let accepted = bound.accept().await.unwrap();
        assert_eq!(accepted.peer_cred().unwrap().uid(), made.uid());
        drop((connected, accepted, bound));
        assert!(!folder.join(NAME).exists());
        assert_eq!(connect(folder).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_goes_with_its_gateway() {
        let folder = tempfile::tempdir().unwrap();
        check_reachable(folder.path()).await;
    }

    #[tokio::test]
    async fn a_folder_with_a_path_longer_than_an_address_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a".repeat(120)).join("b".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        check_reachable(&deep).await;
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        drop(net::UnixListener::bind(&path).unwrap());
        let refused = connect(folder.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        check_reachable(folder.path()).await;
        std::fs::write(&path, "mine").unwrap();
        let error = Bound::make(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = Bound::make(folder.path()).unwrap();
        let second = Bound::make(folder.path()).unwrap();
        drop(first);
        connect(folder.path()).unwrap();
        drop(second);
    }
}
