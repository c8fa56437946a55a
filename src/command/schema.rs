//! `schema`: the JSON Schemas of what is read and written.

use crate::cli::SchemaName;
use crate::config::LIST_SCHEMA;
use crate::doctor::DOCTOR_SCHEMA;
use crate::explain::EXPLANATION_SCHEMA;
use crate::pin::PIN_SCHEMA;
use crate::policy::POLICY_SCHEMA;
use crate::report::json::{PLAN_SCHEMA, REPORT_SCHEMA};

/// The schema's text, as it is printed.
#[must_use]
pub const fn text(name: SchemaName) -> &'static str {
    match name {
        SchemaName::List => LIST_SCHEMA,
        SchemaName::Policy => POLICY_SCHEMA,
        SchemaName::Report => REPORT_SCHEMA,
        SchemaName::Plan => PLAN_SCHEMA,
        SchemaName::Doctor => DOCTOR_SCHEMA,
        SchemaName::Pin => PIN_SCHEMA,
        SchemaName::Explanation => EXPLANATION_SCHEMA,
    }
}
