//! Azure ("OAuth 2.0 client credentials flow: access token request with a federated credential"; "AAD OAuth" of the
//! container registry's documentation).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::world::{Answer, World};
use crate::{bearer, mirror, pairs};

const REGISTRY: &str = "mirror.azurecr.io";
const ENTRA: &str = "login.microsoftonline.com";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const TENANT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// A refresh token, which says itself until when it is valid.
fn refresh() -> String {
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.of-the-registry", encoded("{\"alg\":\"RS256\"}"), encoded("{\"exp\":4000000000}"))
}

/// A registry with both of its endpoints, and Entra.
fn azure(registry: &str, entra: &str) -> World {
    World::new()
        .registry(registry, bearer(registry, "00000000-0000-0000-0000-000000000000", &refresh()))
        .says(registry, &json!({ "refresh_token": refresh() }))
        .says(entra, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "entras-token" }))
}

#[test]
fn the_identity_of_a_workflow_is_exchanged_at_entra_and_at_the_registry() {
    let world = azure(REGISTRY, ENTRA).workflow_identity();
    let auth = format!("\"*.azurecr.io\": {{provider: azure, clientId: {CLIENT}, tenantId: {TENANT}}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(0);
    let oidc = world.only(&world.here());
    assert_eq!(oidc.line(), "GET /oidc?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange");
    let entra = world.only(ENTRA);
    assert_eq!(entra.line(), format!("POST /{TENANT}/oauth2/v2.0/token"));
    assert!(!entra.headers.contains_key("authorization"));
    let expected = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("scope", "https://containerregistry.azure.net/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "oidc-for-api://AzureADTokenExchange"),
    ]);
    assert_eq!(entra.form(), expected);
    let at_registry = |path: &str| {
        let mut seen = world.seen(REGISTRY);
        seen.retain(|seen| seen.path == path);
        assert_eq!(seen.len(), 1, "{path}");
        seen.remove(0)
    };
    let exchange = at_registry("/oauth2/exchange");
    assert_eq!(exchange.line(), "POST /oauth2/exchange");
    let expected = pairs(&[
        ("grant_type", "access_token"),
        ("service", REGISTRY),
        ("tenant", TENANT),
        ("access_token", "entras-token"),
    ]);
    assert_eq!(exchange.form(), expected);
    // The token service that the challenge names takes the refresh token for one with a scope.
    let scoped = at_registry("/token");
    assert_eq!(scoped.line(), "POST /token");
    let expected = pairs(&[
        ("grant_type", "refresh_token"),
        ("client_id", "image-syncer"),
        ("refresh_token", &refresh()),
        ("service", "registry.test"),
        ("scope", "repository:team/app:pull"),
    ]);
    assert_eq!(scoped.form(), expected);
}

/// As in a pod of AKS.
#[test]
fn the_identity_in_a_file_is_exchanged() {
    let world = azure(REGISTRY, ENTRA);
    let token = world.file("token", "the-pods-token\n").display().to_string();
    let world = world
        .variable("AZURE_CLIENT_ID", CLIENT)
        .variable("AZURE_TENANT_ID", TENANT)
        .variable("AZURE_FEDERATED_TOKEN_FILE", &token);
    // Found by itself.
    let (world, told) = mirror(world, REGISTRY, "");
    told.expect(0);
    let form = world.only(ENTRA).form();
    assert_eq!(form[4], ("client_assertion".to_owned(), "the-pods-token".to_owned()));
    assert_eq!(form[1], ("client_id".to_owned(), CLIENT.to_owned()));
}

#[test]
fn other_clouds_have_an_entra_of_their_own() {
    for (registry, entra) in
        [("mirror.azurecr.us", "login.microsoftonline.us"), ("mirror.azurecr.cn", "login.chinacloudapi.cn")]
    {
        let world = azure(registry, entra).workflow_identity();
        let auth = format!("{registry}: {{provider: azure, clientId: {CLIENT}, tenantId: {TENANT}}}");
        let (world, told) = mirror(world, registry, &auth);
        told.expect(0);
        assert_eq!(world.seen(entra).len(), 1);
    }
}

#[test]
fn a_refusal_says_who_refused_and_what() {
    let world = azure(REGISTRY, ENTRA).workflow_identity().host(ENTRA, |_| Answer {
        status: 401,
        body: json!({
            "error": "invalid_client",
            "error_description": "AADSTS700213: No matching federated identity record found.\r\nTrace ID: x",
        })
        .to_string(),
    });
    let auth = format!("{REGISTRY}: {{provider: azure, clientId: {CLIENT}, tenantId: {TENANT}}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(1).says(&format!(
        "{ENTRA} answered 401 Unauthorized: invalid_client: AADSTS700213: No matching federated identity record found.  \
         Trace ID: x (as `auth` (auth:2:1) asks for)"
    ));
    assert_eq!(world.seen(REGISTRY).len(), 0);
}

#[test]
fn what_is_missing_is_named() {
    let (_, told) = mirror(azure(REGISTRY, ENTRA).workflow_identity(), REGISTRY, "\"*.azurecr.io\": azure");
    told.expect(1).says("the variable AZURE_CLIENT_ID is not set, or empty (as `auth` (auth:2:1) asks for)");
}
