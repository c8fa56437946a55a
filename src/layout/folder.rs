//! The files of a layout (OCI image-spec, image-layout.md). All of this blocks.
//!
//! A path is made of a [`Digest`] or of constants only, so that none leads out of the folder. A file gets
//! its final name when it is whole, checked and on the disk, never before.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{NamedTempFile, TempPath};

use crate::oci::Digest;

const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs";
/// Where files are that are not whole yet.
const UPLOADS: &str = ".uploads";
/// The only version of the format that there is.
const VERSION: &str = "1.0.0";
/// More than any index.json has: a hundred thousand names.
const INDEX_LIMIT: u64 = 64 * 1024 * 1024;

/// A folder that is a layout, or is to become one.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// What tells that `index.json` has been replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder is a layout; `false` if there is nothing at all, an error if it is something
    /// else.
    pub(super) fn is_layout(&self) -> io::Result<bool> {
        let path = self.path.join(LAYOUT_FILE);
        let bytes = match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(4096).read_to_end(&mut bytes)?;
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.has_nothing()? {
                    Ok(false)
                } else {
                    Err(foreign("it has no file `oci-layout`"))
                };
            }
            Err(error) => return Err(error),
        };
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if document["imageLayoutVersion"] == VERSION {
            Ok(true)
        } else {
            Err(foreign("its `oci-layout` does not state the version 1.0.0"))
        }
    }

    fn has_nothing(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            entries => entries?,
        };
        for entry in entries {
            // A first run that was interrupted leaves the place for files that are not whole.
            if entry?.file_name() != UPLOADS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the folder a layout if it is none, and clears away what interrupted runs left.
    pub(super) fn prepare(&self, empty_index: &[u8]) -> io::Result<()> {
        let is_layout = self.is_layout()?;
        fs::create_dir_all(self.path.join(UPLOADS))?;
        if !is_layout {
            let mut file = self.temporary_unlocked()?;
            writeln!(file, "{{\"imageLayoutVersion\":\"{VERSION}\"}}")?;
            file.as_file().sync_all()?;
            let kept = file.persist_noclobber(self.path.join(LAYOUT_FILE));
            // Another process that was faster has made the layout, and perhaps cleared our file away.
            if let Err(error) = kept
                && !self.is_layout()?
            {
                return Err(error.error);
            }
        }
        let _lock = self.lock()?;
        for algorithm in ["sha256", "sha512"] {
            fs::create_dir_all(self.path.join(BLOBS).join(algorithm))?;
        }
        if !self.path.join(INDEX_FILE).try_exists()? {
            self.write_index(empty_index)?;
        }
        self.clear()
    }

    /// Deletes the files in the making that nobody holds any more. One that cannot be deleted is left: it
    /// is in nobody's way.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.path.join(UPLOADS))? {
            let path = entry?.path();
            let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if abandoned {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Waits until nobody else changes the layout, in this process or another; holds until it is dropped.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = File::open(self.path.join(LAYOUT_FILE))?;
        file.lock()?;
        Ok(file)
    }

    /// A file in the making. One that is dropped is deleted; the lock on it tells [`Folder::prepare`] of
    /// another process to leave it alone. Waits while somebody holds the layout's lock.
    pub(super) fn temporary(&self) -> io::Result<NamedTempFile> {
        let layout = File::open(self.path.join(LAYOUT_FILE))?;
        layout.lock_shared()?;
        let file = self.temporary_unlocked()?;
        file.as_file().lock()?;
        Ok(file)
    }

    fn temporary_unlocked(&self) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The user's umask decides who may read, as for any other file.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder.prefix("").tempfile_in(self.path.join(UPLOADS))
    }

    /// Where a blob is.
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(BLOBS).join(digest.algorithm()).join(digest.hex())
    }

    /// A blob's length in bytes, or `None` if it is not there.
    pub(super) fn blob_size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        match fs::metadata(self.blob_path(digest)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole blob of at most `limit` bytes, or `None` if it is not there.
    pub(super) fn read_blob(&self, digest: &Digest, limit: u64) -> io::Result<Option<Vec<u8>>> {
        read(&self.blob_path(digest), limit)
    }

    /// Gives a whole file that is on the disk its name as a blob. The file stays open until then: closed, it
    /// would be one that nobody holds.
    pub(super) fn keep_blob(&self, file: TempPath, digest: &Digest) -> io::Result<()> {
        file.persist(self.blob_path(digest)).map_err(|error| error.error)
    }

    /// Writes a small blob whose digest has been checked. Who holds the lock must not wait for it here.
    pub(super) fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        self.write(self.temporary()?, digest, bytes)
    }

    /// The same for who holds the lock.
    pub(super) fn write_blob_locked(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        self.write(self.temporary_unlocked()?, digest, bytes)
    }

    fn write(&self, mut file: NamedTempFile, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        // The open file holds the lock, which is needed until the file has its name.
        let (_open, path) = file.into_parts();
        self.keep_blob(path, digest)
    }

    /// Deletes a blob, if it is there.
    pub(super) fn remove_blob(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.blob_path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What tells whether `index.json` is still the same; `None` if there is none.
    pub(super) fn index_stamp(&self) -> io::Result<Option<Stamp>> {
        match fs::metadata(self.path.join(INDEX_FILE)) {
            Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of `index.json`, or `None` if there is none.
    pub(super) fn read_index(&self) -> io::Result<Option<Vec<u8>>> {
        read(&self.path.join(INDEX_FILE), INDEX_LIMIT)
    }

    /// Replaces `index.json`; who calls this holds the lock. What it names is on the disk before.
    pub(super) fn write_index(&self, bytes: &[u8]) -> io::Result<()> {
        for algorithm in ["sha256", "sha512"] {
            sync_folder(&self.path.join(BLOBS).join(algorithm))?;
        }
        let mut file = self.temporary_unlocked()?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path.join(INDEX_FILE)).map_err(|error| error.error)?;
        sync_folder(&self.path)
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), size: metadata.len(), inode }
    }
}

fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// A folder's names are on the disk once the folder itself is synchronised.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("the folder is no OCI image layout: {why}"))
}
