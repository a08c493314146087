//! What the head of a response decides: whether it answers what was asked, is too large, may be stored, and for how
//! long redirects let it be fresh.

use super::Fill;
use crate::engine::failure::Failure;
use crate::engine::sources::Asked;
use crate::engine::unfit::too_large;
use crate::ports::Framing;
use http::{Method, StatusCode};
use weir_policies::effect::StoreRule;
use weir_policies::freshness;
use weir_policies::redirect::HopBound;
use weir_policies::revalidation;
use weir_policies::storability::{self, NotStored, Storability};

impl Fill {
    pub(super) fn too_large(&self, asked: &Asked) -> Option<Failure> {
        let error = too_large(&self.request.plan, &asked.response, &asked.source)?;
        Some(Failure::Origin(error))
    }

    pub(super) fn is_lasting(&self, asked: &Asked) -> bool {
        let adjust = self.request.plan.adjust;
        let response = &asked.response;
        let lifetime =
            freshness::lifetime(response.status, &response.headers, asked.exchange, adjust);
        let bound = self.lifetime_max(asked).unwrap_or(u64::MAX);
        lifetime.seconds.min(bound) > 0
    }

    /// What redirects leave of the lifetime; the rule's word for immutable bytes counts more.
    pub(super) fn lifetime_max(&self, asked: &Asked) -> Option<u64> {
        match asked.chain {
            Some(HopBound::Seconds(seconds)) if !self.request.plan.adjust.immutable => {
                Some(seconds)
            }
            _ => None,
        }
    }

    pub(super) fn judge(&self, asked: &Asked) -> Storability {
        self.judge_as(asked, asked.response.status)
    }

    /// A part is judged as the whole that it is a part of.
    pub(super) fn judge_as(&self, asked: &Asked, status: StatusCode) -> Storability {
        let response = &asked.response;
        if self.request.plan.effect.store == StoreRule::Never {
            return Storability::Refuse(NotStored::Rule);
        }
        if response.framing == Framing::UntilClose {
            // A clean FIN proves nothing: RFC 9112 §8.
            return Storability::Refuse(NotStored::Framing);
        }
        if asked.chain == Some(HopBound::NotStorable) {
            return Storability::Refuse(NotStored::NoStore);
        }
        let has_validator = !revalidation::conditions(&response.headers).is_empty();
        if self.lifetime_max(asked) == Some(0) && !has_validator {
            return Storability::Refuse(NotStored::NoFreshness);
        }
        storability::judge(
            &Method::GET,
            &self.request.headers,
            status,
            &response.headers,
            asked.exchange,
            self.request.plan.adjust,
        )
    }
}
