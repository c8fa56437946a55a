//! `limits`: how large an image may be.
//!
//! What is to be copied is measured, by what its manifests say, before any of it is sent. What the target has already
//! is not measured again.

use super::Refusal;
use crate::config::Location;
use crate::config::diagnostic::{Diagnostics, Reported, quoted};
use crate::config::fields::{Fields, Keys, described};
use crate::config::yaml::Value;

/// The keys of `limits`.
pub(super) const KEYS: Keys = Keys { of: "`limits`", known: &["imageSize", "layerSize"], legacy: &[] };

/// How the key is written.
const EXAMPLE: &str = "{imageSize: 20GiB, layerSize: 8GiB}";

/// How large an image may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Where it is stated.
    pub location: Location,
    /// The most bytes of an image: its manifests and distinct blobs, and those of the companions that are copied with
    /// it.
    pub image_size: Option<u64>,
    /// The most bytes of one blob.
    pub layer_size: Option<u64>,
}

pub(super) fn read(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Result<Option<Limits>, Reported> {
    let Some(node) = fields.get("limits") else { return Ok(None) };
    let pairs = match &*node.value {
        Value::Mapping(pairs) if !pairs.is_empty() => pairs,
        Value::Mapping(_) => {
            let message = format!("`limits` states none; write one, such as `{EXAMPLE}`, or leave it out");
            return Err(diagnostics.fault(node.place, message));
        }
        _ => {
            let message = format!("`limits` is a mapping such as `{EXAMPLE}`; this is {}", described(node));
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let faults = diagnostics.faults.len();
    let limits = Fields::read(pairs, &KEYS, diagnostics);
    let unknown = diagnostics.faults.len() > faults;
    let image_size = size(&limits, "imageSize", diagnostics);
    let layer_size = size(&limits, "layerSize", diagnostics);
    let read = Limits {
        location: diagnostics.location(node.place),
        image_size: image_size?,
        layer_size: layer_size?,
    };
    if unknown { Err(Reported) } else { Ok(Some(read)) }
}

fn size(fields: &Fields<'_>, key: &str, diagnostics: &mut Diagnostics) -> Result<Option<u64>, Reported> {
    let Some((text, place)) = fields.text(key, diagnostics)? else { return Ok(None) };
    bytes(text).map(Some).ok_or_else(|| {
        let message =
            format!("{} is no value of `{key}`; write a size such as `500MiB` or `20GiB`", quoted(text));
        diagnostics.fault(place, message)
    })
}

/// The bytes of a size such as `8MiB`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 1024), ("MiB", 1024 * 1024), ("GiB", 1024 * 1024 * 1024)];
    units.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?;
        let plain =
            number.len() <= 6 && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
        Some(number.parse::<u64>().ok().filter(|_| plain)? * bytes)
    })
}

impl Limits {
    /// Whether so many bytes, the largest blob with `largest` of them, may be copied for one image.
    pub(super) fn accept(&self, image: u64, largest: u64) -> Result<(), Refusal> {
        let exceeded = [
            ("imageSize", self.image_size, image, "image has, with its companions,"),
            ("layerSize", self.layer_size, largest, "image has a layer of"),
        ];
        let exceeded = exceeded.into_iter().find(|(_, most, has, _)| most.is_some_and(|most| *has > most));
        let Some((key, Some(most), has, what)) = exceeded else { return Ok(()) };
        Err(Refusal(format!(
            "`{key}` ({}) allows {most} bytes, and the {what} {has}; mirror a smaller version, or have the limit raised",
            self.location
        )))
    }
}
