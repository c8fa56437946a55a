//! What an image's signatures are worth, in words.
//!
//! "Verified" is said only of what the policy's rule accepted; "signed" is another word, of whatever worth.

use super::text::{one_line, shorten_middle};
use crate::plan::{Checked, Item, Signer, SignerName, Signing};

/// The longest name of a signer in a table, in columns.
const LONGEST_NAME: usize = 48;

/// So many signers are told in full; more are counted.
const TOLD: usize = 5;

/// By whom an item's image is verified, for a table: `key cosign.pub`, or an identity; `None` if it is not verified.
pub(super) fn brief(item: &Item) -> Option<String> {
    let signers = signers(item.verification.as_ref()?)?;
    let Some(first) = signers.first() else { return Some(String::new()) };
    let name = match &first.name {
        SignerName::Key { name, .. } => format!("key {name}"),
        SignerName::Identity { name, .. } => name.strip_prefix("https://").unwrap_or(name).to_owned(),
    };
    Some(shorten_middle(&one_line(&name), LONGEST_NAME))
}

/// What there is to say of signatures that are not what the policy's rule asks for, where nobody looked at companions.
pub(super) fn denied(item: &Item) -> Option<&'static str> {
    match item.verification.as_ref()?.signing {
        Signing::Unsigned(_) => Some("unsigned"),
        Signing::Refused(_) => Some("not verified"),
        Signing::Verified(_) | Signing::NotAsked => None,
    }
}

/// What there is to say of it in full, each a phrase; empty if nothing was asked of its signatures. The texts hold what
/// came from outside and are not escaped.
pub(super) fn phrases(item: &Item) -> Vec<String> {
    let Some(checked) = &item.verification else { return Vec::new() };
    let Some(signers) = signers(checked) else { return Vec::new() };
    let mut phrases: Vec<String> = signers.iter().take(TOLD).map(phrase).collect();
    if let Some(more) = signers.len().checked_sub(TOLD).filter(|more| *more > 0) {
        phrases.push(format!("and by {more} more"));
    }
    phrases
}

fn signers(checked: &Checked) -> Option<&[Signer]> {
    match &checked.signing {
        Signing::Verified(signers) => Some(signers),
        Signing::NotAsked | Signing::Unsigned(_) | Signing::Refused(_) => None,
    }
}

fn phrase(signer: &Signer) -> String {
    let what = match &signer.statement {
        Some(predicate) => format!("a statement (`{predicate}`)"),
        None => "a signature".to_owned(),
    };
    let by = match &signer.name {
        SignerName::Key { name, fingerprint } => format!("the key `{name}` ({fingerprint})"),
        SignerName::Identity { name, issuer } => format!("`{name}` (`{issuer}`)"),
    };
    let logged = signer.logged.as_ref().map_or_else(String::new, |at| format!(", logged {at}"));
    let named =
        signer.repository.as_ref().map_or_else(String::new, |name| format!(", which calls it `{name}`"));
    format!("verified: {what} by {by}{named}, {}{logged}", signer.place)
}
