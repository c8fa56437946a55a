//! A file's text, replaced where it is.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Writes `new` where `old` was read: whoever reads the file sees one or the other, never a part. The file behind
/// a symbolic link is the one that changes, and keeps its permissions.
///
/// # Errors
/// It is no regular file, it has changed since it was read, or it cannot be written.
pub(super) fn rewrite(path: &Path, old: &str, new: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let before = fs::metadata(&path)?;
    if !before.is_file() {
        return Err(io::Error::other("this is no regular file; name one with --images-file"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(new.as_bytes())?;
    keep_owner(file.as_file(), &before)?;
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    // As late as can be: somebody's editor may have been quicker.
    if fs::read(&path)? != old.as_bytes() {
        return Err(io::Error::other("it has changed since it was read; run this again"));
    }
    file.persist(&path)?;
    Ok(())
}

/// In a container the program may be another user than the one whose file it is.
fn keep_owner(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    match fchown(file, Some(before.uid()), Some(before.gid())) {
        // Who may write into the folder may replace the file, and owns it then.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_behind_a_link_changes_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("deep")).expect("a folder");
        let (real, link) = (folder.path().join("deep/list.yaml"), folder.path().join("link.yaml"));
        fs::write(&real, "old").expect("a file");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("permissions");
        symlink("deep/list.yaml", &link).expect("a link");
        rewrite(&link, "old", "new").expect("written");
        assert_eq!(fs::read_to_string(&real).expect("a text"), "new");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::metadata(&real).expect("a file").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path().join("deep")).expect("a folder").count(), 1);
    }

    #[test]
    fn what_has_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.yaml");
        fs::write(&path, "somebody's").expect("a file");
        let error = rewrite(&path, "old", "new").expect_err("an error");
        assert!(error.to_string().contains("has changed since"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("a text"), "somebody's");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert!(
            rewrite(Path::new("/dev/null"), "", "new")
                .expect_err("an error")
                .to_string()
                .contains("no regular")
        );
    }
}
