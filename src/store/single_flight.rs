//! A question that many have at the same time, and that is asked once.

use std::time::Instant;

use tokio::sync::Mutex;

use super::StoreError;

/// An answer that is fetched when it is first needed. Who comes while it is being fetched waits for it.
///
/// A failure is not kept: who comes later asks anew. But it is told to all who waited for it; if each of
/// them tried on their own, one after the other, a registry that hangs would hold up hundreds of images
/// hundreds of times.
#[derive(Debug)]
pub(crate) struct SingleFlight<V>(Mutex<State<V>>);

#[derive(Debug)]
struct State<V> {
    answer: Option<V>,
    failed: Option<(Instant, StoreError)>,
}

impl<V> Default for SingleFlight<V> {
    fn default() -> Self {
        Self(Mutex::new(State { answer: None, failed: None }))
    }
}

impl<V: Clone> SingleFlight<V> {
    /// The answer if there is one that is still `good`, else what `ask` says.
    pub(crate) async fn get(
        &self,
        good: impl Fn(&V) -> bool + Send,
        ask: impl Future<Output = Result<V, StoreError>> + Send,
    ) -> Result<V, StoreError> {
        self.get_or_keep(good, ask, |_, error| Err(error)).await
    }

    /// As [`Self::get`]; where there is an answer that is no longer `good` and no other to be had, `keep` says what
    /// becomes of it.
    pub(crate) async fn get_or_keep(
        &self,
        good: impl Fn(&V) -> bool + Send,
        ask: impl Future<Output = Result<V, StoreError>> + Send,
        keep: impl FnOnce(V, StoreError) -> Result<V, StoreError> + Send,
    ) -> Result<V, StoreError> {
        let came = Instant::now();
        let mut state = self.0.lock().await;
        if let Some(answer) = state.answer.as_ref().filter(|answer| good(answer)) {
            return Ok(answer.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(failed, _)| *failed >= came) {
            return Err(error.clone());
        }
        let outcome = match (ask.await, state.answer.clone()) {
            (Err(error), Some(old)) => keep(old, error),
            (outcome, _) => outcome,
        };
        match &outcome {
            Ok(answer) => state.answer = Some(answer.clone()),
            Err(error) => state.failed = Some((Instant::now(), error.clone())),
        }
        outcome
    }

    /// Drops the answer if it is the one meant, so that the next who asks gets a new one. Says whether it was.
    pub(crate) async fn forget(&self, meant: impl Fn(&V) -> bool + Send) -> bool {
        let mut state = self.0.lock().await;
        state.answer.take_if(|answer| meant(answer)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::store::StoreErrorKind;

    #[tokio::test]
    async fn who_waits_shares_the_failure_and_who_comes_later_asks_anew() {
        let asked = AtomicUsize::new(0);
        let flight = SingleFlight::<usize>::default();
        let ask = || async {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if number == 0 {
                return Err(StoreError::new("ask", "r", StoreErrorKind::Unavailable, "it hangs"));
            }
            Ok(number)
        };
        let all = futures::future::join_all((0..5).map(|_| flight.get(|_| true, ask()))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(flight.get(|_| true, ask()).await.expect("an answer"), 1);
        assert_eq!(flight.get(|_| true, ask()).await.expect("an answer"), 1);
        assert_eq!(flight.get(|answer| *answer > 1, ask()).await.expect("an answer"), 2);
        flight.forget(|answer| *answer == 2).await;
        assert_eq!(flight.get(|_| true, ask()).await.expect("an answer"), 3);
    }
}
