//! What a registry can do, as far as questions tell.

use super::super::quirks::{Chunks, Referrers};
use super::rights::Seen;
use super::{Area, Examiner, Findings, State, said};
use crate::oci::Digest;

const AREA: Area = Area::Api;

impl Examiner<'_> {
    /// The parts of the API that the specification leaves open.
    pub(super) async fn api(&self, findings: &mut Findings, seen: &Seen) {
        const NAME: &str = "referrers";
        let Some(repository) = &self.subject.repository else { return };
        let profile = self.remote.client.knowledge.profile();
        if profile.referrers == Referrers::Tags {
            findings.add(AREA, NAME, State::Unknown, "the policy says not to ask");
        } else {
            // The API answers for whatever digest, also one that nothing has.
            let subject = seen.manifest.clone().unwrap_or_else(|| Digest::sha256(b""));
            let found = self.remote.referrers_by_api(repository, &subject).await;
            let has_no_api = self.remote.known_api(repository) == Some(false);
            match found {
                Ok(Some(_)) => findings.add(AREA, NAME, State::Ok, "the API answers"),
                Ok(None) if seen.exists && has_no_api => {
                    let message = "no API: referrers are listed under the fallback tag";
                    findings.add(AREA, NAME, State::No, message);
                }
                Ok(None) => {
                    // Many a 404 does not say whether it is the repository or the API that is not there.
                    let message = "it cannot be told without a repository that is there";
                    let advice = "name a repository that has an image, or push one there and ask again";
                    findings.advise(AREA, NAME, State::Unknown, message, advice);
                }
                Err(error) => findings.add(AREA, NAME, State::Unknown, said(&error)),
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
