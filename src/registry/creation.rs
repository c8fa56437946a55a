//! Repositories that have to be there before a push: at Amazon ECR they are created, where the operator allows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::quirks::Kind;
use super::{ReadWrite, Remote};
use crate::oci::Repository;
use crate::store::StoreError;

/// How the creation of a repository ended.
type Created = Arc<OnceCell<Result<(), StoreError>>>;

/// The repositories that were created, or could not be.
#[derive(Debug)]
pub(super) struct Creations {
    is_allowed: bool,
    tried: Mutex<HashMap<Repository, Created>>,
}

impl Creations {
    pub(super) fn new(is_allowed: bool) -> Self {
        Self { is_allowed, tried: Mutex::default() }
    }
}

impl Remote<ReadWrite> {
    /// Whether repositories that are not there are created.
    pub(super) fn creates_repositories(&self) -> bool {
        let kind = self.client.knowledge.profile().kind;
        self.creations.is_allowed && matches!(kind, Kind::Ecr | Kind::EcrPublic)
    }

    /// Creates a repository, once however many blobs are to go there.
    pub(super) async fn create_repository(&self, repository: &Repository) -> Result<(), StoreError> {
        let created = {
            let mut tried = self.creations.tried.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tried.entry(repository.clone()).or_default())
        };
        created.get_or_init(|| self.client.auth.create_repository(repository)).await.clone()
    }
}
