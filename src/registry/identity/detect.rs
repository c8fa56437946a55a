//! What the surroundings offer where nobody chose and the docker configuration has nothing.
//!
//! A credential is offered only to registries of the very provider that it is of, by their names, and only where all
//! that it takes is there. The workflow's token is offered to the target alone: without it nothing can be pushed, while
//! public sources that it may not read would stop being readable.

use std::path::Path;

use super::{Login, Side, aws, azure, gcp, oidc};
use crate::login::{Aws, Azure, GOOGLE_CREDENTIALS, Gcp, GcpCredentials, Provider};
use crate::oci::Registry;
use crate::secret::Secret;

/// GitHub's container registry, and the only server whose workflow tokens it takes.
const GITHUB: (&str, &str) = ("ghcr.io", "https://github.com");

/// The provider that offers itself for a registry.
pub(super) fn provider(side: Side, registry: &Registry, login: &Login) -> Option<Provider> {
    if !login.detect {
        return None;
    }
    let text = |name: &str| login.environment.get(name).map(Secret::expose);
    let all = |names: &[&str]| names.iter().all(|name| text(name).is_some());
    let is_file = |name: &str| text(name).is_some_and(|path| Path::new(path).is_file());
    let (host, server) = GITHUB;
    if registry.as_str() == host {
        let is_offered = side == Side::Target
            && login.workflow_token.is_some()
            && text("GITHUB_SERVER_URL").is_some_and(|url| url.trim_end_matches('/') == server);
        return is_offered.then_some(Provider::GitHub { token_variable: None });
    }
    if aws::is_private(registry) {
        let is_offered = all(&[aws::ACCESS_KEY, aws::SECRET_KEY])
            || all(&[aws::ROLE, aws::TOKEN_FILE]) && is_file(aws::TOKEN_FILE);
        return is_offered.then(|| Provider::Aws(Aws::default()));
    }
    if gcp::is_own(registry) {
        let gcp = Gcp { credentials: GcpCredentials::Environment, service_account: None };
        return is_file(GOOGLE_CREDENTIALS).then_some(Provider::Gcp(gcp));
    }
    if azure::is_own(registry) {
        let is_offered =
            all(&[azure::CLIENT, azure::TENANT]) && (is_file(azure::TOKEN_FILE) || all(&[oidc::REQUEST_URL]));
        return is_offered.then(|| Provider::Azure(Azure::default()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(variables: &[(&str, &str)]) -> Login {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Login { environment: owned.collect(), detect: true, ..Login::default() }
    }

    fn found(side: Side, registry: &str, login: &Login) -> bool {
        provider(side, &registry.parse().expect("a registry"), login).is_some()
    }

    #[test]
    fn cloud_credentials_offer_themselves_to_their_own_registries_only() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a path");
        let all = login(&[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("GOOGLE_APPLICATION_CREDENTIALS", path),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_FEDERATED_TOKEN_FILE", path),
        ]);
        for side in [Side::Source, Side::Target] {
            for own in [
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
                "123456789012.dkr-ecr.eu-west-1.on.aws",
                "gcr.io",
                "eu.gcr.io",
                "europe-west1-docker.pkg.dev",
                "mirror.azurecr.io",
                "mirror.azurecr.cn",
            ] {
                assert!(found(side, own, &all), "{own}");
                assert!(!found(side, own, &login(&[])), "{own}");
                assert!(!found(side, own, &Login { detect: false, ..all.clone() }), "{own}");
            }
            for other in [
                "docker.io",
                "public.ecr.aws",
                "quay.io",
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com:8443",
                "12345.dkr.ecr.eu-central-1.amazonaws.com",
                "123456789012.dkr.ecr.s3.eu-central-1.amazonaws.com",
                "evil.dkr.ecr.eu-central-1.amazonaws.com",
                "evil-docker.pkg.dev.example.com",
                "docker.pkg.dev",
                "a.b-docker.pkg.dev",
                "evilgcr.io",
                "a.b.gcr.io",
                "azurecr.io",
                "evil.azurecr.io.example.com",
                "a.b.azurecr.io",
            ] {
                assert!(!found(side, other, &all), "{other}");
            }
        }
    }

    #[test]
    fn half_of_what_it_takes_is_nothing() {
        let missing = "/nowhere/at/all";
        for (registry, variables) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", vec![("AWS_ACCESS_KEY_ID", "A")]),
            (
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
                vec![("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", missing)],
            ),
            ("gcr.io", vec![("GOOGLE_APPLICATION_CREDENTIALS", missing)]),
            ("mirror.azurecr.io", vec![("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")]),
        ] {
            assert!(!found(Side::Target, registry, &login(&variables)), "{registry}");
        }
    }

    #[test]
    fn the_workflows_token_offers_itself_to_the_target_at_ghcr_only() {
        let login = |server: &str| Login {
            workflow_token: Some(Secret::new("ghs_x")),
            ..login(&[("GITHUB_SERVER_URL", server)])
        };
        let github = login("https://github.com");
        assert!(found(Side::Target, "ghcr.io", &github));
        assert!(!found(Side::Source, "ghcr.io", &github));
        assert!(!found(Side::Target, "ghcr.io.evil.example", &github));
        assert!(!found(Side::Target, "docker.io", &github));
        // The token of a server of one's own is nothing to ghcr.io.
        assert!(!found(Side::Target, "ghcr.io", &login("https://github.corp.example")));
        // One that was not given as such is not looked for.
        let variable =
            super::tests::login(&[("GITHUB_SERVER_URL", "https://github.com"), ("GITHUB_TOKEN", "x")]);
        assert!(!found(Side::Target, "ghcr.io", &variable));
    }
}
