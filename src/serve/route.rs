//! Paths of the distribution API. A repository's name has slashes, so a path is read from its end.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::oci::{Digest, ManifestRef, ReferenceError, Repository};

/// What a path is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/` (end-1).
    Base,
    /// `/v2/_catalog`, an extension that all registries share.
    Catalog,
    /// `/v2/NAME/tags/list` (end-8).
    Tags(Repository),
    /// `/v2/NAME/referrers/DIGEST` (end-12).
    Referrers(Repository, Digest),
    /// `/v2/NAME/manifests/REFERENCE` (end-3, end-7, end-9). What an invalid reference means depends on
    /// the method: it is not there, or it cannot be put there.
    Manifest(Repository, Result<ManifestRef, ReferenceError>),
    /// `/v2/NAME/blobs/DIGEST` (end-2, end-10).
    Blob(Repository, Digest),
    /// `/v2/NAME/blobs/uploads/` (end-4, end-11).
    Uploads(Repository),
    /// `/v2/NAME/blobs/uploads/ID` (end-5, end-6, end-13).
    Upload(Repository, String),
}

impl Route {
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let path = path.strip_prefix("/v2").ok_or_else(ApiError::no_endpoint)?;
        let path = percent_decode_str(path).decode_utf8_lossy();
        if matches!(&*path, "" | "/") {
            return Ok(Self::Base);
        }
        let path = path.strip_prefix('/').map(Cow::Borrowed).ok_or_else(ApiError::no_endpoint)?;
        if path == "_catalog" {
            return Ok(Self::Catalog);
        }
        let (rest, last) = path.rsplit_once('/').ok_or_else(ApiError::no_endpoint)?;
        // Some clients leave the slash after `uploads` out.
        if let Some(name) =
            path.strip_suffix("/blobs/uploads").or_else(|| path.strip_suffix("/blobs/uploads/"))
        {
            return Ok(Self::Uploads(repository(name)?));
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(repository(name)?, last.to_owned()));
        }
        let (name, kind) = rest.rsplit_once('/').ok_or_else(ApiError::no_endpoint)?;
        match (kind, last) {
            ("tags", "list") => Ok(Self::Tags(repository(name)?)),
            ("referrers", last) => Ok(Self::Referrers(repository(name)?, digest(last)?)),
            ("manifests", last) => Ok(Self::Manifest(repository(name)?, last.parse())),
            ("blobs", last) => Ok(Self::Blob(repository(name)?, digest(last)?)),
            _ => Err(ApiError::no_endpoint()),
        }
    }
}

fn repository(text: &str) -> Result<Repository, ApiError> {
    text.parse().map_err(|error| ApiError::name_invalid(&error))
}

/// A digest from a path or a query.
pub(super) fn digest(text: &str) -> Result<Digest, ApiError> {
    text.parse().map_err(|error: crate::oci::DigestError| ApiError::digest_invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parsed(path: &str) -> Option<Route> {
        Route::parse(path).ok()
    }

    fn name(text: &str) -> Repository {
        text.parse().expect("a repository")
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest: Digest = DIGEST.parse().expect("a digest");
        assert_eq!(parsed("/v2/"), Some(Route::Base));
        assert_eq!(parsed("/v2"), Some(Route::Base));
        assert_eq!(parsed("/v2/_catalog"), Some(Route::Catalog));
        assert_eq!(parsed("/v2/a/b/tags/list"), Some(Route::Tags(name("a/b"))));
        assert_eq!(parsed("/v2/tags/list/tags/list"), Some(Route::Tags(name("tags/list"))));
        assert_eq!(parsed("/v2/a/blobs/uploads/"), Some(Route::Uploads(name("a"))));
        assert_eq!(parsed("/v2/a/blobs/uploads"), Some(Route::Uploads(name("a"))));
        assert_eq!(parsed("/v2/a/blobs/uploads/7"), Some(Route::Upload(name("a"), "7".into())));
        assert_eq!(
            parsed(&format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A"))),
            Some(Route::Blob(name("a"), digest.clone()))
        );
        assert_eq!(
            parsed(&format!("/v2/a/manifests/b/manifests/{DIGEST}")),
            Some(Route::Manifest(name("a/manifests/b"), Ok(ManifestRef::Digest(digest))))
        );
    }

    #[test]
    fn what_is_no_path_of_the_api_is_refused() {
        for path in ["/", "/v1/", "/v2x", "/v2/a", "/v2/a/b/c", "/v2/../a/tags/list", "/v2/%2e%2e/tags/list"]
        {
            assert_eq!(parsed(path), None, "{path}");
        }
        assert!(matches!(parsed("/v2/a/manifests/-x"), Some(Route::Manifest(_, Err(_)))));
    }
}
