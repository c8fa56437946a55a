//! The reusable workflow `sync.yml` as GitHub goes through it: which jobs and steps begin after what happened in those
//! before them, by the conditions in the file. Its scripts are run, and the plan is the program's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::content::put_image;
use crate::workflow::{LIST, Step, Workflow};

/// What expressions can name: `inputs.shards`, `steps.plan.outputs.shards`. All else is empty.
type Context = BTreeMap<String, String>;

/// Splits an expression where `by` stands outside of quotes and brackets.
fn split<'a>(expression: &'a str, by: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0, false);
    for (place, character) in expression.char_indices() {
        match character {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        if !is_quoted && depth == 0 && place >= start && expression[place..].starts_with(by) {
            parts.push(expression[start..place].trim());
            start = place + by.len();
        }
    }
    parts.push(expression[start..].trim());
    parts
}

fn is_true(value: &str) -> bool {
    !matches!(value, "" | "false" | "0")
}

/// What an expression says; those of the file need no more than this.
fn evaluate(expression: &str, context: &Context) -> String {
    if let [first, rest @ ..] = &*split(expression, "||")
        && !rest.is_empty()
    {
        let first = evaluate(first, context);
        return if is_true(&first) { first } else { evaluate(&rest.join(" || "), context) };
    }
    if let [first, rest @ ..] = &*split(expression, "&&")
        && !rest.is_empty()
    {
        let first = evaluate(first, context);
        return if is_true(&first) { evaluate(&rest.join(" && "), context) } else { first };
    }
    if let [one, other] = &*split(expression, "==") {
        return evaluate(one, context).eq_ignore_ascii_case(&evaluate(other, context)).to_string();
    }
    if let [one, other] = &*split(expression, "!=") {
        return (!evaluate(one, context).eq_ignore_ascii_case(&evaluate(other, context))).to_string();
    }
    if let Some(negated) = expression.strip_prefix('!') {
        return (!is_true(&evaluate(negated, context))).to_string();
    }
    if let Some(text) = expression.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return text.to_owned();
    }
    match expression.split_once('(') {
        None => context.get(expression).cloned().unwrap_or_default(),
        Some(("cancelled", ")")) => "false".to_owned(),
        Some(("fromJSON", text)) => evaluate(text.trim_end_matches(')'), context),
        Some(("contains", arguments)) => {
            let arguments = split(arguments.strip_suffix(')').expect("a bracket"), ",");
            let all: Vec<String> = serde_json::from_str(&evaluate(arguments[0], context)).expect("a list");
            all.contains(&evaluate(arguments[1], context)).to_string()
        }
        Some((name, _)) => panic!("{name} is not known to this test"),
    }
}

/// A text of the file, with what its `${{ … }}` say.
fn filled(value: &Value, context: &Context) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut parts = text.split("${{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").expect("an end");
        filled.push_str(&evaluate(expression.trim(), context));
        filled.push_str(rest);
    }
    filled
}

/// Whether a job or a step begins, after all before it went well or not.
fn begins(part: &Value, context: &Context, all_is_well: bool) -> bool {
    let Some(condition) = part["if"].as_str() else { return all_is_well };
    let condition = condition.trim();
    let condition =
        condition.strip_prefix("${{").and_then(|it| it.strip_suffix("}}")).unwrap_or(condition).trim();
    // Without one of the functions that ask for it, a condition holds only after what went well.
    (all_is_well || condition.contains("cancelled()")) && is_true(&evaluate(condition, context))
}

/// A step's script, as the runner starts it: whether it went well, and its outputs.
fn script(step: &Value, context: &Context, folder: &Path) -> (bool, BTreeMap<String, String>) {
    let output = folder.join("output");
    std::fs::write(&output, "").expect("a file");
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c"]).arg(step["run"].as_str().expect("text"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("GITHUB_OUTPUT", &output).stdin(Stdio::null());
    for (name, value) in step["env"].as_object().into_iter().flatten() {
        command.env(name, filled(value, context));
    }
    let is_well = command.output().expect("a shell").status.success();
    let text = std::fs::read_to_string(&output).expect("outputs");
    let outputs = text.lines().filter_map(|line| line.split_once('='));
    (is_well, outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What became of a call of the workflow.
struct Called {
    /// The jobs that began.
    began: Vec<String>,
    is_well: bool,
    shards: String,
    /// The workflow's own output `result`, as far as no step of a job that is not gone through decides it.
    result: String,
    /// The plan, if one was made.
    plan: Option<Step>,
}

/// Goes through the workflow; of all jobs but `divide` only whether they begin.
fn call(workflow: Workflow, shards: &str) -> Called {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/sync.yml");
    let file: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(path).expect("a file")).expect("a workflow");
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = file["on"]["workflow_call"]["inputs"].as_object().expect("inputs");
    let mut context: Context = inputs
        .iter()
        .map(|(name, input)| (format!("inputs.{name}"), filled(&input["default"], &Context::new())))
        .collect();
    for (name, value) in [
        ("inputs.shards", shards),
        ("inputs.target-repo-prefix", &format!("{}/mirror/", workflow.target.host())),
        ("github.event_name", "push"),
        ("github.run_attempt", "1"),
        ("runner.temp", folder.path().to_str().expect("a path")),
    ] {
        context.insert(name.to_owned(), value.to_owned());
    }
    let mut workflow = Some(workflow);
    let mut called =
        Called { began: Vec::new(), is_well: true, shards: String::new(), result: String::new(), plan: None };
    let mut results: BTreeMap<&str, bool> = BTreeMap::new();
    for name in ["sync", "divide", "shard", "merge"] {
        let job = &file["jobs"][name];
        let needs: Vec<&str> = match &job["needs"] {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        if !begins(job, &context, needs.iter().all(|need| results.get(need) == Some(&true))) {
            continue;
        }
        called.began.push(name.to_owned());
        let mut is_well = true;
        for step in job["steps"].as_array().into_iter().flatten().filter(|_| name == "divide") {
            if !begins(step, &context, is_well) {
                continue;
            }
            let id = step["id"].as_str().unwrap_or_default();
            let (went_well, outputs) = if step["run"].is_string() {
                script(step, &context, folder.path())
            } else if id == "plan" {
                let given = step["with"].as_object().expect("inputs").iter();
                let given = given.filter(|(name, _)| !matches!(name.as_str(), "args" | "github-token"));
                let asked = given.fold(workflow.take().expect("one plan"), |workflow, (name, value)| {
                    workflow.input(name, Some(&filled(value, &context)))
                });
                let plan = asked.run("push", &json!({}));
                let outputs = plan.outputs.clone();
                let went_well = plan.code == 0;
                called.plan = Some(plan);
                (went_well, outputs)
            } else {
                (true, BTreeMap::new())
            };
            is_well &= went_well || step["continue-on-error"] == true;
            for (output, value) in outputs {
                context.insert(format!("steps.{id}.outputs.{output}"), value);
            }
        }
        for (output, value) in job["outputs"].as_object().into_iter().flatten().filter(|_| name == "divide") {
            let value = filled(value, &context);
            context.insert(format!("needs.{name}.outputs.{output}"), value.clone());
            context.insert(format!("jobs.{name}.outputs.{output}"), value);
        }
        results.insert(name, is_well);
        called.is_well &= is_well;
    }
    called.shards = context.get("needs.divide.outputs.shards").cloned().unwrap_or_default();
    called.result = filled(&file["on"]["workflow_call"]["outputs"]["result"]["value"], &context);
    called
}

fn with_list(list: &str) -> Workflow {
    let workflow = Workflow::new();
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"app"]);
    let list = workflow.list(&[list]);
    workflow.check_out(LIST, &list);
    workflow
}

/// Each way to a red run: no job goes on, and what is wrong is told, once.
#[test]
fn a_plan_that_cannot_begin_fails_the_workflow() {
    for (list, said) in [
        (Some("source: SOURCE/team/app:1\n    tage: 2"), "did you mean `tag`"),
        (None, "there is no such file"),
    ] {
        let workflow = list.map_or_else(Workflow::new, with_list);
        let called = call(workflow, "auto");
        assert_eq!((called.began.as_slice(), called.is_well), (&["divide".to_owned()][..], false), "{said}");
        assert_eq!((&*called.shards, &*called.result), ("", "failed"));
        let plan = called.plan.expect("a plan");
        plan.expect(2, "failed");
        let errors: Vec<String> =
            plan.annotations().into_iter().filter(|it| it.starts_with("error ")).collect();
        assert_eq!(errors.len(), 1, "{}", plan.text);
        assert!(errors[0].contains(said), "{errors:?}");
        assert_eq!(plan.summary.matches(said).count(), 1, "{}", plan.summary);
    }
}

/// What is in the way of some images is left to the shards, which tell it and copy the others.
#[test]
fn a_plan_with_images_that_are_blocked_is_divided() {
    let called = call(with_list("source: SOURCE/team/gone:1"), "auto");
    assert_eq!((called.began.join(" "), called.is_well), ("divide shard merge".to_owned(), true));
    let plan = called.plan.expect("a plan");
    plan.expect(1, "failed");
    assert_eq!((&*plan.summary, plan.annotations()), ("", Vec::new()));
    assert_eq!(called.shards, r#"["1/1"]"#);
    assert_eq!(called.result, "", "the last job says it");
}

#[test]
fn one_machine_or_several_is_what_the_input_says() {
    for (shards, began, divided) in [
        ("", "sync", ""),
        ("1", "sync", ""),
        ("2", "divide shard merge", r#"["1/2","2/2"]"#),
        ("auto", "divide shard merge", r#"["1/1"]"#),
    ] {
        let called = call(with_list("source: SOURCE/team/app:1"), shards);
        assert_eq!((&*called.began.join(" "), called.is_well), (began, true), "{shards}");
        assert_eq!(called.shards, divided, "{shards}");
    }
    for wrong in ["0", "257", "two"] {
        let called = call(with_list("source: SOURCE/team/app:1"), wrong);
        assert_eq!((&*called.began.join(" "), called.is_well), ("divide", false), "{wrong}");
    }
}
