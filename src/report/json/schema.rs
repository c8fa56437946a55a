//! The JSON Schemas of the document: of any report, and of a plan, which is a report of which nothing was done.

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::document::Document;

/// The JSON Schema of the report, as it is in the repository.
pub const REPORT_SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/report.schema.json"));

/// The JSON Schema of a plan, as it is in the repository.
pub const PLAN_SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/plan.schema.json"));

/// The document's JSON Schema.
#[must_use]
pub fn report_schema() -> Schema {
    // What is written always has all fields, so the schema says that they are all there.
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
}

/// The JSON Schema of the document that a plan writes: the report's, without all that only a sync can say.
#[must_use]
pub fn plan_schema() -> Value {
    let mut schema = Value::from(report_schema());
    change(&mut schema, "", |root| {
        root.insert("title".into(), json!("image-syncer plan"));
        let description =
            "What a sync would do, as `image-syncer plan` says it. Every plan is a report, too.";
        root.insert("description".into(), json!(description));
    });
    change(&mut schema, "/properties/mode", |mode| {
        mode.remove("enum");
        mode.insert("description".into(), json!("It says what would be done."));
        mode.insert("const".into(), json!("plan"));
    });
    change(&mut schema, "/$defs/Item/properties/outcome", |outcome| {
        let description = "How it stands: what needs no work has its outcome already, all else is `not-run`.";
        outcome.insert("description".into(), json!(description));
        outcome.insert("enum".into(), json!(["up-to-date", "conflict", "blocked", "not-run"]));
    });
    for key in ["transfer", "companions_proof", "duration_ms"] {
        change(&mut schema, &format!("/$defs/Item/properties/{key}"), |property| {
            *property = Map::new();
            property.insert("description".into(), json!("Nothing was tried."));
            property.insert("type".into(), json!("null"));
        });
    }
    let nothing = ["copied", "companions-copied", "moved", "failed"];
    let nothing = nothing.map(|outcome| format!("/$defs/OutcomeCounts/properties/{outcome}"));
    let bytes = ["bytes_moved", "bytes_downloaded_again", "bytes_sent_twice"];
    let bytes = bytes.map(|bytes| format!("/$defs/Totals/properties/{bytes}"));
    for path in nothing.iter().chain(&bytes) {
        change(&mut schema, path, |count| {
            count.insert("const".into(), json!(0));
        });
    }
    schema
}

/// Changes a part of a schema. That all the parts are there is seen in the schema in the repository.
fn change(schema: &mut Value, path: &str, how: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(part) = schema.pointer_mut(path).and_then(Value::as_object_mut) {
        how(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{
        plan_report, reviewed_sync, rich_plan, rich_sync, schema_is_current, sync_report,
    };
    use crate::report::{Interruption, Report};

    #[test]
    fn the_schemas_in_the_repository_are_current() {
        schema_is_current("report", &report_schema().into());
        schema_is_current("plan", &plan_schema());
    }

    fn faults(schema: &Value, report: &Report) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).expect("a schema");
        let document: Value = serde_json::from_str(&report.json()).expect("JSON");
        validator.iter_errors(&document).map(|fault| fault.to_string()).collect()
    }

    fn unseen() -> Report {
        let mut report = rich_plan();
        report.unseen.insert(12);
        report
    }

    #[test]
    fn reports_are_as_the_schema_says() {
        let schema = report_schema().into();
        let mut interrupted = rich_sync();
        interrupted.run.interruption = Some(Interruption::Terminate);
        for report in [rich_plan(), rich_sync(), reviewed_sync(), interrupted, unseen(), sync_report(vec![])]
        {
            assert_eq!(faults(&schema, &report), [""; 0]);
        }
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let broken: Value =
            serde_json::from_str(&rich_sync().json().replace("\"up-to-date\"", "\"fine\"")).expect("JSON");
        assert!(!validator.is_valid(&broken), "the schema lets anything pass");
    }

    #[test]
    fn plans_are_as_their_schema_says_and_no_sync_is() {
        let schema = plan_schema();
        for report in [rich_plan(), unseen(), plan_report(vec![])] {
            assert_eq!(faults(&schema, &report), [""; 0]);
        }
        // Each of what only a sync can say is refused by itself.
        let faults = faults(&schema, &rich_sync());
        for part in
            ["\"plan\" was expected", "\"copied\" is not one of", "not of type \"null\"", "0 was expected"]
        {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        }
    }
}
