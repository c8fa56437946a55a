//! What a companion is, by its artifact type and annotations.

use std::collections::BTreeMap;

use crate::plan::CompanionKind;

/// The annotation by which a sigstore bundle says what it holds.
const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";

/// The annotation by which a sigstore bundle of a statement says which kind of statement it is.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// The predicate type of cosign's signatures in bundle form.
const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// What a referrer is for, and whose format it has; `None` if only its manifest can tell.
pub(super) fn of_referrer(
    artifact_type: Option<&str>,
    annotations: &BTreeMap<String, String>,
) -> Option<(CompanionKind, String)> {
    let artifact_type = artifact_type?;
    if artifact_type.starts_with("application/vnd.dev.sigstore.bundle") {
        return of_bundle(annotations).map(|kind| (kind, "sigstore bundle".to_owned()));
    }
    let (kind, format) = match artifact_type {
        "application/vnd.dev.cosign.artifact.sig.v1+json" => (CompanionKind::Signature, "cosign"),
        "application/vnd.dev.cosign.artifact.att.v1+json" => (CompanionKind::Attestation, "cosign"),
        "application/vnd.dev.cosign.artifact.sbom.v1+json" => (CompanionKind::Sbom, "cosign"),
        "application/vnd.cncf.notary.signature" => (CompanionKind::Signature, "notation"),
        text if text.contains("spdx") => (CompanionKind::Sbom, "SPDX"),
        text if text.contains("cyclonedx") => (CompanionKind::Sbom, "CycloneDX"),
        text if text.contains("in-toto") => (CompanionKind::Attestation, "in-toto"),
        text => (CompanionKind::Other, text),
    };
    Some((kind, format.chars().take(100).collect()))
}

fn of_bundle(annotations: &BTreeMap<String, String>) -> Option<CompanionKind> {
    let text = |key| annotations.get(key).map(String::as_str);
    match (text(BUNDLE_CONTENT), text(BUNDLE_PREDICATE)) {
        (None, None) => None,
        (Some("message-signature"), _) | (_, Some(COSIGN_SIGN)) => Some(CompanionKind::Signature),
        _ => Some(CompanionKind::Attestation),
    }
}

/// cosign's older scheme: companions under tags with these suffixes.
pub(super) const COSIGN_TAGS: [(&str, CompanionKind); 3] = [
    (".sig", CompanionKind::Signature),
    (".att", CompanionKind::Attestation),
    (".sbom", CompanionKind::Sbom),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(artifact_type: &str, annotations: &[(&str, &str)]) -> Option<(CompanionKind, String)> {
        let annotations =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        of_referrer(Some(artifact_type), &annotations)
    }

    #[test]
    fn artifact_types_are_known() {
        let named = |kind, format: &str| Some((kind, format.to_owned()));
        assert_eq!(
            kind("application/vnd.cncf.notary.signature", &[]),
            named(CompanionKind::Signature, "notation")
        );
        assert_eq!(kind("application/spdx+json", &[]), named(CompanionKind::Sbom, "SPDX"));
        assert_eq!(kind("text/x", &[]), named(CompanionKind::Other, "text/x"));
        assert_eq!(of_referrer(None, &BTreeMap::new()), None);
    }

    #[test]
    fn a_bundle_is_a_signature_or_an_attestation_by_its_annotations() {
        let check = |annotations: &[(&str, &str)], expected| {
            let found = kind("application/vnd.dev.sigstore.bundle.v0.3+json", annotations);
            assert_eq!(found.map(|(kind, _)| kind), expected, "{annotations:?}");
        };
        let dsse = (BUNDLE_CONTENT, "dsse-envelope");
        let provenance = (BUNDLE_PREDICATE, "https://slsa.dev/provenance/v1");
        check(&[], None);
        check(&[(BUNDLE_CONTENT, "message-signature")], Some(CompanionKind::Signature));
        check(&[dsse], Some(CompanionKind::Attestation));
        check(&[dsse, (BUNDLE_PREDICATE, COSIGN_SIGN)], Some(CompanionKind::Signature));
        check(&[dsse, provenance], Some(CompanionKind::Attestation));
        check(&[(BUNDLE_PREDICATE, COSIGN_SIGN)], Some(CompanionKind::Signature));
    }
}
