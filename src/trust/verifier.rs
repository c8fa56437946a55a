//! From the places that may have an image's proofs to what they come to.
//!
//! Nothing is decided here. The proofs of an image are held only while they are judged.

use std::sync::Arc;
use std::time::SystemTime;

use super::proofs::{Kinds, Listed, Place, Room, list, read};
use crate::oci::Digest;
use crate::store::{StoreError, StoreErrorKind};
use crate::verify::{Found, Judgement, Root, Rule, judge};

/// What signatures are checked with.
#[derive(Debug)]
pub struct Verifier {
    root: Arc<Root>,
    now: SystemTime,
    room: Room,
}

/// A look-up that failed, and at which of the places.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The place's number.
    pub place: usize,
    /// What went wrong.
    pub error: StoreError,
}

impl Verifier {
    /// With this trust root, at this time.
    #[must_use]
    pub fn new(root: Arc<Root>, now: SystemTime) -> Self {
        Self { root, now, room: Room::default() }
    }

    /// The time at which everything is looked at.
    #[must_use]
    pub const fn now(&self) -> SystemTime {
        self.now
    }

    /// Judges an image by what the places have of it: the first one, and the next ones too as long as that is not
    /// enough.
    ///
    /// # Errors
    /// A look-up failed, so that nobody knows.
    pub async fn verify(
        &self,
        subject: &Digest,
        places: &[Place<'_>],
        rule: &Arc<Rule>,
    ) -> Result<Judgement, Failure> {
        let kinds = Kinds { signatures: rule.signature, attestations: !rule.attestations.is_empty() };
        let mut listed: Vec<(usize, Listed)> = Vec::new();
        let mut judgement = Judgement::Unsigned;
        for (number, place) in places.iter().enumerate() {
            let found = list(*place, subject, kinds).await;
            let found = found.map_err(|error| Failure { place: number, error })?;
            let is_new = |one: &Listed| !listed.iter().any(|(_, known)| known == one);
            let new: Vec<(usize, Listed)> =
                found.into_iter().filter(is_new).map(|listed| (number, listed)).collect();
            if new.is_empty() {
                continue;
            }
            listed.extend(new);
            let proofs = read(places, &listed, &self.room).await;
            let mut proofs = proofs.map_err(|(place, error)| Failure { place, error })?;
            let found = std::mem::take(&mut proofs.found);
            judgement =
                self.judge(subject, found, rule).await.map_err(|error| Failure { place: number, error })?;
            if matches!(judgement, Judgement::Accepted(_)) {
                break;
            }
        }
        Ok(judgement)
    }

    /// Judges beside the requests: a thousand signatures take a while.
    async fn judge(
        &self,
        subject: &Digest,
        found: Vec<Found>,
        rule: &Arc<Rule>,
    ) -> Result<Judgement, StoreError> {
        let (subject, rule, root, now) =
            (subject.clone(), Arc::clone(rule), Arc::clone(&self.root), self.now);
        let name = subject.to_string();
        let judged = tokio::task::spawn_blocking(move || judge(&subject, &found, &rule, &root, now)).await;
        judged.map_err(|error| {
            StoreError::new("check the signatures of", name, StoreErrorKind::Other, error.to_string())
        })
    }
}
