//! What a registry can do, as far as questions tell.

use super::super::quirks::{Chunks, Referrers};
use super::rights::Seen;
use super::{Area, Examiner, Findings, State, said};
use crate::oci::Digest;

const AREA: Area = Area::Api;

impl Examiner<'_> {
    /// The parts of the API that the specification leaves open.
    pub(super) async fn api(&self, findings: &mut Findings, seen: &Seen) {
        let Some(repository) = &self.subject.repository else { return };
        let profile = self.remote.client.knowledge.profile();
        if profile.referrers == Referrers::Tags {
            findings.add(AREA, "referrers", State::Unknown, "the policy says not to ask");
        } else {
            // The API answers for whatever digest, also one that nothing has.
            let subject = seen.manifest.clone().unwrap_or_else(|| Digest::sha256(b""));
            let (state, message) = match self.remote.referrers_by_api(repository, &subject).await {
                Ok(Some(_)) => (State::Ok, "the API answers".to_owned()),
                Ok(None) if seen.exists && self.remote.known_api(repository) == Some(false) => {
                    (State::No, "no API: referrers are listed under the fallback tag".to_owned())
                }
                // A 404 of many registries does not say whether the repository or the API is not there.
                Ok(None) => (State::Unknown, "it cannot be told without a repository that is there".to_owned()),
                Err(error) => (State::Unknown, said(&error)),
            };
            if state == State::Unknown && !seen.exists {
                let advice = "name a repository that has an image, or push one there and ask again";
                findings.advise(AREA, "referrers", state, message, advice);
            } else {
                findings.add(AREA, "referrers", state, message);
            }
        }
        let message = "only the push of a manifest with a subject tells; a sync looks at each";
        findings.add(AREA, "oci-subject", State::Unknown, message);
        if self.subject.write {
            return;
        }
        findings.add(AREA, "mount", State::Unknown, "only a try tells (--write)");
        let chunks = match profile.chunks {
            Chunks::Never => (State::No, "not used here"),
            Chunks::Allowed { .. } => (State::Unknown, "only a try tells (--write)"),
        };
        findings.add(AREA, "chunks", chunks.0, chunks.1);
    }
}
