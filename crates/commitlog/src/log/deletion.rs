//! Files that left a log: renamed at once, removed after `file.delete.delay.ms`.
//!
//! The rename stays visible until the marks that explain the absence are on disk, so that recovery never takes a
//! deleted segment for a lost one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::{Context, with_suffix};
use crate::error::StorageError;
use crate::marks::Marks;
use crate::names;

/// Files that left the log and wait for their end, renamed to `.deleted` (a segment) or `-delete` (a log).
#[derive(Debug)]
pub struct DeletedFiles {
    context: Arc<Context>,
    marks: Arc<Marks>,
    files: Vec<PathBuf>,
    dir: Option<PathBuf>,
    due_ms: i64,
}

impl DeletedFiles {
    /// When `file.delete.delay.ms` is over and [`Self::remove`] is due.
    pub fn due_ms(&self) -> i64 {
        self.due_ms
    }

    /// Removes them from the disk; waits for the device. If this is never called, the next start does it.
    pub fn remove(self) -> Result<(), StorageError> {
        self.marks.sync(&self.context)?;
        for file in &self.files {
            self.context.remove_file(file)?;
        }
        match &self.dir {
            Some(dir) => remove_dir(&self.context, dir),
            None => Ok(()),
        }
    }

    /// `suffix` ends in `.deleted`.
    pub(super) fn hide_files(
        context: &Arc<Context>,
        marks: &Arc<Marks>,
        files: Vec<PathBuf>,
        suffix: &str,
        due_ms: i64,
    ) -> Result<Self, StorageError> {
        let mut hidden = Vec::with_capacity(files.len());
        for file in files {
            let renamed = with_suffix(&file, suffix);
            match context.disk.rename(&file, &renamed) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => {
                    context.changed("rename", &file, result)?;
                    hidden.push(renamed);
                }
            }
        }
        Ok(Self { context: context.clone(), marks: marks.clone(), files: hidden, dir: None, due_ms })
    }
}

/// Renames a log's directory, if it exists. Its mark must have been forgotten.
pub(crate) fn delete_log_dir(
    context: &Arc<Context>,
    marks: &Arc<Marks>,
    dir: &Path,
    unique: u64,
    due_ms: i64,
) -> Result<Option<DeletedFiles>, StorageError> {
    let renamed = with_suffix(dir, &format!(".{unique:016x}{}", names::DELETE_DIR));
    match context.disk.rename(dir, &renamed) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        result => {
            context.changed("rename", dir, result)?;
            let (context, marks) = (context.clone(), marks.clone());
            Ok(Some(DeletedFiles { context, marks, files: Vec::new(), dir: Some(renamed), due_ms }))
        }
    }
}

/// Removes a log's directory with the files in it.
pub(crate) fn remove_dir(context: &Context, dir: &Path) -> Result<(), StorageError> {
    for entry in context.list(dir)? {
        context.remove_file(&dir.join(entry.name))?;
    }
    context.changed("remove", dir, context.disk.remove_dir(dir))
}
