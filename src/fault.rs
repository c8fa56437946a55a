//! A store's error, on one side of the copy, as a plan's cause.

use crate::plan::{Cause, CauseKind, Side};
use crate::store::{StoreError, StoreErrorKind};

/// What blocks or fails an item, said of `side`.
pub(crate) fn cause(side: Side, error: StoreError) -> Cause {
    let access = [StoreErrorKind::Access, StoreErrorKind::Denied, StoreErrorKind::Unavailable];
    let kind = if access.contains(&error.kind) { CauseKind::Access } else { CauseKind::Failure };
    Cause { kind, ..Cause::failure(side, error.operation, error.reference, error.message) }
}
