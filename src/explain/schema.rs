//! The JSON Schema of the explanation.

use schemars::Schema;

use super::document::Explained;

/// The JSON Schema of what `policy explain --format json` writes, as it is in the repository.
pub const EXPLANATION_SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/explanation.schema.json"));

/// The document's JSON Schema. What is written always has all fields, so the schema says that they are all there.
#[must_use]
pub fn explanation_schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Explained>()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config::{ListFile, PrefixSources, Signatures, load as load_lists};
    use crate::explain::{explained, json, text};
    use crate::policy::load;
    use crate::report::{Look, schema_is_current};

    fn sample(source: &str) -> Explained {
        let policy = load(
            "policy.yaml",
            "targetRepoPrefix: r.example/mirror/\nallowedSources: [\"quay.io/**\", \"quay.io/org/*\"]\n\
             mutableTags: [\"quay.io/org/*:latest\"]\nlimits: {imageSize: 20GiB, layerSize: 8GiB}\n\
             signatures:\n- sources: [\"quay.io/org/app\"]\n  minimumAge: 7d\n- sources: [\"quay.io/**\"]\n  unsigned: allow\n\
             registries: {\"*.io\": {kind: quay, chunks: 8MiB}}\nauth: {quay.io: anonymous}\n",
        )
        .expect("a policy");
        let list = ListFile { name: "list".to_owned(), text: format!("images: [{{source: \"{source}\"}}]") };
        let prefix = PrefixSources { policy: policy.prefix(), ..PrefixSources::default() };
        let config = load_lists(&[list], prefix, Signatures::Copy).expect("a list");
        let entry = &config.entries[0];
        let below = config.prefix.below(&entry.target);
        let explanation = policy.explain(&entry.source, below, entry.target.tag.as_str());
        explained("policy.yaml", policy.digest().as_ref(), entry, below, &explanation)
    }

    #[test]
    fn the_schema_of_explanations_is_current() {
        schema_is_current("explanation", &explanation_schema().into());
    }

    #[test]
    fn explanations_are_as_the_schema_says() {
        let validator = jsonschema::validator_for(&explanation_schema().into()).expect("a schema");
        for source in ["quay.io/org/app:latest", "evil.example/a:1"] {
            let document: Value = serde_json::from_str(&json(&sample(source))).expect("JSON");
            let faults: Vec<String> =
                validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{faults:#?}");
        }
        assert_eq!((sample("quay.io/a:1").exit_code, sample("evil.example/a:1").exit_code), (0, 3));
    }

    #[test]
    fn the_closest_rule_holds_and_the_others_are_told() {
        insta::assert_snapshot!("explanation", text(&sample("quay.io/org/app:latest"), Look::default()));
        let refused = text(&sample("evil.example/a:1"), Look::default());
        assert!(refused.contains("  allowed     no: no pattern of `allowedSources`"), "{refused}");
        assert!(refused.contains("no rule names it: signatures are not checked"), "{refused}");
    }
}
