//! A store's error, on one side of the copy, as a plan's cause.

use crate::plan::{Cause, Side};
use crate::store::StoreError;

/// What blocks or fails an item, said of `side`.
pub(crate) fn cause(side: Side, error: StoreError) -> Cause {
    Cause::failure(side, error.operation, error.reference, error.message)
}
