//! What goes wrong, by dice that fall the same for the same request of the same seed, in whatever order requests come.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::time::Duration;

use crate::support::relay::{Seen, Trouble};

/// The kinds that only take time.
pub(crate) const SLOW: [&str; 3] = ["latency", "low bandwidth", "slow drip"];

/// So many of a thousand requests meet trouble.
const PER_MILLE: u64 = 80;

/// Random numbers (`SplitMix64`).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).expect("a small number")
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..=length / 8).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

/// The weather of a soak.
pub(crate) struct Weather {
    seed: u64,
    /// The longest pause that a registry asks for.
    asked: &'static str,
}

impl Weather {
    pub(crate) fn new(seed: u64, longest_asked: Duration) -> Self {
        Self { seed, asked: if longest_asked >= Duration::from_secs(1) { "1" } else { "0" } }
    }

    /// For the line to the source.
    pub(crate) fn at_source(&self) -> impl Fn(&Seen) -> Option<Trouble> + Send + Sync + 'static {
        self.falling(self.seed)
    }

    /// For the line to the target.
    pub(crate) fn at_target(&self) -> impl Fn(&Seen) -> Option<Trouble> + Send + Sync + 'static {
        self.falling(self.seed + 1)
    }

    fn falling(&self, seed: u64) -> impl Fn(&Seen) -> Option<Trouble> + Send + Sync + 'static {
        let (times, asked) = (Mutex::new(HashMap::<_, u64>::new()), self.asked);
        move |seen| {
            let key = (seen.method.clone(), lasting(&seen.path));
            let mut hasher = DefaultHasher::new();
            let mut times = times.lock().expect("a lock");
            let time = times.entry(key.clone()).or_default();
            (seed, &key, *time).hash(&mut hasher);
            *time += 1;
            let mut dice = Dice::of(hasher.finish());
            (dice.next() % 1000 < PER_MILLE).then(|| trouble(seen, &mut dice, asked))
        }
    }
}

/// A path without what is another one in each run: addresses of uploads.
fn lasting(path: &str) -> String {
    path.split("/uploads/").next().unwrap_or_default().to_owned()
}

/// What goes wrong with a request.
fn trouble(seen: &Seen, dice: &mut Dice, asked: &'static str) -> Trouble {
    let is_pull = seen.method == "GET";
    let is_upload = seen.path.contains("/blobs/uploads/") && seen.length > 0;
    // Manifests and lists are small.
    let place = dice.next() % if seen.path.contains("/blobs/") { 70_000 } else { 500 };
    let within = dice.next() % seen.length.max(1);
    match dice.below(1000) {
        0..60 => Trouble::Latency(Duration::from_millis(place % 80)),
        60..100 => Trouble::Bandwidth(400_000),
        100..140 => Trouble::Drip(4096, Duration::from_millis(5)),
        140..300 => Trouble::ResetAtOnce,
        300..400 if seen.length > 0 => Trouble::ResetRequest(within),
        400..520 => Trouble::ResetAnswer(place),
        520..526 => Trouble::HalfOpen(None),
        526..532 => Trouble::HalfOpen(Some(place)),
        540..600 => Trouble::Status(429, None),
        600..640 => Trouble::Status(429, Some(asked)),
        640..680 => Trouble::Status(500, None),
        680..720 => Trouble::Status(502, None),
        720..760 => Trouble::Status(503, Some(asked)),
        760..860 if is_pull => Trouble::Truncate(place),
        860..880 if is_pull => Trouble::TruncateUnannounced(place),
        880..910 if is_pull => Trouble::Corrupt(place),
        760..800 if is_upload => Trouble::CorruptRequest(within),
        800..960 if is_upload => Trouble::Expired(within),
        _ => Trouble::Status(503, None),
    }
}
