//! The JSON Schema of the policy, for editors and for checks without this program.

/// The JSON Schema (draft 2020-12) of `image-syncer-policy.yaml`.
pub const POLICY_SCHEMA: &str = include_str!("../../schemas/image-syncer-policy.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::policy::file::KEYS;

    const SAMPLE: &str = include_str!("../../image-syncer-policy.yaml.example");

    fn schema() -> Value {
        serde_json::from_str(POLICY_SCHEMA).expect("JSON")
    }

    fn is_valid(instance: &Value) -> bool {
        jsonschema::draft202012::new(&schema()).expect("a schema").is_valid(instance)
    }

    /// The file's keys are those that the program reads.
    #[test]
    fn the_schema_is_current() {
        let schema = schema();
        let properties = schema["properties"].as_object().expect("properties");
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(names, KEYS.known.iter().copied().collect());
        for (name, property) in properties {
            for word in ["title", "description"] {
                assert!(property[word].is_string(), "{name} has no {word} for editors to show");
            }
        }
    }

    #[test]
    fn the_sample_is_a_policy_by_the_schema_and_by_the_program() {
        let instance: Value = serde_saphyr::from_str(SAMPLE).expect("YAML");
        assert!(is_valid(&instance));
        let keys: BTreeSet<&str> =
            instance.as_object().expect("a mapping").keys().map(String::as_str).collect();
        assert_eq!(keys, KEYS.known.iter().copied().collect(), "the sample shows every key");
        let policy = crate::policy::load("policy.yaml", SAMPLE).expect("a policy");
        assert!(policy.warnings().is_empty());
    }

    /// The schema and the program agree on a policy of one key.
    #[track_caller]
    fn check(key: &str, value: &Value, good: bool) {
        let policy = json!({ key: value });
        assert_eq!(is_valid(&policy), good, "schema: {policy}");
        // JSON is YAML.
        let read = crate::policy::load("policy.yaml", &policy.to_string());
        assert_eq!(read.is_ok(), good, "program: {policy}: {read:?}");
    }

    /// The schema and the program agree, word for word.
    #[test]
    fn the_schema_knows_good_from_bad() {
        for good in [
            "docker.io/library/*",
            "docker.io/**",
            "docker.io/org/app",
            "quay.io/**",
            "quay.io/a",
            "**",
            "**/library/*",
            "*/library/*",
            "*.example.com/a/**/b",
            "localhost/a",
            "localhost:5000/**",
            "[::1]:5000/a*",
        ] {
            check("allowedSources", &json!([good]), true);
        }
        for bad in [
            "",
            "alpine",
            "library/*",
            "*",
            "docker.io/alpine",
            "docker.io/*",
            "index.docker.io/a/b",
            "quay.io",
            "quay.io/",
            "quay.io/a:1",
            "quay.io/a@sha256:00",
            "https://quay.io/**",
            "Quay.io/**",
            "quay.io/Org/*",
            "quay.io/org**",
            "quay.io/{a,b}",
            "quay.io/***",
            "quay.io//a",
        ] {
            check("allowedSources", &json!([bad]), false);
        }
        for good in
            ["library/alpine:latest", "a:1", "**:latest", "**:*", "quay.io/*/b:v*", "localhost_5000/a:x"]
        {
            check("mutableTags", &json!([good]), true);
        }
        for bad in [
            "",
            "library/alpine",
            "a:",
            ":latest",
            "localhost:5000/a:x",
            "a:**",
            "A:x",
            "a**:x",
            "a:.x",
            "a@b",
        ] {
            check("mutableTags", &json!([bad]), false);
        }
        for (value, good) in [
            (json!(["linux/amd64", "linux/arm/v7"]), true),
            (json!(["amd64"]), false),
            (json!([]), false),
            (json!("linux/amd64"), false),
        ] {
            check("requirePlatforms", &value, good);
        }
        for (value, good) in
            [("r.example/a/", true), ("oci:out/", true), ("r.example/a", false), ("mirror/", false)]
        {
            check("targetRepoPrefix", &json!(value), good);
        }
        let check_provider = |provider: &Value, good: bool| {
            check("auth", &json!({ "docker.io": provider }), good);
        };
        for good in ["docker", "anonymous", "dockerhub", "github", "gcp", "aws", "azure"] {
            check_provider(&json!(good), true);
            check_provider(&json!({ "provider": good }), true);
            check_provider(&json!({ "provider": good, "unknown": "x" }), false);
        }
        let account = "a-b@c.iam.gserviceaccount.com";
        let pool = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
        for (provider, good) in [
            (json!("basic"), false),
            (json!("other"), false),
            (json!([]), false),
            (json!({}), false),
            (json!({ "provider": "basic", "username": "a", "passwordVariable": "B" }), true),
            (json!({ "provider": "basic", "username": "a:b", "passwordVariable": "B" }), false),
            (json!({ "provider": "basic", "usernameVariable": "A", "passwordStdin": true }), true),
            (json!({ "provider": "basic", "usernameVariable": "A", "passwordStdin": false }), false),
            (json!({ "provider": "basic", "username": "a" }), false),
            (json!({ "provider": "basic", "passwordVariable": "B" }), false),
            (json!({ "provider": "basic", "username": "a", "passwordVariable": "b" }), false),
            (json!({ "provider": "dockerhub", "username": "a", "tokenVariable": "B" }), true),
            (json!({ "provider": "dockerhub", "username": "a", "usernameVariable": "B" }), false),
            (json!({ "provider": "github", "tokenVariable": "1A" }), false),
            (json!({ "provider": "gcp", "credentialsFile": "k.json", "serviceAccount": account }), true),
            (json!({ "provider": "gcp", "credentialsFile": "k.json", "credentialsVariable": "K" }), false),
            (json!({ "provider": "gcp", "workloadIdentityProvider": pool }), true),
            (json!({ "provider": "gcp", "workloadIdentityProvider": "q" }), false),
            (json!({ "provider": "gcp", "serviceAccount": "a@example.com" }), false),
            (json!({ "provider": "aws", "role": "arn:aws-cn:iam::123456789012:role/m" }), true),
            (json!({ "provider": "aws", "role": "arn:aws:iam::1:role/m" }), false),
            (json!({ "provider": "aws", "region": "eu west" }), false),
            (json!({ "provider": "aws", "sessionName": "a" }), false),
            (json!({ "provider": "azure", "clientId": "0-a", "tenantId": "example.com" }), true),
            (json!({ "provider": "azure", "tenantId": "a/b" }), false),
        ] {
            check_provider(&provider, good);
        }
        check("auth", &json!({}), false);
        check("auth", &json!({ "a@b.io": "docker" }), false);
        check("signatures", &json!("require"), false);
        check("allowedSources", &json!([]), false);
        check("mutableTags", &json!([]), false);
        assert!(!is_valid(&json!({})) && !is_valid(&json!([])));
    }

    #[test]
    fn the_schema_knows_what_can_be_stated_of_registries() {
        for (value, good) in [
            (json!({ "artifacts.example.com": { "kind": "artifactory" } }), true),
            (json!({ "*.example.com:*": { "chunks": "8MiB", "mount": false, "pageSize": 100 } }), true),
            (json!({ "localhost:5000": { "chunks": "never", "referrers": "tags" } }), true),
            (json!({ "docker.io": { "chunks": "allowed" }, "*": { "mount": true } }), true),
            (json!({ "[::1]:5000": { "referrers": "probe" } }), true),
            (json!({}), false),
            (json!([]), false),
            (json!({ "quay.io": {} }), false),
            (json!({ "quay.io": { "speed": "high" } }), false),
            (json!({ "quay.io": { "kind": "fast" } }), false),
            (json!({ "quay.io": { "chunks": "08MiB" } }), false),
            (json!({ "quay.io": { "chunks": "8" } }), false),
            (json!({ "quay.io": { "mount": "maybe" } }), false),
            (json!({ "quay.io": { "referrers": "api" } }), false),
            (json!({ "quay.io": { "pageSize": 0 } }), false),
            (json!({ "quay.io": { "pageSize": 10001 } }), false),
            (json!({ "quay.io/org": { "mount": false } }), false),
            (json!({ "**": { "mount": false } }), false),
            (json!({ "alpine": { "mount": false } }), false),
            (json!({ "index.docker.io": { "mount": false } }), false),
            (json!({ "Quay.io": { "mount": false } }), false),
        ] {
            check("registries", &value, good);
        }
    }

    #[test]
    fn the_schema_knows_rules_of_signatures_and_limits() {
        const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVOosRiDyK3EToQQUncw0f10riZjt\n\
                           zFbsDCf6U9EPquWs/WjvMYNH0Q2S1FPVmJ2FJ0J4nCHEEoQBDyvlE2eSRg==\n-----END PUBLIC KEY-----\n";
        for (value, good) in [
            (json!({ "imageSize": "20GiB" }), true),
            (json!({ "imageSize": "20GiB", "layerSize": "1KiB" }), true),
            (json!({ "imageSize": "20GB" }), false),
            (json!({ "imageSize": 20 }), false),
            (json!({ "size": "20GiB" }), false),
            (json!({}), false),
            (json!("20GiB"), false),
        ] {
            check("limits", &value, good);
        }
        let key = json!({ "key": PEM });
        let issuer = "https://accounts.example.com";
        let rule = |more: Value| {
            let mut rule = json!({ "sources": ["quay.io/**"] });
            for (key, value) in more.as_object().expect("a mapping") {
                rule[key] = value.clone();
            }
            json!([rule])
        };
        for (value, good) in [
            (rule(json!({ "anyOf": [key] })), true),
            (rule(json!({ "allOf": [key], "unsigned": "warn", "minimumAge": "7d" })), true),
            (rule(json!({ "anyOf": [key], "allOf": [key] })), false),
            (rule(json!({ "anyOf": [] })), false),
            (rule(json!({ "anyOf": [{}] })), false),
            (rule(json!({ "anyOf": [{ "identity": "a@b.c", "issuer": issuer }] })), true),
            (rule(json!({ "anyOf": [{ "identity": "a@b.c" }] })), false),
            (rule(json!({ "anyOf": [{ "issuer": issuer }] })), false),
            (rule(json!({ "anyOf": [{ "identity": "a@b.c", "issuer": "accounts.example.com" }] })), false),
            (
                rule(
                    json!({ "anyOf": [{ "identity": "a@b.c", "identityPattern": "*@b.c", "issuer": issuer }] }),
                ),
                false,
            ),
            (rule(json!({ "anyOf": [{ "key": PEM, "issuer": issuer }] })), false),
            (rule(json!({ "anyOf": [{ "github": { "repository": "org/app" } }] })), true),
            (rule(json!({ "anyOf": [{ "github": { "repository": "org/app" }, "issuer": issuer }] })), true),
            (rule(json!({ "anyOf": [{ "github": { "repository": "org" } }] })), false),
            (rule(json!({ "anyOf": [{ "github": { "repository": "o/a", "ref": "main" } }] })), false),
            (
                rule(json!({ "anyOf": [{ "github": { "repository": "o/a", "workflow": "release.yml" } }] })),
                false,
            ),
            (rule(json!({ "anyOf": [key], "attestations": ["spdx", { "type": "cyclonedx" }] })), true),
            (rule(json!({ "anyOf": [key], "attestations": ["sbom"] })), false),
            (
                rule(
                    json!({ "anyOf": [key], "attestations": [{ "type": "spdx", "builder": "https://b.c/d" }] }),
                ),
                false,
            ),
            (rule(json!({ "attestations": ["spdx"] })), false),
            (rule(json!({ "unsigned": "allow" })), true),
            (rule(json!({ "unsigned": "deny" })), false),
            (rule(json!({ "unsigned": "never" })), false),
            (rule(json!({ "minimumAge": "36h" })), true),
            (rule(json!({ "minimumAge": "1w" })), false),
            (rule(json!({ "minimumAge": "36h", "unsigned": "warn" })), false),
            (rule(json!({ "anyOf": [key], "transparencyLog": true })), true),
            (rule(json!({ "minimumAge": "36h", "transparencyLog": true })), false),
            (rule(json!({})), false),
            (json!([{ "anyOf": [key] }]), false),
            (json!([{ "sources": ["alpine"], "unsigned": "allow" }]), false),
            (json!([]), false),
            (json!({}), false),
        ] {
            check("signatures", &value, good);
        }
    }
}
