//! Whether a target will have what the list wants, for all that was seen of it: most runs have nothing to do.
//!
//! An entry whose tag the target has needs to know what the source's tag stands for; one whose tag it lacks reads the
//! source's manifest, which says that as well. So the source is asked second. Where the target had most tags so far,
//! both are asked at once, which saves a round trip; if the target lacks the tag after all, one request was in vain.
//! Long lists begin so: few of their entries have gone by when the target's first answers tell.

use tokio::sync::{oneshot, watch};

use crate::plan::TargetState;

/// A list of more entries than this is long.
const LONG: usize = 100;

/// How many tags more the target had than it lacked.
#[derive(Debug)]
pub(super) struct Odds(watch::Sender<i64>);

impl Odds {
    /// The odds for a list of so many entries.
    pub(super) fn of(entries: usize) -> Self {
        Self(watch::Sender::new(i64::from(entries > LONG)))
    }

    /// Takes note of what the target said of a tag.
    pub(super) fn note(&self, target: &TargetState) {
        match target {
            TargetState::Present(_) => self.0.send_modify(|more| *more += 1),
            TargetState::Absent => self.0.send_modify(|more| *more -= 1),
            TargetState::NotReadable(_) | TargetState::Blocked(_) => {}
        }
    }

    /// Asks the target and then the source, or both at once as soon as the odds are good. The source's answer is
    /// given if the target has the tag.
    pub(super) async fn both<T>(
        &self,
        target: impl Future<Output = TargetState>,
        source: impl Future<Output = T>,
    ) -> (TargetState, Option<T>) {
        let (is_there, known) = oneshot::channel();
        let mut more = self.0.subscribe();
        let source = async {
            tokio::select! {
                good = more.wait_for(|more| *more > 0) => drop(good),
                said = known => said.ok()?,
            }
            Some(source.await)
        };
        tokio::pin!(source);
        let target = async {
            let target = target.await;
            self.note(&target);
            target
        };
        tokio::pin!(target);
        tokio::select! {
            biased;
            target = &mut target => match target {
                TargetState::Present(_) => {
                    // If nobody hears it, the source was asked already.
                    let _ = is_there.send(());
                    let found = source.await;
                    (target, found)
                }
                _ => (target, None),
            },
            found = &mut source => {
                let target = target.await;
                let found = found.filter(|_| matches!(target, TargetState::Present(_)));
                (target, found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::oci::Digest;

    fn present() -> TargetState {
        TargetState::Present(Digest::sha256(b"there"))
    }

    fn answer(asked: &AtomicBool) -> impl Future<Output = u8> {
        std::future::poll_fn(|_| {
            asked.store(true, Ordering::SeqCst);
            std::task::Poll::Ready(7)
        })
    }

    #[tokio::test]
    async fn the_source_is_asked_second_and_only_if_the_target_has_the_tag() {
        let (odds, asked) = (Odds::of(1), AtomicBool::new(false));
        let target = async {
            tokio::task::yield_now().await;
            assert!(!asked.load(Ordering::SeqCst));
            TargetState::Absent
        };
        let (target, found) = odds.both(target, answer(&asked)).await;
        assert!(matches!((target, found), (TargetState::Absent, None)));
        assert!(!asked.load(Ordering::SeqCst));
        let (target, found) = odds.both(async { present() }, answer(&asked)).await;
        assert!(matches!((target, found), (TargetState::Present(_), Some(7))));
    }

    #[tokio::test]
    async fn a_long_list_begins_with_both() {
        let (odds, asked) = (Odds::of(LONG + 1), AtomicBool::new(false));
        let target = async {
            tokio::task::yield_now().await;
            assert!(asked.load(Ordering::SeqCst));
            present()
        };
        assert!(matches!(odds.both(target, answer(&asked)).await, (TargetState::Present(_), Some(7))));
    }

    #[tokio::test]
    async fn both_are_asked_at_once_where_the_target_had_most_tags() {
        let (odds, asked) = (Odds::of(1), AtomicBool::new(false));
        odds.note(&present());
        let target = async {
            while !asked.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            TargetState::Absent
        };
        let (target, found) = odds.both(target, answer(&asked)).await;
        assert!(matches!((target, found), (TargetState::Absent, None)));
    }
}
