//! What the tags of sources stand for today.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, stream};

use super::{Finding, Found, Mode};
use crate::config::ListedSource;
use crate::oci::{Digest, ManifestError, ManifestRef, Reference};
use crate::policy::Policy;
use crate::report::Interruption;
use crate::store::{Sources, StoreError};

/// So many look-ups wait for their registries at a time; each registry has limits of its own.
const AT_A_TIME: usize = 256;

/// What is to be asked of registries: each tag once, however many sources name it.
type Answers = HashMap<Reference, Result<Digest, String>>;

/// Looks up the tags of all sources that need it, until `stop` completes. Nobody is asked for what the policy does not
/// allow.
pub async fn look_up(
    lists: Vec<Vec<ListedSource>>,
    mode: Mode,
    policy: &Policy,
    sources: &Sources,
    stop: impl Future<Output = Interruption>,
) -> Found {
    let asks =
        |source: &&ListedSource| tag_of(source, mode).is_some() && policy.allows(&source.reference).is_ok();
    let wanted: HashSet<Reference> =
        lists.iter().flatten().filter(asks).map(|source| without_digest(&source.reference)).collect();
    let mut answers = Answers::new();
    let mut waiting = stream::iter(wanted)
        .map(|reference| async move {
            let answer = digest_of(&reference, sources).await;
            (reference, answer)
        })
        .buffer_unordered(AT_A_TIME);
    let mut stop = std::pin::pin!(stop);
    let interruption = loop {
        tokio::select! {
            interruption = &mut stop => break Some(interruption),
            answer = waiting.next() => match answer {
                Some((reference, answer)) => drop(answers.insert(reference, answer)),
                None => break None,
            },
        }
    };
    let find = |source: ListedSource| {
        let finding = finding(&source, mode, policy, &answers);
        (source, finding)
    };
    let lists = lists.into_iter().map(|list| list.into_iter().map(find).collect()).collect();
    Found::new(mode, lists, interruption)
}

/// The tag to look up, if there is one to look up in this mode.
fn tag_of(source: &ListedSource, mode: Mode) -> Option<ManifestRef> {
    let wanted = match mode {
        Mode::Pin => source.reference.digest.is_none(),
        Mode::Update => true,
        Mode::Check => false,
    };
    source.reference.tag.clone().filter(|_| wanted).map(ManifestRef::Tag)
}

fn without_digest(reference: &Reference) -> Reference {
    Reference { digest: None, ..reference.clone() }
}

fn finding(source: &ListedSource, mode: Mode, policy: &Policy, answers: &Answers) -> Finding {
    if tag_of(source, mode).is_none() {
        return if mode == Mode::Update { Finding::Untagged } else { Finding::Kept };
    }
    if let Err(refusal) = policy.allows(&source.reference) {
        return Finding::Refused(refusal.to_string());
    }
    match (answers.get(&without_digest(&source.reference)), &source.reference.digest) {
        (Some(Ok(digest)), None) => Finding::Pinned(digest.clone()),
        (Some(Ok(digest)), Some(old)) if digest == old => Finding::Kept,
        (Some(Ok(digest)), Some(_)) => Finding::Updated(digest.clone()),
        (Some(Err(message)), _) => Finding::Failed(message.clone()),
        (None, _) => {
            Finding::Failed("its registry was not asked before the run had to end; run it again".to_owned())
        }
    }
}

/// The digest that a tag stands for, or why that is not known.
async fn digest_of(reference: &Reference, sources: &Sources) -> Result<Digest, String> {
    let registry = &reference.registry;
    let Some(source) = sources.get(registry) else { return Err(format!("nobody can speak to {registry}")) };
    let found = source.resolve(&reference.repository, &reference.manifest_ref()).await;
    match found.map_err(|error| named(error, reference).to_string())? {
        None => Err(format!("{registry} does not have it; correct the source, or take the entry out")),
        Some(found) if found.media_type.is_schema1() => Err(ManifestError::Schema1.to_string()),
        Some(found) => Ok(found.digest),
    }
}

/// A registry's errors name what was asked for without the registry; here it is known.
fn named(mut error: StoreError, reference: &Reference) -> StoreError {
    if error.reference.starts_with(reference.repository.as_str()) {
        error.reference = format!("{}/{}", reference.registry, error.reference);
    }
    error
}
