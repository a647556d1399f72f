//! The durable marks: per log, how far it was known to be on disk and where it starts. One file per log directory.
//!
//! ```text
//! page 0: magic, version, directory id, CRC      pages 1..: 64 slots of 64 bytes each
//! ```
//! A slot never straddles a sector, so that a torn page leaves every slot old or new. Raised marks are written and
//! synced with the next round ([`Marks::sync`]): a mark that is too low only shrinks the range in which corruption is
//! told from a torn tail. A lowered mark is on disk before anything is cut ([`Marks::lower`]).

mod slot;

use std::collections::{BTreeSet, HashMap};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tidelog_wire::Uuid;
use tidelog_wire::types::PartitionIndex;

use crate::context::Context;
use crate::disk::{DiskFile, OpenMode};
use crate::error::StorageError;
use crate::files::lock;
use crate::names;
use slot::{Header, PAGE_BYTES, SLOT_BYTES, SLOTS_PER_PAGE, Slot, SlotState};

pub(crate) use slot::{Mark, crc32c};

/// The file grows by this many pages of slots at once.
const GROWTH_PAGES: usize = 16;

/// Which log a mark belongs to.
pub(crate) type MarkKey = (Uuid, PartitionIndex);

/// The marks of one log directory. Changes are kept in memory until the next sync.
#[derive(Debug)]
pub(crate) struct Marks {
    state: Mutex<State>,
    /// Held while the file is written, so that an older image never overwrites a newer one.
    file: Mutex<Arc<dyn DiskFile>>,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    by_key: HashMap<MarkKey, usize>,
    free: Vec<usize>,
    dirty_pages: BTreeSet<usize>,
    /// Marks of closed logs, which count once everything was synced.
    closed: Vec<(MarkKey, Mark)>,
    directory_id: Uuid,
    marks_lost: bool,
    is_new: bool,
    is_header_due: bool,
}

/// What reading the file found.
#[derive(Debug, Default)]
pub(crate) struct MarksFound {
    /// A log without a mark may have had one: the file or some slot in it is unreadable.
    pub(crate) may_be_lost: bool,
    /// The file was made since the controller last heard of this directory.
    pub(crate) is_new: bool,
    /// The directory id the file was written for, if it is another one.
    pub(crate) other_directory: Option<Uuid>,
}

impl Marks {
    /// Reads the file, or makes it; with `has_logs`, not to find it is a loss. What is damaged stays on record until
    /// [`Self::forget_damage`].
    pub(crate) fn open(
        context: &Context,
        directory_id: Uuid,
        has_logs: bool,
    ) -> Result<(Self, MarksFound), StorageError> {
        let path = context.path.join(names::MARKS);
        let contents = context.read_file(&path)?;
        let header = contents.as_deref().and_then(Header::parse);
        let mut found = MarksFound::default();
        let mut state = State { directory_id, ..State::default() };
        match (&contents, &header) {
            (Some(contents), Some(header)) => {
                if header.directory_id != directory_id {
                    found.other_directory = Some(header.directory_id);
                    state.directory_id = header.directory_id;
                }
                (state.marks_lost, state.is_new) = (header.marks_lost, header.is_new);
                let damaged_slots = state.load(&contents[PAGE_BYTES.min(contents.len())..]);
                found.may_be_lost = header.marks_lost || damaged_slots > 0;
            }
            _ => {
                (state.marks_lost, state.is_new) = (has_logs, true);
                found.may_be_lost = has_logs;
                state.grow();
            }
        }
        found.is_new = state.is_new;
        let mode = if header.is_some() { OpenMode::Existing } else { OpenMode::Truncate };
        let file = context.open(&path, mode)?;
        let marks = Self { state: Mutex::new(state), file: Mutex::new(file), path };
        if header.is_none() {
            marks.write_header(context)?;
            marks.sync(context)?;
        }
        Ok((marks, found))
    }

    pub(crate) fn get(&self, key: MarkKey) -> Option<Mark> {
        let state = lock(&self.state);
        state.by_key.get(&key).map(|index| state.slots[*index].mark)
    }

    /// The logs of which something was on disk.
    pub(crate) fn with_records(&self) -> Vec<MarkKey> {
        let state = lock(&self.state);
        let marks = state.by_key.iter().map(|(key, index)| (key, &state.slots[*index].mark));
        marks.filter(|(_, mark)| mark.durable_end > mark.log_start).map(|(key, _)| *key).collect()
    }

    /// The controller knows now what became of the logs there were. On disk with the next [`Self::sync`].
    pub(crate) fn set_known(&self) {
        let mut state = lock(&self.state);
        state.is_header_due |= std::mem::take(&mut state.is_new);
    }

    /// In memory; on disk with the next [`Self::sync`].
    pub(crate) fn set(&self, key: MarkKey, mark: Mark) {
        lock(&self.state).set(key, mark);
    }

    /// For [`Self::apply_closed`].
    pub(crate) fn set_at_close(&self, key: MarkKey, mark: Mark) {
        lock(&self.state).closed.push((key, mark));
    }

    /// What the closed logs wrote is on disk now: their marks may say so.
    pub(crate) fn apply_closed(&self) {
        let mut state = lock(&self.state);
        for (key, mark) in std::mem::take(&mut state.closed) {
            state.set(key, mark);
        }
    }

    pub(crate) fn has_closed(&self) -> bool {
        !lock(&self.state).closed.is_empty()
    }

    /// In memory; on disk with the next [`Self::sync`].
    pub(crate) fn forget(&self, key: MarkKey) {
        lock(&self.state).forget(key);
    }

    /// On disk when this returns.
    pub(crate) fn set_durably(&self, context: &Context, key: MarkKey, mark: Mark) -> Result<(), StorageError> {
        self.set(key, mark);
        self.sync(context).map(drop)
    }

    /// Writes and syncs what changed. Returns whether anything had.
    pub(crate) fn sync(&self, context: &Context) -> Result<bool, StorageError> {
        context.check()?;
        if std::mem::take(&mut lock(&self.state).is_header_due) {
            self.write_header(context)?;
        }
        let file = lock(&self.file);
        let pages = lock(&self.state).take_dirty();
        if pages.is_empty() {
            return Ok(false);
        }
        for (page, contents) in &pages {
            let at = ((page + 1) * PAGE_BYTES) as u64;
            let result = file.write_at(at, &mut [IoSlice::new(contents)]);
            if result.is_err() {
                lock(&self.state).dirty_pages.extend(pages.iter().map(|(page, _)| *page));
            }
            context.changed("write", &self.path, result)?;
        }
        context.synced(&self.path, file.sync_data())?;
        Ok(true)
    }

    /// After every log was closed clean: damaged slots are freed and the file belongs to this directory id.
    pub(crate) fn forget_damage(&self, context: &Context, directory_id: Uuid) -> Result<(), StorageError> {
        {
            let mut state = lock(&self.state);
            state.directory_id = directory_id;
            state.marks_lost = false;
            for index in 0..state.slots.len() {
                if state.slots[index].state == SlotState::Damaged {
                    state.release(index);
                }
            }
        }
        self.write_header(context)
    }

    fn write_header(&self, context: &Context) -> Result<(), StorageError> {
        let file = lock(&self.file);
        let header = {
            let state = lock(&self.state);
            Header { directory_id: state.directory_id, marks_lost: state.marks_lost, is_new: state.is_new }
        };
        let page = header.to_page();
        context.changed("write", &self.path, file.write_at(0, &mut [IoSlice::new(&page)]))?;
        context.synced(&self.path, file.sync_data())
    }
}

impl State {
    /// Returns how many slots are damaged.
    fn load(&mut self, contents: &[u8]) -> usize {
        let mut damaged = 0;
        for (index, bytes) in contents.chunks_exact(SLOT_BYTES).enumerate() {
            let slot = Slot::parse(bytes);
            match slot.state {
                SlotState::Used => drop(self.by_key.insert(slot.key, index)),
                SlotState::Free => self.free.push(index),
                SlotState::Damaged => damaged += 1,
            }
            self.slots.push(slot);
        }
        // The lowest first, which keeps used slots together.
        self.free.reverse();
        damaged
    }

    fn grow(&mut self) {
        let first = self.slots.len();
        let count = GROWTH_PAGES * SLOTS_PER_PAGE;
        self.slots.resize(first + count, Slot::FREE);
        self.free.extend((first..first + count).rev());
        self.dirty_pages.extend(first / SLOTS_PER_PAGE..self.slots.len() / SLOTS_PER_PAGE);
    }

    fn set(&mut self, key: MarkKey, mark: Mark) {
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None => self.allocate(key),
        };
        self.slots[index].mark = mark;
        self.dirty_pages.insert(index / SLOTS_PER_PAGE);
    }

    fn allocate(&mut self, key: MarkKey) -> usize {
        if self.free.is_empty() {
            // A file cut in the middle of a page would misplace the new slots.
            self.slots.resize(self.slots.len().next_multiple_of(SLOTS_PER_PAGE), Slot::FREE);
            self.grow();
        }
        let index = self.free.pop().expect("the file just grew");
        self.slots[index] = Slot { state: SlotState::Used, key, mark: Mark::default(), damaged: [0; SLOT_BYTES] };
        self.by_key.insert(key, index);
        index
    }

    fn forget(&mut self, key: MarkKey) {
        if let Some(index) = self.by_key.remove(&key) {
            self.release(index);
        }
    }

    fn release(&mut self, index: usize) {
        self.slots[index] = Slot::FREE;
        self.free.push(index);
        self.dirty_pages.insert(index / SLOTS_PER_PAGE);
    }

    fn take_dirty(&mut self) -> Vec<(usize, Vec<u8>)> {
        let pages = std::mem::take(&mut self.dirty_pages);
        pages.into_iter().map(|page| (page, self.page(page))).collect()
    }

    fn page(&self, page: usize) -> Vec<u8> {
        let mut contents = Vec::with_capacity(PAGE_BYTES);
        let slots = &self.slots[page * SLOTS_PER_PAGE..self.slots.len().min((page + 1) * SLOTS_PER_PAGE)];
        for slot in slots {
            contents.extend_from_slice(&slot.to_bytes());
        }
        contents
    }
}
