//! Options from variables: each has `SYNCER_` and its name in capitals, with `_` for `-`.
//!
//! A variable is read as if its option had been typed first, so that both are checked alike; an option
//! that was typed wins, and its variable still has to be one that could be read. An empty variable is as good
//! as none, but for booleans, where it is an error: an empty `SYNCER_DRY_RUN` must not decide whether a run is
//! a live one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::action::{self, INPUTS, OF_THE_RUNNER};

/// The subcommand that has inputs.
const ACTION: &str = "action";

/// What the variables of this program begin with.
const PREFIX: &str = "SYNCER_";

/// The variables of this program, by name, and the inputs of the action.
pub(super) struct Variables(BTreeMap<String, OsString>);

impl Variables {
    pub(super) fn new(all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = all.into_iter().filter_map(|(name, value)| {
            let name = name
                .into_string()
                .ok()
                .filter(|name| name.starts_with(PREFIX) || name.starts_with(action::PREFIX))?;
            Some((name, value))
        });
        Self(ours.collect())
    }

    /// Reads the command line `typed` together with the variables.
    pub(super) fn matches(&self, command: &Command, typed: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
        let matches = command.clone().try_get_matches_from(&typed)?;
        // Top-level options and subcommands exclude each other, so subcommands are the first arguments.
        let (mut options_of, mut as_typed, mut place) = (command, &matches, 1);
        while let Some((name, below)) = as_typed.subcommand()
            && let Some(subcommand) = options_of.find_subcommand(name)
        {
            (options_of, as_typed, place) = (subcommand, below, place + 1);
        }
        let is_action = options_of.get_name() == ACTION;
        if is_action {
            self.check_inputs(command)?;
        }
        let before: Vec<OsString> = typed.iter().take(place).cloned().collect();
        let mut arguments = typed;
        for argument in options_of.get_arguments() {
            let mut is_given = was_typed(argument, as_typed);
            let input = input_of(argument).filter(|_| is_action);
            for (name, shown) in input.into_iter().chain(named(argument)) {
                let Some(value) = self.0.get(&name) else { continue };
                let values = values(argument, value).map_err(|error| usage(command, &shown, error))?;
                for value in &values {
                    let long = argument.get_long().unwrap_or_default();
                    let option = OsString::from(format!("--{long}={value}"));
                    // By itself, so that a value that nobody can mean is told even if another one was typed.
                    let alone = before.iter().chain([&option]);
                    command
                        .clone()
                        .try_get_matches_from(alone)
                        .map(drop)
                        .or_else(what_is_missing_is_elsewhere)
                        .map_err(|error| usage(command, &shown, &first_paragraph(&error)))?;
                    if !is_given {
                        arguments.insert(place.min(arguments.len()), option);
                        place += 1;
                    }
                }
                is_given |= !values.is_empty();
            }
        }
        command.clone().try_get_matches_from(&arguments)
    }

    /// Whether a variable of a boolean option says `true`.
    pub(super) fn says_true(&self, name: &str) -> bool {
        let value = self.0.get(name).and_then(|value| value.to_str());
        value.is_some_and(|value| super::value::boolean(value) == Ok(true))
    }

    /// Whether a variable says just this.
    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|said| said == value)
    }

    /// Fails if there is an input that the action does not have.
    fn check_inputs(&self, command: &Command) -> Result<(), clap::Error> {
        let names = self.0.keys().filter_map(|name| name.strip_prefix(action::PREFIX)).map(str::to_lowercase);
        for name in names {
            if INPUTS.contains(&name.as_str()) || OF_THE_RUNNER.contains(&name.as_str()) {
                continue;
            }
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            let nearest = INPUTS
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, &shown), known))
                .filter(|(distance, _)| *distance <= 4)
                .min();
            let message = match nearest {
                Some((_, known)) => format!("it is not known; did you mean `{known}`?"),
                None => format!("it is not known; these are: {}", INPUTS.join(", ")),
            };
            return Err(usage(command, &format!("input {shown}"), &message));
        }
        Ok(())
    }

    /// A warning for each variable that looks like ours and is none.
    pub(super) fn warnings(&self, command: &Command) -> Vec<String> {
        let below = command.get_subcommands().flat_map(Command::get_subcommands);
        let known: BTreeSet<String> = std::iter::once(command)
            .chain(command.get_subcommands())
            .chain(below)
            .flat_map(Command::get_arguments)
            .filter_map(name_of)
            .collect();
        let unknown = self.0.keys().filter(|name| name.starts_with(PREFIX) && !known.contains(*name));
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

/// The variable of an option, and what messages call it.
fn named(argument: &Arg) -> Option<(String, String)> {
    name_of(argument).map(|name| (name.clone(), format!("variable {name}")))
}

/// The variable of an input of the action, and what messages call it.
fn input_of(argument: &Arg) -> Option<(String, String)> {
    let long = argument.get_long().filter(|long| INPUTS.contains(long))?;
    Some((format!("{}{}", action::PREFIX, long.to_uppercase()), format!("input {long}")))
}

/// By itself, an option lacks the arguments that its subcommand needs.
fn what_is_missing_is_elsewhere(error: clap::Error) -> Result<(), clap::Error> {
    if error.kind() == ErrorKind::MissingRequiredArgument { Ok(()) } else { Err(error) }
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

fn usage(command: &Command, what: &str, message: &str) -> clap::Error {
    command.clone().error(ErrorKind::ValueValidation, format!("the {what}: {message}"))
}

/// What an error says before it comes to usage and help, in one line.
pub(super) fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
