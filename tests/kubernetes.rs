//! What `deploy/kubernetes` has: pods that may do nothing but their work, with arguments that the program takes.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use image_syncer::cli::{self, Command, WhichShard};
use image_syncer::config::{ListFile, PrefixSources, Signatures, load};
use serde_json::{Value, json};

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    std::fs::read_to_string(folder.join(name)).expect(name)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).expect(name)
}

fn job() -> Value {
    yaml("base/cronjob.yaml")["spec"]["jobTemplate"]["spec"].clone()
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The program's options, with `JOB_COMPLETION_INDEX` as the only thing that differs between pods.
fn options(container: &Value) -> cli::SyncOptions {
    let arguments = std::iter::once("image-syncer".to_owned()).chain(texts(&container["args"]));
    let variables = container["env"].as_array().expect("variables").iter().map(|variable| {
        let text = |field: &str| OsString::from(variable[field].as_str().expect("a text"));
        (text("name"), text("value"))
    });
    match cli::parse(arguments.map(OsString::from), variables).expect("what the program takes").command {
        Command::Sync(options) => options,
        other => panic!("the pods run {other:?}"),
    }
}

/// What is at a path as Kustomize has them: `a.[name=b].c`.
fn at<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(value, |value, part| match part.strip_prefix("[name=") {
        Some(name) => {
            let mut all = value.as_array_mut().expect("a list").iter_mut();
            all.find(|it| it["name"] == name.trim_end_matches(']')).expect("what has that name")
        }
        None => value.get_mut(part).expect("a field"),
    })
}

/// What Kustomize makes of a resource by `replacements`; scripts/workflows has it done by Kustomize itself.
fn replace(resource: &mut Value, replacements: &Value) {
    for replacement in replacements.as_array().expect("replacements") {
        let value = at(resource, replacement["source"]["fieldPath"].as_str().expect("a path")).clone();
        for target in replacement["targets"].as_array().expect("targets") {
            for path in texts(&target["fieldPaths"]) {
                let place = at(resource, &path);
                *place = match place.as_str() {
                    None => value.clone(),
                    Some(text) => {
                        assert_eq!(target["options"], json!({ "delimiter": "/", "index": 1 }));
                        json!(format!("{}/{value}", text.split('/').next().expect("a part")))
                    }
                };
            }
        }
    }
}

#[test]
fn each_pod_does_a_part_of_the_list() {
    let job = job();
    assert_eq!(job["completionMode"], "Indexed");
    let container = &job["template"]["spec"]["containers"][0];
    let options = options(container);
    let count = usize::try_from(job["completions"].as_u64().expect("a number")).expect("a number");
    assert_eq!(options.run.share.shard, Some(WhichShard::OfJob(count)));
    assert_eq!(job["parallelism"], job["completions"]);
    assert!(!options.dry_run);
    // Another try changes nothing about these exit codes.
    let rule = &job["podFailurePolicy"]["rules"][0];
    assert_eq!((&rule["action"], &rule["onExitCodes"]["values"]), (&json!("FailIndex"), &json!([2, 3, 4])));
    assert_eq!(rule["onExitCodes"]["containerName"], container["name"]);
    assert_eq!(job["template"]["spec"]["restartPolicy"], "Never");
}

#[test]
fn pods_may_do_nothing_but_their_work() {
    let pod = job()["template"]["spec"].clone();
    assert_eq!(pod["automountServiceAccountToken"], false);
    let of_pod = &pod["securityContext"];
    assert_eq!(
        (&of_pod["runAsNonRoot"], &of_pod["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    assert!(of_pod["runAsUser"].as_u64().is_some_and(|user| user > 0));
    let containers = pod["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 1);
    let container = &containers[0];
    let wanted = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    assert_eq!(container["securityContext"], wanted);
    for kind in ["cpu", "memory", "ephemeral-storage"] {
        for limit in ["requests", "limits"] {
            assert!(container["resources"][limit][kind].is_string(), "{limit} of {kind}");
        }
    }
    let namespace = yaml("base/namespace.yaml");
    let labels = &namespace["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
}

/// All that the program reads is mounted to be read, and all that it writes to be written.
#[test]
fn what_is_mounted_is_what_the_program_uses() {
    let pod = job()["template"]["spec"].clone();
    let container = &pod["containers"][0];
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let volumes: BTreeSet<String> = pod["volumes"].as_array().expect("volumes").iter().map(name).collect();
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    assert_eq!(mounts.iter().map(name).collect::<BTreeSet<_>>(), volumes);
    let writable = |path: &Path| {
        let is_below = |mount: &&Value| path.starts_with(mount["mountPath"].as_str().expect("a path"));
        let mount = mounts.iter().find(is_below).expect("a mount");
        mount["readOnly"] != true
    };
    let options = options(container);
    for list in &options.run.images_files {
        assert!(!writable(list), "{}", list.display());
    }
    assert!(writable(&options.output.report.report.expect("a report")));
    let config = container["env"][0]["value"].as_str().expect("a path");
    assert_eq!(container["env"][0]["name"], "DOCKER_CONFIG");
    assert!(!writable(Path::new(config)));
    // What the generators make, under the names by which the pods ask for it.
    let base = yaml("base/kustomization.yaml");
    let volume = |name: &str| {
        pod["volumes"].as_array().expect("volumes").iter().find(|it| it["name"] == name).cloned()
    };
    assert_eq!(volume("lists").expect("lists")["configMap"]["name"], base["configMapGenerator"][0]["name"]);
    assert_eq!(
        volume("docker-config").expect("logins")["secret"]["secretName"],
        base["secretGenerator"][0]["name"]
    );
    assert_eq!(texts(&base["configMapGenerator"][0]["files"]), ["external-images.yaml"]);
    assert_eq!(texts(&base["secretGenerator"][0]["files"]), ["config.json=docker-config.json"]);
}

#[test]
fn the_example_changes_what_it_says() {
    let example = yaml("example/kustomization.yaml");
    let patch = example["patches"][0]["patch"].as_str().expect("a patch");
    let mut cronjob = yaml("base/cronjob.yaml");
    let operations: Value = serde_saphyr::from_str(patch).expect("a patch");
    // The number of pods stands in one place.
    assert_eq!(operations.as_array().map(Vec::len), Some(1));
    for operation in operations.as_array().expect("operations") {
        assert_eq!(operation["op"], "replace");
        let place = cronjob.pointer_mut(operation["path"].as_str().expect("a path")).expect("a place");
        *place = operation["value"].clone();
    }
    replace(&mut cronjob, &example["replacements"]);
    assert_eq!(example["replacements"], yaml("base/kustomization.yaml")["replacements"]);
    let job = &cronjob["spec"]["jobTemplate"]["spec"];
    assert_eq!((&job["completions"], &job["parallelism"]), (&json!(8), &json!(8)));
    let options = options(&job["template"]["spec"]["containers"][0]);
    assert_eq!(options.run.share.shard, Some(WhichShard::OfJob(8)));
    for name in ["base/external-images.yaml", "example/external-images.yaml"] {
        let list = ListFile { name: name.to_owned(), text: text(name) };
        load(&[list], PrefixSources::default(), Signatures::Copy).expect(name);
    }
    for name in ["base/docker-config.json", "example/docker-config.json"] {
        let config: Value = serde_json::from_str(&text(name)).expect(name);
        assert_eq!(config, json!({ "auths": {} }), "{name} is no place for logins");
    }
}
