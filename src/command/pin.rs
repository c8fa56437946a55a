//! `pin`: lists whose sources name digests.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::in_place::rewrite;
use super::login::{check_names, login};
use super::options::{self, UsageError};
use super::registries;
use super::surroundings::{Surroundings, stop};
use crate::cli::{PinOptions, PlainFormat};
use crate::config::{Faults, ListFile, ListedSource, listed_sources, with_digests};
use crate::oci::Registry;
use crate::pin::{self, Found, Mode, look_up};
use crate::policy::{self, Policy};
use crate::registry::{Credentials, Registries, Settings};
use crate::report::{Look, diagnostics};
use crate::store::{Source, Sources};

/// What was found, and the lists that it is about.
pub(super) struct Pins {
    pub(super) found: Found,
    /// The lists' files, in the order of the lists.
    paths: Vec<PathBuf>,
    lists: Vec<ListFile>,
}

/// Reads the lists and finds out which digests they are to have.
pub(super) async fn find(options: &PinOptions, surroundings: &Surroundings) -> Result<Pins, UsageError> {
    let policy = match &options.policy_file {
        Some(path) => policy::read(path).map_err(UsageError::Policy)?,
        None => Policy::default(),
    };
    let paths = options.images_files.clone();
    let (lists, mut faults) = ListFile::read_all(&paths);
    let listed = listed_sources(&lists);
    if !faults.is_empty() {
        faults.extend(listed.err().iter().flat_map(Faults::as_slice).cloned());
        return Err(UsageError::Lists(Faults::new(faults)));
    }
    let listed = listed?;
    let mode = match (options.check, options.update) {
        (true, _) => return Ok(Pins { found: Found::at_a_look(listed), paths, lists }),
        (false, true) => Mode::Update,
        (false, false) => Mode::Pin,
    };
    let registries = registries(options, &policy, &listed, surroundings)?;
    let sources = sources(&registries, &listed);
    let found = look_up(listed, mode, &policy, &sources, stop(Some(options.timeout))).await;
    Ok(Pins { found, paths, lists })
}

fn registries(
    options: &PinOptions,
    policy: &Policy,
    listed: &[Vec<ListedSource>],
    surroundings: &Surroundings,
) -> Result<Registries, UsageError> {
    let option = |message: String| UsageError::Option(message);
    let credentials = match &surroundings.docker_config {
        Some(path) => Credentials::from_docker_config(path).map_err(|error| option(error.to_string()))?,
        None => Credentials::anonymous(),
    };
    let references = || listed.iter().flatten().map(|source| &source.reference);
    let settings = Settings {
        stated: registries::stated(policy, references().map(|reference| &reference.registry)).collect(),
        login: login(options.auth.as_ref(), policy, surroundings)?,
        concurrency: options.concurrency,
        deadline: Instant::now().checked_add(options.timeout),
        ..options::settings(&options.connections)?
    };
    check_names(
        &settings,
        references().map(|reference| (&reference.registry, reference.repository.as_str())),
    )?;
    Registries::new(settings, Arc::new(credentials)).map_err(|error| option(error.to_string()))
}

fn sources(registries: &Registries, listed: &[Vec<ListedSource>]) -> Sources {
    let mut sources: Sources = HashMap::new();
    for source in listed.iter().flatten() {
        let registry: &Registry = &source.reference.registry;
        sources
            .entry(registry.clone())
            .or_insert_with(|| Arc::new(registries.source(registry)) as Arc<dyn Source>);
    }
    sources
}

/// Writes the digests that were found into the lists that lack them. What goes wrong comes back as text for people.
pub(super) fn write(pins: &mut Pins, look: Look) -> String {
    let Some(digests) = pins.found.digests() else { return String::new() };
    let error = match with_digests(&pins.lists, &digests) {
        Ok(texts) => write_texts(pins, &texts),
        Err(faults) => {
            let header = "error: nothing is written: with the digests the list could not be used";
            diagnostics(header, faults.as_slice(), look)
        }
    };
    pins.found.has_unwritten = !error.is_empty();
    error
}

fn write_texts(pins: &mut Pins, texts: &[String]) -> String {
    let mut errors = String::new();
    let mut done: Vec<&Path> = Vec::new();
    for ((path, list), text) in pins.paths.iter().zip(&pins.lists).zip(texts) {
        // A list that was named twice is written once.
        if *text == list.text || done.contains(&path.as_path()) {
            continue;
        }
        done.push(path);
        match rewrite(path, &list.text, text) {
            Ok(()) => pins.found.changed.push(list.name.clone()),
            Err(error) => {
                let _ = writeln!(errors, "error: failed to write the list {}: {error}", path.display());
            }
        }
    }
    errors
}

/// What was found in the form that was asked for.
pub(super) fn rendered(found: &Found, format: PlainFormat, look: Look) -> String {
    match format {
        PlainFormat::Text => pin::text(found, look),
        PlainFormat::Json => pin::json(found),
    }
}
