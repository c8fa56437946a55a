//! Parse, run, exit code.

use std::process::ExitCode;
use std::time::Duration;

use image_syncer::{cli, command};

fn main() -> ExitCode {
    let is_action = std::env::args_os().nth(1).is_some_and(|subcommand| subcommand == "action");
    if is_action {
        command::action::hide_secrets(std::env::vars_os());
    }
    let cli = match cli::parse(std::env::args_os(), std::env::vars_os()) {
        Ok(cli) => cli,
        Err(error) if is_action && error.use_stderr() => {
            let surroundings = command::Surroundings::of_this_process();
            return ExitCode::from(command::action::refuse(&cli::in_one_line(&error), &surroundings));
        }
        Err(error) => {
            // A closed standard output is no reason to fail differently.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            image_syncer::console::print_error(&format!("error: failed to start: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command::run(cli, command::Surroundings::of_this_process()));
    // A name look-up or a file that hangs must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ExitCode::from(code)
}
