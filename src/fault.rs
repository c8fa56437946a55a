//! A store's error, on one side of the copy, as a plan's cause.

use crate::plan::{Cause, CauseKind, Side};
use crate::store::{StoreError, StoreErrorKind};

/// What blocks, fails or puts off an item, said of `side`.
pub(crate) fn cause(side: Side, error: StoreError) -> Cause {
    let kind = match error.kind {
        StoreErrorKind::UsedUp => CauseKind::Quota,
        StoreErrorKind::Denied => CauseKind::Denied,
        StoreErrorKind::Access | StoreErrorKind::Unavailable => CauseKind::Access,
        _ => CauseKind::Failure,
    };
    Cause { kind, ..Cause::failure(side, error.operation, error.reference, error.message) }
}
