//! Answers that repeat what was sent to prove who we are. Some token services do, in their errors, and
//! errors end up in comments that everybody can read.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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
        let secrets = self.0.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST);
        let mut forms: Vec<String> = secrets.flat_map(forms).collect::<BTreeSet<_>>().into_iter().collect();
        // The longest first: one can be a part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }
}

/// What a secret can look like: as it is, in Base64 of both alphabets, with and without its end, and in a URL.
fn forms(secret: &str) -> [String; 6] {
    let (standard, url) = (BASE64.encode(secret), URL_SAFE.encode(secret));
    let bare = |text: &str| text.trim_end_matches('=').to_owned();
    let in_url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    [secret.to_owned(), bare(&standard), bare(&url), standard, url, in_url]
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
        // In Base64 with its end and without, and as in a URL.
        let told = secrets.redact("cmVmcmVzaC1tZQ==, cmVmcmVzaC1tZQ, refresh%2Dme, pass%3Aword");
        assert_eq!(told, "***, ***, ***, ***");
    }
}
