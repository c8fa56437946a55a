//! The values of options: how they are written, and what they become.

use std::ffi::OsStr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use url::Url;

use crate::secret::Secret;

/// `HOST=URL`: where a registry is reached instead of at its own address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The registry as lists name it, in lower case: `docker.io`, `registry.example.com:5000`.
    pub host: String,
    /// The `http` or `https` address that stands for it; no credentials, query or fragment in it.
    pub url: Url,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write it as HOST=URL, for example docker.io=https://cache.example.com";
        let (host, url) = text.split_once('=').ok_or_else(|| FORM.to_owned())?;
        let host = host_name(host).map_err(|_| FORM.to_owned())?;
        let url: Url = url.parse().map_err(|error| format!("the URL is not one ({error}); {FORM}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("the URL begins with http:// or https://; {FORM}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong into the URL: those of its host are used".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the URL has a query or a fragment; take it out".to_owned());
        }
        Ok(Self { host, url })
    }
}

/// Parses endpoints like [`FromStr`], with errors that do not repeat the URL: a password may be in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndpointParser;

impl TypedValueParser for EndpointParser {
    type Value = Endpoint;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Endpoint, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned()).and_then(str::parse);
        parsed.map_err(|error| {
            let error = format!("invalid value for '--endpoint <HOST=URL>': {error}");
            command.clone().error(ErrorKind::ValueValidation, error)
        })
    }
}

/// A registry's host, with its port if it has one.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let good = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if good {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("write a host, or host:port, for example registry.example.com:5000".to_owned())
    }
}

/// A secret; one that is empty was not meant to be given.
pub(super) fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.trim().is_empty() { Err("it is empty") } else { Ok(Secret::new(text)) }
}

/// A boolean in exactly the forms that kyma's image-syncer takes: `yes` must never mean a live run.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("write one of 1 t T TRUE true True 0 f F FALSE false False".to_owned()),
    }
}

/// The longest time that can be asked for: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A time as Go writes it, such as `1h30m`; more than none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write a number and a unit (h, m, s, ms), for example 30m, 90s or 1h30m";
    match crate::duration::parse(text) {
        None => Err(FORM.to_owned()),
        Some(duration) if duration.is_zero() => Err(format!("it is no time at all; {FORM}")),
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) => Err("it is longer than a year (8760h)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_some_time_and_not_too_much() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "30", "0s", "9999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_an_address() {
        let endpoint: Endpoint = "Docker.io=https://cache.example.com:8443/hub".parse().expect("an endpoint");
        assert_eq!(endpoint.host, "docker.io");
        assert_eq!(endpoint.url.as_str(), "https://cache.example.com:8443/hub");
        for (bad, expected) in [
            ("docker.io", "write it as HOST=URL"),
            ("=https://x", "write it as HOST=URL"),
            ("a/b=https://x", "write it as HOST=URL"),
            ("docker.io=cache.example.com", "the URL is not one"),
            ("docker.io=ftp://x", "begins with http:// or https://"),
            ("docker.io=https://me:pw@x", "credentials do not belong"),
            ("docker.io=https://x/?a", "a query or a fragment"),
        ] {
            let said = bad.parse::<Endpoint>().expect_err(bad);
            assert!(said.contains(expected), "{bad}: {said}");
        }
    }

    #[test]
    fn a_secret_is_something() {
        assert_eq!(secret("hunter2"), Ok(Secret::new("hunter2")));
        assert!(secret(" \n").is_err());
    }
}
