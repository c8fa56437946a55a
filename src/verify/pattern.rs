//! Texts that an identity, a ref or a builder has to have: exactly, or by a pattern.
//!
//! A pattern is compared with the whole text, from its beginning to its end. `*` stands for one or more of the
//! characters `A-Z`, `a-z`, `0-9`, `.`, `_`, `-` and `+`, and never for `/`, `@`, `:` or anything that only looks like a
//! letter, so that no owner, host or second address hides in it. What would let everybody in is no pattern: the kinds
//! of texts say which parts have to be written out.

use std::collections::BTreeSet;
use std::fmt;

/// The longest text, in characters; no identity that anybody issues is longer.
const LONGEST: usize = 1_000;

/// Hosts on which everybody can have an account, so that a pattern has to name whose it means.
const SHARED_HOSTS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

/// A text, or a pattern of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    text: String,
    /// What stands before, between and after the `*`; a single part where there is none.
    parts: Vec<String>,
}

/// Why a text is no identity, ref or builder to ask for. The text itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is longer than any identity.
    #[error("it has more than {LONGEST} characters")]
    TooLong,
    /// A character that no identity has.
    #[error("it has the character {0:?}; identities are ASCII without spaces and control characters")]
    Character(char),
    /// `*` is written where a text has to be exact.
    #[error("`*` is no part of it; state it as a pattern, or write the text that is meant")]
    Star,
    /// A pattern without `*`.
    #[error("it has no `*`; state it as an exact text")]
    NoStar,
    /// `**`.
    #[error("`**` is written; one `*` stands for characters of one part, so write one for each part")]
    DoubleStar,
    /// The part that says whose it is has a `*`, or there is no such part.
    #[error("it would let strangers in: {0}")]
    TooWide(&'static str),
    /// A ref that is none.
    #[error("it is no ref; write `refs/heads/…` or `refs/tags/…`")]
    NoRef,
}

impl Matcher {
    /// The text itself, and nothing else.
    ///
    /// # Errors
    /// Fails at a `*`, at an empty text and at characters that no identity has.
    pub fn exact(text: &str) -> Result<Self, MatcherError> {
        check_characters(text)?;
        if text.contains('*') {
            return Err(MatcherError::Star);
        }
        Ok(Self { text: text.to_owned(), parts: vec![text.to_owned()] })
    }

    /// A pattern of identities or builders: of addresses, `*@example.com`, or of URIs,
    /// `https://github.com/org/app/.github/workflows/*@refs/tags/v*`.
    ///
    /// # Errors
    /// Fails where the domain of addresses, or the host of URIs, has a `*`; on hosts that everybody can use also where
    /// the owner has one.
    pub fn pattern(text: &str) -> Result<Self, MatcherError> {
        let matcher = Self::any_pattern(text)?;
        check_width(text)?;
        Ok(matcher)
    }

    /// A Git ref, or a pattern of such: `refs/tags/v*`.
    ///
    /// # Errors
    /// Fails at what does not begin with `refs/` and a written out kind of ref.
    pub fn reference(text: &str) -> Result<Self, MatcherError> {
        let matcher = if text.contains('*') { Self::any_pattern(text)? } else { Self::exact(text)? };
        let rest = text.strip_prefix("refs/").ok_or(MatcherError::NoRef)?;
        match rest.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && !kind.contains('*') && !name.is_empty() => Ok(matcher),
            _ => Err(MatcherError::NoRef),
        }
    }

    fn any_pattern(text: &str) -> Result<Self, MatcherError> {
        check_characters(text)?;
        if text.contains("**") {
            return Err(MatcherError::DoubleStar);
        }
        if !text.contains('*') {
            return Err(MatcherError::NoStar);
        }
        Ok(Self { text: text.to_owned(), parts: text.split('*').map(str::to_owned).collect() })
    }

    /// Whether all of `text` is what is asked for.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if text.len() > LONGEST {
            return false;
        }
        let Some((first, others)) = self.parts.split_first() else { return false };
        if others.is_empty() {
            return text == first;
        }
        // Where the text can go on after what was compared so far.
        let mut ends: BTreeSet<usize> =
            text.starts_with(first.as_str()).then_some(first.len()).into_iter().collect();
        for part in others {
            let mut next = BTreeSet::new();
            for start in ends {
                let wild = text.bytes().skip(start).take_while(|byte| is_wild(*byte)).count();
                next.extend(
                    (start + 1..=start + wild)
                        .filter(|end| text.get(*end..).is_some_and(|rest| rest.starts_with(part.as_str())))
                        .map(|end| end + part.len()),
                );
            }
            ends = next;
        }
        ends.contains(&text.len())
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a `*` may stand for.
const fn is_wild(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}

fn check_characters(text: &str) -> Result<(), MatcherError> {
    if text.is_empty() {
        return Err(MatcherError::Empty);
    }
    if text.chars().count() > LONGEST {
        return Err(MatcherError::TooLong);
    }
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        Some(character) => Err(MatcherError::Character(character)),
        None => Ok(()),
    }
}

/// That a pattern says whose identities it means.
fn check_width(text: &str) -> Result<(), MatcherError> {
    let too_wide = |why| Err(MatcherError::TooWide(why));
    let Some((_, rest)) = text.split_once("://") else {
        return match text.rsplit_once('@') {
            Some((_, domain)) if !domain.is_empty() && !domain.contains('*') => Ok(()),
            _ => too_wide("write the domain of the addresses, such as `*@example.com`"),
        };
    };
    if text.find('*') < text.find("://") {
        return too_wide("write the scheme, such as `https://`");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || host.contains('*') {
        return too_wide("write the host");
    }
    let owner = path.split('/').next().unwrap_or_default();
    if SHARED_HOSTS.contains(&host) && (owner.is_empty() || owner.contains('*')) {
        return too_wide("write whose repositories are meant, since everybody can have one at that host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASES: &str = "https://github.com/org/app/.github/workflows/release.yml@refs/tags/v*";

    fn pattern(text: &str) -> Matcher {
        Matcher::pattern(text).expect(text)
    }

    #[test]
    fn a_pattern_is_compared_with_the_whole_text() {
        let releases = pattern(RELEASES);
        let of = |reference: &str| RELEASES.replace("refs/tags/v*", reference);
        assert!(releases.matches(&of("refs/tags/v1.2.3-rc.1+build_7")));
        for reference in [
            "refs/tags/v",
            "refs/tags/v1/2",
            "refs/tags/v1@2",
            "refs/tags/v1:2",
            "refs/tags/v1 2",
            "refs/tags/v1\n",
            "refs/tags/v\u{661}",
            "refs/tags/1",
            "refs/heads/v1",
        ] {
            assert!(!releases.matches(&of(reference)), "{reference:?}");
        }
        assert!(!releases.matches(&format!("x{}", of("refs/tags/v1"))));
        assert!(!releases.matches(&format!("{}?x", of("refs/tags/v1"))));
    }

    #[test]
    fn stars_find_the_way_that_fits() {
        let twice = pattern("https://example.com/*a*/*ab");
        for (text, fits) in [
            ("https://example.com/xaxa/aab", true),
            ("https://example.com/xax/abab", true),
            ("https://example.com/xa/ab", false),
            ("https://example.com/xaxa/ab", false),
            ("https://example.com/xaxa/aaba", false),
        ] {
            assert_eq!(twice.matches(text), fits, "{text}");
        }
    }

    #[test]
    fn addresses_have_one_mailbox_and_one_domain() {
        let staff = pattern("*@example.com");
        assert!(staff.matches("first.last+tag@example.com"));
        for text in [
            "@example.com",
            "evil@attacker.example@example.com",
            "a@example.com.attacker.example",
            "a@sub.example.com",
            "a@example.com\n",
            "a@example.co\u{43c}",
            "a@EXAMPLE.COM",
        ] {
            assert!(!staff.matches(text), "{text:?}");
        }
    }

    #[test]
    fn what_would_let_strangers_in_is_no_pattern() {
        for text in [
            "*",
            "*@*",
            "*@*.com",
            "https://*",
            "https://*/org/app",
            "https://*.example.com/x",
            "*://example.com/x",
            "https://github.com/*",
            "https://github.com/*/app/.github/workflows/x.yml@refs/heads/main",
            "https://github.com/org*/app",
            "https://gitlab.com/*/app",
        ] {
            assert!(matches!(Matcher::pattern(text), Err(MatcherError::TooWide(_))), "{text}");
        }
        assert_eq!(Matcher::pattern("**"), Err(MatcherError::DoubleStar));
        assert_eq!(Matcher::pattern("a@example.com"), Err(MatcherError::NoStar));
        assert_eq!(Matcher::exact("*@example.com"), Err(MatcherError::Star));
        assert_eq!(Matcher::exact(""), Err(MatcherError::Empty));
        assert_eq!(Matcher::exact("a b"), Err(MatcherError::Character(' ')));
        assert_eq!(Matcher::exact("\u{430}@example.com"), Err(MatcherError::Character('\u{430}')));
        assert_eq!(Matcher::exact(&"a".repeat(1_001)), Err(MatcherError::TooLong));
    }

    #[test]
    fn a_ref_says_of_which_kind_it_is() {
        assert!(Matcher::reference("refs/tags/v*").is_ok_and(|tags| tags.matches("refs/tags/v1.0")));
        assert!(Matcher::reference("refs/heads/main").is_ok_and(|main| main.matches("refs/heads/main")));
        for text in ["main", "refs/*", "refs/*/main", "refs/tags", "refs/tags/", "refs//x"] {
            assert_eq!(Matcher::reference(text), Err(MatcherError::NoRef), "{text}");
        }
    }
}
