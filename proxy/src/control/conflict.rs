//! `weir conflict`: what is contradicted, and the operator's decision.

use super::describe::Viewer;
use super::protocol::Subject;
use super::shown::{Conflicts, Decided, StoredObject};
use super::{Refused, subject};
use crate::gateway::Gateway;
use http::HeaderMap;
use weir_policies::target::{Form, Resource};

pub(super) async fn show(gateway: &Gateway, subject: &Subject) -> Result<Conflicts, Refused> {
    let resource = read(gateway, subject)?;
    let viewer = viewer(gateway, &resource);
    let found = gateway.engine.conflicts(&resource.target).await;
    Ok(Conflicts {
        conflicts: found
            .iter()
            .map(|conflict| viewer.conflict(&resource.target, conflict))
            .collect(),
        target: resource.target.to_string(),
    })
}

pub(super) async fn accept(gateway: &Gateway, subject: &Subject) -> Result<Decided, Refused> {
    let resource = read(gateway, subject)?;
    let viewer = viewer(gateway, &resource);
    let accepted = gateway.engine.accept_conflicts(&resource.target).await;
    let accepted = accepted.map_err(|error| error.to_string())?;
    let served = accepted.iter().map(|done| viewer.object(&done.object));
    Ok(decided(&resource, served.collect(), accepted.len()))
}

pub(super) async fn reject(gateway: &Gateway, subject: &Subject) -> Result<Decided, Refused> {
    let resource = read(gateway, subject)?;
    let viewer = viewer(gateway, &resource);
    let rejected = gateway.engine.reject_conflicts(&resource.target).await;
    let rejected = rejected.map_err(|error| error.to_string())?;
    let originals = rejected
        .iter()
        .filter_map(|conflict| conflict.original.as_ref());
    let served = originals.map(|original| viewer.object(original)).collect();
    Ok(decided(&resource, served, rejected.len()))
}

/// Conflicts belong to a URL, in whatever form it is asked for.
fn read(gateway: &Gateway, subject: &Subject) -> Result<Resource, Refused> {
    subject::read(&subject.url, Form::Forward, &gateway.forms)
}

fn viewer(gateway: &Gateway, resource: &Resource) -> Viewer {
    Viewer::of(gateway, HeaderMap::new(), resource)
}

fn decided(resource: &Resource, served: Vec<StoredObject>, conflicts: usize) -> Decided {
    Decided {
        target: resource.target.to_string(),
        served,
        conflicts: conflicts as u64,
    }
}
