//! Runs the verification cases of the sigstore conformance project from a folder: `sigstore-conformance FOLDER`.
//!
//! A subfolder is a case, `_fail` at the end of its name says that it must not verify. It has `bundle.sigstore.json`, and
//! may have `artifact`, `identity`, `issuer`, `key.pub` and `trusted_root.json`; `a.txt` beside the cases is the artifact
//! of the others. Each case is a line, and exit code 1 says that a verdict was wrong.
#![expect(clippy::print_stdout, reason = "the lines are the result")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_syncer::oci::Digest;
use image_syncer::verify::{
    Found, GITHUB_ISSUER, Identity, Judgement, Matcher, Proof, PublicKey, Root, Rule, Signer, Wanted, judge,
};
use serde_json::Value;

/// Who signed, where a case does not say otherwise.
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/\
                        extremely-dangerous-oidc-beacon.yml@refs/heads/main";

fn main() -> Result<ExitCode> {
    let folder = std::env::args_os().nth(1).context("usage: sigstore-conformance FOLDER")?;
    let folder = Path::new(&folder);
    let mut names: Vec<String> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir())?.file_name().into_string().ok())
        .collect();
    names.sort();
    let (mut right, mut wrong, mut inapplicable) = (0, 0, 0);
    for name in &names {
        let case = folder.join(name);
        if let Some(why) = inapplicable_because(&case) {
            println!("inapplicable  {name}: {why}");
            inapplicable += 1;
            continue;
        }
        let verdict = verify(&case, &folder.join("a.txt"));
        let is_right = verdict.is_ok() != name.ends_with("_fail");
        let word = if is_right { "right" } else { "WRONG" };
        match verdict {
            Ok(()) => println!("{word}         {name}: verified"),
            Err(why) => println!("{word}         {name}: {why:#}"),
        }
        if is_right { right += 1 } else { wrong += 1 }
    }
    println!("{right} right, {wrong} wrong, {inapplicable} inapplicable of {} cases", names.len());
    Ok(if wrong == 0 && right > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why a case asks for something that is not about images: what is signed has to be known by its digest.
fn inapplicable_because(case: &Path) -> Option<&'static str> {
    (!case.join("bundle.sigstore.json").is_file()).then_some("it has no bundle")
}

/// The text of a case's file, if there is one.
fn text(case: &Path, name: &str) -> Result<Option<String>> {
    let path = case.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(Some(text.trim().to_owned()))
}

/// Whether the case verifies; the error says why it does not.
fn verify(case: &Path, shared_artifact: &Path) -> Result<()> {
    let own = case.join("artifact");
    let artifact = fs::read(if own.is_file() { &own } else { shared_artifact }).context("the artifact")?;
    let bundle = fs::read(case.join("bundle.sigstore.json")).context("the bundle")?;
    let root = match text(case, "trusted_root.json")? {
        Some(json) => Root::from_json("trusted_root.json", &json, None)?,
        None => Root::embedded()?,
    };
    let signer = if let Some(pem) = text(case, "key.pub")? {
        Signer::Key(PublicKey::from_pem("key.pub", &pem)?)
    } else {
        let identity = text(case, "identity")?.unwrap_or_else(|| IDENTITY.to_owned());
        let issuer = text(case, "issuer")?.unwrap_or_else(|| GITHUB_ISSUER.to_owned());
        Signer::Identity(Identity::new(&issuer, Some(Matcher::exact(&identity)?), None)?)
    };
    let mut rule = Rule { log: true, ..Rule::any_of(vec![signer]) };
    if let Some(kind) = predicate_type(&bundle) {
        (rule.signature, rule.attestations) = (false, vec![Wanted::Other(kind)]);
    }
    let found = [Found { place: "bundle.sigstore.json".to_owned(), proof: Proof::Bundle(bundle) }];
    match judge(&Digest::sha256(&artifact), &found, &rule, &root, SystemTime::now()) {
        Judgement::Accepted(_) => Ok(()),
        Judgement::Unsigned => anyhow::bail!("nothing that is asked for was found"),
        Judgement::Refused(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.fault.to_string()).collect();
            anyhow::bail!("{}", reasons.join("; "))
        }
    }
}

/// The predicate type of a bundle that holds a statement, so that a rule can ask for it.
fn predicate_type(bundle: &[u8]) -> Option<String> {
    let bundle: Value = serde_json::from_slice(bundle).ok()?;
    let payload = STANDARD.decode(bundle.pointer("/dsseEnvelope/payload")?.as_str()?).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    Some(statement.get("predicateType")?.as_str()?.to_owned())
}
