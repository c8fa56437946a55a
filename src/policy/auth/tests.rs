//! What is read of `auth`, what is said of it, and which rule counts where.

use super::*;
use crate::login::{Aws, Azure, Gcp, GcpCredentials, Name, Password};

fn said(text: &str) -> Vec<String> {
    match load_auth("auth", text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(text), expected, "{text}");
}

#[track_caller]
fn provider(text: &str) -> Provider {
    let auth = load_auth("auth", text).expect("a good text");
    auth.rules()[0].provider.clone()
}

#[test]
fn each_provider_is_read() {
    assert_eq!(provider("quay.io: docker"), Provider::Docker);
    assert_eq!(provider("quay.io: {provider: anonymous}"), Provider::Anonymous);
    assert_eq!(
        provider("r.example:5000: {provider: basic, username: robot, passwordVariable: PASSWORD_1}"),
        Provider::Basic {
            username: Name::Written("robot".into()),
            password: Password::Variable("PASSWORD_1".into())
        }
    );
    assert_eq!(
        provider("r.example: {provider: basic, usernameVariable: USER, passwordStdin: true}"),
        Provider::Basic { username: Name::Variable("USER".into()), password: Password::StandardInput }
    );
    assert_eq!(
        provider("docker.io: dockerhub"),
        Provider::Basic {
            username: Name::Variable("DOCKERHUB_USERNAME".into()),
            password: Password::Variable("DOCKERHUB_TOKEN".into())
        }
    );
    assert_eq!(provider("ghcr.io: github"), Provider::GitHub { token_variable: None });
    assert_eq!(
        provider("ghcr.io: {provider: github, tokenVariable: PACKAGES_TOKEN}"),
        Provider::GitHub { token_variable: Some("PACKAGES_TOKEN".into()) }
    );
    let gcp = |credentials, account: Option<&str>| {
        Provider::Gcp(Gcp { credentials, service_account: account.map(Into::into) })
    };
    assert_eq!(provider("\"*-docker.pkg.dev\": gcp"), gcp(GcpCredentials::Environment, None));
    let pool = "projects/12/locations/global/workloadIdentityPools/github/providers/main";
    let account = "mirror@project-1.iam.gserviceaccount.com";
    assert_eq!(
        provider(&format!(
            "eu-docker.pkg.dev:\n  provider: gcp\n  workloadIdentityProvider: {pool}\n  serviceAccount: {account}\n"
        )),
        gcp(GcpCredentials::WorkloadIdentity(pool.into()), Some(account))
    );
    assert_eq!(
        provider("gcr.io: {provider: gcp, credentialsFile: /run/key.json}"),
        gcp(GcpCredentials::File("/run/key.json".into()), None)
    );
    assert_eq!(
        provider("gcr.io: {provider: gcp, credentialsVariable: KEY}"),
        gcp(GcpCredentials::Variable("KEY".into()), None)
    );
    assert_eq!(
        provider(
            "\"*.dkr.ecr.*.amazonaws.com\": {provider: aws, role: \"arn:aws:iam::123456789012:role/a/mirror\", \
             region: eu-central-1, sessionName: mirror@x}"
        ),
        Provider::Aws(Aws {
            role: Some("arn:aws:iam::123456789012:role/a/mirror".into()),
            region: Some("eu-central-1".into()),
            session: Some("mirror@x".into()),
        })
    );
    assert_eq!(
        provider("\"*.azurecr.io\": {provider: azure, clientId: 0a-1, tenantId: org.example.com}"),
        Provider::Azure(Azure { client: Some("0a-1".into()), tenant: Some("org.example.com".into()) })
    );
}

#[test]
fn all_faults_come_together() {
    check(
        "ghcr: github\n\
         quay.io: {provider: basic, username: a, passwordVariabel: B}\n\
         gcr.io: gpc\n\
         a.io: {username: a}\n\
         b.io: [github]\n\
         c.io: {provider: basic, username: a}\n\
         d.io: {provider: basic, username: a, usernameVariable: A, passwordVariable: B}\n\
         a.io: anonymous\n\
         e.io: anonymous\n\
         e.io/**: docker\n",
        &[
            "auth:1:1: this pattern of registries is not usable: it does not begin with a registry; write \
             `docker.io/ghcr/**`",
            "auth:2:41: the provider `basic` has no key `passwordVariabel`; did you mean `passwordVariable`?",
            "auth:3:9: this is none of the providers `docker`, `anonymous`, `basic`, `dockerhub`, `github`, `gcp`, \
             `aws`, `azure`; did you mean `gcp`?",
            "auth:4:7: the key `provider` is missing; it is one of `docker`, `anonymous`, `basic`, `dockerhub`, \
             `github`, `gcp`, `aws`, `azure`",
            "auth:5:7: the key `provider` is missing; it is one of `docker`, `anonymous`, `basic`, `dockerhub`, \
             `github`, `gcp`, `aws`, `azure`",
            "auth:6:7: it has either `passwordVariable` or `passwordStdin`; write one of them",
            "auth:7:7: it has either `username` or `usernameVariable`; write one of them",
            "auth:10:1: `e.io/**` is here twice, first on line 9; keep one",
        ],
    );
    let example = "write a registry and its provider, such as `ghcr.io: github`";
    check("", &[&format!("auth:1:1: it names no registry; {example}")]);
    check("{}", &[&format!("auth:1:1: `auth` names no registry; {example}")]);
    check("github", &[&format!("auth:1:1: `auth` is a mapping from registries to providers; {example}")]);
    let many = (0..201).map(|number| format!("a{number}.io: docker\n")).collect::<Vec<_>>().concat();
    check(&many, &["auth:1:1: `auth` has 201 registries; 200 are the most"]);
    check(
        "a.io: {provider: basic, username: a, passwordStdin: true}\n\
         b.io: {provider: basic, username: a, passwordStdin: true}\n",
        &["auth:2:1: only one password can come from standard input; take the others from variables"],
    );
}

/// A password where something else belongs is the likeliest mistake of all.
#[test]
fn no_message_repeats_a_value() {
    for text in [
        "r.example: {provider: basic, username: a, passwordVariable: hunter2}",
        "r.example: {provider: basic, username: \"a:hunter2\", passwordVariable: B}",
        "r.example: {provider: basic, username: a, passwordStdin: hunter2}",
        "r.example: hunter2",
        "r.example: {provider: hunter2}",
        "ghcr.io: {provider: github, tokenVariable: ghp_hunter2}",
        "ghcr.io: {provider: github, tokenVariable: [hunter2]}",
        "a:hunter2@r.example: docker",
        "gcr.io: {provider: gcp, credentialsVariable: '{\"hunter2\": 1}'}",
        "gcr.io: {provider: gcp, serviceAccount: hunter2}",
        "gcr.io: {provider: gcp, workloadIdentityProvider: hunter2}",
        "a.io: {provider: aws, role: hunter2}",
        "a.io: {provider: aws, region: \"hunter2 \"}",
        "a.io: {provider: azure, clientId: \"hunter2 \"}",
        "hunter2",
        "[hunter2]",
    ] {
        let said = said(text).join("\n");
        assert!(!said.is_empty() && !said.contains("hunter2"), "{text}: {said}");
    }
}

/// Whoever writes the list names hosts; a pattern must not leave it to them where a password goes.
#[test]
fn a_password_goes_to_registries_that_the_operator_named() {
    let basic = |pattern: &str| {
        said(&format!("\"{pattern}\": {{provider: basic, username: a, passwordVariable: B}}")).join("\n")
    };
    for good in
        ["r.example.com", "*.example.com", "a-*.example.com:5000/team/**", "localhost:5000", "[::1]:5000"]
    {
        assert_eq!(basic(good), "", "{good}");
    }
    for bad in [
        "**",
        "*.com",
        "*/team/app",
        "*.co.uk",
        "*.github.io",
        "*example.com",
        "r.*",
        "*:5000",
        "r.example.com:*",
        "10.*.0.1",
        "10.0.0.*:5000",
        "[2001:*::1]:5000",
    ] {
        let said = basic(bad);
        assert!(
            said.contains("who lists images would decide") || said.contains("not usable"),
            "{bad}: {said}"
        );
    }
    assert_eq!(said("\"**\": anonymous\n\"*.io\": docker\n"), [""; 0]);
    check(
        "\"*.example.com\": github",
        &["auth:1:1: the workflow's token goes to registries that are named in full, such as `ghcr.io`"],
    );
    check(
        "quay.io: dockerhub",
        &[
            "auth:1:1: the provider `dockerhub` is for `docker.io`; elsewhere a user and a password are `basic`",
        ],
    );
}

#[test]
fn what_names_most_counts() {
    let auth = load_auth(
        "auth",
        "\"**\": anonymous\n\
         \"*.example.com\": docker\n\
         r.example.com: {provider: basic, username: all, passwordVariable: A}\n\
         r.example.com/team/**: {provider: basic, username: team, passwordVariable: A}\n\
         r.example.com/team/app: {provider: basic, username: app, passwordVariable: A}\n\
         \"*.example.com/team/app\": anonymous\n",
    );
    let auth = auth.expect("a good text");
    let first = |name: &str| {
        let rule = auth.rules().iter().find(|rule| rule.matches(name)).expect("a rule");
        rule.location.line
    };
    assert_eq!(first("quay.io/a"), 1);
    assert_eq!(first("s.example.com/a"), 2);
    assert_eq!(first("r.example.com/a"), 3);
    assert_eq!(first("r.example.com/team/b/c"), 4);
    assert_eq!(first("r.example.com/team/app"), 5);
    assert_eq!(first("s.example.com/team/app"), 6);
    assert_eq!(first("r.example.com.evil.example/team/app"), 1);
    let named =
        |line| auth.rules().iter().find(|rule| rule.location.line == line).and_then(AuthRule::registry);
    assert_eq!(named(2), None);
    assert_eq!(named(5), "r.example.com".parse().ok());
}

/// What the documentation shows can be used.
#[test]
fn the_readmes_example_is_read() {
    let readme = include_str!("../../../README.md");
    let begin = readme.find("\"ghcr.io\": github\n\"docker.io\"").expect("the example");
    let text = readme[begin..].split("```").next().expect("its end");
    assert_eq!(load_auth("auth", text).expect("a good text").rules().len(), 7);
}
