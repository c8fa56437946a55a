//! Companions: what belongs to an image without being part of it.
//!
//! Found through cosign's tags and through OCI referrers, for the image, for each of its children, and
//! for the companions themselves. A look-up that fails is a failure; it never means "there are none".

mod companions;
mod kind;
mod proofs;
mod verifier;

pub use companions::{Sides, companions};
pub use proofs::Place;
pub use verifier::{Failure, Verifier};
