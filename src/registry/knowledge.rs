//! What a run knows of a registry: its name at first, and what it answers later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use http::HeaderMap;

use super::quirks::{Kind, Overrides, Profile};
use crate::oci::Registry;

/// The profile of one registry while the run goes on.
#[derive(Debug)]
pub(super) struct Knowledge {
    profile: RwLock<Profile>,
    stated: Overrides,
    has_answered: AtomicBool,
}

impl Knowledge {
    /// What its name says of the registry that answers, and what the operator states of it.
    pub(super) fn new(registry: &Registry, stated: Overrides) -> Self {
        let profile = RwLock::new(Profile::of(registry).with(&stated));
        Self { profile, stated, has_answered: AtomicBool::new(false) }
    }

    /// Whether anything was answered so far.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// What is known by now.
    pub(super) fn profile(&self) -> Profile {
        *self.profile.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the headers of an answer show, if nothing better is known.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        self.has_answered.store(true, Ordering::Relaxed);
        if self.stated.kind.is_some() || self.profile().kind != Kind::Generic {
            return;
        }
        if let Some(shown) = Profile::of_answer(headers) {
            let mut profile = self.profile.write().unwrap_or_else(PoisonError::into_inner);
            *profile = shown.with(&self.stated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::quirks::Chunks;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("server", http::HeaderValue::from_static("Nexus/3.70.1 (OSS)"));
        headers
    }

    fn learnt(name: &str, stated: Overrides) -> Profile {
        let knowledge = Knowledge::new(&name.parse().expect("a registry"), stated);
        knowledge.learn(&headers());
        knowledge.profile()
    }

    #[test]
    fn an_answer_tells_more_than_a_name_that_tells_nothing() {
        let stated = Overrides { chunks: Some(Chunks::Never), ..Overrides::default() };
        let nexus = learnt("registry.example.com", stated);
        assert_eq!((nexus.kind, nexus.chunks), (Kind::Nexus, Chunks::Never));
        assert_eq!(learnt("quay.io", stated).kind, Kind::Quay);
        let stated = Overrides { kind: Some(Kind::Generic), ..Overrides::default() };
        assert_eq!(learnt("registry.example.com", stated).kind, Kind::Generic);
    }
}
