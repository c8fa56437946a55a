use super::*;
use serde_json::json;

fn image() -> Digest {
    Digest::sha256(b"image")
}

fn statement(kind: &str, predicate: &Value) -> Statement {
    let text = json!({
        "_type": TYPES[1],
        "subject": [{"name": "x", "digest": {"sha256": image().hex()}}],
        "predicateType": kind,
        "predicate": predicate,
    });
    read(PAYLOAD_TYPE, text.to_string().as_bytes(), &image()).expect("a statement")
}

fn provenance(builder: Option<&str>, source: Option<&str>) -> Wanted {
    let builder = builder.map(|text| match Matcher::pattern(text) {
        Ok(pattern) => pattern,
        Err(_) => Matcher::exact(text).expect("a builder"),
    });
    Wanted::Provenance { builder, source: source.map(|text| Source::parse(text).expect("a source")) }
}

/// Of GitHub's attestations (SLSA v1).
fn of_github() -> Statement {
    statement(
        "https://slsa.dev/provenance/v1",
        &json!({
            "buildDefinition": {
                "externalParameters": {"workflow": {"repository": "https://github.com/org/app", "ref": "refs/tags/v1"}},
                "resolvedDependencies": [{"uri": "git+https://github.com/org/other@refs/tags/v1"}],
            },
            "runDetails": {"builder": {"id": "https://github.com/org/app/.github/workflows/r.yml@refs/tags/v1"}},
        }),
    )
}

/// Of slsa-github-generator (SLSA v0.2).
fn of_generator() -> Statement {
    statement(
        "https://slsa.dev/provenance/v0.2",
        &json!({
            "builder": {"id": "https://github.com/slsa-framework/gen/.github/workflows/c.yml@refs/tags/v2.0.0"},
            "invocation": {"configSource": {"uri": "git+https://github.com/org/app@refs/heads/main"}},
            "materials": [{"uri": "git+https://github.com/org/other@refs/heads/main"}],
        }),
    )
}

#[test]
fn provenance_is_compared_by_builder_and_source() {
    let check = |wanted: &Wanted, statement: &Statement| wanted.check(statement).map_err(|fault| fault.check);
    for statement in [of_github(), of_generator()] {
        assert!(provenance(None, None).is_kind(&statement));
        assert_eq!(check(&provenance(None, None), &statement), Ok(()));
        assert_eq!(check(&provenance(None, Some("github.com/org/app")), &statement), Ok(()));
        assert_eq!(check(&provenance(None, Some("https://github.com/org/app.git")), &statement), Ok(()));
        for other in
            ["github.com/org/other", "github.com/org/ap", "github.com/org/app/x", "gitlab.com/org/app"]
        {
            assert_eq!(check(&provenance(None, Some(other)), &statement), Err(Check::Statement), "{other}");
        }
    }
    let builder = "https://github.com/slsa-framework/gen/.github/workflows/c.yml@refs/tags/v*";
    assert_eq!(check(&provenance(Some(builder), None), &of_generator()), Ok(()));
    assert_eq!(check(&provenance(Some(builder), None), &of_github()), Err(Check::Statement));
    let silent = statement("https://slsa.dev/provenance/v1", &json!({}));
    assert_eq!(check(&provenance(Some(builder), None), &silent), Err(Check::Statement));
    assert_eq!(check(&provenance(None, Some("github.com/org/app")), &silent), Err(Check::Statement));
}

#[test]
fn a_source_hides_no_other_host() {
    for uri in ["https://github.com@attacker.example/org/app", "github.com", ""] {
        assert_eq!(Source::of(uri), None, "{uri}");
    }
    assert_eq!(
        Source::of("https://attacker.example/github.com/org/app"),
        Some(Source("attacker.example/github.com/org/app".to_owned()))
    );
    for text in ["github.com", "github.com/", "*", "https://github.com/*", "org"] {
        assert!(Source::parse(text).is_err(), "{text}");
    }
}

#[test]
fn kinds_are_known_by_their_predicate_type() {
    let of = |kind: &str| statement(kind, &json!({}));
    for (wanted, kind, fits) in [
        (Wanted::Spdx, "https://spdx.dev/Document", true),
        (Wanted::Spdx, "https://spdx.dev/Document/v2.3", true),
        (Wanted::Spdx, "https://spdx.dev/DocumentX", false),
        (Wanted::CycloneDx, "https://cyclonedx.org/bom", true),
        (Wanted::CycloneDx, "https://cyclonedx.org/bom/v1.6", true),
        (Wanted::CycloneDx, "https://spdx.dev/Document", false),
        (provenance(None, None), "https://slsa.dev/provenance/v0.2", true),
        (provenance(None, None), "https://slsa.dev/verification_summary/v1", false),
        (Wanted::Other("https://example.com/x".into()), "https://example.com/x", true),
        (Wanted::Other("https://example.com/x".into()), "https://example.com/x/", false),
    ] {
        assert_eq!(wanted.is_kind(&of(kind)), fits, "{wanted} {kind}");
    }
    assert!(of(COSIGN_SIGN).is_signature());
    assert!(!of("https://slsa.dev/provenance/v1").is_signature());
}

#[test]
fn a_statement_has_to_be_about_the_image() {
    let check = |payload_type: &str, text: &Value| {
        read(payload_type, text.to_string().as_bytes(), &image())
            .map(|found| found.kind)
            .map_err(|fault| fault.check)
    };
    let with = |subject: Value| json!({"_type": TYPES[0], "subject": subject, "predicateType": "p"});
    let other = Digest::sha256(b"other").hex();
    assert_eq!(
        check(PAYLOAD_TYPE, &with(json!([{"digest": {"sha256": image().hex()}}]))),
        Ok("p".to_owned())
    );
    let second = json!([{"digest": {"sha256": other}}, {"digest": {"sha256": image().hex()}}]);
    assert_eq!(check(PAYLOAD_TYPE, &with(second)), Ok("p".to_owned()));
    for wrong in [
        json!([{"digest": {"sha256": other}}]),
        json!([{"digest": {"sha512": image().hex()}}]),
        json!([{"digest": {"sha256": image().hex().to_uppercase()}}]),
        json!([{"digest": {}}]),
        json!([]),
    ] {
        assert_eq!(check(PAYLOAD_TYPE, &with(wrong.clone())), Err(Check::Digest), "{wrong}");
    }
    let right = with(json!([{"digest": {"sha256": image().hex()}}]));
    assert_eq!(check("text/plain", &right), Err(Check::Supported));
    let mut odd = right;
    odd["_type"] = json!("https://example.com/Statement");
    assert_eq!(check(PAYLOAD_TYPE, &odd), Err(Check::Supported));
    assert_eq!(check(PAYLOAD_TYPE, &json!({})), Err(Check::Format));
}
