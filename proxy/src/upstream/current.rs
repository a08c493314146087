//! The connector of this moment: what a reload replaces while others use it.
//!
//! Each fetch, dial and question for peers goes to the connector that is current when it begins, and ends there: the
//! connections of the one before it live as long as their last request. A new connector begins with empty pools and
//! an empty address book, so it is made only where something that it depends on differs.

use super::{ConnectorError, HttpOrigin, Resolver, UpstreamSettings, UpstreamStats};
use crate::pass::PeerSource;
use crate::tunnel::Dialer;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::upstreams::peer::HttpPeer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use weir_cache::ports::{Origin, OriginError, OriginRequest, OriginResponse};
use weir_policies::address::Vetter;
use weir_policies::target::Target;

/// Where all connections to upstreams come from.
pub(crate) struct CurrentOrigin {
    current: ArcSwap<Made>,
    resolver: Arc<dyn Resolver>,
    stats: Arc<UpstreamStats>,
}

/// A connector, and what it was made from.
pub(crate) struct Made {
    origin: HttpOrigin,
    settings: UpstreamSettings,
    vetter: Vetter,
    authorities: Option<Stamp>,
}

/// Tells one content of a file from another without reading it: device, inode, size, and time of change in
/// nanoseconds.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, i64, i64);

impl CurrentOrigin {
    /// Loads the trusted certificates; opens no connection.
    ///
    /// # Errors
    /// [`ConnectorError`] when the certificates cannot be read.
    pub(crate) fn new(
        settings: UpstreamSettings,
        resolver: Arc<dyn Resolver>,
        vetter: Vetter,
    ) -> Result<Self, ConnectorError> {
        let stats = Arc::default();
        let made = Made::new(settings, &resolver, vetter, &stats)?;
        Ok(Self {
            current: ArcSwap::from_pointee(made),
            resolver,
            stats,
        })
    }

    /// Another connector by these settings, for [`CurrentOrigin::replace`]; `None` where it would be the same one.
    /// Blocks.
    ///
    /// # Errors
    /// [`ConnectorError`] when the certificates cannot be read.
    pub(crate) fn another(
        &self,
        settings: UpstreamSettings,
        vetter: Vetter,
    ) -> Result<Option<Made>, ConnectorError> {
        let current = self.current.load();
        let is_same = current.settings == settings
            && current.vetter == vetter
            && current.authorities == Stamp::of(settings.ca_file.as_deref());
        if is_same {
            return Ok(None);
        }
        Made::new(settings, &self.resolver, vetter, &self.stats).map(Some)
    }

    /// Connects by `made` from now on.
    pub(crate) fn replace(&self, made: Made) {
        self.current.store(Arc::new(made));
    }

    /// The counters, for the metrics page.
    pub(crate) fn stats(&self) -> Arc<UpstreamStats> {
        Arc::clone(&self.stats)
    }
}

impl Made {
    fn new(
        settings: UpstreamSettings,
        resolver: &Arc<dyn Resolver>,
        vetter: Vetter,
        stats: &Arc<UpstreamStats>,
    ) -> Result<Self, ConnectorError> {
        // Before the file is read: what changes in between is then read once too often, never too seldom.
        let authorities = Stamp::of(settings.ca_file.as_deref());
        let origin = HttpOrigin::counted(
            settings.clone(),
            Arc::clone(resolver),
            Arc::new(vetter.clone()),
            Arc::clone(stats),
        )?;
        Ok(Self {
            origin,
            settings,
            vetter,
            authorities,
        })
    }
}

impl Stamp {
    fn of(file: Option<&Path>) -> Option<Self> {
        let metadata = std::fs::metadata(file?).ok()?;
        Some(Self(
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ))
    }
}

#[async_trait]
impl Origin for CurrentOrigin {
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError> {
        let made = self.current.load_full();
        made.origin.fetch(request).await
    }
}

#[async_trait]
impl Dialer for CurrentOrigin {
    async fn dial(&self, host: &str, port: u16) -> Result<(TcpStream, SocketAddr), OriginError> {
        let made = self.current.load_full();
        made.origin.dial(host, port).await
    }
}

#[async_trait]
impl PeerSource for CurrentOrigin {
    async fn peers(&self, target: &Target) -> Result<VecDeque<HttpPeer>, (u16, String)> {
        let made = self.current.load_full();
        made.origin.peers(target).await
    }

    fn connected(&self, target: &Target, address: SocketAddr) {
        self.current.load().origin.connected(target, address);
    }
}

#[cfg(test)]
mod tests {
    use super::super::resolve::doubles::TableResolver;
    use super::*;

    #[test]
    fn a_connector_is_made_anew_only_where_something_differs() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let authority = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            std::fs::write(&file, made.cert.pem()).unwrap();
        };
        authority("first.test");
        let settings = UpstreamSettings {
            ca_file: Some(file.clone()),
            ..UpstreamSettings::defaults("node".to_owned())
        };
        let origin = CurrentOrigin::new(
            settings.clone(),
            Arc::new(TableResolver::default()),
            Vetter::default(),
        )
        .unwrap();
        let another = |settings: UpstreamSettings, vetter: Vetter| {
            origin.another(settings, vetter).map(|made| made.is_some())
        };
        assert!(!another(settings.clone(), Vetter::default()).unwrap());
        let tighter = Vetter {
            own_listeners: vec!["127.0.0.1:1".parse().unwrap()],
            ..Vetter::default()
        };
        assert!(another(settings.clone(), tighter).unwrap());
        let without_http2 = UpstreamSettings {
            http2: false,
            ..settings.clone()
        };
        assert!(another(without_http2, Vetter::default()).unwrap());
        authority("a-longer-name.test");
        assert!(another(settings.clone(), Vetter::default()).unwrap());
        std::fs::write(&file, "no certificate").unwrap();
        assert!(another(settings, Vetter::default()).is_err());
    }
}
