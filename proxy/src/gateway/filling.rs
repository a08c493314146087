//! A request that nobody has sent: what the gateway would ask its engine for if a client came for a URL.
//!
//! The same verdict, rules and overlay as for clients; credentials there are none.

use super::Gateway;
use super::cache_proxy::{PROHIBITED, Prohibited};
use http::{HeaderMap, Method};
use weir_cache::engine::FetchRequest;
use weir_policies::target::{Form, Resource, Target};
use weir_policies::verdict::{Plan, Refusal, Verdict};

impl Gateway {
    /// The request that fetches `resource` for everybody.
    ///
    /// # Errors
    /// Why it would be refused.
    pub(crate) fn filling(&self, mut resource: Resource) -> Result<FetchRequest, String> {
        let headers = HeaderMap::new();
        let plan = match self.judge_get(&headers, &resource) {
            Verdict::Cache(plan) => plan,
            Verdict::Refuse(Refusal::SchemeNotServed(scheme)) => {
                return Err(format!("scheme {} is not served yet", scheme.as_str()));
            }
            Verdict::Refuse(refusal) => {
                let (status, word) = (refusal.status(), refusal.as_str());
                return Err(format!("refused by policy: {status} {word}"));
            }
            Verdict::Pass | Verdict::Purge => {
                return Err("it is handed through, never cached".to_owned());
            }
        };
        let plan = self.overlaid(&resource, plan);
        let plan = plan.map_err(|Prohibited| PROHIBITED.to_owned())?;
        self.fetch_from_second(&mut resource);
        Ok(self.fetch_request(resource, Method::GET, &headers, plan))
    }

    /// The plan with the ways of openEuler's cache-proxy over it, where this form stands in for that.
    pub(crate) fn overlaid(&self, resource: &Resource, plan: Plan) -> Result<Plan, Prohibited> {
        let settings = self.cache_proxy.as_ref();
        match settings.filter(|_| resource.form == Form::Download) {
            Some(settings) => Ok(plan.overlaid(settings.overlay(&resource.target)?)),
            None => Ok(plan),
        }
    }

    /// Behind a redirect bytes are fetched through the second cache, as long as the two together are a target.
    fn fetch_from_second(&self, resource: &mut Resource) {
        let settings = self.cache_proxy.as_ref();
        let settings = settings.filter(|settings| settings.proxy_url.is_some());
        let second = settings
            .filter(|_| resource.form == Form::Download)
            .zip(resource.upstreams.first())
            .and_then(|(settings, first)| Target::parse(&settings.location(first)).ok());
        if let Some(second) = second {
            resource.upstreams = vec![second];
        }
    }
}
