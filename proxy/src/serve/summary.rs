//! The few lines at the start: where Weir listens, where it keeps its data, and a command to try.

use std::io::{self, Write};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// Prints the summary to the standard output.
pub(super) fn print(
    listeners: &[TcpListener],
    admin: Option<&TcpListener>,
    disks: &[PathBuf],
) -> io::Result<()> {
    let mut text = format!("Weir {}\n", env!("CARGO_PKG_VERSION"));
    for listener in listeners {
        text.push_str(&format!("  proxy  http://{}\n", listener.local_addr()?));
    }
    if let Some(admin) = admin {
        text.push_str(&format!("  admin  http://{}\n", admin.local_addr()?));
    }
    for disk in disks {
        text.push_str(&format!("  store  {}\n", disk.display()));
    }
    if let Some(first) = listeners.first() {
        let address = first.local_addr()?;
        text.push_str(&format!(
            "  try    curl -O http://{address}/download/https://www.kernel.org/robots.txt\n"
        ));
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
