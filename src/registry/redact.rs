//! Answers that repeat what was sent to prove who we are. Some token services do, in their errors, and
//! errors end up in comments that everybody can read.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;

use crate::secret::Secret;

/// A secret this short would be found in any text, and what is left of it would tell it.
const SHORTEST: usize = 4;

/// What an answer must not repeat.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// A secret as such.
    pub(super) fn add(&mut self, secret: &Secret) {
        self.0.push(secret.clone());
    }

    /// What is secret in an `Authorization`: the token, or the password in both its forms.
    pub(super) fn add_header(&mut self, authorization: &HeaderValue) {
        let text = authorization.to_str().unwrap_or_default();
        let Some((scheme, value)) = text.split_once(' ') else { return };
        self.0.push(Secret::new(value));
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(decoded) = BASE64.decode(value)
            && let Ok(decoded) = String::from_utf8(decoded)
            && let Some((_, password)) = decoded.split_once(':')
        {
            self.0.push(Secret::new(password));
        }
    }

    /// The text with `***` in the place of each secret.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut secrets: Vec<&str> =
            self.0.iter().map(Secret::expose).collect::<BTreeSet<_>>().into_iter().collect();
        // The longest first: one can be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_secret_is_not_told() {
        let mut secrets = Secrets::default();
        secrets.add(&Secret::new("refresh-me"));
        secrets.add(&Secret::new("abc"));
        secrets.add_header(&HeaderValue::from_static("Basic dTpwYXNzOndvcmQ="));
        secrets.add_header(&HeaderValue::from_static("Bearer refresh-me-not"));
        let told = secrets.redact("refresh-me, refresh-me-not, dTpwYXNzOndvcmQ=, pass:word, abc");
        assert_eq!(told, "***, ***, ***, ***, abc");
    }
}
