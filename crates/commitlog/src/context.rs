//! What the logs of one directory share, and the one place where an I/O error takes the directory offline.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use crate::cleaner::CleanerCheckpoint;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::StorageError;
use crate::files::FileCache;
use crate::names;
use crate::space::Reserve;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) files: FileCache,
    pub(crate) reserve: Reserve,
    pub(crate) cleaner_checkpoint: CleanerCheckpoint,
    failure: OnceLock<StorageError>,
}

impl Context {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: &Path, options: &crate::LogDirOptions) -> Self {
        Self {
            disk,
            path: path.to_owned(),
            files: FileCache::new(options.open_files_max),
            reserve: Reserve::new(options.reserve_bytes),
            cleaner_checkpoint: CleanerCheckpoint::default(),
            failure: OnceLock::new(),
        }
    }

    pub(crate) fn failure(&self) -> Option<&StorageError> {
        self.failure.get()
    }

    /// Fails once the directory is offline.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.failure.get() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Judges the outcome of a change to the disk. Anything but a full disk takes the directory offline: after a
    /// failed write or sync nobody knows what is on the device, and a second sync would only hide it.
    pub(crate) fn changed<T>(&self, action: &str, path: &Path, result: io::Result<T>) -> Result<T, StorageError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            self.reserve.exhausted();
            return Err(self.disk_full());
        }
        Err(self.go_offline(action, path, &error))
    }

    /// As [`Self::changed`], for syncs: even a full disk leaves the outcome unknown.
    pub(crate) fn synced(&self, path: &Path, result: io::Result<()>) -> Result<(), StorageError> {
        result.map_err(|error| self.go_offline("sync", path, &error))
    }

    fn go_offline(&self, action: &str, path: &Path, error: &io::Error) -> StorageError {
        let failure = StorageError::Offline {
            path: self.path.clone(),
            reason: format!("cannot {action} {}: {error}", path.display()),
        };
        if self.failure.set(failure.clone()).is_ok() {
            tracing::error!(path = %self.path.display(), "{failure}");
        }
        failure
    }

    pub(crate) fn disk_full(&self) -> StorageError {
        StorageError::DiskFull { path: self.path.clone(), reserve_bytes: self.reserve.bytes() }
    }

    pub(crate) fn admit_growth(&self, bytes: u64) -> Result<(), StorageError> {
        match self.reserve.admit(bytes, &*self.disk, &self.path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.disk_full()),
            Err(error) => Err(StorageError::read("ask for free space in", &self.path, &error)),
        }
    }

    pub(crate) fn list(&self, path: &Path) -> Result<Vec<crate::disk::DirEntry>, StorageError> {
        self.disk.list(path).map_err(|error| StorageError::read("list", path, &error))
    }

    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, StorageError> {
        // Being out of descriptors says nothing about the device: only a full disk is told apart.
        self.disk.open(path, mode).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.disk_full(),
            _ => StorageError::read("open", path, &error),
        })
    }

    /// The whole of a small file; `None` if there is none.
    pub(crate) fn read_file(&self, path: &Path) -> Result<Option<bytes::Bytes>, StorageError> {
        let read = |file: Arc<dyn DiskFile>| {
            let len = usize::try_from(file.byte_len()?).map_err(|_| io::ErrorKind::InvalidData)?;
            file.read_at(0, len)
        };
        match self.disk.open(path, OpenMode::Existing) {
            Ok(file) => read(file).map(Some).map_err(|error| StorageError::read("read", path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::read("open", path, &error)),
        }
    }

    /// Writes a small file under a temporary name and gives it its name. Syncing is the caller's: without it a crash may
    /// leave the old file, the new one, or an empty one.
    pub(crate) fn replace_file(&self, path: &Path, contents: &[u8]) -> Result<(), StorageError> {
        let temporary = self.write_temporary(path, contents)?.1;
        self.give_name(&temporary, path)
    }

    /// As [`Self::replace_file`], but the file's contents are on disk before it takes its name.
    pub(crate) fn replace_file_durably(&self, path: &Path, contents: &[u8]) -> Result<(), StorageError> {
        let (file, temporary) = self.write_temporary(path, contents)?;
        self.synced(&temporary, file.sync_data())?;
        self.give_name(&temporary, path)
    }

    fn give_name(&self, temporary: &Path, path: &Path) -> Result<(), StorageError> {
        match self.disk.rename(temporary, path) {
            // It went with the log's directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StorageError::read("rename", temporary, &error))
            }
            result => self.changed("rename", temporary, result),
        }
    }

    fn write_temporary(&self, path: &Path, contents: &[u8]) -> Result<(Arc<dyn DiskFile>, PathBuf), StorageError> {
        let temporary = with_suffix(path, names::TEMPORARY);
        let file = self.open(&temporary, OpenMode::Truncate)?;
        self.changed("write", &temporary, file.write_at(0, &mut [IoSlice::new(contents)]))?;
        Ok((file, temporary))
    }

    /// Everything written so far is on disk when this returns.
    pub(crate) fn sync_all(&self) -> Result<(), StorageError> {
        self.check()?;
        self.synced(&self.path, self.disk.sync_all(&self.path))
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> Result<(), StorageError> {
        self.synced(path, self.disk.sync_dir(path))
    }

    /// As [`Self::sync_dir`], for whoever can do without: a directory that is gone with its log, or for which no
    /// descriptor was free, was never asked to sync.
    pub(crate) fn try_sync_dir(&self, path: &Path) -> Result<(), StorageError> {
        let result = self.disk.sync_dir(path);
        let is_unopened = |error: &io::Error| {
            let errno = Errno::from_io_error(error);
            error.kind() == io::ErrorKind::NotFound || matches!(errno, Some(Errno::MFILE | Errno::NFILE))
        };
        match result {
            Err(error) if is_unopened(&error) => Err(StorageError::read("open", path, &error)),
            result => self.synced(path, result),
        }
    }

    /// An absent file is no error.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), StorageError> {
        match self.disk.remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => self.changed("remove", path, other),
        }
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
