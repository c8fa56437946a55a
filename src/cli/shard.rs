//! The options of runs that share one list.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::shard::{MOST, Shard, ShardError, number};

/// Which part of the lists a run does.
#[derive(Debug, Args)]
pub struct ShardOptions {
    /// Do one of N parts of the lists, the I-th: each target repository belongs to one; `job/N` takes the I of a
    /// Kubernetes Indexed Job
    #[arg(long, value_name = "I/N", help_heading = "Shards")]
    pub shard: Option<WhichShard>,
    /// Balance the shards by this plan, as `plan --report` wrote it; the same file for all of them
    #[arg(long, value_name = "FILE", help_heading = "Shards", requires = "shard")]
    pub shard_plan: Option<PathBuf>,
}

/// `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichShard {
    /// This one.
    This(Shard),
    /// The one that a Kubernetes Indexed Job says, of so many.
    OfJob(usize),
}

impl FromStr for WhichShard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        match text.strip_prefix("job/") {
            None => text.parse().map(Self::This),
            Some(count) => match number(count)? {
                count @ 1..=MOST => Ok(Self::OfJob(count)),
                _ => Err(ShardError),
            },
        }
    }
}

/// How many shards there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardCount {
    /// As many as what there is to do is worth.
    Auto,
    /// So many.
    Number(usize),
}

impl FromStr for ShardCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, number(text)) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(count @ 1..=MOST)) => Ok(Self::Number(count)),
            _ => Err(format!("write auto, or a number from 1 to {MOST}")),
        }
    }
}
