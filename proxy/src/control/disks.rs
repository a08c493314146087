//! `weir disks`, the gateway's side: how the disks are, and changes of them.
//!
//! A change is answered when the store has taken it; what follows (rebuilding, moving) goes on by itself and shows in
//! the next report, whoever asks and whether anybody does.
//!
//! A folder is a path on this machine and has to be there: one that was made here would, with a device that is not
//! mounted, be on another device than the operator means.

use super::Refused;
use super::protocol::DiskChange;
use super::shown::{Disks, DisksChanged};
use crate::gateway::Gateway;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use weir_cache::device::file::FileDevice;
use weir_cache::ports::Device;
use weir_cache::store::Store;
use weir_cache::store::report::{ArrayReport, DiskCommandError, DiskSlot};

/// For one look at a folder.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);

/// The store, where it is this process's.
pub(super) fn store(gateway: &Gateway) -> Result<&Arc<Store>, Refused> {
    let store = gateway.engine.store();
    store.ok_or_else(|| "the data is still another process's: try again in a moment".to_owned())
}

pub(super) fn report(gateway: &Gateway) -> Result<Disks, Refused> {
    Ok(store(gateway)?.disks().into())
}

/// Makes one change.
pub(super) async fn change(
    gateway: &Gateway,
    change: &DiskChange,
) -> Result<DisksChanged, Refused> {
    let store = store(gateway)?;
    match change {
        DiskChange::Replace { slot, folder } => {
            let slot = DiskSlot(*slot);
            let device = device(folder).await?;
            let replaced = store.replace_disk(slot, device).await;
            replaced.map_err(|error| refusal(&error))?;
            tracing::info!(%slot, folder, "a disk is replaced by command");
            Ok(replaced_in(&store.disks(), slot, folder))
        }
        DiskChange::Add { folder } => {
            let added = store.add_disk(device(folder).await?).await;
            let slot = added.map_err(|error| refusal(&error))?;
            tracing::info!(%slot, folder, "a disk is added by command");
            Ok(replaced_in(&store.disks(), slot, folder))
        }
        DiskChange::Retire { slot } => {
            let slot = DiskSlot(*slot);
            let retired = store.retire_disk(slot).await;
            retired.map_err(|error| refusal(&error))?;
            tracing::info!(%slot, "a disk is retired by command");
            Ok(without(&store.disks(), slot))
        }
        DiskChange::Accept => {
            let accepted = store.accept_disks().await;
            accepted.map_err(|error| refusal(&error))?;
            tracing::warn!("the disks that are there are accepted as all there is, by command");
            Ok(changed(None, folders(&store.disks(), None)))
        }
    }
}

/// An empty folder of the operator's, as a disk. What is in it the store looks at.
async fn device(folder: &str) -> Result<Arc<dyn Device>, Refused> {
    let path = checked(folder)?;
    let looked = path.clone();
    let look = tokio::task::spawn_blocking(move || std::fs::metadata(looked));
    let Ok(Ok(found)) = tokio::time::timeout(LOOK_TIME_MAX, look).await else {
        return Err(format!("{folder}: the device does not answer"));
    };
    match found {
        Ok(found) if found.is_dir() => Ok(Arc::new(FileDevice::new(path)) as Arc<dyn Device>),
        Ok(_) => Err(format!("{folder} is not a folder")),
        Err(error) => Err(format!(
            "{folder}: {error}: mount the device and make an empty folder on it that the gateway may write to"
        )),
    }
}

fn checked(folder: &str) -> Result<PathBuf, Refused> {
    let path = Path::new(folder);
    if folder.contains('\0') || !path.is_absolute() {
        return Err(format!(
            "{folder:?} is not an absolute path on the gateway's machine"
        ));
    }
    Ok(path.to_owned())
}

fn refusal(error: &DiskCommandError) -> Refused {
    error.to_string()
}

/// The folders with `folder` in the place of `slot`, whether or not the report knows of it already.
fn replaced_in(report: &ArrayReport, slot: DiskSlot, folder: &str) -> DisksChanged {
    let mut folders: Vec<(DiskSlot, String)> = folders(report, Some(slot)).collect();
    folders.push((slot, folder.to_owned()));
    folders.sort_by_key(|(slot, _)| *slot);
    changed(Some(slot), folders.into_iter())
}

fn without(report: &ArrayReport, slot: DiskSlot) -> DisksChanged {
    changed(Some(slot), folders(report, Some(slot)))
}

fn changed(
    slot: Option<DiskSlot>,
    folders: impl Iterator<Item = (DiskSlot, String)>,
) -> DisksChanged {
    DisksChanged {
        slot: slot.map(|slot| slot.0),
        folders: folders.map(|(_, folder)| folder).collect(),
    }
}

/// The folders that are known, besides that of `but`.
fn folders(
    report: &ArrayReport,
    but: Option<DiskSlot>,
) -> impl Iterator<Item = (DiskSlot, String)> {
    let disks = report.disks.iter();
    let others = disks.filter(move |disk| Some(disk.slot) != but && !disk.folder.is_empty());
    others.map(|disk| (disk.slot, disk.folder.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{self, tests::disk};
    use weir_cache::store::report::{ArrayState, DiskState};

    fn report(folders: &[(u8, &str)]) -> ArrayReport {
        let disks = folders.iter();
        let disks = disks.map(|(slot, folder)| disk(*slot, folder, DiskState::Live, ""));
        array::tests::report(ArrayState::Healthy, disks.collect())
    }

    #[test]
    fn the_folders_to_configure_are_those_after_the_change() {
        let report = report(&[(0, "/a"), (1, "/b"), (3, ""), (4, "/e")]);
        let check = |changed: DisksChanged, expected: &[&str]| {
            assert_eq!(changed.folders, expected, "{changed:?}");
        };
        check(
            replaced_in(&report, DiskSlot(1), "/new"),
            &["/a", "/new", "/e"],
        );
        check(
            replaced_in(&report, DiskSlot(3), "/new"),
            &["/a", "/b", "/new", "/e"],
        );
        check(
            replaced_in(&report, DiskSlot(2), "/new"),
            &["/a", "/b", "/new", "/e"],
        );
        check(without(&report, DiskSlot(0)), &["/b", "/e"]);
        check(without(&report, DiskSlot(3)), &["/a", "/b", "/e"]);
    }

    #[tokio::test]
    async fn only_a_folder_that_is_there_becomes_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert_eq!(device(&path).await.unwrap().name(), path);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let check = async |path: &str, word: &str| {
            let refused = device(path).await.err().unwrap();
            assert!(refused.contains(word), "{path}: {refused}");
        };
        check(&file.display().to_string(), "not a folder").await;
        check(&format!("{path}/absent"), "mount the device").await;
        check("relative", "absolute").await;
        check("", "absolute").await;
        check("/nul\0", "absolute").await;
        assert!(!folder.path().join("absent").exists());
    }
}
