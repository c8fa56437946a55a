//! image-syncer keeps third-party container images in your own registry: immutable, complete with their
//! signatures, and said before it is done. This is the map; ARCHITECTURE.md has the reasons.
//!
//! The data runs one way. A run is [`command::sync::Job::run`], about forty lines that name each step:
//!
//! ```text
//! list ─ config ─▶ Config ─ inspect ─▶ Inventory ─ plan() ─▶ Plan ─ copy ─▶ Results ─ report ─▶ Report
//! ```
//!
//! - The words: [`oci`] has the specifications' (digest, reference, manifest, …), [`plan`] has ours (item,
//!   decision, cause, outcome, companion).
//! - What is wanted: [`config`] reads the lists, `policy` the operator's rules. Both are files that people write,
//!   so that both say all that is wrong at once, with line and column.
//! - What is known: [`mod@inspect`] asks the registries, [`trust`] finds what belongs to an image without being part
//!   of it, `walk` goes from a manifest to everything below it.
//! - What is signed by whom: [`verify`] judges the bytes that a registry has. It asks nobody.
//! - What is to be done: [`plan::plan`], a pure function. It cannot fail.
//! - What is done: [`mod@copy`] executes the plan and decides nothing. The tag is the last thing that it pushes.
//! - Where content is: [`store`] has the two traits, [`Source`](store::Source) and [`Target`](store::Target).
//!   [`registry`] and [`layout`] are stores; [`serve`] makes a registry of one.
//! - What is said: [`report`] makes text of a plan and its results, [`event`] tells of progress, and [`console`] is
//!   the only part that prints.
//! - Where it is said on GitHub: [`github`] knows the runner, its events and the API, and takes rendered text.
//! - What is found out of a registry when somebody asks: [`registry::examination`], shown by [`doctor`].
//! - Which digest a tag stands for today, for a list that is to name it: [`pin`].
//! - What the policy says of a source: [`explain`].
//! - What was typed: [`cli`]. [`command`] wires everything together, a file for each subcommand.
//!
//! Nothing uses a part that comes later in this order: `oci`, `verify`, `config`, `policy`, `plan`, `store`, `event`,
//! `fault`, `walk`, `trust`, `inspect`, `copy`, `registry`, `layout`, `serve`, `report`, `doctor`, `pin`, `explain`,
//! `console`, `command`. `cli` and `github` stand alone. `duration`, [`secret`], [`login`] and [`shard`] are for those who
//! must not know each other.

pub mod cli;
pub mod command;
pub mod config;
pub mod console;
pub mod copy;
pub mod doctor;
mod duration;
pub mod event;
pub mod explain;
mod fault;
pub mod github;
pub mod inspect;
pub mod layout;
pub mod login;
pub mod oci;
pub mod pin;
pub mod plan;
pub mod policy;
pub mod registry;
pub mod report;
pub mod secret;
pub mod serve;
pub mod shard;
pub mod store;
pub mod trust;
pub mod verify;
mod walk;
