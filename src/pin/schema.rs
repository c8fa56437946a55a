//! The JSON Schema of what was found.

use schemars::Schema;

use super::document::Document;

/// The JSON Schema of what `pin --format json` writes, as it is in the repository.
pub const PIN_SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/pin.schema.json"));

/// The document's JSON Schema. What is written always has all fields, so the schema says that they are all there.
#[must_use]
pub fn pin_schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document>()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::pin::{Mode, sample};
    use crate::report::schema_is_current;

    #[test]
    fn the_schema_of_pins_is_current() {
        schema_is_current("pin", &pin_schema().into());
    }

    #[test]
    fn pins_are_as_the_schema_says() {
        let validator = jsonschema::validator_for(&pin_schema().into()).expect("a schema");
        let text = crate::pin::json(&sample::found(Mode::Update, true));
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        let broken: Value = serde_json::from_str(&text.replace("\"refused\"", "\"fine\"")).expect("JSON");
        assert!(!validator.is_valid(&broken), "the schema lets anything pass");
    }
}
