//! The JSON Schema of an audit.

use schemars::Schema;

use super::document::Document;

/// The JSON Schema of what `verify --format json` writes, as it is in the repository.
pub const VERIFY_SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/verify.schema.json"));

/// The document's JSON Schema. What is written always has all fields, so the schema says that they are all there.
#[must_use]
pub fn verify_schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document>()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::audit::sample;
    use crate::report::schema_is_current;

    #[test]
    fn the_schema_of_audits_is_current() {
        schema_is_current("verify", &verify_schema().into());
    }

    #[test]
    fn audits_are_as_the_schema_says() {
        let validator = jsonschema::validator_for(&verify_schema().into()).expect("a schema");
        let text = crate::audit::json(&sample::audit());
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        let broken: Value =
            serde_json::from_str(&text.replace("\"blob-missing\"", "\"fine\"")).expect("JSON");
        assert!(!validator.is_valid(&broken), "the schema lets anything pass");
    }
}
