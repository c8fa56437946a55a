//! One signer of a rule, a key or an identity, and one attestation.

use std::fs::File;
use std::io::Read as _;

use serde_json::{Value as Json, json};

use super::KeyFiles;
use crate::config::diagnostic::{Diagnostics, Place, Reported, nearest, quoted};
use crate::config::fields::{Fields, Keys, ListKey, described};
use crate::config::yaml::{Node, Value};
use crate::verify::{GITHUB_ISSUER, Identity, Matcher, PublicKey, Signer, Source, Wanted, Workflow};

/// The keys of a signer.
pub(in crate::policy) const SIGNER_KEYS: Keys =
    Keys { of: "a signer", known: &["key", "identity", "identityPattern", "issuer", "github"], legacy: &[] };

/// The keys of a signer's `github`.
pub(in crate::policy) const GITHUB_KEYS: Keys =
    Keys { of: "`github`", known: &["repository", "workflow", "ref"], legacy: &[] };

/// The keys of an attestation.
pub(in crate::policy) const ATTESTATION_KEYS: Keys =
    Keys { of: "an attestation", known: &["type", "builder", "source"], legacy: &[] };

/// The types of attestations.
pub(in crate::policy) const TYPES: [&str; 3] = ["slsaProvenance", "spdx", "cyclonedx"];

/// The most signers of a rule, and the most attestations.
const MOST: usize = 50;

/// The most bytes of a key's file.
const LARGEST_KEY: u64 = 64 * 1024;

/// How a signer is written.
const EXAMPLE: &str = "[{key: cosign.pub}]";

/// The signers of a key, each with itself as JSON.
pub(super) fn signers(
    fields: &Fields<'_>,
    key: &'static str,
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<(Signer, Json)>, Reported> {
    let list = ListKey {
        key,
        most: MOST,
        example: EXAMPLE,
        when_empty: "to ask for no signature",
        is_item: |_| false,
    };
    let nodes = fields.list(&list, diagnostics)?;
    let mut signers = Vec::with_capacity(nodes.len());
    let mut failed = None;
    for node in nodes {
        match signer(node, files, diagnostics) {
            Ok(signer) => signers.push(signer),
            Err(reported) => failed = Some(reported),
        }
    }
    failed.map_or(Ok(signers), Err)
}

fn signer(
    node: &Node,
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<(Signer, Json), Reported> {
    let fields = mapping(node, &SIGNER_KEYS, "{key: cosign.pub}", diagnostics)?;
    let others = ["identity", "identityPattern", "issuer", "github"];
    let Some(key) = fields.get("key") else { return identity(node, &fields, diagnostics) };
    if let Some(other) = others.iter().find(|other| fields.get(other).is_some()) {
        let message = format!(
            "a signer is a key or an identity; take out `key` or `{other}`, or make two signers of it"
        );
        return Err(diagnostics.fault(node.place, message));
    }
    let Some((text, place)) = fields.text("key", diagnostics)? else {
        return Err(diagnostics.fault(key.place, "`key` has no value"));
    };
    let key = public_key(text, place, files, diagnostics)?;
    let canonical = json!({ "key": key.fingerprint().to_string() });
    Ok((Signer::Key(key), canonical))
}

/// A mapping's values; a fault has been said if it is none, or has unknown keys.
fn mapping<'a>(
    node: &'a Node,
    keys: &Keys,
    example: &str,
    diagnostics: &mut Diagnostics,
) -> Result<Fields<'a>, Reported> {
    let Value::Mapping(pairs) = &*node.value else {
        let message = format!("{} is a mapping such as `{example}`; this is {}", keys.of, described(node));
        return Err(diagnostics.fault(node.place, message));
    };
    let faults = diagnostics.faults.len();
    let fields = Fields::read(pairs, keys, diagnostics);
    if diagnostics.faults.len() > faults { Err(Reported) } else { Ok(fields) }
}

/// A key in PEM, or the name of a file that has one. Nothing of what was written is repeated if it may be a key.
fn public_key(
    text: &str,
    place: Place,
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<PublicKey, Reported> {
    let is_pem = text.contains("-----BEGIN");
    let fault = if is_pem || text.contains('\n') {
        match PublicKey::from_pem("of the policy", text) {
            Ok(key) => return Ok(key),
            Err(error) => format!("this key is not usable: {error}"),
        }
    } else {
        let read = match files {
            KeyFiles::Nowhere => {
                Err("the policy itself is not read from a file of this machine here, and no file beside \
                                      it is; write the key itself, as the lines of its PEM below `key: |`"
                    .to_owned())
            }
            KeyFiles::Below(folder) => {
                let path = folder.join(text);
                read(&path).map_err(|error| {
                    format!("failed to read {}: {error}", quoted(&path.display().to_string()))
                })
            }
        };
        match read {
            Err(error) => format!("the key {} is not usable: {error}", quoted(text)),
            Ok(pem) => match PublicKey::from_pem(text, &pem) {
                Ok(key) => return Ok(key),
                Err(error) => format!("the key {} is not usable: {error}", quoted(text)),
            },
        }
    };
    Err(diagnostics.fault(place, fault))
}

fn read(path: &std::path::Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; a key's path begins at the policy's folder".to_owned()
        }
        _ => error.to_string(),
    })?;
    if file.metadata().is_ok_and(|it| it.is_dir()) {
        return Err("it is a folder".to_owned());
    }
    file.take(LARGEST_KEY).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

fn identity(
    node: &Node,
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<(Signer, Json), Reported> {
    let exact = fields.text("identity", diagnostics)?;
    let pattern = fields.text("identityPattern", diagnostics)?;
    let issuer = fields.text("issuer", diagnostics)?;
    let workflow = match fields.get("github") {
        Some(github) => Some(self::workflow(github, diagnostics)?),
        None => None,
    };
    let subject = match (exact, pattern) {
        (Some(_), Some((_, place))) => {
            let message = "`identity` and `identityPattern` are both there; keep one";
            return Err(diagnostics.fault(place, message));
        }
        (Some((text, place)), None) => Some((Matcher::exact(text), "identity", place)),
        (None, Some((text, place))) => Some((Matcher::pattern(text), "identityPattern", place)),
        (None, None) => None,
    };
    let subject = match subject {
        Some((Ok(matcher), _, _)) => Some(matcher),
        Some((Err(error), key, place)) => {
            return Err(diagnostics.fault(place, format!("this `{key}` is not usable: {error}")));
        }
        None => None,
    };
    let (issuer, place) = match (issuer, &workflow) {
        (Some(stated), _) => stated,
        (None, Some(_)) => (GITHUB_ISSUER, node.place),
        (None, None) => {
            let message = format!(
                "an identity counts by who vouches for it; add its `issuer`, such as `{GITHUB_ISSUER}`"
            );
            let message = if subject.is_some() {
                message
            } else {
                "a signer is a key or an identity; write `{key: cosign.pub}`, or an `identity` and its `issuer`".to_owned()
            };
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let canonical = json!({
        "subject": subject.as_ref().map(ToString::to_string),
        "pattern": pattern.is_some(),
        "issuer": issuer,
        "github": workflow.as_ref().map(|(_, canonical)| canonical.clone()),
    });
    let identity = Identity::new(issuer, subject, workflow.map(|(workflow, _)| workflow));
    let identity = identity
        .map_err(|error| diagnostics.fault(place, format!("this identity is not usable: {error}")))?;
    Ok((Signer::Identity(identity), canonical))
}

fn workflow(node: &Node, diagnostics: &mut Diagnostics) -> Result<(Workflow, Json), Reported> {
    let fields = mapping(node, &GITHUB_KEYS, "{repository: org/app}", diagnostics)?;
    let Some((repository, place)) = fields.text("repository", diagnostics)? else {
        let message = "`github` names the workflow's `repository`, such as `org/app`";
        return Err(diagnostics.fault(node.place, message));
    };
    let file = fields.text("workflow", diagnostics)?.map(|(text, _)| text);
    let reference = fields.text("ref", diagnostics)?.map(|(text, _)| text);
    let canonical = json!({ "repository": repository, "workflow": file, "ref": reference });
    let workflow = Workflow::new(repository, file, reference);
    let workflow = workflow
        .map_err(|error| diagnostics.fault(place, format!("this `github` is not usable: {error}")))?;
    Ok((workflow, canonical))
}

/// The attestations that a rule asks for, each with itself as JSON.
pub(super) fn attestations(
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<(Wanted, Json)>, Reported> {
    let list = ListKey {
        key: "attestations",
        most: MOST,
        example: "[{type: slsaProvenance}]",
        when_empty: "to ask for none",
        is_item: |text| TYPES.contains(&text),
    };
    let nodes = fields.list(&list, diagnostics)?;
    let mut attestations: Vec<(Wanted, Json)> = Vec::with_capacity(nodes.len());
    let mut failed = None;
    for node in nodes {
        match attestation(node, diagnostics) {
            Ok(attestation) => attestations.push(attestation),
            Err(reported) => failed = Some(reported),
        }
    }
    attestations.sort_by_key(|(_, canonical)| canonical.to_string());
    failed.map_or(Ok(attestations), Err)
}

fn attestation(node: &Node, diagnostics: &mut Diagnostics) -> Result<(Wanted, Json), Reported> {
    // A type alone is a word.
    if let Value::Scalar { text } = &*node.value {
        return wanted(text, node.place, None, None, diagnostics);
    }
    let fields = mapping(node, &ATTESTATION_KEYS, "{type: slsaProvenance}", diagnostics)?;
    let Some((text, place)) = fields.text("type", diagnostics)? else {
        let message = format!("an attestation has a `type`, one of {}", TYPES.join(", "));
        return Err(diagnostics.fault(node.place, message));
    };
    let builder = fields.text("builder", diagnostics)?;
    let source = fields.text("source", diagnostics)?;
    wanted(text, place, builder, source, diagnostics)
}

fn wanted(
    kind: &str,
    place: Place,
    builder: Option<(&str, Place)>,
    source: Option<(&str, Place)>,
    diagnostics: &mut Diagnostics,
) -> Result<(Wanted, Json), Reported> {
    let canonical = json!({
        "type": kind,
        "builder": builder.map(|(text, _)| text),
        "source": source.map(|(text, _)| text),
    });
    if let (Some((_, place)), true) = (builder.or(source), kind != TYPES[0]) {
        let message = format!("`builder` and `source` are said of `{}` alone; take them out", TYPES[0]);
        return Err(diagnostics.fault(place, message));
    }
    let not_usable =
        |key: &str, error: &dyn std::fmt::Display| format!("this `{key}` is not usable: {error}");
    let wanted = match kind {
        "slsaProvenance" => {
            let builder = match builder {
                None => None,
                Some((text, place)) => {
                    let matcher =
                        if text.contains('*') { Matcher::pattern(text) } else { Matcher::exact(text) };
                    Some(matcher.map_err(|error| diagnostics.fault(place, not_usable("builder", &error)))?)
                }
            };
            let source = match source {
                None => None,
                Some((text, place)) => {
                    let source = Source::parse(text);
                    Some(source.map_err(|error| diagnostics.fault(place, not_usable("source", &error)))?)
                }
            };
            Wanted::Provenance { builder, source }
        }
        "spdx" => Wanted::Spdx,
        "cyclonedx" => Wanted::CycloneDx,
        _ => {
            let hint = match nearest(kind, &TYPES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", TYPES.join(", ")),
            };
            let message = format!("{} is no type of attestations; {hint}", quoted(kind));
            return Err(diagnostics.fault(place, message));
        }
    };
    Ok((wanted, canonical))
}
