//! Which of several runs of one list does what.
//!
//! The unit is the target repository: all that goes into one is done by one run, so that no two of them write to the
//! same tags, companions and fallback indexes. Pure, without clock and chance: every machine finds the same, and so
//! does every version of the program. The rules are a promise, since machines of one run may differ in version.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::oci::{Digest, Repository};

/// The most shards; GitHub allows 256 jobs in a matrix.
pub const MOST: usize = 256;

/// One of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// A text that is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, the number of this run from 1 and how many there are, at most {MOST}: for example 1/8")]
pub struct ShardError;

impl Shard {
    /// Shard `index`, counted from 1, of `count`.
    ///
    /// # Errors
    /// There is no such shard.
    pub const fn new(index: usize, count: usize) -> Result<Self, ShardError> {
        if index == 0 || index > count || count > MOST {
            return Err(ShardError);
        }
        Ok(Self { index, count })
    }

    /// Its number, counted from 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count
    }

    /// All shards of so many.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (1..=count).filter_map(move |index| Self::new(index, count).ok())
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        Self::new(number(index)?, number(count)?)
    }
}

/// A number in digits alone, without zeros before it: each has one way to be written.
pub(crate) fn number(text: &str) -> Result<usize, ShardError> {
    let is_plain = text == "0" || !text.starts_with('0');
    let is_number = !text.is_empty() && is_plain && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().map_err(|_| ShardError) } else { Err(ShardError) }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What one shard does before another one is worth its machine.
const WORTH_A_SHARD: u64 = 8 * 1024 * 1024 * 1024;

/// The most shards that are advised: registries have their limits, too.
const MOST_ADVISED: usize = 16;

/// How many shards what there is to do is worth: one for each 8 GiB, at most 16, and no more than there are
/// repositories.
#[must_use]
pub fn advised(weights: &BTreeMap<Repository, u64>) -> usize {
    let all = weights.values().fold(0_u64, |all, weight| all.saturating_add(*weight));
    let shards = usize::try_from(all.div_ceil(WORTH_A_SHARD)).unwrap_or(MOST_ADVISED);
    shards.min(MOST_ADVISED).min(weights.len()).max(1)
}

/// How target repositories are divided among shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    count: usize,
    /// The shard of each repository whose weight is known.
    assigned: BTreeMap<Repository, usize>,
}

impl Division {
    /// By their names alone: the first 8 bytes of the name's SHA-256, as a number with the highest byte first, modulo
    /// `count`, plus 1.
    #[must_use]
    pub const fn by_name(count: usize) -> Self {
        Self { count, assigned: BTreeMap::new() }
    }

    /// By what there is to do for them: the heaviest first, and by name where they weigh the same, each to the shard
    /// that has least so far, the first of several. A repository without a weight goes by its name.
    #[must_use]
    pub fn balanced(count: usize, weights: &BTreeMap<Repository, u64>) -> Self {
        let mut order: Vec<(&Repository, u64)> =
            weights.iter().map(|(name, weight)| (name, *weight)).collect();
        order.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        let mut loads = vec![0_u64; count];
        let mut assigned = BTreeMap::new();
        for (repository, weight) in order {
            let Some((place, load)) =
                loads.iter_mut().enumerate().min_by_key(|(place, load)| (**load, *place))
            else {
                break;
            };
            *load = load.saturating_add(weight);
            assigned.insert(repository.clone(), place + 1);
        }
        Self { count, assigned }
    }

    /// The number of the shard that a target repository belongs to, counted from 1. `repository` is its whole name at
    /// the target, without the registry.
    #[must_use]
    pub fn shard_of(&self, repository: &Repository) -> usize {
        self.assigned.get(repository).copied().unwrap_or_else(|| by_name(repository, self.count))
    }
}

fn by_name(repository: &Repository, count: usize) -> usize {
    let digest = Digest::sha256(repository.as_str().as_bytes());
    let number = digest.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(number % count).unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> Repository {
        name.parse().expect("a repository")
    }

    #[test]
    fn a_shard_is_one_of_some() {
        for text in ["1/1", "8/8", "1/256"] {
            assert_eq!(text.parse::<Shard>().expect(text).to_string(), text);
        }
        for text in [
            "", "1", "/8", "0/8", "9/8", "1/0", "1/257", "+1/8", " 1/8", "1/8/8", "a/b", "-1/8", "01/8",
            "1/08",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
        assert_eq!(Shard::all(3).map(|shard| shard.to_string()).collect::<Vec<_>>(), ["1/3", "2/3", "3/3"]);
    }

    /// Fixed values: machines of one run may have other versions of the program.
    #[test]
    fn the_shard_of_a_name_is_the_same_for_ever() {
        let division = Division::by_name(8);
        let shards = ["mirror/library/alpine", "mirror/library/busybox", "mirror/quay.io/org/tool", "a/b"]
            .map(|name| division.shard_of(&repository(name)));
        assert_eq!(shards, [8, 6, 5, 6]);
    }

    #[test]
    fn names_are_spread_over_all_shards() {
        let division = Division::by_name(8);
        let mut counts = [0; 8];
        for number in 0..4000 {
            counts[division.shard_of(&repository(&format!("mirror/app{number}"))) - 1] += 1;
        }
        assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
    }

    #[test]
    fn more_work_is_worth_more_shards() {
        const GIB: u64 = 1024 * 1024 * 1024;
        let advised_for = |weights: &[u64]| {
            let named = weights.iter().enumerate();
            advised(&named.map(|(number, weight)| (repository(&format!("app{number}")), *weight)).collect())
        };
        assert_eq!(advised_for(&[]), 1);
        assert_eq!(advised_for(&[4 * GIB, 4 * GIB]), 1);
        assert_eq!(advised_for(&[4 * GIB, 4 * GIB, 1]), 2);
        assert_eq!(advised_for(&[100 * GIB]), 1);
        assert_eq!(advised_for(&[u64::MAX; 40]), 16);
    }

    #[test]
    fn the_heaviest_come_first_and_the_rest_fills_up() {
        let weights = [("a", 10), ("b", 70), ("c", 30), ("d", 30), ("e", 20)];
        let weights = weights.map(|(name, weight)| (repository(name), weight)).into();
        let division = Division::balanced(2, &weights);
        let shards = ["a", "b", "c", "d", "e"].map(|name| division.shard_of(&repository(name)));
        // b to the first; c, d and e to the second until it has 80; a to the first again.
        assert_eq!(shards, [1, 1, 2, 2, 2]);
        let unknown = repository("mirror/library/alpine");
        assert_eq!(division.shard_of(&unknown), Division::by_name(2).shard_of(&unknown));
    }
}
