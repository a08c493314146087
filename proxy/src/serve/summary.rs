//! The few lines at the start: where Weir listens, where it keeps its data, and a command to try.

use super::listeners::{Bound, Change};
use std::io::{self, Write};
use std::path::PathBuf;

/// The summary. Listeners say which port they were given.
pub(super) fn text(listeners: &Change, admin: Option<&Bound>, disks: &[PathBuf]) -> String {
    let mut lines = vec![format!("Weir {}", env!("CARGO_PKG_VERSION"))];
    for address in listeners.locals() {
        lines.push(format!("  proxy  http://{address}"));
    }
    if let Some(admin) = admin {
        lines.push(format!("  admin  http://{}", admin.local()));
    }
    lines.extend(
        disks
            .iter()
            .map(|disk| format!("  store  {}", disk.display())),
    );
    if let Some(first) = listeners.locals().next() {
        let url = format!("http://{first}/download/https://www.kernel.org/robots.txt");
        lines.push(format!("  try    curl -O {url}"));
    }
    lines.join("\n") + "\n"
}

/// Prints it to the standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
