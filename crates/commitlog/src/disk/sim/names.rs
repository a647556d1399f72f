//! The directories of the simulated disk: names now, names on the platter, and the changes between.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path};

use super::{DirEntry, Random};

const ROOT: u64 = 0;

#[derive(Debug)]
pub(super) struct Names {
    dirs: HashMap<u64, Dir>,
    /// In the order they were made.
    pending: Vec<Change>,
    next_inode: u64,
}

#[derive(Debug, Default)]
struct Dir {
    cached: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
}

/// Edits that reach the platter together: directory, name, and what it now names.
#[derive(Debug)]
struct Change(Vec<(u64, String, Option<u64>)>);

impl Default for Names {
    fn default() -> Self {
        Self { dirs: HashMap::from([(ROOT, Dir::default())]), pending: Vec::new(), next_inode: ROOT + 1 }
    }
}

impl Names {
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        let inode = self.resolve(path)?;
        match self.dirs.contains_key(&inode) {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(inode),
        }
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<u64> {
        let inode = self.resolve(path)?;
        match self.dirs.contains_key(&inode) {
            true => Ok(inode),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path, is_dir: bool) -> io::Result<u64> {
        let (parent, name) = self.parent(path)?;
        let inode = self.next_inode;
        self.next_inode += 1;
        if is_dir {
            self.dirs.insert(inode, Dir::default());
        }
        self.change(Change(vec![(parent, name, Some(inode))]));
        Ok(inode)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        self.change(Change(vec![(parent, name, None)]));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.resolve(from)?;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        self.change(Change(vec![(from_dir, from_name, None), (to_dir, to_name, Some(inode))]));
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = &self.dirs[&self.dir(path)?];
        let entry =
            |(name, inode): (&String, &u64)| DirEntry { name: name.clone(), is_dir: self.dirs.contains_key(inode) };
        Ok(dir.cached.iter().map(entry).collect())
    }

    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let synced = self.dir(path)?;
        for change in std::mem::take(&mut self.pending) {
            match change.0.iter().any(|(dir, ..)| *dir == synced) {
                true => self.persist(&change),
                false => self.pending.push(change),
            }
        }
        Ok(())
    }

    pub(super) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.persist(&change);
        }
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            if random.coin() {
                self.persist(&change);
            }
        }
        for dir in self.dirs.values_mut() {
            dir.cached.clone_from(&dir.durable);
        }
    }

    fn change(&mut self, change: Change) {
        for (dir, name, inode) in &change.0 {
            edit(&mut self.dirs.get_mut(dir).expect("a directory").cached, name, *inode);
        }
        self.pending.push(change);
    }

    fn persist(&mut self, Change(edits): &Change) {
        for (dir, name, inode) in edits {
            edit(&mut self.dirs.get_mut(dir).expect("a directory").durable, name, *inode);
        }
    }

    fn resolve(&self, path: &Path) -> io::Result<u64> {
        let mut inode = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            let dir = self.dirs.get(&inode).ok_or(io::ErrorKind::NotADirectory)?;
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            inode = *dir.cached.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    fn parent(&self, path: &Path) -> io::Result<(u64, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.dir(path.parent().unwrap_or(Path::new("")))?;
        Ok((parent, name.to_owned()))
    }
}

fn edit(names: &mut BTreeMap<String, u64>, name: &str, inode: Option<u64>) {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    };
}
