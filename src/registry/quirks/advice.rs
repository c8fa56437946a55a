//! What to do about refusals that mean something special at some registries.

use http::StatusCode;

use super::super::error::{clean, writes};
use super::{Kind, Profile, Repositories};
use crate::oci::{RawManifest, Reference};

impl Profile {
    /// What to do about a refusal that means something special here. `code` is the registry's own word for it,
    /// `operation` what was tried, and `reference` on what.
    pub(in crate::registry) fn advice(
        &self,
        status: StatusCode,
        code: &str,
        operation: &str,
        reference: &str,
    ) -> Option<String> {
        let (name, writes) = (self.kind.name(), writes(operation));
        let is_beforehand = self.repositories == Repositories::Beforehand;
        // Harbor's word for a project that is not there is the other one.
        if writes && status == StatusCode::NOT_FOUND && matches!(code, "NAME_UNKNOWN" | "NOT_FOUND") {
            let reference = reference.parse().ok()?;
            return is_beforehand.then(|| self.creation(&reference));
        }
        if writes && status == StatusCode::UNAUTHORIZED && self.kind == Kind::Harbor {
            let reference: Reference = reference.parse().ok()?;
            let project = reference.repository.as_str().split('/').next().unwrap_or_default();
            return Some(format!(
                "{name} says so also of a project that is not there: create the project `{project}`, or give the \
                 account the right to push to it"
            ));
        }
        if writes && status == StatusCode::RANGE_NOT_SATISFIABLE && self.kind == Kind::Ghcr {
            let advice = format!(
                "{name} takes chunks of 4 MiB at the most; in the policy's `registries` state `chunks: 4MiB`, or `never`"
            );
            return Some(advice);
        }
        let reads = operation.starts_with("read") || operation.starts_with("list");
        if reads && self.hides_absence == Some(status.as_u16()) {
            let advice = format!("{name} says so also of what is not there: check the name, then the login");
            return Some(advice);
        }
        None
    }

    /// What to do about a manifest that is refused here: what is wrong with an index is not what is wrong with others.
    pub(in crate::registry) fn advice_on_manifest(
        &self,
        status: StatusCode,
        manifest: &RawManifest,
    ) -> Option<String> {
        let (name, media_type) = (self.kind.name(), clean(manifest.media_type.as_str(), 100));
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            return Some(format!(
                "it takes no manifest of the media type {media_type}; some registries have a setting for that, as zot has \
                 `compat` for Docker's"
            ));
        }
        if !self.wants_whole_indexes || !matches!(status.as_u16(), 400 | 404) {
            return None;
        }
        if manifest.media_type.is_index() {
            return Some(format!(
                "{name} takes an index only with all its children; with `platforms` the entry names those that the \
                 source has"
            ));
        }
        Some(format!(
            "{name} may not know its media type, {media_type}: a newer version of it may; signatures and other artifacts \
             are left out with --signatures skip"
        ))
    }

    /// How a repository is created that a push does not create.
    fn creation(&self, reference: &Reference) -> String {
        let (registry, repository) = (reference.registry.as_str(), reference.repository.as_str());
        let mut parts = repository.split('/');
        match self.kind {
            Kind::EcrPublic => {
                // The first part is the registry's alias, not part of the name.
                let below = repository.split_once('/').map_or(repository, |(_, below)| below);
                format!(
                    "Amazon ECR Public has no such repository and a push does not create it; create it once: `aws \
                     ecr-public create-repository --region us-east-1 --repository-name {below}`, or let \
                     --create-repositories do it"
                )
            }
            Kind::Ecr => {
                let region = ecr_region(registry).map(|region| format!(" --region {region}"));
                format!(
                    "Amazon ECR has no such repository and a push does not create it; create it once: `aws ecr \
                     create-repository{} --repository-name {repository}`, or let --create-repositories do it",
                    region.unwrap_or_default()
                )
            }
            Kind::Gar => {
                let project = parts.next().unwrap_or_default();
                let name = parts.next().unwrap_or_default();
                let location = registry.strip_suffix("-docker.pkg.dev").unwrap_or("LOCATION");
                format!(
                    "Artifact Registry has no such repository; create it once: `gcloud artifacts repositories create \
                     {name} --repository-format=docker --project={project} --location={location}`"
                )
            }
            _ => format!(
                "{} creates repositories and not what they belong to; create {} `{}` there first",
                self.kind.name(),
                if self.kind == Kind::Harbor { "the project" } else { "what it is in," },
                parts.next().unwrap_or_default()
            ),
        }
    }
}

/// The region in a name such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
fn ecr_region(registry: &str) -> Option<&str> {
    let (_, rest) = registry.split_once(".dkr.ecr.").or_else(|| registry.split_once(".dkr-ecr."))?;
    rest.split('.').next().filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_create_a_repository_is_told_how() {
        let advice = |reference: &str| {
            let registry: Reference = reference.parse().expect("a reference");
            Profile::of(&registry.registry)
                .advice(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "upload blob", reference)
                .unwrap_or_default()
        };
        let ecr = advice("123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/library/alpine:3.22");
        assert!(
            ecr.contains(
                "`aws ecr create-repository --region eu-west-1 --repository-name mirror/library/alpine`"
            ),
            "{ecr}"
        );
        let public = advice("public.ecr.aws/alias/mirror/alpine:1");
        assert!(public.contains("--repository-name mirror/alpine`"), "{public}");
        let gar = advice("europe-docker.pkg.dev/project/images/alpine:1");
        assert!(
            gar.contains("create images --repository-format=docker --project=project --location=europe`"),
            "{gar}"
        );
        assert_eq!(advice("registry.example.com/a/b:1"), "");
    }
}
