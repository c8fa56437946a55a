//! The explanation for people at a terminal: a line for each thing that the policy can say.

use std::fmt::Write as _;

use super::document::{Explained, RegistryDocument, RuleDocument};
use crate::report::text::{one_line, wrap};
use crate::report::units::{bytes, count as number_of};
use crate::report::{Ink, Look};

/// Columns to where the second one begins, without the margin.
const INDENT: usize = 12;

/// The second column is at least so wide.
const NARROWEST: usize = 40;

/// The explanation, with a line feed at its end.
#[must_use]
pub fn text(explained: &Explained, look: Look) -> String {
    let mut text = format!("{}\n", look.paint(Ink::Strong, &one_line(&explained.source)));
    let room = look.columns.saturating_sub(INDENT + 2).max(NARROWEST);
    for (label, lines) in rows(explained) {
        let lines = lines.iter().flat_map(|line| wrap(&one_line(line), room));
        for (place, line) in lines.enumerate() {
            let label = if place == 0 { label } else { "" };
            let _ = writeln!(text, "{}{line}", look.paint(Ink::Quiet, &format!("  {label:<INDENT$}")));
        }
    }
    text
}

/// What there is to say, each with its label, in lines.
fn rows(explained: &Explained) -> Vec<(&'static str, Vec<String>)> {
    let Explained { allowed, prefix, mutable, platforms, registry, auth, .. } = explained;
    let allowed = match (&allowed.message, &allowed.pattern) {
        (Some(why), _) => format!("no: {why}"),
        (None, Some(pattern)) => format!("yes, by `{}` ({})", pattern.value, pattern.location),
        (None, None) => "yes: there is no `allowedSources`".to_owned(),
    };
    let prefix = match prefix {
        Some(prefix) => format!("{} ({})", prefix.value, prefix.location),
        None => "not stated here; the command line, the variable or the list says where it goes".to_owned(),
    };
    let mutable = match mutable {
        Some(pattern) => {
            format!("{} may move, by `{}` ({})", explained.target, pattern.value, pattern.location)
        }
        None => format!("{} never moves", explained.target),
    };
    let platforms = if platforms.is_empty() { "any".to_owned() } else { platforms.join(", ") };
    let limits = [("image", explained.most_image_bytes), ("layer", explained.most_layer_bytes)];
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(|(what, most)| {
            Some(format!("an {what} of at most {}", bytes(most?)).replace("an l", "a l"))
        })
        .collect();
    let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(", ") };
    let auth = match auth {
        Some(auth) => format!("{} ({})", auth.value, auth.location),
        None => "as the docker configuration says".to_owned(),
    };
    let registry = registry.as_ref().map_or_else(|| "nothing is stated".to_owned(), self::registry);
    vec![
        ("allowed", vec![allowed]),
        ("prefix", vec![prefix]),
        ("tag", vec![mutable]),
        ("platforms", vec![platforms]),
        ("limits", vec![limits]),
        ("signatures", signatures(&explained.signatures)),
        ("registry", vec![registry]),
        ("login", vec![auth]),
        ("policy", vec![explained.policy.clone()]),
    ]
}

fn signatures(rules: &[RuleDocument]) -> Vec<String> {
    let Some((holds, others)) = rules.split_first() else {
        return vec!["no rule names it: signatures are not checked".to_owned()];
    };
    let mut lines = vec![format!("the rule at {} holds, by `{}`", holds.location, holds.pattern)];
    lines.push(match &holds.asks_for {
        Some(demand) => format!("it asks for {demand}"),
        None => "it asks for no signature".to_owned(),
    });
    if let Some(seconds) = holds.minimum_age_seconds {
        let (count, unit) =
            if seconds % 86_400 == 0 { (seconds / 86_400, "day") } else { (seconds / 3600, "hour") };
        lines.push(format!("it asks for an age of {}", number_of(count, unit, &format!("{unit}s"))));
    }
    if holds.asks_for.is_some() {
        let fate = match holds.unsigned {
            "allow" => "is allowed",
            "warn" => "is warned of",
            _ => "is denied",
        };
        lines.push(format!("an image without a signature {fate}"));
    }
    lines.extend(others.iter().map(|other| {
        format!("the rule at {} does not count: `{}` names it no more closely", other.location, other.pattern)
    }));
    lines
}

fn registry(stated: &RegistryDocument) -> String {
    let parts = [
        stated.kind.map(|kind| format!("kind {kind}")),
        stated.chunks.as_ref().map(|chunks| format!("chunks {chunks}")),
        stated.mount.map(|mount| format!("mount {mount}")),
        stated.referrers.map(|referrers| format!("referrers {referrers}")),
        stated.page_size.map(|size| format!("page size {size}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}, by `{}`", parts.join(", "), stated.pattern)
}
