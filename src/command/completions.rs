//! `completions`: what a shell needs to complete this program's command lines.

use clap_complete::Shell;

use crate::cli;

/// The completion script of a shell, as it is printed.
#[must_use]
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "image-syncer", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = String::from_utf8(script(shell)).expect("text");
            assert!(script.contains("target-repo-prefix"), "{shell}");
        }
    }
}
