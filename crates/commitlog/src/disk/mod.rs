//! Every access to a file system goes through [`Disk`], so that tests can own one that loses what was not synced.
//!
//! The contract is POSIX's at its weakest: bytes written are durable after [`DiskFile::sync_data`], names (create,
//! rename, remove) after [`Disk::sync_dir`] of the directory they are in. A failed sync says nothing about what is
//! on disk and must not be retried.

mod buffers;
mod real;
mod sim;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use real::RealDisk;
pub use sim::{Operation, SimDisk};

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens for reading and writing; see [`OpenMode`] for what happens when there is no such file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes one directory; an existing one is no error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Everything in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    fn file_len(&self, path: &Path) -> io::Result<u64>;
    /// Replaces `to` if it exists.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything on the file system that holds `path` durable, names too: cheaper than many single syncs.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file; closed when dropped.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Up to `len` bytes at `offset`, fewer only at the end of the file.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
    /// Whether reading these bytes would not wait for the device, as far as a cheap probe can tell.
    fn is_cached(&self, offset: u64, len: usize) -> bool;
    /// Writes all chunks, one after the other, from `offset` on.
    fn write_at(&self, offset: u64, chunks: &mut [IoSlice<'_>]) -> io::Result<()>;
    fn sync_data(&self) -> io::Result<()>;
    fn byte_len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Fails with `NotFound`.
    Existing,
    /// Makes an empty file.
    Create,
    /// Makes an empty file, and empties an existing one.
    Truncate,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}
