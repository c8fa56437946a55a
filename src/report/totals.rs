//! The sums of a report.

use std::collections::BTreeMap;

use super::{Entry, Report, Status};
use crate::plan::{Decision, Proof, RemarkKind, Transfer};

/// The sums of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// All entries.
    pub items: usize,
    /// How many stand how, in the order of reports; none are left out.
    pub statuses: BTreeMap<Status, usize>,
    /// How many are blocked or failed by the operator's policy.
    pub policy_violations: usize,
    /// How many targets could not be looked at.
    pub targets_not_readable: usize,
    /// What was moved for all of them.
    pub transfer: Transfer,
    /// The companions that were read back.
    pub proof: Proof,
    /// Bytes that have to be moved, as far as they are known.
    pub bytes_to_move: u64,
    /// Whether nobody knows how much an entry would move that has to be copied, or that nobody looked at.
    pub bytes_to_move_incomplete: bool,
}

impl Report {
    /// The sums.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::of(self.entries())
    }

    /// The sums over what is new or other than in an earlier version of the lists. The bytes to move are those of a
    /// sync, which does the rest of the list as well: a blob that both have is moved once.
    #[must_use]
    pub fn totals_of_this_change(&self) -> Totals {
        let all = self.totals();
        Totals {
            bytes_to_move: all.bytes_to_move,
            bytes_to_move_incomplete: all.bytes_to_move_incomplete,
            ..Totals::of(self.entries().filter(Entry::is_of_this_change))
        }
    }
}

impl Totals {
    /// The sums over some entries.
    pub(super) fn of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        let mut totals = Self::default();
        for entry in entries {
            totals.items += 1;
            *totals.statuses.entry(entry.status()).or_default() += 1;
            totals.policy_violations += usize::from(entry.violates_policy());
            totals.targets_not_readable +=
                usize::from(entry.remarks().any(|remark| remark.kind == RemarkKind::TargetNotReadable));
            totals.bytes_to_move = totals.bytes_to_move.saturating_add(entry.item.bytes_to_move.unwrap_or(0));
            totals.bytes_to_move_incomplete |= match entry.decision() {
                Some(Decision::Copy | Decision::Companions | Decision::Move) => {
                    entry.item.bytes_to_move.is_none()
                }
                Some(_) => false,
                None => true,
            };
            if let Some(result) = entry.result {
                totals.transfer += result.transfer;
            }
            if let Some(proof) = entry.result.and_then(|result| result.proof) {
                totals.proof.expected = totals.proof.expected.saturating_add(proof.expected);
                totals.proof.verified = totals.proof.verified.saturating_add(proof.verified);
            }
        }
        totals
    }

    /// How many stand so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }
}
