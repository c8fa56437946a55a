use super::*;

const FILE: &str = ".github/workflows/release.yml";

fn workflow(repository: &str, file: Option<&str>, reference: Option<&str>) -> Identity {
    let workflow = Workflow::new(repository, file, reference).expect("a workflow");
    Identity::new(GITHUB_ISSUER, None, Some(workflow)).expect("an identity")
}

fn signer() -> Signatory {
    Signatory {
        subject: Some(format!("https://github.com/org/reusable/{FILE}@refs/heads/main")),
        issuer: Some(GITHUB_ISSUER.to_owned()),
        repository: Some("https://github.com/org/app".to_owned()),
        workflow: Some(format!("https://github.com/org/app/{FILE}@refs/tags/v1.2")),
        reference: Some("refs/tags/v1.2".to_owned()),
        ..Signatory::default()
    }
}

#[test]
fn a_workflow_is_known_by_what_github_says_of_it() {
    let signer = signer();
    let check = |repository, file, reference| workflow(repository, file, reference).check(&signer);
    assert_eq!(check("org/app", None, None), Ok(()));
    assert_eq!(check("https://github.com/org/app", Some(FILE), Some("refs/tags/v*")), Ok(()));
    assert_eq!(check("org/other", None, None), Err(Mismatch::Repository));
    assert_eq!(check("org/ap", None, None), Err(Mismatch::Repository));
    assert_eq!(check("https://github.example.com/org/app", None, None), Err(Mismatch::Repository));
    assert_eq!(check("org/app", Some(".github/workflows/release.y"), None), Err(Mismatch::Workflow));
    assert_eq!(check("org/app", Some(".github/workflows/other.yml"), None), Err(Mismatch::Workflow));
    assert_eq!(check("org/app", None, Some("refs/heads/main")), Err(Mismatch::Reference));
}

#[test]
fn what_a_certificate_does_not_say_does_not_fit() {
    let signer = Signatory { issuer: Some(GITHUB_ISSUER.to_owned()), ..Signatory::default() };
    assert_eq!(workflow("org/app", None, None).check(&signer), Err(Mismatch::Repository));
    let subject = Matcher::exact("a@example.com").expect("a subject");
    let identity = Identity::new(GITHUB_ISSUER, Some(subject), None).expect("an identity");
    assert_eq!(identity.check(&signer), Err(Mismatch::Subject));
    assert_eq!(identity.check(&Signatory::default()), Err(Mismatch::Issuer));
    let full = self::signer();
    for part in [
        Signatory { workflow: None, ..full.clone() },
        Signatory { workflow: Some("https://github.com/org/app".to_owned()), ..full.clone() },
    ] {
        assert_eq!(workflow("org/app", Some(FILE), None).check(&part), Err(Mismatch::Workflow));
    }
    let part = Signatory { reference: None, ..full };
    assert_eq!(workflow("org/app", None, Some("refs/tags/v*")).check(&part), Err(Mismatch::Reference));
}

/// Whoever can have a name that only looks like the one that is asked for is somebody else.
#[test]
fn names_that_look_alike_are_others() {
    let asked = "release@example.com";
    let subject = Matcher::exact(asked).expect("a subject");
    let identity = Identity::new("https://accounts.example.com", Some(subject), None).expect("an identity");
    let of = |subject: &str, issuer: &str| Signatory {
        subject: Some(subject.to_owned()),
        issuer: Some(issuer.to_owned()),
        ..Signatory::default()
    };
    assert_eq!(identity.check(&of(asked, "https://accounts.example.com")), Ok(()));
    for subject in [
        "xrelease@example.com",
        "release@example.com.attacker.example",
        "release@example.co",
        "release@example.com\n",
        "\nrelease@example.com",
        "release@example.com\u{200b}",
        "r\u{435}lease@example.com",
        "RELEASE@example.com",
        "release@example.com@attacker.example",
        "",
    ] {
        let found = identity.check(&of(subject, "https://accounts.example.com"));
        assert_eq!(found, Err(Mismatch::Subject), "{subject:?}");
    }
    for issuer in [
        "https://accounts.example.com/",
        "https://accounts.example.com.attacker.example",
        "http://accounts.example.com",
        "https://accounts.example.com\n",
        "",
    ] {
        assert_eq!(identity.check(&of(asked, issuer)), Err(Mismatch::Issuer), "{issuer:?}");
    }
}

#[test]
fn what_means_everybody_is_no_identity() {
    assert_eq!(Identity::new(GITHUB_ISSUER, None, None), Err(IdentityError::Everybody));
    let subject = || Matcher::exact("a@example.com").ok();
    assert_eq!(Identity::new("", subject(), None), Err(IdentityError::Issuer(MatcherError::Empty)));
    assert_eq!(
        Identity::new("https://*.example.com", subject(), None),
        Err(IdentityError::Issuer(MatcherError::Star))
    );
    assert_eq!(Identity::new("accounts.example.com", subject(), None), Err(IdentityError::IssuerScheme));
    for repository in
        ["", "app", "org/", "/app", "org/*", "a/b/c", "https://github.com/org", "https:///a/b", "org/a b"]
    {
        assert_eq!(Workflow::new(repository, None, None), Err(IdentityError::Repository), "{repository}");
    }
    for file in ["release.yml", ".github/workflows/*.yml", ".github/workflows/a.yml@refs/heads/main"] {
        assert_eq!(Workflow::new("org/app", Some(file), None), Err(IdentityError::File), "{file}");
    }
    assert_eq!(
        Workflow::new("org/app", None, Some("main")),
        Err(IdentityError::Reference(MatcherError::NoRef))
    );
}

#[test]
fn an_identity_says_all_that_it_asks() {
    assert_eq!(
        workflow("org/app", Some(FILE), Some("refs/tags/v*")).to_string(),
        "a workflow of https://github.com/org/app, .github/workflows/release.yml, at refs/tags/v* \
         (issuer https://token.actions.githubusercontent.com)"
    );
    assert_eq!(
        Signatory { subject: Some("a\nb".into()), ..Signatory::default() }.to_string(),
        "`a\u{fffd}b` (no issuer)"
    );
}
