//! Several lists as one: one prefix, one set of targets.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Diagnostics, Fault, Faults, Location};
use super::entry::Wanted;
use super::list::{self, List, Prefix};
use super::{Config, Entry, ListFile, Signatures, TargetPrefix};
use crate::oci::{Platform, Reference};

/// The command line's prefix, as messages call it.
const COMMAND_LINE: &str = "--target-repo-prefix or SYNCER_TARGET_REPO_PREFIX";

/// A target prefix, and where it is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedPrefix {
    /// The prefix.
    pub prefix: TargetPrefix,
    /// Where it stands.
    pub location: Location,
}

/// Where a target prefix can come from besides the lists; the first that is there decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrefixSources<'a> {
    /// The operator's policy. Whoever states another prefix is told that it has no effect.
    pub policy: Option<&'a StatedPrefix>,
    /// The command line, or its variable. One that is wrong is a fault even where the policy decides.
    pub command_line: Option<&'a str>,
    /// Where the images go whatever the lists say, because their author is not to decide it.
    pub trusted: Option<Trusted<'a>>,
}

/// A prefix that a change of the lists does not decide.
#[derive(Debug, Clone, Copy)]
pub struct Trusted<'a> {
    /// The prefix. A list that states another one is a fault.
    pub prefix: &'a TargetPrefix,
    /// What the lists stated before the change. That it still stands there is no more than a warning.
    pub stated_before: Option<&'a TargetPrefix>,
    /// Whether nobody but the lists says it, so that it has to stay in them.
    pub by_lists: bool,
}

/// What can be used of lists, whatever is wrong with the rest of them.
#[derive(Debug)]
pub struct Usable {
    /// The entries that are in order, if it is known where the images go.
    pub config: Option<Config>,
    /// The prefix that the lists state, the first of several.
    pub stated: Option<TargetPrefix>,
    /// All that is wrong; may be nothing.
    pub faults: Vec<Fault>,
}

/// Reads lists from files and makes one [`Config`] of them.
///
/// # Errors
/// All that is wrong with all of them: files that cannot be read, and what [`load`] finds in the others.
pub fn read(files: &[PathBuf], prefix: PrefixSources<'_>, signatures: Signatures) -> Result<Config, Faults> {
    let (lists, faults) = ListFile::read_all(files);
    whole(load_with(faults, &lists, prefix, signatures))
}

/// Makes one [`Config`] of some lists. Entries stay in their order, list after list.
///
/// # Errors
/// All that is wrong with all of them, and with the target prefix.
pub fn load(lists: &[ListFile], prefix: PrefixSources<'_>, signatures: Signatures) -> Result<Config, Faults> {
    whole(usable(lists, prefix, signatures))
}

/// Makes what can be made of some lists, of which nobody has to know that they are in order.
#[must_use]
pub fn usable(lists: &[ListFile], prefix: PrefixSources<'_>, signatures: Signatures) -> Usable {
    load_with(Vec::new(), lists, prefix, signatures)
}

fn whole(usable: Usable) -> Result<Config, Faults> {
    match usable.config {
        Some(config) if usable.faults.is_empty() => Ok(config),
        _ => Err(Faults::new(usable.faults)),
    }
}

fn load_with(
    mut faults: Vec<Fault>,
    files: &[ListFile],
    prefix: PrefixSources<'_>,
    signatures: Signatures,
) -> Usable {
    let all_read = faults.is_empty();
    let mut lists = Vec::new();
    let mut warnings = Vec::new();
    for file in files {
        let mut diagnostics = Diagnostics::new(&file.name);
        let list = list::read(file, &mut diagnostics);
        faults.append(&mut diagnostics.faults);
        warnings.append(&mut diagnostics.warnings);
        lists.push((diagnostics, list));
    }
    let stated = lists.iter().find_map(|(_, list)| match &list.prefix {
        Prefix::Stated(_, prefix) => Some(prefix.clone()),
        Prefix::None | Prefix::Unknown => None,
    });
    let decided = decide_prefix(prefix, &lists, all_read, &mut warnings);
    let prefix = decided.map_err(|mut more| faults.append(&mut more)).ok();

    let mut entries = Entries::default();
    for (mut diagnostics, list) in lists {
        for wanted in list.entries {
            entries.add(wanted, prefix.as_ref(), &mut diagnostics);
        }
        faults.append(&mut diagnostics.faults);
        warnings.append(&mut diagnostics.warnings);
    }
    warnings.sort();
    let config = prefix.map(|prefix| Config { prefix, signatures, entries: entries.entries, warnings });
    Usable { config, stated, faults }
}

/// The entries of some lists, list by list, also those that are there twice. Where the images go is not asked.
///
/// # Errors
/// All that is wrong with the lists, but for their prefixes.
pub(super) fn entries(files: &[ListFile]) -> Result<Vec<Vec<(Location, Wanted)>>, Faults> {
    let mut faults = Vec::new();
    let mut all = Entries::default();
    let mut lists = Vec::new();
    for file in files {
        let mut diagnostics = Diagnostics::new(&file.name);
        let wanted = list::read(file, &mut diagnostics).entries;
        for wanted in &wanted {
            all.add(wanted.clone(), None, &mut diagnostics);
        }
        lists.push(wanted.into_iter().map(|wanted| (diagnostics.location(wanted.place), wanted)).collect());
        faults.append(&mut diagnostics.faults);
    }
    if faults.is_empty() { Ok(lists) } else { Err(Faults::new(faults)) }
}

/// The target prefix: the policy's, else the command line's, else that of the lists.
fn decide_prefix(
    sources: PrefixSources<'_>,
    lists: &[(Diagnostics, List)],
    all_read: bool,
    warnings: &mut Vec<Diagnostic>,
) -> Result<TargetPrefix, Vec<Fault>> {
    let typed = sources.command_line.map(str::parse::<TargetPrefix>).transpose();
    let typed = typed.map_err(|error| vec![Fault::new(None, &format!("{COMMAND_LINE}: {error}"))])?;
    let overridden = sources.policy.zip(typed.as_ref()).filter(|(policy, typed)| **typed != policy.prefix);
    warnings.extend(overridden.map(|(policy, typed)| {
        let message = format!(
            "the policy's `{}` is the target prefix; `{typed}` of {COMMAND_LINE} has no effect: take it out",
            policy.prefix
        );
        Diagnostic::new(policy.location.clone(), &message)
    }));
    let mut stated = lists.iter().filter_map(|(diagnostics, list)| match &list.prefix {
        Prefix::Stated(place, prefix) => Some((diagnostics.location(*place), prefix)),
        Prefix::None | Prefix::Unknown => None,
    });
    if let Some(trusted) = sources.trusted {
        return as_trusted(trusted, lists, stated, warnings);
    }
    if let Some(policy) = sources.policy {
        warnings.extend(stated.filter(|(_, other)| **other != policy.prefix).map(|(location, other)| {
            let message = format!(
                "`{other}` has no effect: the policy ({}) says that the target prefix is `{}`; take it out",
                policy.location, policy.prefix
            );
            Diagnostic::new(location, &message)
        }));
        return Ok(policy.prefix.clone());
    }
    if let Some(typed) = typed {
        return Ok(typed);
    }
    let Some((first, prefix)) = stated.next() else {
        // A list that could not be read, or whose prefix is wrong, has stated one for all that is known.
        let unknown = !all_read || lists.iter().any(|(_, list)| matches!(list.prefix, Prefix::Unknown));
        let message = "no target prefix is given; name where the images go with --target-repo-prefix, with \
                       SYNCER_TARGET_REPO_PREFIX, or with `targetRepoPrefix` in the list";
        return Err(if unknown { Vec::new() } else { vec![Fault::new(None, message)] });
    };
    let differing: Vec<Fault> = stated
        .filter(|(_, other)| *other != prefix)
        .map(|(location, other)| {
            let message = format!(
                "this list goes to `{other}`, and {first} says `{prefix}`; lists of one run go to one prefix: state \
                 it once, or give --target-repo-prefix"
            );
            Fault::new(Some(location), &message)
        })
        .collect();
    if differing.is_empty() { Ok(prefix.clone()) } else { Err(differing) }
}

/// The prefix that a change does not decide. What it takes away is missed by the first sync after it.
fn as_trusted<'a>(
    Trusted { prefix, stated_before, by_lists }: Trusted<'_>,
    lists: &[(Diagnostics, List)],
    stated: impl Iterator<Item = (Location, &'a TargetPrefix)>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<TargetPrefix, Vec<Fault>> {
    let advice = if by_lists { format!("leave it as `{prefix}`") } else { "take the line out".to_owned() };
    let mut faults = Vec::new();
    for (location, other) in stated.filter(|(_, other)| *other != prefix) {
        let message = format!(
            "`{other}` is not where the images go: that is `{prefix}`, by the policy, the workflow or the list of the \
             branch that this is to be merged into, and a change of the list cannot move it; {advice}"
        );
        if stated_before == Some(other) {
            warnings.push(Diagnostic::new(location, &message));
        } else {
            faults.push(Fault::new(Some(location), &message));
        }
    }
    let none = lists.iter().all(|(_, list)| matches!(list.prefix, Prefix::None));
    if by_lists && none && stated_before.is_some() {
        let message = format!(
            "the change takes `targetRepoPrefix` out of the list, and nothing else says where images go: no sync can \
             run after it; put `targetRepoPrefix: {prefix}` back, or state it in the policy or the workflow first"
        );
        faults.push(Fault::new(None, &message));
    }
    if faults.is_empty() { Ok(prefix.clone()) } else { Err(faults) }
}

/// The entries of all lists, each target once.
#[derive(Default)]
struct Entries {
    entries: Vec<Entry>,
    /// By repository below the prefix and tag, so that entries can be compared where there is no prefix.
    seen: HashMap<(String, String), (Location, Reference, Vec<Platform>)>,
}

impl Entries {
    fn add(&mut self, wanted: Wanted, prefix: Option<&TargetPrefix>, diagnostics: &mut Diagnostics) {
        let location = diagnostics.location(wanted.place);
        match self.seen.entry((wanted.repository.to_string(), wanted.tag.to_string())) {
            Slot::Occupied(first) => {
                let (first, source, platforms) = first.get();
                let line = if first.file == location.file {
                    format!("line {}", first.line)
                } else {
                    first.to_string()
                };
                if same_image(source, &wanted.source) && same_platforms(platforms, &wanted.platforms) {
                    let message =
                        format!("this entry is {line} once more and is left out; take one of them out");
                    diagnostics.warning(wanted.place, message);
                } else {
                    let other =
                        if same_image(source, &wanted.source) { "other platforms" } else { "another source" };
                    let message = format!(
                        "the target `{}:{}` belongs to {line} already, with {other} (`{source}`); give one of \
                         them another `tag` or `target`, or take it out",
                        wanted.repository, wanted.tag
                    );
                    diagnostics.fault(wanted.place, message);
                }
                return;
            }
            Slot::Vacant(free) => {
                free.insert((location.clone(), wanted.source.clone(), wanted.platforms.clone()));
            }
        }
        let Some(prefix) = prefix else { return };
        match prefix.target(&wanted.repository, wanted.tag) {
            Ok(target) => self.entries.push(Entry {
                position: self.entries.len(),
                location,
                written: wanted.written,
                source: wanted.source,
                target,
                platforms: wanted.platforms,
            }),
            Err(error) => {
                diagnostics.fault(
                    wanted.place,
                    format!("the name at the target is not usable: {error}; shorten it with `target`"),
                );
            }
        }
    }
}

/// Whether two references stand for the same image: where there is a digest, the tag is only a name.
pub(super) fn same_image(left: &Reference, right: &Reference) -> bool {
    left.registry == right.registry
        && left.repository == right.repository
        && left.manifest_ref() == right.manifest_ref()
}

pub(super) fn same_platforms(left: &[Platform], right: &[Platform]) -> bool {
    left.len() == right.len()
        && left.iter().all(|platform| right.iter().any(|other| other.satisfies(platform)))
}
