//! A disk in memory that forgets what was not synced, for tests.
//!
//! A crash keeps any subset of the unsynced 4 KiB pages, of the unsynced file lengths and of the unsynced directory
//! changes (a rename is one change). That is weaker than what file systems promise, so what holds here holds there.

mod file;
mod names;

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::{DirEntry, Disk, DiskFile, OpenMode};
use crate::files::lock;
use file::FileState;
use names::Names;

/// Clones share the disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    files: HashMap<u64, FileState>,
    /// Handles from before a crash are dead.
    incarnation: u64,
    capacity_bytes: Option<u64>,
    faults: Vec<Fault>,
    syncs: u64,
    bytes_read: u64,
    /// Changes that still happen before everything fails.
    changes_left: Option<u64>,
    /// Tosses for every question whether pages are cached; without it, all are.
    cached: Option<Random>,
}

/// An operation that can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Sync,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    /// How many of these succeed before.
    after: u64,
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    incarnation: u64,
}

impl SimDisk {
    /// Cuts the power: of everything unsynced a subset that `seed` decides stays. Open files are dead.
    pub fn crash(&self, seed: u64) {
        let mut random = Random(seed);
        let mut state = lock(&self.state);
        state.incarnation += 1;
        state.faults.clear();
        state.changes_left = None;
        state.names.crash(&mut random);
        let mut inodes: Vec<u64> = state.files.keys().copied().collect();
        inodes.sort_unstable();
        for inode in inodes {
            state.files.get_mut(&inode).expect("listed").crash(&mut random);
        }
    }

    /// Kills the process: everything written stays, synced or not.
    pub fn kill(&self) {
        let mut state = lock(&self.state);
        state.incarnation += 1;
        state.faults.clear();
    }

    /// The next `operation` but `after` fails with EIO.
    pub fn fail(&self, operation: Operation, after: u64) {
        lock(&self.state).faults.push(Fault { operation, after });
    }

    /// After so many more changes (writes, syncs, names) nothing works any more, until a crash.
    pub fn stop_after(&self, changes: u64) {
        lock(&self.state).changes_left = Some(changes);
    }

    /// From now on, pages are in the page cache or not as `seed` decides, differently each time somebody asks.
    pub fn draw_cached(&self, seed: u64) {
        lock(&self.state).cached = Some(Random(seed));
    }

    /// Of all files together; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        lock(&self.state).capacity_bytes = bytes;
    }

    /// Bytes in all files.
    pub fn used_bytes(&self) -> u64 {
        lock(&self.state).used_bytes()
    }

    /// Syncs of files and directories so far.
    pub fn syncs(&self) -> u64 {
        lock(&self.state).syncs
    }

    /// Bytes of files read so far.
    pub fn bytes_read(&self) -> u64 {
        lock(&self.state).bytes_read
    }

    /// What a file holds now.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = lock(&self.state);
        let inode = state.names.file(path)?;
        Ok(state.files[&inode].contents().to_vec())
    }

    /// Changes a byte as a failing device does: durably and without a word.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let inode = state.names.file(path)?;
        state.files.get_mut(&inode).expect("a named file").flip_bit(bit);
        Ok(())
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.contents().len() as u64).sum()
    }

    fn change(&mut self) -> io::Result<()> {
        match &mut self.changes_left {
            Some(0) => Err(io::Error::other("this process is dead")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&mut self, operation: Operation) -> io::Result<()> {
        const EIO: i32 = 5;
        if operation != Operation::Read {
            self.change()?;
        }
        let mut due = None;
        for (index, fault) in self.faults.iter_mut().enumerate() {
            if fault.operation == operation {
                match fault.after.checked_sub(1) {
                    Some(left) => fault.after = left,
                    None => due = Some(index),
                }
            }
        }
        match due {
            Some(index) => {
                self.faults.remove(index);
                Err(io::Error::from_raw_os_error(EIO))
            }
            None => Ok(()),
        }
    }

    /// How many of `wanted` more bytes fit.
    fn room(&self, wanted: u64) -> u64 {
        match self.capacity_bytes {
            Some(capacity) => wanted.min(capacity.saturating_sub(self.used_bytes())),
            None => wanted,
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = lock(&self.state);
        let inode = match (state.names.file(path), mode) {
            (Ok(inode), OpenMode::Truncate) => {
                state.files.get_mut(&inode).expect("a named file").set_len(0);
                inode
            }
            (Ok(inode), _) => inode,
            (Err(error), OpenMode::Existing) => return Err(error),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            (Err(_), _) => {
                state.change()?;
                let inode = state.names.create(path, false)?;
                state.files.insert(inode, FileState::default());
                inode
            }
        };
        let incarnation = state.incarnation;
        Ok(Arc::new(SimFile { state: self.state.clone(), inode, incarnation }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        match state.names.dir(path) {
            Ok(_) => Ok(()),
            Err(_) => state.names.create(path, true).map(drop),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        lock(&self.state).names.list(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let state = lock(&self.state);
        let inode = state.names.file(path)?;
        Ok(state.files[&inode].contents().len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.change()?;
        state.names.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.names.file(path)?;
        state.change()?;
        state.names.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !state.names.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.names.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.check(Operation::Sync)?;
        state.syncs += 1;
        state.names.sync(path)
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.check(Operation::Sync)?;
        state.syncs += 1;
        state.names.sync_all();
        state.files.values_mut().for_each(FileState::sync);
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(lock(&self.state).room(u64::MAX))
    }
}

impl SimFile {
    fn state(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        if state.incarnation != self.incarnation {
            return Err(io::Error::other("this process is dead"));
        }
        state.check(operation)?;
        Ok(state)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut state = self.state(Operation::Read)?;
        let contents = state.files[&self.inode].contents();
        let start = contents.len().min(offset as usize);
        let end = contents.len().min(start.saturating_add(len));
        let bytes = Bytes::copy_from_slice(&contents[start..end]);
        state.bytes_read += bytes.len() as u64;
        Ok(bytes)
    }

    fn is_cached(&self, _offset: u64, _len: usize) -> bool {
        lock(&self.state).cached.as_mut().is_none_or(Random::coin)
    }

    fn write_at(&self, offset: u64, chunks: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut state = self.state(Operation::Write)?;
        let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        let len = state.files[&self.inode].contents().len() as u64;
        let growth = (offset + bytes.len() as u64).saturating_sub(len);
        let missing = growth - state.room(growth);
        let fitting = bytes.len() - missing.min(bytes.len() as u64) as usize;
        state.files.get_mut(&self.inode).expect("an open file").write(offset, &bytes[..fitting]);
        match missing {
            0 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state(Operation::Sync)?;
        state.syncs += 1;
        state.files.get_mut(&self.inode).expect("an open file").sync();
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.state(Operation::Read)?.files[&self.inode].contents().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state(Operation::Write)?;
        state.files.get_mut(&self.inode).expect("an open file").set_len(len);
        Ok(())
    }
}

/// splitmix64: the same seed, the same crash.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}
