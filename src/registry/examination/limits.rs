//! What a registry says of its quotas: `ratelimit-limit`, `ratelimit-remaining` and their relatives
//! (draft-ietf-httpapi-ratelimit-headers, "`RateLimit` header fields", in the forms that registries use).

use http::{HeaderMap, Method};

use super::super::quirks::Kind;
use super::super::{Scope, call::Call};
use super::{Examiner, Findings};

/// The repository and tag by which Docker Hub tells everybody what is left.
const DOCKER_HUB_PREVIEW: (&str, &str) = ("ratelimitpreview/test", "latest");

/// A header that says something of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The header, in lower case.
    pub header: String,
    /// Its value, as it was sent.
    pub value: String,
    /// The number in it, if it begins with one.
    pub number: Option<u64>,
    /// The window that it is for, in seconds (`w=`), if it says so.
    pub window: Option<u64>,
}

/// The longest value that is taken for one.
const LONGEST: usize = 100;

/// The headers of an answer that say something of quotas.
pub(super) fn read(headers: &HeaderMap) -> Vec<Limit> {
    let named = headers.iter().filter(|(name, _)| {
        let name = name.as_str().trim_start_matches("x-");
        name.starts_with("ratelimit-") || name.starts_with("rate-limit-")
    });
    let read = named.filter_map(|(name, value)| {
        let value = value.to_str().ok().filter(|value| value.len() <= LONGEST)?;
        let mut parts = value.split(';');
        let number = parts.next()?.trim().parse().ok();
        let window = parts.find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
        Some(Limit { header: name.as_str().to_owned(), value: value.to_owned(), number, window })
    });
    read.collect()
}

impl Findings {
    /// Notes limits; what was said last of one counts.
    pub(super) fn note_limits(&mut self, headers: &HeaderMap) {
        for limit in read(headers) {
            self.limits.retain(|known| known.header != limit.header);
            self.limits.push(limit);
        }
    }
}

impl Examiner<'_> {
    /// Docker Hub says what is left with each HEAD of a manifest, which does not count as a pull.
    pub(super) async fn ask_for_limits(&self, findings: &mut Findings) {
        let hub = self.remote.client.knowledge.profile().kind == Kind::DockerHub;
        if !hub || !findings.limits.is_empty() {
            return;
        }
        let (name, tag) = DOCKER_HUB_PREVIEW;
        let Ok(repository) = name.parse() else { return };
        let url = self.remote.client.url(&format!("{name}/manifests/{tag}"));
        let reference = format!("{}/{name}:{tag}", self.subject.registry);
        let call = Call::new(Method::HEAD, url, "read manifest", reference)
            .scope(Scope { repository, actions: "pull" });
        // Without an answer there is nothing to tell.
        if let Ok(answer) = self.remote.client.send(&call).await {
            findings.note_limits(&answer.headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_from_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ratelimit-limit", "100;w=21600"),
            ("ratelimit-remaining", "42;w=21600"),
            ("x-ratelimit-reset", "soon"),
            ("content-length", "7"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let found: Vec<(String, Option<u64>, Option<u64>)> =
            read(&headers).into_iter().map(|limit| (limit.header, limit.number, limit.window)).collect();
        let expected = [
            ("ratelimit-limit".to_owned(), Some(100), Some(21600)),
            ("ratelimit-remaining".to_owned(), Some(42), Some(21600)),
            ("x-ratelimit-reset".to_owned(), None, None),
        ];
        assert_eq!(found, expected);
    }
}
