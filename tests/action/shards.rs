//! Several jobs that share one list: a plan that says how many, a step for each, and one that tells the whole.

use serde_json::{Value, json};

use crate::support::content::put_image;
use crate::workflow::{LIST, Step, Workflow, has, pull_request};

const IMAGES: usize = 6;

fn workflow() -> Workflow {
    let workflow = Workflow::new().input("check-run", Some("true"));
    let entries: Vec<String> = (0..IMAGES)
        .map(|number| {
            let repository = format!("team/app{number}");
            put_image(&workflow.source.memory, &repository, Some("1"), &[repository.as_bytes()]);
            // The shard goes by the target's name, which must not have a port in it that is another one each time.
            format!("source: SOURCE/{repository}:1\n    target: app{number}")
        })
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    workflow.check_out(LIST, &workflow.list(&entries));
    workflow
}

/// Runs a shard, and keeps its report as a download of all artifacts would.
fn shard(workflow: Workflow, shard: &str) -> (Workflow, Step) {
    let workflow = workflow.input("shard", Some(shard)).input("summary", Some("false"));
    let step = workflow.run("push", &json!({}));
    let kept = workflow.workspace().join("shards").join(format!("{}-attempt-1", shard.replace('/', "-of-")));
    std::fs::create_dir_all(&kept).expect("a folder");
    let report = workflow.workspace().join(&step.outputs["report-file"]);
    std::fs::rename(report, kept.join("image-syncer-report.json")).expect("a report");
    (workflow, step)
}

fn merge(workflow: Workflow) -> (Workflow, Step) {
    let workflow = workflow
        .input("shard", Some(""))
        .input("summary", Some("true"))
        .input("merge-reports", Some("shards"));
    let step = workflow.run("push", &json!({}));
    (workflow, step)
}

#[test]
fn the_jobs_of_a_matrix_tell_one_result() {
    let (workflow, one) = shard(workflow(), "1/2");
    one.expect(0, "synced");
    let (workflow, incomplete) = merge(workflow);
    incomplete.expect(1, "failed");
    assert!(incomplete.summary.contains("**Shard 2 of 2 has no report"), "{}", incomplete.summary);
    let number = |step: &Step, name: &str| step.outputs[name].parse::<usize>().expect("a number");
    assert_eq!(number(&incomplete, "copied") + number(&incomplete, "failed"), IMAGES);
    let told = incomplete.annotations();
    assert!(told.iter().any(|it| it.starts_with("error :: Shard 2 of 2 has no report")), "{told:?}");

    let (workflow, two) = shard(workflow.input("merge-reports", Some("")), "2/2");
    two.expect(0, "synced");
    let (workflow, whole) = merge(workflow);
    whole.expect(0, "synced");
    assert_eq!(whole.outputs["copied"], IMAGES.to_string());
    let copied = |step: &Step| step.outputs["copied"].parse::<usize>().expect("a number");
    assert_eq!(copied(&one) + copied(&two), IMAGES);
    assert!(whole.summary.starts_with("## ✅ Sync: 6 copied\n"), "{}", whole.summary);
    assert!(whole.summary.contains("log of the run"), "{}", whole.summary);
    assert_eq!(workflow.target.tags().len(), IMAGES);
    assert!(has(&workflow.workspace(), "image-syncer-report.json"));
    let ended: Vec<Value> =
        workflow.github.check_runs().iter().map(|run| run["conclusion"].clone()).collect();
    assert_eq!(ended, ["success", "failure", "success", "success"]);
}

/// What a job's earlier attempt left stays beside what it wrote in the end; by their names 9 would come after 10.
#[test]
fn of_several_attempts_the_last_one_counts() {
    let workflow = workflow();
    let gone = workflow.list(&["source: SOURCE/team/gone:1\n    target: gone"]);
    let list = std::fs::read_to_string(workflow.workspace().join(LIST)).expect("a list");
    workflow.check_out(LIST, &list.replace("images:\n", &gone));
    let (workflow, first) = shard(workflow, "1/1");
    first.expect(1, "failed");
    let folder =
        |attempt: &str| workflow.workspace().join("shards").join(format!("1-of-1-attempt-{attempt}"));
    std::fs::rename(folder("1"), folder("9")).expect("a folder");
    put_image(&workflow.source.memory, "team/gone", Some("1"), &[b"here again"]);
    let (workflow, second) = shard(workflow, "1/1");
    second.expect(0, "synced");
    let folder =
        |attempt: &str| workflow.workspace().join("shards").join(format!("1-of-1-attempt-{attempt}"));
    std::fs::rename(folder("1"), folder("10")).expect("a folder");
    let (workflow, merged) = merge(workflow);
    merged.expect(0, "synced");
    assert_eq!((&*merged.outputs["copied"], &*merged.outputs["up-to-date"]), ("1", "6"));
    // Two jobs with a report of one shard are another matter.
    let other = workflow.workspace().join("shards/other-attempt-1");
    std::fs::rename(workflow.workspace().join("shards/1-of-1-attempt-9"), other).expect("a folder");
    let (_, refused) = merge(workflow);
    refused.expect(2, "failed");
    assert!(refused.text.contains("are both of shard 1"), "{}", refused.text);
}

/// With a number no plan is made, and all jobs find the same mistake: the first one tells it, whatever it was told of
/// summaries, since it leaves no report that the last job could tell.
#[test]
fn a_mistake_that_all_jobs_find_is_told_by_the_first() {
    for (index, told) in [(1, 1), (2, 0)] {
        let workflow = workflow().input("summary", Some("false")).input("annotations", Some("false"));
        workflow.check_out(LIST, "images:\n  - sauce: x\n");
        let step = workflow.input("shard", Some(&format!("{index}/2"))).run("push", &json!({}));
        step.expect(2, "failed");
        let errors = step.annotations().into_iter().filter(|it| it.contains("did you mean `source`"));
        assert_eq!(errors.count(), told, "{}", step.text);
        assert_eq!(step.summary.is_empty(), told == 0, "{}", step.summary);
    }
    let (_, nothing) = merge(workflow());
    nothing.expect(2, "failed");
    assert!(nothing.text.contains("there is no report in "), "{}", nothing.text);
}

#[test]
fn one_report_of_all_shards_is_a_step_of_its_own() {
    for (name, value) in [("shard", "1/2"), ("shards", "auto")] {
        let (workflow, _) = shard(workflow(), "1/1");
        let workflow = workflow.input("shard", Some("")).input("merge-reports", Some("shards"));
        let refused = workflow.input(name, Some(value)).run("push", &json!({}));
        refused.expect(2, "failed");
        let said = format!("the inputs merge-reports and {name} are both given");
        assert!(refused.text.contains(&said), "{}", refused.text);
    }
}

#[test]
fn a_plan_says_how_many_jobs_there_are_to_be() {
    for (asked, expected) in [("auto", r#"["1/1"]"#), ("3", r#"["1/3","2/3","3/3"]"#)] {
        let workflow = workflow().input("mode", Some("plan")).input("shards", Some(asked));
        let step = workflow.run("push", &json!({}));
        step.expect(0, "planned");
        assert_eq!(step.outputs["shards"], expected);
    }
    let workflow = workflow().input("shards", Some("0"));
    let refused = workflow.run("push", &json!({}));
    refused.expect(2, "failed");
    assert!(refused.text.contains("write auto, or a number from 1 to 256"), "{}", refused.text);
}

/// What is proposed is one plan with one comment; and whoever proposes it could have written reports of his own.
#[test]
fn a_change_that_is_proposed_is_planned_as_a_whole() {
    let workflow = workflow();
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app1:1"]));
    workflow.github.move_head(&head);
    let payload = pull_request(&base, &head, false);
    let workflow = workflow.input("allow-private-networks", Some("true")).input("shard", Some("1/2"));
    let refused = workflow.run("pull_request", &payload);
    refused.expect(2, "failed");
    assert!(refused.text.contains("is looked at as a whole"), "{}", refused.text);
    let (workflow, _) = shard(workflow, "1/1");
    let workflow = workflow.input("shard", Some("")).input("merge-reports", Some("shards"));
    let refused = workflow.run("pull_request", &payload);
    refused.expect(2, "failed");
    assert!(refused.text.contains("merge-reports leads into the workspace"), "{}", refused.text);
}
