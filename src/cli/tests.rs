//! Argument vectors and variables, and what becomes of them.

use super::*;

pub(super) fn parse_line(line: &str, variables: &[(&str, &str)]) -> Result<Cli, clap::Error> {
    let arguments = std::iter::once("image-syncer").chain(line.split_whitespace()).map(OsString::from);
    parse(arguments, variables.iter().map(|(name, value)| (name.into(), value.into())))
}

pub(super) fn sync(line: &str, variables: &[(&str, &str)]) -> SyncOptions {
    match parse_line(line, variables) {
        Ok(Cli { command: Command::Sync(options), .. }) => options,
        Ok(cli) => panic!("`{line}` is {:?}", cli.command),
        Err(error) => panic!("`{line}`: {error}"),
    }
}

/// The first line of an error, which must be one of usage.
fn refused(line: &str, variables: &[(&str, &str)]) -> String {
    match parse_line(line, variables) {
        Ok(cli) => panic!("`{line}` is {:?}", cli.command),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.use_stderr());
            error.to_string().lines().next().unwrap_or_default().to_owned()
        }
    }
}

pub(super) fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn clap_finds_no_fault_with_the_definition() {
    command().debug_assert();
}

#[test]
fn without_anything_it_is_a_sync_with_the_defaults() {
    for line in ["", "sync"] {
        let options = sync(line, &[]);
        assert!(!options.dry_run && !options.run.log.debug);
        let (run, output) = (options.run, options.output);
        assert_eq!(run.images_files, paths(&["external-images.yaml"]));
        assert_eq!((run.concurrency, run.timeout), (None, Duration::from_secs(30 * 60)));
        assert_eq!(run.signatures, SignaturesMode::Copy);
        assert_eq!(run.on_tag_conflict, OnTagConflict::Fail);
        assert_eq!((output.report.format, output.progress), (Format::Text, Progress::Auto));
        assert!(
            run.target_repo_prefix.is_none()
                && run.credentials.access_token.is_none()
                && run.connections.endpoints.is_empty()
        );
    }
}

#[test]
fn command_lines_of_kymas_image_syncer_run() {
    let options = sync("--images-file F --target-repo-auth-key K --dry-run=true", &[]);
    assert!(options.dry_run);
    assert_eq!(options.run.images_files, paths(&["F"]));
    assert_eq!(options.run.credentials.target_repo_auth_key.as_ref().map(Secret::expose), Some("K"));

    let options = sync("-i=F --access-token=T --debug --dry-run=false", &[]);
    assert!(!options.dry_run && options.run.log.debug);
    assert_eq!(options.run.credentials.access_token.as_ref().map(Secret::expose), Some("T"));
}

#[test]
fn every_option_of_a_run_is_read_with_and_without_the_subcommand() {
    let options = "-i a -i b -r r.example/m/ -t key.json -a token --policy-file p --signatures require \
                   --on-tag-conflict warn --concurrency 256 --timeout 1h30m --report r.json --summary s.md --format \
                   json --progress never --debug --endpoint a.example=http://localhost:1 --endpoint \
                   b.example=https://c --plain-http d.example:80 --ca-file ca --client-cert cc --client-key ck";
    let check = |run: &RunOptions, output: &OutputOptions| {
        assert_eq!(run.images_files, paths(&["a", "b"]));
        assert_eq!(run.target_repo_prefix.as_deref(), Some("r.example/m/"));
        assert_eq!(run.credentials.target_repo_auth_key.as_ref().map(Secret::expose), Some("key.json"));
        assert_eq!(run.credentials.access_token.as_ref().map(Secret::expose), Some("token"));
        assert_eq!(run.policy_file.as_deref(), Some("p".as_ref()));
        assert_eq!(run.signatures, SignaturesMode::Require);
        assert_eq!(run.on_tag_conflict, OnTagConflict::Warn);
        assert_eq!((run.concurrency, run.timeout), (Some(256), Duration::from_secs(5400)));
        assert_eq!(output.report.report.as_deref(), Some("r.json".as_ref()));
        assert_eq!(output.report.summary.as_deref(), Some("s.md".as_ref()));
        assert_eq!(
            (output.report.format, output.progress, run.log.debug),
            (Format::Json, Progress::Never, true)
        );
        let endpoints: Vec<_> =
            run.connections.endpoints.iter().map(|end| (end.host.as_str(), end.url.as_str())).collect();
        assert_eq!(endpoints, [("a.example", "http://localhost:1/"), ("b.example", "https://c/")]);
        assert_eq!(run.connections.plain_http, ["d.example:80"]);
        assert_eq!(run.connections.ca_file.as_deref(), Some("ca".as_ref()));
        assert_eq!(run.connections.client_cert.as_deref(), Some("cc".as_ref()));
        assert_eq!(run.connections.client_key.as_deref(), Some("ck".as_ref()));
    };
    for line in [options, &format!("sync {options}")] {
        let options = sync(line, &[]);
        check(&options.run, &options.output);
    }
    match parse_line(&format!("plan {options}"), &[]).expect("a plan").command {
        Command::Plan(options) => check(&options.run, &options.output),
        other => panic!("{other:?}"),
    }
}

#[test]
fn booleans_have_exactly_their_forms() {
    for (texts, value) in
        [(["1", "t", "T", "TRUE", "true", "True"], true), (["0", "f", "F", "FALSE", "false", "False"], false)]
    {
        for text in texts {
            assert_eq!(sync(&format!("--dry-run={text}"), &[]).dry_run, value, "{text}");
            assert_eq!(sync("", &[("SYNCER_DRY_RUN", text)]).dry_run, value, "{text}");
        }
    }
    assert!(sync("--dry-run", &[]).dry_run);
    for text in ["yes", "no", "on", "tRUE", "2", ""] {
        assert!(refused(&format!("--dry-run={text}"), &[]).contains("--dry-run"), "{text}");
        let said = refused("", &[("SYNCER_DRY_RUN", text)]);
        assert!(said.starts_with("error: the variable SYNCER_DRY_RUN: "), "{said}");
        assert_eq!(
            refused("sync --dry-run", &[("SYNCER_DRY_RUN", text)]),
            said,
            "also where it is overridden"
        );
    }
    assert_eq!(
        refused("", &[("SYNCER_DRY_RUN", "yes")]),
        "error: the variable SYNCER_DRY_RUN: invalid value 'yes' for '--dry-run[=<BOOL>]': write one of 1 t T TRUE \
         true True 0 f F FALSE false False"
    );
    // The word after is not taken for the value: that would turn a dry run into a live one unseen.
    assert!(refused("--dry-run false", &[]).contains("'false'"));
}

#[test]
fn variables_stand_for_options_and_lose_against_them() {
    let variables = [
        ("SYNCER_IMAGES_FILE", "a\nb\r\n\n"),
        ("SYNCER_TARGET_REPO_PREFIX", "r.example/v/"),
        ("SYNCER_TARGET_REPO_AUTH_KEY", "{\n  \"type\": \"service_account\"\n}"),
        ("SYNCER_ACCESS_TOKEN", "token"),
        ("SYNCER_DRY_RUN", "true"),
        ("SYNCER_SIGNATURES", "skip"),
        ("SYNCER_CONCURRENCY", "4"),
        ("SYNCER_TIMEOUT", "90s"),
        ("SYNCER_ENDPOINT", "a.example=http://b\nc.example=http://d"),
        ("SYNCER_CLIENT_CERT", "cc"),
        ("SYNCER_CLIENT_KEY", "ck"),
        ("PATH", "/bin"),
    ];
    for line in ["", "sync"] {
        let options = sync(line, &variables);
        let run = &options.run;
        assert!(options.dry_run);
        assert_eq!(run.images_files, paths(&["a", "b"]));
        assert_eq!(run.target_repo_prefix.as_deref(), Some("r.example/v/"));
        assert!(
            run.credentials.target_repo_auth_key.as_ref().is_some_and(|key| key.expose().starts_with("{\n"))
        );
        assert_eq!(run.credentials.access_token.as_ref().map(Secret::expose), Some("token"));
        assert_eq!((run.concurrency, run.timeout), (Some(4), Duration::from_secs(90)));
        assert_eq!((run.signatures, run.connections.endpoints.len()), (SignaturesMode::Skip, 2));
        assert_eq!(run.connections.client_key.as_deref(), Some("ck".as_ref()));
    }
    let options = sync("-i c --dry-run=false -r r.example/l/ --concurrency 5 --client-cert x", &variables);
    assert!(!options.dry_run);
    assert_eq!(options.run.images_files, paths(&["c"]));
    assert_eq!(options.run.target_repo_prefix.as_deref(), Some("r.example/l/"));
    assert_eq!(options.run.concurrency, Some(5));
    assert_eq!(options.run.connections.client_cert.as_deref(), Some("x".as_ref()));
    assert_eq!(parse_line("", &variables).expect("a sync").warnings, Vec::<String>::new());
}

#[test]
fn an_empty_variable_is_none() {
    let options = sync(
        "",
        &[
            ("SYNCER_IMAGES_FILE", ""),
            ("SYNCER_TARGET_REPO_PREFIX", ""),
            ("SYNCER_ACCESS_TOKEN", ""),
            ("SYNCER_CONCURRENCY", ""),
            ("SYNCER_FORMAT", ""),
        ],
    );
    assert_eq!(options.run.images_files, paths(&["external-images.yaml"]));
    assert_eq!(options.run.concurrency, None);
    assert!(options.run.target_repo_prefix.is_none() && options.run.credentials.access_token.is_none());
}

#[test]
fn a_variable_that_cannot_be_read_is_named() {
    for (name, value, expected) in [
        ("SYNCER_CONCURRENCY", "257", "257 is not in 1..=256"),
        ("SYNCER_CONCURRENCY", "many", "invalid digit"),
        ("SYNCER_TIMEOUT", "30", "write a number and a unit"),
        (
            "SYNCER_FORMAT",
            "xml",
            "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json, markdown]",
        ),
        ("SYNCER_DEBUG", "", "--debug"),
        ("SYNCER_ENDPOINT", "a.example=http://x\nnonsense", "write it as HOST=URL"),
    ] {
        let said = refused("", &[(name, value)]);
        assert!(
            said.starts_with(&format!("error: the variable {name}: ")) && said.contains(expected),
            "{said}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("--concurrency 0", "0 is not in 1..=256"),
        ("--timeout 5", "write a number and a unit"),
        ("--images-file=", "a value is required"),
        ("-r=", "a value is required"),
        ("-a=", "invalid value"),
        ("--nonsense", "unexpected argument '--nonsense'"),
        ("nonsense", "unrecognized subcommand 'nonsense'"),
        ("--debug --debug", "cannot be used multiple times"),
        // Options before a subcommand would be lost.
        ("--dry-run sync", "cannot be used with"),
        ("plan --dry-run=false", "unexpected argument '--dry-run'"),
        ("--client-cert x", "--client-cert and --client-key are given together"),
        ("plan --client-key x", "--client-cert and --client-key are given together"),
        ("--endpoint a=http://x --endpoint A=http://y", "--endpoint has a twice; keep one"),
        ("serve --root x --memory", "--root (SYNCER_ROOT) and --memory (SYNCER_MEMORY) exclude each other"),
        ("serve --concurrency 1", "unexpected argument '--concurrency'"),
        ("serve --listen 5000", "invalid socket address"),
        ("schema nonsense", "invalid value 'nonsense'"),
        ("completions", "required"),
    ] {
        let said = refused(line, &[]);
        assert!(said.contains(expected), "{line}: {said}");
    }
}

#[test]
fn a_variable_has_to_parse_even_if_what_is_typed_wins() {
    for (line, variable, value) in [
        ("--dry-run=false", "SYNCER_DRY_RUN", "yes"),
        ("--dry-run", "SYNCER_DRY_RUN", ""),
        ("sync --timeout 5m", "SYNCER_TIMEOUT", "5"),
        ("plan -i a.yaml --endpoint a=http://x", "SYNCER_ENDPOINT", "a=http://x\nb"),
        ("serve --root x", "SYNCER_MEMORY", "maybe"),
    ] {
        let said = refused(line, &[(variable, value)]);
        assert!(said.contains(&format!("the variable {variable}: ")), "{line}: {said}");
    }
    // What another subcommand reads is not this one's to judge.
    assert!(parse_line("serve", &[("SYNCER_TIMEOUT", "5")]).is_ok());
}

#[test]
fn variables_that_exclude_each_other_are_refused() {
    let said = refused("serve", &[("SYNCER_ROOT", "x"), ("SYNCER_MEMORY", "true")]);
    assert!(
        said.contains("--root (SYNCER_ROOT) and --memory (SYNCER_MEMORY) exclude each other; keep one"),
        "{said}"
    );
}

#[test]
fn the_other_subcommands_are_read() {
    let command = |line: &str, variables: &[(&str, &str)]| parse_line(line, variables).expect(line).command;
    match command("serve", &[]) {
        Command::Serve(options) => {
            assert_eq!(options.listen.to_string(), "127.0.0.1:5000");
            assert!(options.root.is_none() && !options.memory);
        }
        other => panic!("{other:?}"),
    }
    match command("serve --root x --listen [::1]:0", &[("SYNCER_MEMORY", "true")]) {
        Command::Serve(options) => {
            assert_eq!(options.root.as_deref(), Some("x".as_ref()));
            assert_eq!(options.listen.to_string(), "[::1]:0");
            assert!(!options.memory, "what is typed wins against what excludes it");
        }
        other => panic!("{other:?}"),
    }
    match command("serve --memory=false", &[("SYNCER_ROOT", "x")]) {
        Command::Serve(options) => assert_eq!(options.root.as_deref(), Some("x".as_ref())),
        other => panic!("{other:?}"),
    }
    match command("serve", &[("SYNCER_ROOT", "x"), ("SYNCER_MEMORY", "false")]) {
        Command::Serve(options) => assert_eq!(options.root.as_deref(), Some("x".as_ref())),
        other => panic!("{other:?}"),
    }
    match command("serve --memory", &[("SYNCER_ROOT", "x"), ("SYNCER_LISTEN", "127.0.0.1:1")]) {
        Command::Serve(options) => {
            assert!(options.memory && options.root.is_none());
            assert_eq!(options.listen.port(), 1);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(command("demo --keep x", &[]), Command::Demo(DemoOptions { keep: Some(_), .. })));
    assert!(matches!(command("schema", &[]), Command::Schema(SchemaOptions { name: SchemaName::List })));
    assert!(matches!(
        command("schema policy", &[]),
        Command::Schema(SchemaOptions { name: SchemaName::Policy })
    ));
    assert!(matches!(command("schema plan", &[]), Command::Schema(SchemaOptions { name: SchemaName::Plan })));
    assert!(matches!(command("completions zsh", &[]), Command::Completions(_)));
}

#[test]
fn a_variable_that_nobody_knows_is_said() {
    let warnings =
        parse_line("", &[("SYNCER_IMAGE_FILE", "x"), ("SYNCER_WHOLLY_DIFFERENT", "x"), ("OTHER", "x")])
            .expect("a sync")
            .warnings;
    assert_eq!(
        warnings,
        [
            "the variable SYNCER_IMAGE_FILE is not known and has no effect; did you mean SYNCER_IMAGES_FILE?",
            "the variable SYNCER_WHOLLY_DIFFERENT is not known and has no effect",
        ]
    );
}

#[test]
fn no_secret_is_shown() {
    let variables = [("SYNCER_ACCESS_TOKEN", "hunter2"), ("SYNCER_TARGET_REPO_AUTH_KEY", "{\"hunter2\": 1}")];
    for line in ["--help", "-h", "sync --help", "--nonsense", "--concurrency 0"] {
        let error = parse_line(line, &variables).expect_err(line).to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let cli = parse_line("", &variables).expect("a sync");
    assert!(!format!("{cli:?}").contains("hunter2"));
    for endpoint in ["a=https://me:hunter2@x", "a=ftp://me:hunter2@x", "a=//hunter2@"] {
        let said = parse_line(&format!("--endpoint {endpoint}"), &[]).expect_err("credentials").to_string();
        assert!(!said.contains("hunter2"), "{said}");
        let said = parse_line("", &[("SYNCER_ENDPOINT", endpoint)]).expect_err("credentials").to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn help_names_the_variable_and_the_default_of_each_option() {
    for line in ["--help", "sync --help", "plan --help", "serve --help", "demo --help"] {
        let error = parse_line(line, &[]).expect_err("help");
        assert_eq!(error.exit_code(), 0);
        let help = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let name = line.split_whitespace().next().filter(|name| *name != "--help");
        let command = command();
        let command = name.map_or(&command, |name| command.find_subcommand(name).expect(name));
        for argument in command.get_arguments() {
            if let Some(variable) = variables::name_of(argument) {
                assert!(help.contains(&format!("[env: {variable}]")), "{line}: {variable}");
            }
        }
        assert!(name == Some("demo") || help.contains("[default: "), "{line}");
    }
}

#[test]
fn a_shard_is_typed_or_said_by_the_surroundings() {
    let shard = |line: &str, variables: &[(&str, &str)]| sync(line, variables).run.share.shard;
    let second = WhichShard::This("2/8".parse().expect("a shard"));
    assert_eq!(shard("", &[]), None);
    assert_eq!(shard("--shard 2/8", &[]), Some(second));
    assert_eq!(shard("", &[("SYNCER_SHARD", "2/8")]), Some(second));
    assert_eq!(shard("--shard 2/8", &[("SYNCER_SHARD", "1/8")]), Some(second));
    assert_eq!(shard("--shard job/8", &[]), Some(WhichShard::OfJob(8)));
    assert_eq!(shard("", &[("SYNCER_SHARD", "")]), None);
    for wrong in ["0/8", "9/8", "8", "job/0", "job/x", "job/257"] {
        assert!(refused(&format!("--shard {wrong}"), &[]).contains("write I/N"), "{wrong}");
    }
    let options = sync("", &[("SYNCER_SHARD", "2/8"), ("SYNCER_SHARD_PLAN", "plan.json")]);
    assert_eq!(options.run.share.shard_plan, Some("plan.json".into()));
    assert!(refused("--shard-plan plan.json", &[]).contains("required"));
}

#[test]
fn a_subcommand_of_a_subcommand_has_its_variables() {
    let cli =
        parse_line("report merge a.json b.json", &[("SYNCER_SUMMARY", "s.md"), ("SYNCER_SHARD", "1/2")]);
    let Cli { command: Command::Report(ReportCommand::Merge(options)), warnings } = cli.expect("options")
    else {
        panic!("another command");
    };
    assert_eq!(options.files, paths(&["a.json", "b.json"]));
    assert_eq!(options.output.summary, Some("s.md".into()));
    assert_eq!(warnings, [""; 0]);
    assert!(refused("report merge", &[]).contains("required"));
}

#[test]
fn a_pin_is_checked_or_updated() {
    for (line, variables) in [
        ("pin --check --update", &[][..]),
        ("pin --check", &[("SYNCER_UPDATE", "true")][..]),
        ("pin", &[("SYNCER_CHECK", "1"), ("SYNCER_UPDATE", "1")][..]),
    ] {
        let told = refused(line, variables);
        assert!(
            told.contains("--check (SYNCER_CHECK) and --update (SYNCER_UPDATE) exclude each other"),
            "{told}"
        );
    }
    let Ok(Cli { command: Command::Pin(options), .. }) =
        parse_line("pin --update", &[("SYNCER_IMAGES_FILE", "a\nb"), ("SYNCER_CHECK", "false")])
    else {
        panic!("no pin")
    };
    assert!(options.update && !options.check);
    assert_eq!(options.images_files, paths(&["a", "b"]));
}

#[test]
fn an_audit_is_as_deep_as_it_is_asked_to_be() {
    let read = |line: &str, variables: &[(&str, &str)]| match parse_line(line, variables) {
        Ok(Cli { command: Command::Verify(options), .. }) => options,
        other => panic!("`{line}` is {other:?}"),
    };
    let options = read("verify", &[]);
    assert!(!options.deep && !options.unlisted);
    assert_eq!(options.images_files, paths(&["external-images.yaml"]));
    assert_eq!((options.signatures, options.output.report.format), (SignaturesMode::Copy, Format::Text));
    let options =
        read("verify --unlisted -r r.example/m/", &[("SYNCER_DEEP", "1"), ("SYNCER_UNLISTED", "false")]);
    assert!(options.deep && options.unlisted);
    assert_eq!(options.target_repo_prefix.as_deref(), Some("r.example/m/"));
    assert!(refused("verify --deep=yes", &[]).contains("'yes'"), "{}", refused("verify --deep=yes", &[]));
    assert!(refused("verify --endpoint a=http://b --endpoint a=http://c", &[]).contains("has a twice"));
}
