//! A list: `targetRepoPrefix` and `images`.

use super::ListFile;
use super::diagnostic::{Diagnostics, Place, Reported};
use super::entry::{self, Wanted};
use super::fields::{Fields, Keys, described};
use super::file::FileKind;
use super::target_name::TargetPrefix;
use super::yaml::{self, Node, Value};

/// Lists, as messages call them.
pub(super) const LIST: FileKind = FileKind {
    word: "list",
    option: "--images-file",
    when_large: "split it, and name each part with --images-file",
    when_several: "join them, or put this one into a file of its own",
};

/// The keys of a list.
pub(super) const KEYS: Keys = Keys {
    of: "a list",
    known: &["targetRepoPrefix", "images"],
    legacy: &[(
        "sign",
        "it has no effect: images are mirrored with the signatures that they have; take it out",
    )],
};

/// What to write where there is nothing usable.
const EXAMPLE: &str = "write `images:` and below it lines such as `  - source: \"alpine:3.22\"`";

/// What one list says.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The prefix that it states.
    pub(super) prefix: Prefix,
    /// Its entries, as far as they are usable.
    pub(super) entries: Vec<Wanted>,
}

/// The target prefix that a list states.
#[derive(Debug, Default)]
pub(super) enum Prefix {
    /// None.
    None,
    /// One that is wrong, or nobody knows, since the list is not readable. That has been said.
    #[default]
    Unknown,
    /// This one.
    Stated(Place, TargetPrefix),
}

/// Reads a list and says all that is wrong with it.
pub(super) fn read(file: &ListFile, diagnostics: &mut Diagnostics) -> List {
    let mut list = List::default();
    // Whatever is wrong has been said.
    let _: Result<(), Reported> = read_into(&mut list, &file.text, diagnostics);
    list
}

fn read_into(list: &mut List, text: &str, diagnostics: &mut Diagnostics) -> Result<(), Reported> {
    let (root, error) = yaml::parse(text, &LIST);
    let reported = error.map(|error| diagnostics.fault(error.place, error.message));
    let Some(root) = root else {
        return Err(reported
            .unwrap_or_else(|| diagnostics.fault(Place::START, format!("the list is empty; {EXAMPLE}"))));
    };
    let pairs = match (&*root.value, reported) {
        (Value::Mapping(pairs), _) => pairs,
        // What comes before a syntax error and is no list has nothing more to say.
        (_, Some(reported)) => return Err(reported),
        (Value::List(_), None) => {
            let message = "these entries stand alone; put `images:` on a line before them";
            return Err(diagnostics.fault(root.place, message));
        }
        (Value::Scalar { text }, None) if text.is_empty() => {
            return Err(diagnostics.fault(root.place, format!("the list is empty; {EXAMPLE}")));
        }
        (Value::Scalar { .. }, None) => {
            return Err(diagnostics.fault(root.place, format!("this is no list of images; {EXAMPLE}")));
        }
    };
    let fields = Fields::read(pairs, &KEYS, diagnostics);
    fields.check_boolean("sign", diagnostics);
    list.prefix = read_prefix(&fields, diagnostics);
    read_images(list, &root, &fields, diagnostics)
}

fn read_prefix(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Prefix {
    match fields.text("targetRepoPrefix", diagnostics) {
        Ok(Some((text, place))) => match text.parse::<TargetPrefix>() {
            Ok(prefix) => Prefix::Stated(place, prefix),
            Err(error) => {
                diagnostics.fault(place, error.to_string());
                Prefix::Unknown
            }
        },
        Ok(None) if !fields.was_meant("targetRepoPrefix") => Prefix::None,
        Ok(None) | Err(Reported) => Prefix::Unknown,
    }
}

fn read_images(
    list: &mut List,
    root: &Node,
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<(), Reported> {
    let Some(images) = fields.get("images") else {
        return if fields.was_meant("images") {
            Err(Reported)
        } else {
            Err(diagnostics.fault(root.place, format!("the list has no `images`; {EXAMPLE}")))
        };
    };
    let nodes = match &*images.value {
        Value::List(nodes) => nodes,
        Value::Mapping(_) => {
            let message = "`images` is a list, and this is a mapping; put `- ` before each `source`";
            return Err(diagnostics.fault(images.place, message));
        }
        Value::Scalar { text } if text.is_empty() => {
            let message = "`images` has no value; write `images: []` if there is nothing to mirror";
            return Err(diagnostics.fault(images.place, message));
        }
        Value::Scalar { .. } => {
            let message = format!("`images` is a list; this is {}", described(images));
            return Err(diagnostics.fault(images.place, message));
        }
    };
    list.entries = nodes.iter().filter_map(|node| entry::read(node, diagnostics).ok()).collect();
    Ok(())
}
