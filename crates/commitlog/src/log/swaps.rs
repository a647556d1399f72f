//! What a crash left of a compaction: a `.log.swap` is complete and takes the place of what it was made from; a `.cleaned`
//! is not, and is removed with the other leftovers.

use std::path::Path;

use tidelog_wire::types::Offset;

use super::Log;
use crate::context::{Context, with_suffix};
use crate::disk::OpenMode;
use crate::error::StorageError;
use crate::names;
use crate::segment::{BatchScanner, ScanStep};

/// Finishes what [`Log::finish_cleaning`] began, before anything else looks at the directory.
pub(super) fn finish_swaps(context: &Context, dir: &Path) -> Result<(), StorageError> {
    let entries = match context.disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StorageError::read("list", dir, &error)),
    };
    let swap = |name: &str| match names::parse_segment_file(name) {
        Some((base, names::SWAP_LOG)) => Some(base),
        _ => None,
    };
    let mut bases: Vec<Offset> = entries.iter().filter_map(|entry| swap(&entry.name)).collect();
    bases.sort_unstable();
    let mut taken_in_below = Offset::ZERO;
    for base in bases {
        if base < taken_in_below {
            continue;
        }
        let path = dir.join(names::segment_file(base, names::LOG));
        let swap = with_suffix(&path, names::SWAP);
        let end = end_of(context, &swap, base)?;
        taken_in_below = end;
        for entry in &entries {
            if let Some((old, extension)) = names::parse_segment_file(&entry.name)
                && is_replaced(base, end, old, extension)
            {
                context.remove_file(&dir.join(&entry.name))?;
            }
        }
        // An old index beside the new segment would point anywhere.
        context.sync_dir(dir)?;
        context.changed("rename", &swap, context.disk.rename(&swap, &path))?;
        context.sync_dir(dir)?;
    }
    Ok(())
}

/// Whether a file belongs to what the swapped segment `[base, end)` replaces, another swap included whose new name was
/// lost. The snapshot at its base still holds.
fn is_replaced(base: Offset, end: Offset, old: Offset, extension: &str) -> bool {
    match extension {
        names::INDEX | names::TIME_INDEX => (base..end).contains(&old),
        names::LOG | names::SWAP_LOG | names::SNAPSHOT => old > base && old < end,
        _ => false,
    }
}

/// Where a segment file of the given base offset ends, by its batches' headers.
pub(super) fn end_of(context: &Context, path: &Path, base: Offset) -> Result<Offset, StorageError> {
    let file = context.open(path, OpenMode::Existing)?;
    let read = |error: std::io::Error| StorageError::read("read", path, &error);
    let mut scanner = BatchScanner::of_headers(&*file, 0, file.byte_len().map_err(read)?);
    let mut end = base;
    while let ScanStep::Batch { header, .. } = scanner.step_header().map_err(read)? {
        end = header.next_offset();
    }
    Ok(end)
}

impl Log {
    /// Makes the indexes of segments that lack them, as after a crash in the middle of a swap. On disk when it returns.
    pub(super) fn heal_indexes(&mut self, has_indexes: impl Fn(Offset) -> bool) -> Result<(), StorageError> {
        for index in 0..self.segments.len() {
            let segment = &self.segments[index];
            if segment.size_bytes == 0 || has_indexes(segment.base_offset) {
                continue;
            }
            self.rebuild_index(index, 0)?;
            for extension in [names::INDEX, names::TIME_INDEX] {
                let path = self.segments[index].path(&self.dir, extension);
                let file = self.context.open(&path, OpenMode::Existing)?;
                self.context.synced(&path, file.sync_data())?;
            }
        }
        Ok(())
    }
}
