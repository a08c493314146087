//! The few lines at the start: where Weir listens, where it keeps its data, and a command to try.

use std::io::{self, Write};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// The summary. Listeners say which port they were given.
pub(super) fn text(
    listeners: &[TcpListener],
    admin: Option<&TcpListener>,
    disks: &[PathBuf],
) -> io::Result<String> {
    let mut lines = vec![format!("Weir {}", env!("CARGO_PKG_VERSION"))];
    for listener in listeners {
        lines.push(format!("  proxy  http://{}", listener.local_addr()?));
    }
    if let Some(admin) = admin {
        lines.push(format!("  admin  http://{}", admin.local_addr()?));
    }
    lines.extend(
        disks
            .iter()
            .map(|disk| format!("  store  {}", disk.display())),
    );
    if let Some(first) = listeners.first() {
        let url = format!(
            "http://{}/download/https://www.kernel.org/robots.txt",
            first.local_addr()?
        );
        lines.push(format!("  try    curl -O {url}"));
    }
    Ok(lines.join("\n") + "\n")
}

/// Prints it to the standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
