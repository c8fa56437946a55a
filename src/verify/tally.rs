//! What of a rule has been shown so far, and what was wrong with the rest.
//!
//! Faults that are the same are counted, not kept: a thousand bad proofs make a short list.

use std::collections::BTreeSet;

use super::fault::{Check, Fault, Reason};
use super::rule::{Mode, Rule};
use super::{Accepted, Claim, Evidence, Judgement, MOST_PROOFS, Verified, What};

/// So many different reasons are kept.
const MOST_REASONS: usize = 20;

/// The state of a rule while proofs are looked at.
pub(super) struct Tally<'a> {
    rule: &'a Rule,
    evidence: Vec<Evidence>,
    /// The signers, by their place in the rule, that signed the image.
    signed: BTreeSet<usize>,
    /// The attestations, by their place in the rule, that were shown.
    attested: BTreeSet<usize>,
    reasons: Vec<Reason>,
    /// Reasons that were not kept.
    more: usize,
}

impl<'a> Tally<'a> {
    pub(super) fn new(rule: &'a Rule) -> Self {
        let (signed, attested) = (BTreeSet::new(), BTreeSet::new());
        Self { rule, evidence: Vec::new(), signed, attested, reasons: Vec::new(), more: 0 }
    }

    /// Whether the rule asks for anything of this kind.
    pub(super) fn is_asked(&self, claim: &Claim) -> bool {
        match claim {
            Claim::Signature { .. } => self.rule.signature,
            Claim::Statement(statement) => {
                self.rule.attestations.iter().any(|wanted| wanted.is_kind(statement))
            }
        }
    }

    /// Takes a proof that holds. One that shows nothing new is not kept.
    pub(super) fn accept(&mut self, place: &str, claim: Claim, verified: Verified) -> Result<(), Fault> {
        let (is_new, what) = match claim {
            Claim::Signature { repository } => {
                let before = self.signed.len();
                self.signed.extend(&verified.signers);
                (self.signed.len() > before, What::Signature { repository })
            }
            Claim::Statement(statement) => {
                let mut is_new = false;
                let mut fault = None;
                for (number, wanted) in self.rule.attestations.iter().enumerate() {
                    if wanted.is_kind(&statement) {
                        match wanted.check(&statement) {
                            Ok(()) => is_new |= self.attested.insert(number),
                            Err(found) => fault = Some(found),
                        }
                    }
                }
                if let (false, Some(fault)) = (is_new, fault) {
                    return Err(fault);
                }
                (is_new, What::Attestation(super::fault::shown(&statement.kind)))
            }
        };
        if is_new {
            let Verified { by, signed_at, logged, domain, .. } = verified;
            self.evidence.push(Evidence { place: place.to_owned(), what, by, signed_at, logged, domain });
        }
        Ok(())
    }

    /// Notes what is wrong with a proof.
    pub(super) fn refuse(&mut self, place: &str, fault: Fault) {
        if let Some(reason) = self.reasons.iter_mut().find(|reason| reason.fault == fault) {
            reason.times += 1;
        } else if self.reasons.len() < MOST_REASONS {
            self.reasons.push(Reason { place: Some(place.to_owned()), fault, times: 1 });
        } else {
            self.more += 1;
        }
    }

    fn is_signed(&self) -> bool {
        match self.rule.mode {
            _ if !self.rule.signature => true,
            Mode::Any => !self.signed.is_empty(),
            Mode::All => self.signed.len() == self.rule.signers.len(),
        }
    }

    /// Whether all that the rule asks for was shown. A rule that asks for nothing is never satisfied.
    pub(super) fn is_satisfied(&self) -> bool {
        !self.evidence.is_empty() && self.is_signed() && self.attested.len() == self.rule.attestations.len()
    }

    /// The judgement, where `found` proofs were found.
    pub(super) fn judgement(mut self, found: usize) -> Judgement {
        if self.is_satisfied() {
            let others = found.saturating_sub(self.evidence.len());
            return Judgement::Accepted(Accepted { evidence: self.evidence, others });
        }
        if self.evidence.is_empty() && self.reasons.is_empty() && found <= MOST_PROOFS {
            return Judgement::Unsigned;
        }
        let mut add = |check, detail: String| {
            self.reasons.push(Reason { place: None, fault: Fault::new(check, &detail), times: 1 });
        };
        if self.more > 0 {
            add(Check::Size, format!("{} more proofs have other faults", self.more));
        }
        if found > MOST_PROOFS {
            add(Check::Size, format!("there are {found} proofs, and only {MOST_PROOFS} were looked at"));
        }
        // What is missing is worth saying where something is there that holds, or nothing that could.
        if !self.evidence.is_empty() || self.reasons.is_empty() {
            self.add_missing();
        }
        Judgement::Refused(self.reasons)
    }

    fn add_missing(&mut self) {
        let mut missing = Vec::new();
        if !self.is_signed() {
            let without =
                self.rule.signers.iter().enumerate().filter(|(place, _)| !self.signed.contains(place));
            missing.extend(without.map(|(_, signer)| format!("no signature by {signer}")));
        }
        let without =
            self.rule.attestations.iter().enumerate().filter(|(place, _)| !self.attested.contains(place));
        missing.extend(without.map(|(_, wanted)| format!("not {wanted}")));
        missing.truncate(MOST_REASONS);
        self.reasons.extend(missing.iter().map(|detail| Reason {
            place: None,
            fault: Fault::new(Check::Present, detail),
            times: 1,
        }));
    }
}
