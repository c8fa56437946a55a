//! `report merge`: the reports of several runs of one list as one.

use std::path::PathBuf;

use super::shard::read;
use crate::report::{Report, merge};

/// Reads the reports and makes one of them.
///
/// # Errors
/// What is wrong with files, all of it, or why they cannot become one report, a line for each.
pub(super) fn merged(files: &[PathBuf]) -> Result<Report, Vec<String>> {
    let mut reports = Vec::new();
    let mut faults = Vec::new();
    for file in files {
        match read(file) {
            Ok(report) => reports.push((file.display().to_string(), report)),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    merge(reports).map_err(|error| vec![error.to_string()])
}
