//! What an image's signatures are worth, and its age, where the policy has a rule for its source.
//!
//! What the target has is read there, where it costs no quota; what that does not prove may be at the source, which is
//! also where signatures are added later. A look-up that fails is never "unsigned".

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Look;
use super::platforms::created;
use crate::fault::cause;
use crate::oci::Digest;
use crate::plan::{
    Cause, Checked, Graph, Made, Observation, Side, Signer, SignerName, Signing, SourceState, TargetState,
    Verification,
};
use crate::policy::SignatureRule;
use crate::store::{Source, StoreError};
use crate::trust::{Failure, Place};
use crate::verify::{Accepted, By, Check, Evidence, Judgement, What};

/// No image is older. What says so says nothing: builds that are to give the same bytes again are dated 1970.
const FIRST: i64 = 1_356_998_400;

/// What is to be looked at.
struct Subject {
    digest: Digest,
    at_target: bool,
    at_source: bool,
    /// Whether it is to be copied.
    is_new: bool,
}

impl Look<'_> {
    /// Checks the image that was looked at by the policy's rule, if there is one.
    pub(super) async fn verify(self, source: &dyn Source, observation: &Observation) -> Verification {
        let Some(ruling) = self.policy.signatures_of(&self.entry.source) else {
            return Verification::NotAsked;
        };
        let Some(subject) = self.subject(observation) else { return Verification::NotAsked };
        let rule = ruling.rule;
        let signing = match self.signing(source, &subject, rule).await {
            Ok(signing) => signing,
            Err(cause) => return Verification::Blocked(cause),
        };
        let made = match (rule.minimum_age, &observation.graph) {
            (Some(_), Some(graph)) if subject.is_new => {
                match self.made(source, graph, signing.as_ref()).await {
                    Ok(made) => Some(made),
                    Err(error) => return Verification::Blocked(self.blocked(error)),
                }
            }
            _ => None,
        };
        let signing = signing.map_or(Signing::NotAsked, told);
        let rule = rule.location.to_string();
        Verification::Checked(Checked { rule, subject: subject.digest, signing, made })
    }

    /// What is to be looked at, and where; `None` if the image is not mirrored anyway.
    fn subject(self, observation: &Observation) -> Option<Subject> {
        match (&observation.source, &observation.target) {
            (SourceState::Found(found), TargetState::Present(present)) => {
                let is_there = *present == found.digest;
                (is_there || self.may_move).then(|| Subject {
                    // Signatures are of the index that platforms are left out of.
                    digest: found.source_digest.clone(),
                    at_target: is_there && found.source_digest == found.digest,
                    at_source: true,
                    is_new: !is_there,
                })
            }
            (SourceState::Found(found), TargetState::Absent | TargetState::NotReadable(_)) => Some(Subject {
                digest: found.source_digest.clone(),
                at_target: false,
                at_source: true,
                is_new: true,
            }),
            (SourceState::NotAsked, TargetState::Present(present)) => {
                Some(Subject { digest: present.clone(), at_target: true, at_source: true, is_new: false })
            }
            // Of an index that was made smaller nothing is left that was signed.
            (SourceState::Gone(_), TargetState::Present(present)) if self.entry.platforms.is_empty() => {
                Some(Subject { digest: present.clone(), at_target: true, at_source: false, is_new: false })
            }
            _ => None,
        }
    }

    /// What the image's signatures come to; `None` if the rule asks for none.
    async fn signing(
        self,
        source: &dyn Source,
        subject: &Subject,
        rule: &SignatureRule,
    ) -> Result<Option<Judgement>, Cause> {
        let Some(wanted) = &rule.wanted else { return Ok(None) };
        let target = Place { store: self.target, repository: &self.entry.target.repository };
        let source = Place { store: source, repository: &self.entry.source.repository };
        let places = [(Side::Target, target, subject.at_target), (Side::Source, source, subject.at_source)];
        let (sides, places): (Vec<Side>, Vec<Place<'_>>) = places
            .into_iter()
            .filter(|(.., is_asked)| *is_asked)
            .map(|(side, place, _)| (side, place))
            .unzip();
        let judged = self.verifier.verify(&subject.digest, &places, wanted).await;
        judged.map(Some).map_err(|Failure { place, error }| {
            let side = sides.get(place).copied().unwrap_or(Side::Source);
            self.named(cause(side, error))
        })
    }

    /// When the image was made: as somebody vouches for who took its signature in, or else as it says itself.
    async fn made(
        self,
        source: &dyn Source,
        graph: &Graph,
        signing: Option<&Judgement>,
    ) -> Result<Made, StoreError> {
        let vouched = match signing {
            Some(Judgement::Accepted(accepted)) => {
                accepted.evidence.iter().filter_map(|evidence| evidence.signed_at).min()
            }
            _ => None,
        };
        let at = match vouched {
            Some(at) => Some(at),
            None => self.stated(source, graph).await?,
        };
        let now = self.verifier.now();
        Ok(Made {
            at: at.and_then(written),
            // What is dated in the future is not a moment old.
            age: at.map(|at| now.duration_since(at).unwrap_or(Duration::ZERO)),
            logged: vouched.is_some(),
        })
    }

    /// When the newest of the images in the graph was made, as its configuration says.
    async fn stated(self, source: &dyn Source, graph: &Graph) -> Result<Option<SystemTime>, StoreError> {
        let mut newest = None;
        for node in graph.nodes.iter().filter(|node| node.platform.as_ref().is_none_or(|it| !it.is_unknown()))
        {
            let config = node.blobs.iter().find(|blob| blob.media_type.is_image_config());
            let Some(config) = config else { continue };
            let text = created(source, &self.entry.source.repository, config).await?;
            let at = text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
            newest = newest.max(at.filter(|at| at.unix_timestamp() >= FIRST).map(SystemTime::from));
        }
        Ok(newest)
    }
}

/// A time as RFC 3339 has it, in whole seconds; `None` past the year 9999.
#[must_use]
pub fn written(at: SystemTime) -> Option<String> {
    OffsetDateTime::from(at).replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

/// A judgement in the plan's words.
fn told(judgement: Judgement) -> Signing {
    match judgement {
        Judgement::Accepted(Accepted { evidence, .. }) => {
            Signing::Verified(evidence.into_iter().map(signer).collect())
        }
        Judgement::Unsigned => Signing::Unsigned(Vec::new()),
        Judgement::Refused(reasons) => {
            // What cannot be checked is as good as nothing, and no worse.
            let is_unsupported = reasons.iter().all(|reason| reason.fault.check == Check::Supported);
            let reasons = reasons.iter().map(ToString::to_string).collect();
            if is_unsupported { Signing::Unsigned(reasons) } else { Signing::Refused(reasons) }
        }
    }
}

fn signer(evidence: Evidence) -> Signer {
    let (statement, repository) = match evidence.what {
        What::Signature { repository } => (None, repository),
        What::Attestation(kind) => (Some(kind), None),
    };
    let name = match evidence.by {
        By::Key { name, fingerprint } => SignerName::Key { name, fingerprint: fingerprint.to_string() },
        By::Identity(signatory) => SignerName::Identity {
            name: signatory.subject.unwrap_or_default(),
            issuer: signatory.issuer.unwrap_or_default(),
        },
    };
    Signer {
        name,
        place: evidence.place,
        statement,
        repository,
        logged: evidence.signed_at.filter(|_| evidence.logged).and_then(written),
    }
}
