//! An entry of the list: one image, checked as far as that goes without the target prefix.

use std::ops::Range;

use super::diagnostic::{Diagnostics, Place, Reported, quoted};
use super::fields::{Fields, Keys, described};
use super::platforms;
use super::source::{self, Source};
use super::target_name::derived_repository;
use super::yaml::{Node, Value};
use crate::oci::{Platform, Reference, Repository, Tag};

/// What `amd64Only` means today.
const AMD64_ONLY: &str = "an image for a single platform is fine without it; take it out, or write \
                          `platforms: [\"linux/amd64\"]` to copy only that platform of an image for several";

/// The keys of an entry.
pub(super) const KEYS: Keys = Keys {
    of: "an entry",
    known: &["source", "tag", "target", "platforms"],
    legacy: &[
        ("amd64Only", AMD64_ONLY),
        ("amd64only", AMD64_ONLY),
        ("sign", "it has no effect: images are mirrored with the signatures that they have; take it out"),
    ],
};

/// An entry whose target still lacks the prefix.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Where the source stands.
    pub(super) place: Place,
    /// The bytes that the source is written with.
    pub(super) bytes: Range<usize>,
    /// The source as it was written.
    pub(super) written: String,
    pub(super) source: Reference,
    /// The repository below the prefix.
    pub(super) repository: Repository,
    pub(super) tag: Tag,
    pub(super) platforms: Vec<Platform>,
}

/// Checks an entry and says all that is wrong with it.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Result<Wanted, Reported> {
    let pairs = match &*node.value {
        Value::Mapping(pairs) => pairs,
        Value::Scalar { text } if !text.is_empty() => {
            let message = format!("an entry is a mapping; put `source: ` before {}", quoted(text));
            return Err(diagnostics.fault(node.place, message));
        }
        Value::Scalar { .. } | Value::List(_) => {
            let message = format!("an entry is a mapping with a `source`; this one is {}", described(node));
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let fields = Fields::read(pairs, &KEYS, diagnostics);
    for (legacy, _) in KEYS.legacy {
        fields.check_boolean(legacy, diagnostics);
    }
    let tag = read_tag(&fields, diagnostics);
    let target = read_target(&fields, diagnostics);
    let platforms = platforms::read(&fields, "platforms", "to copy all of them", diagnostics);
    let (place, written, source) = read_source(node, &fields, diagnostics)?;
    if source.floats {
        warn_of_floating(place, written, matches!(tag, Ok(Some(_))), diagnostics);
    }
    let tag = tag.and_then(|tag| target_tag(place, written, &source, &fields, tag, diagnostics));
    let repository = target.and_then(|target| match target {
        Some(repository) => Ok(repository),
        None => derived_repository(&source.name).map_err(|error| {
            let message = format!(
                "{} gives no name for the target: {error}; name a repository below the prefix with `target`",
                quoted(written)
            );
            diagnostics.fault(place, message)
        }),
    });
    Ok(Wanted {
        place,
        bytes: fields.get("source").map(|node| node.bytes.clone()).unwrap_or_default(),
        written: written.to_owned(),
        source: source.reference,
        repository: repository?,
        tag: tag?,
        platforms: platforms?,
    })
}

fn read_source<'a>(
    entry: &Node,
    fields: &Fields<'a>,
    diagnostics: &mut Diagnostics,
) -> Result<(Place, &'a str, Source), Reported> {
    match fields.text("source", diagnostics)? {
        Some((written, place)) => {
            let source = source::parse(written).map_err(|mistake| diagnostics.fault(place, mistake))?;
            Ok((place, written, source))
        }
        None if fields.was_meant("source") => Err(Reported),
        None => Err(diagnostics.fault(
            entry.place,
            "this entry has no `source`; name the image to mirror, as in `source: alpine:3.22`",
        )),
    }
}

fn read_tag(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Result<Option<Tag>, Reported> {
    let Some((text, place)) = fields.text("tag", diagnostics)? else { return Ok(None) };
    text.parse().map(Some).map_err(|error| {
        let last = text.rsplit(':').next().unwrap_or_default();
        let message = if text.contains("sha256:") || text.contains("sha512:") {
            format!(
                "the tag {} has a digest in it; a digest belongs into `source`, after an `@`",
                quoted(text)
            )
        } else if text.contains(':') && last.parse::<Tag>().is_ok() {
            format!("the tag {} has a `:` in it; write `{last}`", quoted(text))
        } else {
            format!("`tag` is not usable: {error}")
        };
        diagnostics.fault(place, message)
    })
}

fn read_target(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Result<Option<Repository>, Reported> {
    let Some((text, place)) = fields.text("target", diagnostics)? else { return Ok(None) };
    text.parse().map(Some).map_err(|error| {
        let name = text.trim_matches('/').split([':', '@']).next().unwrap_or_default().to_ascii_lowercase();
        let hint = if text.contains([':', '@']) {
            "; it is a repository below the prefix: the tag goes into `tag`, and the registry is the prefix's"
                .to_owned()
        } else if name.parse::<Repository>().is_ok() {
            format!("; write `{name}`")
        } else {
            String::new()
        };
        diagnostics.fault(place, format!("`target` is not usable: {error}{hint}"))
    })
}

fn warn_of_floating(place: Place, written: &str, has_tag: bool, diagnostics: &mut Diagnostics) {
    let said = quoted(written);
    let aside = if has_tag { " (`tag` names it at the target only)" } else { "" };
    let message = format!(
        "{said} floats: it has neither tag nor digest and is read as `{written}:latest`{aside}; write the tag that you want"
    );
    diagnostics.warning(place, message);
}

/// The tag at the target: the entry's `tag`, else the source's.
fn target_tag(
    place: Place,
    written: &str,
    source: &Source,
    fields: &Fields<'_>,
    tag: Option<Tag>,
    diagnostics: &mut Diagnostics,
) -> Result<Tag, Reported> {
    if let Some(tag) = tag.or_else(|| source.reference.tag.clone()) {
        return Ok(tag);
    }
    if fields.was_meant("tag") {
        return Err(Reported);
    }
    let digest = written.get(source.name.len()..).unwrap_or_default();
    let message = format!(
        "{} has a digest and no tag, so it has no name at the target; add a `tag`, or write `{}:TAG{digest}`",
        quoted(written),
        source.name,
    );
    Err(diagnostics.fault(place, message))
}
