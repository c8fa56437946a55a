//! The subcommands: one file each, which wires the parts together.

pub mod action;
pub mod completions;
mod demo;
pub mod doctor;
mod in_place;
mod login;
mod merge;
mod options;
mod pin;
mod planned;
mod policy;
mod registries;
mod reviewing;
pub mod schema;
pub mod serve;
mod shard;
mod surroundings;
pub mod sync;

use std::path::Path;

use crate::cli::{
    Cli, Command, DoctorOptions, ExplainOptions, LogOptions, MergeOptions, OutputOptions, PinOptions,
    PolicyCommand, ReportCommand, ReportOptions, RunOptions, ServeOptions,
};
use crate::console::{print, print_error, show_progress};
use crate::event::Events;
use crate::report::{Interruption, Mode, Report};
pub use options::UsageError;
pub use planned::Planned;
pub use reviewing::{Found, Reviewing, Reviews};
pub use surroundings::Surroundings;

/// The exit code of a usage that is wrong (DESIGN: "bad usage, list or policy").
const USAGE: u8 = 2;

/// The exit code of what could not be done.
const FAILED: u8 = 1;

/// Does what was asked for and gives the exit code.
pub async fn run(cli: Cli, surroundings: Surroundings) -> u8 {
    for warning in &cli.warnings {
        print_error(&format!("warning: {warning}\n"));
    }
    match cli.command {
        Command::Sync(options) => {
            let mode = if options.dry_run { Mode::Plan } else { Mode::Sync };
            let plans = Plans { read: options.plan.as_deref(), write: None };
            main_job(&options.run, &options.output, mode, plans, &surroundings).await
        }
        Command::Plan(options) => {
            let plans = Plans { read: None, write: options.out.as_deref() };
            main_job(&options.run, &options.output, Mode::Plan, plans, &surroundings).await
        }
        Command::Action(options) => action::run(&options, &surroundings).await,
        Command::Doctor(options) => Box::pin(examine(&options, &surroundings)).await,
        Command::Pin(options) => Box::pin(pin_lists(&options, &surroundings)).await,
        Command::Serve(options) => serve(options, &surroundings).await,
        Command::Policy(PolicyCommand::Explain(options)) => explain(&options, &surroundings),
        Command::Report(ReportCommand::Merge(options)) => merge_reports(&options, &surroundings),
        Command::Schema(options) => printed(schema::text(options.name)),
        Command::Completions(options) => {
            printed(&String::from_utf8_lossy(&completions::script(options.shell)))
        }
        Command::Demo(options) => {
            surroundings.start_log(options.log.debug);
            told(demo::run(options.keep.as_deref(), &surroundings).await)
        }
    }
}

/// The files of plans that a run is about.
#[derive(Clone, Copy)]
struct Plans<'a> {
    /// The one that is carried out.
    read: Option<&'a Path>,
    /// Where one goes that can be.
    write: Option<&'a Path>,
}

/// `sync` and `plan`.
async fn main_job(
    options: &RunOptions,
    output: &OutputOptions,
    mode: Mode,
    plans: Plans<'_>,
    surroundings: &Surroundings,
) -> u8 {
    surroundings.start_log(options.log.debug);
    let job = options::job(options, mode, plans.read, surroundings);
    let job = match job.and_then(|job| login::check(&job).map(|()| job)) {
        Ok(job) => job,
        Err(error) => {
            print_error(&error.text(surroundings.error_look()));
            return USAGE;
        }
    };
    if let Err(error) = options::check_places(&output.report, plans.write) {
        print_error(&error.text(surroundings.error_look()));
        return USAGE;
    }
    let stop = surroundings::stop(Some(options.timeout));
    let (events, receiver) = Events::channel();
    let progress = show_progress(
        options::progress(output.progress),
        surroundings.screen(options.log.debug),
        receiver,
        events.meter(),
    );
    let progress = tokio::spawn(progress);
    let done = job.run(&events, stop).await;
    drop(events);
    // The display ends with the events; if it failed there is nothing to clean up.
    let _ = progress.await;
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            print_error(&format!("error: {error}\n"));
            return USAGE;
        }
    };
    tell(&report, &output.report, plans.write, surroundings)
}

/// `report merge`.
fn merge_reports(options: &MergeOptions, surroundings: &Surroundings) -> u8 {
    surroundings.start_log(options.log.debug);
    if let Err(error) = options::check_places(&options.output, None) {
        print_error(&error.text(surroundings.error_look()));
        return USAGE;
    }
    match merge::merged(&options.files) {
        Ok(report) => tell(&report, &options.output, None, surroundings),
        Err(faults) => {
            for fault in faults {
                print_error(&UsageError::Option(fault).text(surroundings.error_look()));
            }
            USAGE
        }
    }
}

/// Puts the report where it was asked for; `plan` is where a plan goes that can be carried out.
fn tell(report: &Report, output: &ReportOptions, plan: Option<&Path>, surroundings: &Surroundings) -> u8 {
    let code = report.verdict().exit_code();
    let text = report.render(options::format(output.format), surroundings.output_look());
    let mut failed = Vec::new();
    if let Some(path) = &output.report
        && let Err(error) = options::replace(path, &report.json())
    {
        failed.push(format!("failed to write the report {}: {error}", path.display()));
    }
    if let Some(path) = plan {
        // A part of a plan could be taken for all of it.
        if report.run.interruption.is_some() {
            failed.push(format!("the plan {} is not written: it is not whole", path.display()));
        } else if let Err(error) = options::replace(path, &report.json()) {
            failed.push(format!("failed to write the plan {}: {error}", path.display()));
        }
    }
    if let Some(path) = &output.summary
        && let Err(error) = options::append(path, &report.markdown(options::SUMMARY_LIMIT))
    {
        failed.push(format!("failed to write the summary {}: {error}", path.display()));
    }
    if let Err(error) = print(&text) {
        failed.push(format!("failed to print the report: {error}"));
    }
    for line in &failed {
        print_error(&format!("error: {line}\n"));
    }
    if failed.is_empty() || code != 0 { code } else { FAILED }
}

async fn examine(options: &DoctorOptions, surroundings: &Surroundings) -> u8 {
    surroundings.start_log(options.log.debug);
    match Box::pin(doctor::run(options, surroundings)).await {
        Ok(told) => {
            let code = printed(&doctor::rendered(&told, options.format, surroundings.output_look()));
            if let Some(interruption) = told.interruption {
                print_error(&format!("error: {}\n", interruption.sentence()));
            }
            code.max(crate::doctor::exit_code(&told))
        }
        Err(error) => {
            print_error(&error.text(surroundings.error_look()));
            USAGE
        }
    }
}

/// `pin`.
async fn pin_lists(options: &PinOptions, surroundings: &Surroundings) -> u8 {
    surroundings.start_log(options.log.debug);
    let mut pins = match Box::pin(pin::find(options, surroundings)).await {
        Ok(pins) => pins,
        Err(error) => {
            print_error(&error.text(surroundings.error_look()));
            return USAGE;
        }
    };
    let error = pin::write(&mut pins, surroundings.error_look());
    let code = printed(&pin::rendered(&pins.found, options.format, surroundings.output_look()));
    print_error(&error);
    code.max(crate::pin::exit_code(&pins.found))
}

/// `policy explain`.
fn explain(options: &ExplainOptions, surroundings: &Surroundings) -> u8 {
    surroundings.start_log(options.log.debug);
    match policy::explain(options) {
        Ok(explained) => {
            let code = printed(&policy::rendered(&explained, options.format, surroundings.output_look()));
            code.max(explained.exit_code)
        }
        Err(error) => {
            print_error(&error.text(surroundings.error_look()));
            USAGE
        }
    }
}

async fn serve(options: ServeOptions, surroundings: &Surroundings) -> u8 {
    let LogOptions { debug } = options.log;
    surroundings.start_log(debug);
    let content = options.root.map_or(serve::Content::Memory, serve::Content::Layout);
    let shutdown = surroundings::stop(None);
    let shutdown = async move {
        let _: Interruption = shutdown.await;
    };
    let serving = |url: &str| {
        // Whoever started it may not be reading; it serves all the same.
        let _ = print(&format!("serving on {url}\n"));
    };
    told(serve::run(&content, options.listen, shutdown, serving).await)
}

fn told(done: anyhow::Result<()>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(error) => {
            print_error(&format!("error: {error:#}\n"));
            FAILED
        }
    }
}

fn printed(text: &str) -> u8 {
    match print(text) {
        Ok(()) => 0,
        Err(error) => {
            print_error(&format!("error: failed to print: {error}\n"));
            FAILED
        }
    }
}
