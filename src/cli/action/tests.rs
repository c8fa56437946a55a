use super::*;
use crate::cli::tests::{parse_line, paths, sync};
use crate::cli::{ActionMode, ActionOptions, Cli, Command};

fn read(variables: &[(&str, &str)]) -> Result<ActionOptions, String> {
    match parse_line("action", variables) {
        Ok(Cli { command: Command::Action(options), .. }) => Ok(*options),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn inputs_come_before_variables() {
    let options = read(&[
        ("INPUT_IMAGES-FILE", "a.yaml\n b.yaml\n"),
        ("SYNCER_IMAGES_FILE", "c.yaml"),
        ("INPUT_MODE", "plan"),
        ("INPUT_TARGET-REPO-PREFIX", ""),
        ("SYNCER_TARGET_REPO_PREFIX", "r.example/m/"),
        ("INPUT_COMMENT", "on-failure"),
        ("INPUT_SUMMARY", "false"),
        ("INPUT_CHECK-RUN", "true"),
        ("INPUT_GITHUB-TOKEN", "ghs_x"),
        ("SYNCER_CONCURRENCY", "4"),
        ("INPUT_CONCURRENCY", ""),
        ("INPUT_ARGS", "action"),
        ("INPUT_ENTRYPOINT", ""),
    ])
    .expect("options");
    assert_eq!(options.run.images_files, paths(&["a.yaml", "b.yaml"]));
    assert_eq!(options.mode, ActionMode::Plan);
    assert_eq!(options.run.target_repo_prefix.as_deref(), Some("r.example/m/"));
    assert_eq!(options.comment, CommentWhen::OnFailure);
    assert!(!options.summary && options.annotations && options.check_run && !options.allow_private_networks);
    assert_eq!(options.github_token.as_ref().map(Secret::expose), Some("ghs_x"));
    assert_eq!((options.run.concurrency, options.comment_key.as_str()), (Some(4), "image-syncer"));
}

#[test]
fn inputs_are_for_the_action_alone() {
    let options = sync("", &[("INPUT_MODE", "plan"), ("INPUT_NONSENSE", "x"), ("INPUT_IMAGES-FILE", "x")]);
    assert_eq!(options.run.images_files, paths(&["external-images.yaml"]));
}

/// The description of the action always gives this input, too.
#[test]
fn repositories_are_created_wherever_that_is_asked_for() {
    for (input, variable, creates) in
        [("false", "false", false), ("false", "true", true), ("true", "false", true), ("true", "true", true)]
    {
        let variables = [("INPUT_CREATE-REPOSITORIES", input), ("SYNCER_CREATE_REPOSITORIES", variable)];
        assert_eq!(read(&variables).expect("options").run.create_repositories, creates, "{variables:?}");
    }
}

/// The description of the action always gives the input.
#[test]
fn a_dry_run_is_one_wherever_it_is_asked_for() {
    for (input, variable, dry) in
        [("false", "false", false), ("false", "true", true), ("true", "false", true), ("false", "", true)]
    {
        let mut variables = vec![("INPUT_DRY-RUN", input)];
        variables.extend((!variable.is_empty()).then_some(("SYNCER_DRY_RUN", variable)));
        let dry = if variable.is_empty() { input == "true" } else { dry };
        assert_eq!(read(&variables).expect("options").dry_run, dry, "{variables:?}");
    }
}

#[test]
fn an_input_that_cannot_be_meant_is_an_error() {
    for (name, value, says) in [
        ("INPUT_DRY-RUN", "", "the input dry-run:"),
        ("INPUT_DRY-RUN", "yes", "the input dry-run:"),
        ("SYNCER_DRY_RUN", "yes", "the variable SYNCER_DRY_RUN:"),
        ("INPUT_MODE", "live", "the input mode:"),
        ("INPUT_CONCURRENCY", "0", "the input concurrency:"),
        ("INPUT_DRY_RUN", "true", "the input dry_run: it is not known; did you mean `dry-run`?"),
        ("INPUT_IMAGE-FILE", "x", "did you mean `images-file`?"),
        ("INPUT_SOMETHING", "x", "the input something: it is not known; these are: images-file, "),
    ] {
        let error = read(&[(name, value)]).expect_err("an error");
        assert!(error.contains(says), "{name}={value}: {error}");
    }
}

/// What `action.yml` has and what the program takes are the same.
#[test]
fn the_actions_description_has_all_inputs() {
    let text = include_str!("../../../action.yml");
    let inputs = text.split("\ninputs:\n").nth(1).and_then(|rest| rest.split("\noutputs:\n").next());
    let described: Vec<&str> = inputs
        .expect("inputs")
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert_eq!(described, INPUTS);
}

#[test]
fn messages_speak_of_inputs() {
    for (message, told) in [
        ("name the list with --images-file", "name the list with the input images-file"),
        ("--target-repo-prefix: it is empty", "the input target-repo-prefix: it is empty"),
        ("with --ca-file, or so", "with SYNCER_CA_FILE, or so"),
        ("not provided: --shard <I/N>", "not provided: the input shard <I/N>"),
        ("`a--b` and --shards-x", "`a--b` and --shards-x"),
    ] {
        assert_eq!(in_inputs(message), told);
    }
}
