//! What to do about refusals that mean something special at some registries.

use http::StatusCode;

use super::super::error::{PUSH_MANIFEST, writes};
use super::{Kind, Profile, Repositories};
use crate::oci::Reference;

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
        if writes && status == StatusCode::NOT_FOUND && code == "NAME_UNKNOWN" {
            let reference = reference.parse().ok()?;
            return (self.repositories == Repositories::Beforehand).then(|| self.creation(&reference));
        }
        let reads = operation.starts_with("read") || operation.starts_with("list");
        if reads && self.hides_absence == Some(status.as_u16()) {
            let advice = format!("{name} says so also of what is not there: check the name, then the login");
            return Some(advice);
        }
        if operation == PUSH_MANIFEST && self.wants_whole_indexes && matches!(status.as_u16(), 400 | 404) {
            return Some(format!(
                "{name} takes an index only with all its children; with `platforms` the entry names those that the \
                 source has"
            ));
        }
        None
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
                "{} creates repositories and not what they belong to; create `{}` there first",
                self.kind.name(),
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
