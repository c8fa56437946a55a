//! Options from variables: each has `SYNCER_` and its name in capitals, with `_` for `-`.
//!
//! A variable is read as if its option had been typed first, so that both are checked alike; an option
//! that was typed wins, and its variable still has to be one that could be read. An empty variable is as good as none, but for booleans, where it is an error: an
//! empty `SYNCER_DRY_RUN` must not decide whether a run is a live one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What the variables of this program begin with.
const PREFIX: &str = "SYNCER_";

/// The variables of this program, by name.
pub(super) struct Variables(BTreeMap<String, OsString>);

impl Variables {
    pub(super) fn new(all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = all.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value))
        });
        Self(ours.collect())
    }

    /// Reads the command line `typed` together with the variables.
    pub(super) fn matches(&self, command: &Command, typed: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
        let matches = command.clone().try_get_matches_from(&typed)?;
        // Top-level options and subcommands exclude each other, so a subcommand is the first argument.
        let (options_of, mut place) =
            match matches.subcommand_name().and_then(|name| command.find_subcommand(name)) {
                Some(subcommand) => (subcommand, 2),
                None => (command, 1),
            };
        let as_typed = matches.subcommand().map_or(&matches, |(_, matches)| matches);
        let before: Vec<OsString> = typed.iter().take(place).cloned().collect();
        let mut arguments = typed;
        for argument in options_of.get_arguments() {
            let Some(variable) = name_of(argument) else { continue };
            let Some(value) = self.0.get(&variable) else { continue };
            for value in values(argument, value).map_err(|error| usage(command, &variable, error))? {
                let long = argument.get_long().unwrap_or_default();
                let option = OsString::from(format!("--{long}={value}"));
                // By itself, so that a value that nobody can mean is told even if another one was typed.
                let alone = before.iter().chain([&option]);
                command
                    .clone()
                    .try_get_matches_from(alone)
                    .map_err(|error| usage(command, &variable, &first_paragraph(&error)))?;
                if !was_typed(argument, as_typed) {
                    arguments.insert(place.min(arguments.len()), option);
                    place += 1;
                }
            }
        }
        command.clone().try_get_matches_from(&arguments)
    }

    /// A warning for each variable that looks like ours and is none.
    pub(super) fn warnings(&self, command: &Command) -> Vec<String> {
        let known: BTreeSet<String> = std::iter::once(command)
            .chain(command.get_subcommands())
            .flat_map(Command::get_arguments)
            .filter_map(name_of)
            .collect();
        let unknown = self.0.keys().filter(|name| !known.contains(*name));
        unknown
            .map(|name| {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
                let nearest = known
                    .iter()
                    .map(|known| (strsim::damerau_levenshtein(known, &shown), known))
                    .filter(|(distance, _)| *distance <= 4)
                    .min();
                match nearest {
                    Some((_, known)) => {
                        format!("the variable {shown} is not known and has no effect; did you mean {known}?")
                    }
                    None => format!("the variable {shown} is not known and has no effect"),
                }
            })
            .collect()
    }
}

/// The variable of an option; arguments without a long name have none.
pub(super) fn name_of(argument: &Arg) -> Option<String> {
    let long = argument.get_long().filter(|long| !matches!(*long, "help" | "version"))?;
    Some(format!("{PREFIX}{}", long.to_uppercase().replace('-', "_")))
}

/// Whether an option, or one that excludes it, stands on the command line.
fn was_typed(argument: &Arg, matches: &ArgMatches) -> bool {
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let id = argument.get_id().as_str();
    typed(id)
        || match id {
            "root" => typed("memory") && matches.get_flag("memory"),
            "memory" => typed("root"),
            _ => false,
        }
}

/// The values that a variable holds: one, or one a line where the option may repeat.
fn values<'a>(argument: &Arg, value: &'a OsString) -> Result<Vec<&'a str>, &'static str> {
    let text = value.to_str().ok_or("its value is not UTF-8")?;
    let is_boolean = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
    Ok(match argument.get_action() {
        ArgAction::Append => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        _ if text.is_empty() && !is_boolean => Vec::new(),
        _ => vec![text],
    })
}

fn usage(command: &Command, variable: &str, message: &str) -> clap::Error {
    command.clone().error(ErrorKind::ValueValidation, format!("the variable {variable}: {message}"))
}

/// What an error says before it comes to usage and help, in one line.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
