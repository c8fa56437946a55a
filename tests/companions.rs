//! What belongs to an image comes along: cosign's tags, referrers with and without the API, and what
//! belongs to those.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::sync::Arc;

use http::Method;
use image_syncer::config::Signatures;
use image_syncer::copy::copy;
use image_syncer::event::Events;
use image_syncer::layout::Layout;
use image_syncer::oci::RawManifest;
use image_syncer::plan::Outcome;
use image_syncer::registry::{Credentials, Registries};
use image_syncer::serve::{Behaviour, Memory};
use image_syncer::store::{Source, Sources};
use serde_json::{Value, json};
use support::companions::{
    NOTATION, SPDX, cosign_tag, digests, entry, fallback_tag, put_cosign, put_fallback, put_tag, sign, sorted,
};
use support::content::{put_image, put_image_for, put_index, put_referrer};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

const NAME: &str = "team/app";

fn image(story: &Scenario) -> RawManifest {
    put_image(&story.source.memory, NAME, Some("1"), &[b"one"])
}

fn referrer(story: &Scenario, subject: &RawManifest, artifact_type: &str, content: &str) -> RawManifest {
    put_referrer(&story.source.memory, NAME, subject, artifact_type, content.as_bytes())
}

/// The entries of the target's fallback index of a subject.
fn fallback(story: &Scenario, subject: &RawManifest) -> Vec<Value> {
    let index = story.mirrored(NAME, &fallback_tag(subject)).expect("a fallback index");
    let document: Value = serde_json::from_slice(&index.bytes).expect("JSON");
    document["manifests"].as_array().expect("a list").clone()
}

fn listed(entries: &[Value]) -> Vec<String> {
    let mut digests: Vec<String> =
        entries.iter().map(|entry| entry["digest"].as_str().expect("a digest").to_owned()).collect();
    digests.sort();
    digests
}

fn texts(manifests: &[&RawManifest]) -> Vec<String> {
    digests(manifests).iter().map(ToString::to_string).collect()
}

#[test]
fn cosign_tags_of_the_index_and_of_each_child_arrive() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let made = [
        (&index, ".sig", sign(memory, NAME, &index)),
        (&amd64, ".att", put_cosign(memory, NAME, &amd64, ".att", &[("p1", "s1"), ("p2", "s2")])),
        (&arm64, ".sbom", put_cosign(memory, NAME, &arm64, ".sbom", &[("an SBOM", "")])),
    ];
    let told = story.sync();
    told.expect(&["copied"]);
    for (subject, suffix, companion) in &made {
        assert_eq!(story.mirrored(NAME, &cosign_tag(subject, suffix)).as_ref(), Some(companion));
        story.assert_whole(NAME, &companion.digest);
    }
    let item = told.item(0);
    assert_eq!(item["companions_proof"], json!({ "expected": 3, "verified": 3 }));
    assert_eq!(item["signed"], "yes");
    let kinds: Vec<_> = item["companions"].as_array().expect("a list").iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["attestation", "sbom", "signature"], "the children come first");
    story.assert_settled();
}

#[test]
fn referrers_come_from_all_pages() {
    let pages = Behaviour { page_limit: 2, ..Behaviour::default() };
    let source = TestRegistry::builder().behaviour(pages.clone()).start();
    let target = TestRegistry::builder().behaviour(pages).start();
    let story = Scenario::between(source, target).lists("team/app:1");
    let image = image(&story);
    let made: Vec<RawManifest> =
        (0..5).map(|number| referrer(&story, &image, SPDX, &format!("SBOM {number}"))).collect();
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions_proof"]["verified"], 5);
    let at_target = story.target.referrers(&story.at_target(NAME), &image.digest);
    assert_eq!(sorted(&at_target), digests(&made.iter().collect::<Vec<_>>()));
    for referrer in &made {
        story.assert_whole(NAME, &referrer.digest);
    }
    assert_eq!(story.source.count(&Method::GET, &format!("/referrers/{}", image.digest)), 3);
    story.assert_settled();
}

#[test]
fn a_source_without_the_api_lists_its_referrers_under_a_tag() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
    let image = image(&story);
    let sbom = referrer(&story, &image, SPDX, "an SBOM");
    let signature = referrer(&story, &image, NOTATION, "a signature");
    // An index may leave out what the manifests themselves say.
    let mut brief = entry(&signature);
    brief.as_object_mut().expect("an object").retain(|key, _| key != "artifactType" && key != "annotations");
    put_fallback(&story.source.memory, NAME, &image, &[entry(&sbom), brief]);
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["signed"], "yes");
    let at_target = story.target.referrers(&story.at_target(NAME), &image.digest);
    assert_eq!(sorted(&at_target), digests(&[&sbom, &signature]));
    assert_eq!(story.mirrored(NAME, &fallback_tag(&image)), None, "the target has the API and needs no tag");
    story.assert_settled();
}

#[test]
fn a_target_without_the_api_gets_an_index_under_a_tag() {
    let target = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(TestRegistry::start(), target).lists("team/app:1");
    let image = image(&story);
    let made: Vec<RawManifest> =
        (0..6).map(|number| referrer(&story, &image, SPDX, &format!("SBOM {number}"))).collect();
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 6, "verified": 6 }));
    let entries = fallback(&story, &image);
    assert_eq!(listed(&entries), texts(&made.iter().collect::<Vec<_>>()));
    let expected = entry(&made[0]);
    let first = entries.iter().find(|entry| entry["digest"] == expected["digest"]).expect("an entry");
    assert_eq!(first, &expected, "with size, media type, artifact type and annotations");
    story.assert_settled();
}

#[test]
fn what_others_wrote_into_a_fallback_index_is_kept() {
    let target = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(TestRegistry::start(), target).lists("team/app:1");
    let image = image(&story);
    let ours = referrer(&story, &image, SPDX, "ours");
    let at = story.at_target(NAME);
    let foreign = put_referrer(&story.target.memory, &at, &image, NOTATION, b"theirs");
    let mut theirs = entry(&foreign);
    theirs["x-unknown"] = json!({ "deep": [1.5, null] });
    let before = put_fallback(&story.target.memory, &at, &image, &[theirs.clone(), json!({ "not": "ours" })]);
    // What cannot be read as a descriptor must not be overwritten either.
    assert!(before.parse().is_err());
    story.sync().expect(&["failed"]);
    assert_eq!(story.mirrored(NAME, &fallback_tag(&image)), Some(before));

    put_fallback(&story.target.memory, &at, &image, &[theirs.clone()]);
    story.sync().expect(&["copied"]);
    let entries = fallback(&story, &image);
    assert_eq!(entries[0], theirs);
    assert_eq!(listed(&entries), texts(&[&ours, &foreign]));
    let index = story.mirrored(NAME, &fallback_tag(&image)).expect("an index");
    assert!(String::from_utf8_lossy(&index.bytes).contains("x-of-the-index"));
    story.assert_settled();
}

#[test]
fn two_tags_of_one_image_share_its_companions() {
    for api in [true, false] {
        let target = TestRegistry::builder();
        let target = if api { target } else { target.without_referrers_api() };
        let story = Scenario::between(TestRegistry::start(), target.start())
            .lists("team/app:1")
            .lists("team/app:latest")
            .lists("team/app:1.0");
        let image = image(&story);
        put_tag(&story.source.memory, NAME, "latest", &image);
        put_tag(&story.source.memory, NAME, "1.0", &image);
        let signature = sign(&story.source.memory, NAME, &image);
        let made: Vec<RawManifest> =
            (0..3).map(|number| referrer(&story, &image, SPDX, &format!("SBOM {number}"))).collect();
        let told = story.sync();
        told.expect(&["copied"; 3]);
        let expected: Vec<&RawManifest> = made.iter().collect();
        if !api {
            assert_eq!(listed(&fallback(&story, &image)), texts(&expected), "each once");
        }
        let at_target = story.target.referrers(&story.at_target(NAME), &image.digest);
        assert_eq!(sorted(&at_target), digests(&expected));
        assert_eq!(story.mirrored(NAME, &cosign_tag(&image, ".sig")), Some(signature));
        story.assert_settled();
    }
}

#[test]
fn what_belongs_to_a_companion_comes_too() {
    for api in [true, false] {
        let target = TestRegistry::builder();
        let target = if api { target } else { target.without_referrers_api() };
        let story = Scenario::between(TestRegistry::start(), target.start()).lists("team/app:1");
        let image = image(&story);
        let sbom = referrer(&story, &image, SPDX, "an SBOM");
        let of_sbom = referrer(&story, &sbom, NOTATION, "a signature of the SBOM");
        let of_that = referrer(&story, &of_sbom, "application/vnd.example.timestamp", "a timestamp of that");
        let tagged = put_cosign(&story.source.memory, NAME, &image, ".sbom", &[("an SBOM, too", "")]);
        let of_tagged = sign(&story.source.memory, NAME, &tagged);
        let told = story.sync();
        told.expect(&["copied"]);
        assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 5, "verified": 5 }));
        assert_eq!(told.item(0)["signed"], "no", "a signature of an SBOM is none of the image");
        for companion in [&sbom, &of_sbom, &of_that, &tagged, &of_tagged] {
            story.assert_whole(NAME, &companion.digest);
        }
        assert_eq!(story.mirrored(NAME, &cosign_tag(&tagged, ".sig")), Some(of_tagged));
        let at = story.at_target(NAME);
        for (subject, companion) in [(&image, &sbom), (&sbom, &of_sbom), (&of_sbom, &of_that)] {
            assert_eq!(sorted(&story.target.referrers(&at, &subject.digest)), digests(&[companion]));
            if !api {
                assert_eq!(listed(&fallback(&story, subject)), texts(&[companion]));
            }
        }
        story.assert_settled();
    }
}

#[test]
fn signatures_that_come_later_are_copied_to_the_image_that_is_there() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story);
    story.sync().expect(&["copied"]);
    let before = story.target.tags();
    let signature = sign(&story.source.memory, NAME, &image);
    let bundle = referrer(&story, &image, SPDX, "an SBOM");
    story.target.clear_log();
    story.plan().expect(&["companions"]);
    assert_eq!(story.target.writes().len(), 0);
    let told = story.sync();
    told.expect(&["companions-copied"]);
    assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 2, "verified": 2 }));
    assert_eq!(story.mirrored(NAME, &cosign_tag(&image, ".sig")), Some(signature));
    assert_eq!(sorted(&story.target.referrers(&story.at_target(NAME), &image.digest)), digests(&[&bundle]));
    assert!(before.iter().all(|(tag, digest)| story.target.tags().get(tag) == Some(digest)));
    let writes = story.target.writes();
    let put_the_image = writes.iter().any(|write| write.path.ends_with("/manifests/1"));
    assert!(!put_the_image, "the image's own tag is not written again");
    story.assert_settled();
}

#[test]
fn a_referrer_that_the_source_lists_and_does_not_have_is_said() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
    let image = image(&story);
    let there = referrer(&story, &image, SPDX, "there");
    let gone = put_referrer(&Memory::new(), NAME, &image, NOTATION, b"gone");
    put_fallback(&story.source.memory, NAME, &image, &[entry(&gone), entry(&there)]);
    let told = story.sync();
    told.expect(&["copied"]);
    let item = told.item(0);
    assert_eq!(item["companions_proof"], json!({ "expected": 1, "verified": 1 }));
    assert_eq!(item["signed"], "no");
    assert_eq!(item["remarks"][0]["code"], "companion-gone");
    assert!(item["remarks"][0]["message"].to_string().contains(&gone.digest.to_string()));
    let at_target = story.target.referrers(&story.at_target(NAME), &image.digest);
    assert_eq!(sorted(&at_target), digests(&[&there]));
    story.assert_settled();
}

#[test]
fn a_listed_referrer_of_something_else_is_passed_over() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
    let image = image(&story);
    let other = put_image(&story.source.memory, NAME, Some("other"), &[b"other"]);
    let of_other = referrer(&story, &other, NOTATION, "a signature of another image");
    put_fallback(&story.source.memory, NAME, &image, &[entry(&of_other), entry(&other)]);
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions"], json!([]));
    assert_eq!(story.target.tags().len(), 1);
    let at = story.at_target(NAME);
    assert_eq!(story.target.manifest(&at, &of_other.digest.to_string()), None);
    story.assert_settled();
}

/// GitLab resolves the tag `sha256-HEX` to the manifest with that digest.
#[test]
fn a_fallback_tag_that_is_the_image_itself_lists_nothing() {
    let without_api = || TestRegistry::builder().without_referrers_api().start();
    for is_index in [false, true] {
        let story = Scenario::between(without_api(), without_api()).lists("team/app:1");
        let memory = &story.source.memory;
        let child = put_image(memory, NAME, None, &[b"one"]);
        let subject = if is_index {
            put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")])
        } else {
            image(&story)
        };
        put_tag(memory, NAME, &fallback_tag(&subject), &subject);
        let told = story.sync();
        told.expect(&["copied"]);
        assert_eq!(told.item(0)["companions"], json!([]));

        // The same at the target: what is written there is an index of referrers, and not a changed image.
        let sbom = referrer(&story, &subject, SPDX, "an SBOM");
        put_fallback(memory, NAME, &subject, &[entry(&sbom)]);
        put_tag(&story.target.memory, &story.at_target(NAME), &fallback_tag(&subject), &subject);
        story.sync().expect(&["companions-copied"]);
        assert_eq!(listed(&fallback(&story, &subject)), texts(&[&sbom]));
        assert_eq!(story.mirrored(NAME, "1"), Some(subject));
    }
}

/// A source without the referrers API: one request finds that out, and its list of tags says which of its
/// manifests have an index of referrers.
#[test]
fn a_source_without_the_api_is_asked_no_more_than_it_has_to_be() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"b"]);
    put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    story.sync().expect(&["copied"]);
    assert_eq!(story.source.count(&Method::GET, "/referrers/"), 1);
    assert_eq!(story.source.count(&Method::GET, "/manifests/sha256-"), 0);
    assert_eq!(story.source.count(&Method::GET, "/tags/list"), 1);
}

/// A cache that lists only what was asked of it: the image, and not what belongs to it.
#[test]
fn a_list_of_tags_without_companions_is_not_believed() {
    for (suffix, kind) in [(".sig", "signature"), (".att", "attestation"), (".sbom", "sbom"), ("", "sbom")] {
        let source = TestRegistry::builder().without_referrers_api().start();
        let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
        let memory = &story.source.memory;
        let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
        let index = put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")]);
        // One of the image, and one of the child, which nobody asks for if the list is believed.
        if suffix.is_empty() {
            let sbom = put_referrer(memory, NAME, &index, SPDX, b"an SBOM");
            put_fallback(memory, NAME, &index, &[entry(&sbom)]);
        } else {
            put_cosign(memory, NAME, &index, suffix, &[("p", "s")]);
        }
        put_cosign(memory, NAME, &child, ".att", &[("p", "s")]);
        story.source.on_request(|parts| {
            let list = json!({ "name": NAME, "tags": ["1"] }).to_string();
            parts.uri.path().ends_with("/tags/list").then(|| Fault::body(200, "application/json", list))
        });
        let told = story.sync();
        told.expect(&["copied"]);
        let mut kinds: Vec<String> = told.item(0)["companions"]
            .as_array()
            .expect("companions")
            .iter()
            .map(|companion| companion["kind"].as_str().expect("a kind").to_owned())
            .collect();
        kinds.sort();
        let mut expected = [kind, "attestation"];
        expected.sort_unstable();
        assert_eq!(kinds, expected, "{suffix}");
    }
}

/// What a cache in front of a registry lists says nothing of the registry; and where a signature decides,
/// nothing is left to a list.
#[test]
fn no_list_of_tags_is_asked_for_behind_an_endpoint_or_where_signatures_are_required() {
    let mut behind = Scenario::new().entry("source: cached.example.com/team/app:1");
    let url = behind.source.url().parse().expect("a URL");
    behind.settings.endpoints.insert("cached.example.com".parse().expect("a registry"), url);
    let required = Scenario::new().lists("team/app:1").signatures(Signatures::Require);
    for story in [behind, required] {
        let image = image(&story);
        sign(&story.source.memory, NAME, &image);
        let told = story.sync();
        told.expect(&["copied"]);
        assert_eq!(told.item(0)["signed"], "yes", "{}", told.text());
        assert_eq!(story.source.count(&Method::GET, "/tags/list"), 0);
    }
}

/// No plan has such a companion. If one had, the image would be called copied with it.
#[test]
fn a_companion_whose_content_nobody_knows_is_a_failure() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story);
    referrer(&story, &image, SPDX, "an SBOM");
    let mut plan = story.plan().0.plan;
    plan.items[0].companions.as_mut().expect("companions")[0].graph = None;
    let registry = plan.items[0].source.registry.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let target = Arc::new(Layout::new(folder.path()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let results = runtime.block_on(async {
        let registries = Registries::new(story.settings.clone(), Arc::new(Credentials::anonymous()));
        let source: Arc<dyn Source> = Arc::new(registries.expect("registries").source(&registry));
        let sources: Arc<Sources> = Arc::new([(registry, source)].into());
        copy(Arc::new(plan), &[], sources, target, &Events::ignored(), std::future::pending()).await
    });
    assert!(matches!(&results[0].outcome, Outcome::Failed(cause) if cause.operation == "copy companion"));
}
