//! The JSON Schema of the findings.

use schemars::Schema;

use super::document::Document;

/// The JSON Schema of what `doctor --format json` writes, as it is in the repository.
pub const DOCTOR_SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/doctor.schema.json"));

/// The document's JSON Schema. What is written always has all fields, so the schema says that they are all there.
#[must_use]
pub fn doctor_schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document>()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::doctor::sample::told;
    use crate::report::schema_is_current;

    #[test]
    fn the_schema_of_the_findings_is_current() {
        schema_is_current("doctor", &doctor_schema().into());
    }

    #[test]
    fn findings_are_as_the_schema_says() {
        let validator = jsonschema::validator_for(&doctor_schema().into()).expect("a schema");
        let text = crate::doctor::json(&told());
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!((&document["exit_code"], &document["profile"]["kind"]), (&1.into(), &"docker-hub".into()));
        let broken: Value = serde_json::from_str(&text.replace("\"unknown\"", "\"fine\"")).expect("JSON");
        assert!(!validator.is_valid(&broken), "the schema lets anything pass");
    }
}
