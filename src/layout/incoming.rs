//! A blob on its way into the folder.

use tempfile::TempPath;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::{Layout, Problem};
use crate::oci::{Digest, Digester, Repository};
use crate::store::{StoreError, StoreErrorKind};

/// How much is written at a time.
const PIECE: usize = 512 * 1024;

/// A blob whose digest is not known yet, in a file without a blob's name. One that is dropped is deleted.
#[derive(Debug)]
pub struct Incoming {
    layout: Layout,
    file: BufWriter<tokio::fs::File>,
    path: TempPath,
    /// What most digests are made with; another algorithm costs a second look at the file.
    digester: Digester,
    received: u64,
}

impl Layout {
    /// A place for a blob whose digest is not known yet.
    ///
    /// # Errors
    ///
    /// Fails if the folder is no layout, or cannot be written.
    pub async fn start_upload(&self) -> Result<Incoming, StoreError> {
        self.prepare().await?;
        let file = self
            .blocking("start a blob in", String::new(), |inner| {
                inner.folder.temporary().map_err(Problem::from)
            })
            .await?;
        let (file, path) = file.into_parts();
        let file = BufWriter::with_capacity(PIECE, tokio::fs::File::from_std(file));
        Ok(Incoming { layout: self.clone(), file, path, digester: Digester::sha256(), received: 0 })
    }
}

impl Incoming {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub async fn append(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.digester.update(piece);
        self.received += piece.len() as u64;
        let written = self.file.write_all(piece).await;
        written.map_err(|error| self.layout.error("write a blob to", "", error.into()))
    }

    /// Puts what came among the blobs.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::Corrupt`] if what came has another digest; then nothing is kept.
    pub async fn finish(mut self, repository: &Repository, digest: &Digest) -> Result<(), StoreError> {
        let name = format!("{repository}@{digest}");
        let flushed = self.file.flush().await;
        flushed.map_err(|error| self.layout.error("write blob", &name, error.into()))?;
        let file = self.file.into_inner().into_std().await;
        let (path, digester, wanted) = (self.path, self.digester, digest.clone());
        self.layout
            .blocking("write blob", name, move |inner| {
                let found = match &wanted {
                    Digest::Sha256(_) => digester.finish(),
                    Digest::Sha512(_) => digest_of(&path, &wanted)?,
                };
                if found != wanted {
                    let message = format!("the content has the digest {found}");
                    return Err(Problem::new(StoreErrorKind::Corrupt, message));
                }
                file.sync_all()?;
                inner.folder.keep_blob(path, &wanted)?;
                drop(file);
                Ok(())
            })
            .await
    }
}

/// The digest of a file, by the algorithm of `like`.
fn digest_of(path: &std::path::Path, like: &Digest) -> std::io::Result<Digest> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let mut digester = Digester::new(like);
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digester.finish()),
            read => digester.update(&buffer[..read]),
        }
    }
}
