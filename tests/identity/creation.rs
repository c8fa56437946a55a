//! Repositories at Amazon ECR that are not there (ECR API, `CreateRepository`): created where the operator allows it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::aws::{API, PASSWORD, REGISTRY, assert_signed, authorization};
use crate::basic;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::world::{Answer, Seen, World};

const SOURCE: &str = "source.example.com";
const CREATE: &str = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";

/// ECR with no repository but those that are created, and a source with two images.
fn world(create: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (World, Arc<TestRegistry>) {
    let created: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let source = TestRegistry::start();
    for name in ["team/app", "team/other"] {
        put_image(&source.memory, name, Some("1"), &[b"one", b"two", b"three"]);
    }
    let target = Arc::new(basic("AWS", PASSWORD));
    let known = Arc::clone(&created);
    target.on_request(move |parts| {
        let path = parts.uri.path().strip_prefix("/v2/")?;
        let name = path.split("/manifests/").next()?.split("/blobs/").next()?.split("/referrers/").next()?;
        let there = known.lock().expect("the names").contains(name);
        (!name.is_empty() && !there).then(|| Fault::status(404, "NAME_UNKNOWN"))
    });
    let world = World::new().registry(SOURCE, source).registry(REGISTRY, Arc::clone(&target));
    let world = world
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        .host(API, move |seen| {
            if seen.header("x-amz-target") != CREATE {
                return Answer { status: 200, body: authorization().to_string() };
            }
            let document: Value = serde_json::from_slice(&seen.body).expect("JSON");
            let name = document["repositoryName"].as_str().expect("a name");
            let answer = create(name);
            if answer.status == 200 || answer.body.contains("AlreadyExists") {
                created.lock().expect("the names").insert(name.to_owned());
            }
            answer
        });
    (world, target)
}

fn created(name: &str) -> Answer {
    let body = json!({ "repository": { "repositoryName": name, "registryId": "123456789012" } });
    Answer { status: 200, body: body.to_string() }
}

fn refused(status: u16, kind: &str) -> Answer {
    Answer { status, body: json!({ "__type": kind, "message": "on order" }).to_string() }
}

/// The requests that create something.
fn creations(world: &World) -> Vec<Seen> {
    world.seen(API).into_iter().filter(|seen| seen.header("x-amz-target") == CREATE).collect()
}

#[test]
fn a_repository_is_created_once_and_filled() {
    let (world, target) = world(created);
    let world = world.variable("SYNCER_CREATE_REPOSITORIES", "true");
    world.sync(&[SOURCE], REGISTRY, "").expect(0);
    assert_eq!(target.tags().len(), 1 + 1, "the image, and what the registry had");
    let asked = creations(&world);
    assert_eq!(asked.len(), 1, "three layers and a config wait for one");
    assert_eq!(asked[0].line(), "POST /");
    assert_eq!(asked[0].header("content-type"), "application/x-amz-json-1.1");
    let name = format!("mirror/{SOURCE}/team/app");
    assert_eq!(
        serde_json::from_slice::<Value>(&asked[0].body).expect("JSON"),
        json!({ "repositoryName": name })
    );
    assert_signed(&asked[0], "AKIDEXAMPLE", "wJalrXUtnFEMI", "eu-central-1", "ecr");
}

#[test]
fn a_repository_that_somebody_else_created_is_as_good() {
    let (world, target) = world(|_| refused(400, "RepositoryAlreadyExistsException"));
    let world = world.variable("SYNCER_CREATE_REPOSITORIES", "true");
    world.sync(&[SOURCE], REGISTRY, "").expect(0);
    assert_eq!(target.tags().len(), 2);
}

#[test]
fn who_may_not_create_a_repository_is_told() {
    let (world, _target) = world(|_| refused(400, "AccessDeniedException"));
    let world = world.variable("SYNCER_CREATE_REPOSITORIES", "true");
    let told = world.sync(&[SOURCE], REGISTRY, "");
    told.expect(1).says("AccessDeniedException: on order").says("create the repository");
    assert_eq!(creations(&world).len(), 1);
}

/// Without being asked to, nothing is created: the error has the command, and the option.
#[test]
fn nothing_is_created_that_nobody_asked_for() {
    let (world, _target) = world(created);
    let told = world.sync(&[SOURCE], REGISTRY, "");
    let command = format!(
        "`aws ecr create-repository --region eu-central-1 --repository-name mirror/{SOURCE}/team/app`"
    );
    told.expect(1).says(&command).says("--create-repositories");
    assert_eq!(creations(&world).len(), 0);
}

/// A plan writes nothing, whatever is allowed.
#[test]
fn a_plan_creates_nothing() {
    let (world, _target) = world(created);
    let world = world.variable("SYNCER_CREATE_REPOSITORIES", "true").variable("SYNCER_DRY_RUN", "true");
    world.sync(&[SOURCE], REGISTRY, "").expect(0);
    assert_eq!(creations(&world).len(), 0);
}
