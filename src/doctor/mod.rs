//! What the examination of a registry found, as text and as JSON. Data → bytes, no I/O.
//!
//! What was found is from outside: it is escaped for the terminal here, and never begins a line.

mod document;
mod schema;
mod terminal;

pub use document::json;
pub use schema::{DOCTOR_SCHEMA, doctor_schema};
pub use terminal::text;

use crate::registry::examination::Examination;
use crate::report::Interruption;

/// An examination, and how it ended.
#[derive(Debug, Clone)]
pub struct Told {
    /// What was found.
    pub examination: Examination,
    /// What ended it before its time, if anything did.
    pub interruption: Option<Interruption>,
}

/// The exit code that an examination calls for: 1 if something does not work that was asked for, or the time was over
/// before that was known.
#[must_use]
pub fn exit_code(told: &Told) -> u8 {
    match told.interruption {
        Some(Interruption::Interrupt) => 130,
        Some(Interruption::Terminate) => 143,
        Some(Interruption::TimeLimit) => 1,
        None => u8::from(!told.examination.is_well()),
    }
}

#[cfg(test)]
mod sample {
    //! An examination with something of everything.

    use crate::registry::examination::{Area, Check, Examination, Limit, State};
    use crate::registry::quirks::Profile;

    use super::Told;

    pub(super) fn check(area: Area, name: &'static str, state: State, message: &str) -> Check {
        Check { area, name, state, message: message.to_owned(), advice: None }
    }

    pub(super) fn told() -> Told {
        Told { examination: examination(), interruption: None }
    }

    fn examination() -> Examination {
        let registry = "docker.io".parse().expect("a registry");
        let mut push = check(Area::Rights, "push", State::Unknown, "only a try tells");
        push.advice =
            Some("`image-syncer doctor docker.io team/app --write` begins an upload there".to_owned());
        Examination {
            profile: Profile::of(&registry),
            registry,
            repository: Some("team/app".parse().expect("a repository")),
            address: "https://registry-1.docker.io".to_owned(),
            checks: vec![
                check(Area::Connection, "tls", State::Ok, "the certificate is trusted"),
                check(
                    Area::Login,
                    "login",
                    State::Failed,
                    "the password is not\u{1b}[31m\n::error::for you and ::error:: for nobody else",
                ),
                push,
                check(Area::Api, "referrers", State::No, "no API"),
            ],
            limits: vec![
                Limit {
                    header: "ratelimit-remaining".to_owned(),
                    value: "42;w=21600".to_owned(),
                    number: Some(42),
                    window: Some(21_600),
                },
                Limit {
                    header: "x-ratelimit-reset".to_owned(),
                    value: "soon".to_owned(),
                    number: None,
                    window: None,
                },
            ],
        }
    }
}
