//! The operating system's file system.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::buffers::ReadBuffer;
use super::{DirEntry, Disk, DiskFile, OpenMode};

/// Bytes of one page, the unit in which the page cache holds files.
const PAGE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(OwnedFd);

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let flags = match mode {
            OpenMode::Existing => OFlags::empty(),
            OpenMode::Create => OFlags::CREATE,
            OpenMode::Truncate => OFlags::CREATE | OFlags::TRUNC,
        };
        let file = fs::open(path, flags | OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) if std::fs::metadata(path)?.is_dir() => Ok(()),
            other => Ok(other?),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let len = fs::stat(path)?.st_size;
        u64::try_from(len).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(fs::rename(from, to)?)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlink(path)?)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(fs::CWD, path, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(fs::fsync(dir)?)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let dir = fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(fs::syncfs(dir)?)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = ReadBuffer::new(len);
        let mut filled = 0;
        while filled < len {
            match rustix::io::pread(&self.0, &mut buffer.as_mut()[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(buffer.share(filled))
    }

    fn is_cached(&self, offset: u64, len: usize) -> bool {
        let resident = |at: u64| {
            let mut byte = [0u8];
            let mut chunks = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&self.0, &mut chunks, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
        };
        // Readahead fills a range from its ends in, so both ends resident means the middle nearly always is.
        len == 0 || (resident(offset) && (len <= PAGE_BYTES || resident(offset + len as u64 - 1)))
    }

    fn write_at(&self, offset: u64, chunks: &mut [IoSlice<'_>]) -> io::Result<()> {
        /// The kernel's limit of chunks per call.
        const CHUNKS_MAX: usize = 1024;
        let mut offset = offset;
        let mut rest = chunks;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let count = rest.len().min(CHUNKS_MAX);
            match rustix::io::pwritev(&self.0, &rest[..count], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(fs::fdatasync(&self.0)?)
    }

    fn byte_len(&self) -> io::Result<u64> {
        let len = fs::fstat(&self.0)?.st_size;
        u64::try_from(len).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(fs::ftruncate(&self.0, len)?)
    }
}
