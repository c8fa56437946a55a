//! The docker configuration: which key is meant.

use serde_json::json;

use crate::support::content::put_image;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{BASIC, PASSWORD, USER, bearer, configured};

/// Three images of one registry.
fn three_images() -> Scenario {
    let source = TestRegistry::builder().auth(bearer()).start();
    let mut story = Scenario::between(source, TestRegistry::start());
    for name in ["team-a/app", "team-b/app", "team-b/tools/app"] {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story
}

/// Who asked for a token for which repository.
fn who(story: &Scenario) -> Vec<(String, Option<String>)> {
    let mut asked: Vec<_> =
        story.source.token_requests().into_iter().map(|token| (token.scopes.join(" "), token.user)).collect();
    asked.sort();
    asked.dedup();
    asked
}

#[test]
fn the_longest_key_wins_and_two_repositories_can_be_two_people() {
    let story = three_images();
    let host = story.source.host();
    let config = json!({ "auths": {
        &host: { "username": "nobody", "password": "wrong" },
        format!("{host}/team-b"): { "username": "somebody", "password": "wrong" },
        format!("https://{host}/team-b/tools/"): { "auth": BASIC },
    }});
    let told = story.credentials(configured(&config));
    let report = told.sync();
    report.expect(&["blocked", "blocked", "copied"]);
    let asked =
        |repository: &str, user: &str| (format!("repository:{repository}:pull"), Some(user.to_owned()));
    assert_eq!(
        who(&told),
        [asked("team-a/app", "nobody"), asked("team-b/app", "somebody"), asked("team-b/tools/app", USER)]
    );
}

#[test]
fn no_key_is_nobody() {
    let story = three_images();
    let host = story.source.host();
    let config = json!({ "auths": {
        format!("{host}/team"): { "auth": BASIC },
        format!("{host}/team-b/to"): { "auth": BASIC },
        "registry.example.com": { "auth": BASIC },
        format!("{host}0"): { "auth": BASIC },
    }});
    let story = story.credentials(configured(&config));
    story.sync().expect(&["copied"; 3]);
    assert!(who(&story).iter().all(|(_, user)| user.is_none()), "{:?}", who(&story));
}

/// Two images with a layer in common, to a registry that wants to know who asks, one after the other.
fn two_images() -> Scenario {
    let target = TestRegistry::builder().auth(bearer()).start();
    let mut story = Scenario::between(TestRegistry::start(), target);
    story.settings.concurrency = Some(1);
    for name in ["team-a/app", "team-b/app"] {
        put_image(&story.source.memory, name, Some("1"), &[b"shared"]);
        story = story.lists(&format!("{name}:1"));
    }
    story
}

/// The repository that a token is for decides who asks.
#[test]
fn a_push_is_asked_for_by_who_pushes() {
    let story = two_images();
    let prefix = format!("{}/{}", story.target.host(), story.at_target("team-b"));
    let config = json!({ "auths": {
        story.target.host(): { "auth": BASIC },
        prefix: { "username": USER, "password": "wrong" },
    }});
    let story = story.credentials(configured(&config));
    story.sync().expect(&["copied", "blocked"]);
    assert!(story.target.tag(&story.at_target("team-a/app"), "1").is_some());
    assert!(story.target.token_requests().iter().all(|token| token.user.is_some()));
}

#[test]
fn nothing_is_mounted_from_what_another_account_is_named_for() {
    let story = two_images();
    let [a, b] = ["team-a/app", "team-b/app"].map(|name| story.at_target(name));
    let host = story.target.host();
    let config = json!({ "auths": {
        format!("{host}/{a}"): { "auth": BASIC },
        format!("{host}/{b}"): { "identitytoken": PASSWORD },
    }});
    let story = story.credentials(configured(&config));
    story.sync().expect(&["copied", "copied"]);
    assert!(story.target.tag(&a, "1").is_some() && story.target.tag(&b, "1").is_some());
    for request in story.target.requests() {
        let other = if request.path.contains(&a) { &b } else { &a };
        let from = format!("from={}", other.replace('/', "%2F"));
        assert!(!request.query.contains(&from), "{}", request.line());
    }
    let asked = story.target.token_requests();
    assert!(asked.len() > 1 && asked.iter().all(|token| token.scopes.len() == 1), "{asked:?}");
}
