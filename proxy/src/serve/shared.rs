//! What lives as long as the process, and what is made from it by each configuration.

use super::observers::{Invalidation, Records};
use super::settings as translate;
use crate::conf::Settings;
use crate::front::Live;
use crate::gateway::Gateway;
use crate::pass::{Pass, PeerSource};
use crate::record::RequestIds;
use crate::tunnel::Tunnels;
use crate::upstream::CurrentOrigin;
use pingora::proxy::HttpProxy;
use std::path::Path;
use std::sync::Arc;
use weir_cache::engine::Engine;
use weir_cache::ports::Clock;

/// What every configuration works with.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) origin: Arc<CurrentOrigin>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sink: Arc<Records>,
    pub(super) request_ids: Arc<RequestIds>,
    /// Name in Via and Cache-Status.
    pub(super) node: String,
}

impl Shared {
    /// What requests are answered by, as `settings` want it.
    pub(super) fn live(
        &self,
        settings: Settings,
        tunnels: Tunnels,
        proxy: Arc<HttpProxy<Pass>>,
    ) -> Live<Gateway> {
        let front_settings = translate::front_settings(&settings, &self.node);
        let gateway = Gateway {
            engine: Arc::clone(&self.engine),
            forms: settings.forms,
            rules: Arc::new(settings.rules),
            access: settings.access,
            stale_for_seconds: settings.fill.stale_for.as_secs(),
            cache_proxy: settings.cache_proxy,
            node: self.node.clone(),
            clock: Arc::clone(&self.clock),
            tunnels,
            sink: Arc::clone(&self.sink) as _,
            request_ids: Arc::clone(&self.request_ids),
        };
        Live {
            settings: front_settings,
            handler: Arc::new(gateway),
            proxy,
        }
    }

    /// The proxy for what is handed through. Blocks: it reads the trusted certificates.
    pub(super) fn pass_proxy(
        &self,
        ca_file: Option<&Path>,
        pool_size: usize,
    ) -> Arc<HttpProxy<Pass>> {
        let peers: Arc<dyn PeerSource> = Arc::clone(&self.origin) as _;
        let pass = Pass::new(
            peers,
            Arc::clone(&self.sink) as _,
            Arc::new(Invalidation(Arc::clone(&self.engine))),
            Arc::clone(&self.clock),
            self.node.clone(),
        );
        pass.into_proxy(&translate::pass_configuration(ca_file, pool_size))
    }
}
