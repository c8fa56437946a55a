//! A list of platforms: which an image is to have.

use super::diagnostic::{Diagnostics, Reported};
use super::fields::{Fields, ListKey, described};
use super::yaml::Value;
use crate::oci::Platform;

/// The most platforms of a list; each is compared with all others.
const MOST: usize = 100;

/// Reads the platforms of a key, each once; none if the key is not there.
pub(crate) fn read(
    fields: &Fields<'_>,
    key: &'static str,
    when_empty: &'static str,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Platform>, Reported> {
    let key = ListKey {
        key,
        most: MOST,
        example: "[\"linux/amd64\", \"linux/arm64\"]",
        when_empty,
        is_item: |text| text.parse::<Platform>().is_ok(),
    };
    let mut platforms: Vec<Platform> = Vec::new();
    let mut failed = None;
    for node in fields.list(&key, diagnostics)? {
        let platform = match &*node.value {
            Value::Scalar { text } if !text.is_empty() => {
                text.parse::<Platform>().map_err(|error| error.to_string())
            }
            _ => Err(format!("a platform is a text such as `linux/amd64`; this is {}", described(node))),
        };
        match platform {
            Ok(platform) => match platforms.iter().find(|known| known.satisfies(&platform)) {
                Some(known) => {
                    let message =
                        format!("the platform `{platform}` is `{known}` once more; take one of them out");
                    diagnostics.warning(node.place, message);
                }
                None => platforms.push(platform),
            },
            Err(message) => failed = Some(diagnostics.fault(node.place, message)),
        }
    }
    failed.map_or(Ok(platforms), Err)
}
