//! Appending: validate, stamp, one write per segment touched, then the state that describes it.

use std::io::IoSlice;

use bytes::Bytes;
use tidelog_wire::record_batch::{BatchError, BatchHeader, HEADER_SIZE, TimestampType, batches};
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::Log;
use crate::error::{AppendError, InvalidBatch, ProducerError, StorageError};
use crate::marks::Mark;
use crate::producers::{AppendedBatch, Undo};
use crate::validate::{self, ValidBatch, Validator};

/// What became of one appended batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The time the broker stamped, if the topic is LogAppendTime; -1 otherwise, as in a Produce response.
    pub log_append_time_ms: i64,
    /// The batch was in the log already and nothing was appended: the offsets are those it has there. It is
    /// acknowledged like any other, once the high watermark passes `last_offset`.
    pub duplicate: bool,
}

/// A valid batch with its place in the log, not yet written.
struct Staged {
    header: BatchHeader,
    stamp: [u8; HEADER_SIZE],
    records: Bytes,
    undo: Option<Undo>,
}

/// Batches that go into one segment with one write.
struct Run<'a> {
    headers: &'a [BatchHeader],
    chunks: Vec<IoSlice<'a>>,
    bytes: u64,
}

impl Log {
    /// Judges and appends one client's batch.
    pub fn append_as_leader(
        &mut self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let batch = Validator::default().client_batch(&records, &self.config, now_ms);
        let mut results = self.append_valid(vec![batch], leader_epoch, now_ms);
        results.pop().expect("one batch, one result")
    }

    /// Appends batches that a coordinator of this broker made; see [`Self::append_valid`].
    pub fn append_all_as_leader(
        &mut self,
        batches: &[Bytes],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Vec<Result<Appended, AppendError>> {
        let valid = batches.iter().map(|batch| validate::coordinator_batch(batch, &self.config, now_ms)).collect();
        self.append_valid(valid, leader_epoch, now_ms)
    }

    /// Appends judged batches in order, with one write for all: offsets and leader epoch are set. One result per batch, in
    /// order; a refused batch does not hinder the others. After a storage error every batch that was not written has it.
    pub fn append_valid(
        &mut self,
        batches: Vec<Result<ValidBatch, InvalidBatch>>,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Vec<Result<Appended, AppendError>> {
        if let Err(error) = self.check_leader_append(leader_epoch, now_ms) {
            return vec![Err(error); batches.len()];
        }
        let mut staged = Vec::with_capacity(batches.len());
        let mut end = self.log_end;
        let mut results = Vec::with_capacity(batches.len());
        for batch in batches {
            let outcome = batch.map_err(AppendError::from).and_then(|batch| self.stage(batch, end, leader_epoch));
            results.push(outcome.map(|outcome| match outcome {
                StageOutcome::Duplicate(appended) => appended,
                StageOutcome::New(appended, batch) => {
                    end = batch.header.next_offset();
                    staged.push(*batch);
                    appended
                }
            }));
        }
        if let Err((first_unwritten, error)) = self.write_staged(&mut staged, now_ms) {
            // Latest first, since a producer may have several.
            staged
                .drain(first_unwritten..)
                .rev()
                .filter_map(|lost| lost.undo)
                .for_each(|undo| self.producers.undo(undo));
            // A repetition of a lost batch is lost with it.
            let is_lost = |appended: &Appended| appended.last_offset >= self.log_end;
            for result in results.iter_mut().filter(|result| result.as_ref().is_ok_and(is_lost)) {
                *result = Err(error.clone().into());
            }
        }
        self.snapshot_if_due();
        self.check_order();
        results
    }

    /// Appends whole batches as fetched from the leader, byte for byte, with one write per segment touched. A batch cut
    /// off at the end of `records` is left out, and so is what follows the first segment that could not be written.
    /// Returns the new log end; after an error it is where it was.
    pub fn append_as_follower(&mut self, mut records: Bytes, now_ms: i64) -> Result<Offset, AppendError> {
        self.check_intact()?;
        self.prepare_append(now_ms)?;
        let headers = self.check_replicated(&records)?;
        self.expect_gaps(&headers)?;
        let mut rest = &headers[..];
        while !rest.is_empty() {
            match self.append_replicated_run(rest, &mut records, now_ms) {
                Ok(count) => rest = &rest[count..],
                Err(error) if rest.len() == headers.len() => return Err(error.into()),
                // Whoever fetched them must learn of those that are in the log. The next append tells why it was no more.
                Err(_) => break,
            }
        }
        self.snapshot_if_due();
        self.check_order();
        Ok(self.log_end)
    }

    /// Takes as many batches off `records` as fit into one segment; returns their number.
    fn append_replicated_run(
        &mut self,
        headers: &[BatchHeader],
        records: &mut Bytes,
        now_ms: i64,
    ) -> Result<usize, StorageError> {
        if self.is_roll_due(&headers[0], now_ms) {
            self.roll(now_ms)?;
        }
        let run = &headers[..self.run_len(headers)];
        let bytes: usize = run.iter().map(BatchHeader::size_in_bytes).sum();
        let chunk = records.split_to(bytes);
        let chunks = vec![IoSlice::new(&chunk)];
        self.write_run(Run { headers: run, chunks, bytes: bytes as u64 }, now_ms)?;
        run.iter().for_each(|header| self.producers.update(header));
        Ok(run.len())
    }

    /// The first gap that a leader's compaction left is announced before it is written: recovery takes it for damage
    /// otherwise.
    fn expect_gaps(&mut self, headers: &[BatchHeader]) -> Result<(), StorageError> {
        let mut end = self.log_end;
        let has_gap =
            headers.iter().any(|header| std::mem::replace(&mut end, header.next_offset()) < header.base_offset);
        if has_gap && !self.mark.has_gaps {
            self.mark.has_gaps = true;
            self.marks.set_durably(&self.context, self.mark_key(), self.mark)?;
        }
        Ok(())
    }

    fn check_leader_append(&mut self, leader_epoch: LeaderEpoch, now_ms: i64) -> Result<(), AppendError> {
        self.check_intact()?;
        self.check_epoch(leader_epoch)?;
        self.prepare_append(now_ms)?;
        Ok(())
    }

    /// Gives a batch its place at `base_offset`, unless its producer's state forbids it; nothing is written yet.
    fn stage(
        &mut self,
        batch: ValidBatch,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> Result<StageOutcome, AppendError> {
        let ValidBatch { mut header, records } = batch;
        let stamps_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let stamp_of = |timestamp_ms| if stamps_time { timestamp_ms } else { -1 };
        if header.has_producer_id()
            && let Some(duplicate) = self.check_producer(&header)?
        {
            return Ok(StageOutcome::Duplicate(Appended {
                base_offset: duplicate.base_offset(),
                last_offset: duplicate.last_offset,
                log_append_time_ms: stamp_of(duplicate.timestamp_ms),
                duplicate: true,
            }));
        }
        header.base_offset = base_offset;
        header.partition_leader_epoch = leader_epoch;
        let undo = self.producers.update_undoably(&header);
        let appended = Appended {
            base_offset,
            last_offset: header.last_offset(),
            log_append_time_ms: stamp_of(header.max_timestamp),
            duplicate: false,
        };
        let staged = Staged { header, stamp: header.to_bytes(), records, undo };
        Ok(StageOutcome::New(appended, Box::new(staged)))
    }

    /// Judges by the producer's state. A retry that a snapshot does not know may still be among the last five batches.
    fn check_producer(&mut self, header: &BatchHeader) -> Result<Option<AppendedBatch>, AppendError> {
        let checked = self.producers.check(header);
        if matches!(checked, Err(ProducerError::OutOfOrderSequence { .. })) && self.producers_are_partial {
            self.complete_producers()?;
            return Ok(self.producers.check(header)?);
        }
        Ok(checked?)
    }

    /// Writes all, segment by segment. On an error says from which on nothing was written.
    fn write_staged(&mut self, staged: &mut [Staged], now_ms: i64) -> Result<(), (usize, StorageError)> {
        let headers: Vec<BatchHeader> = staged.iter().map(|batch| batch.header).collect();
        let mut first = 0;
        while first < staged.len() {
            let failed = |error| (first, error);
            if self.is_roll_due(&headers[first], now_ms) {
                self.roll_before(&mut staged[first..], now_ms).map_err(failed)?;
            }
            let count = self.run_len(&headers[first..]);
            let run = &staged[first..first + count];
            let chunks = run.iter().flat_map(|batch| [IoSlice::new(&batch.stamp), IoSlice::new(&batch.records)]);
            let bytes = run.iter().map(|batch| batch.header.size_in_bytes() as u64).sum();
            let run = Run { headers: &headers[first..first + count], chunks: chunks.collect(), bytes };
            self.write_run(run, now_ms).map_err(failed)?;
            first += count;
        }
        Ok(())
    }

    /// The snapshot written by a roll must not know of what comes after it.
    fn roll_before(&mut self, unwritten: &mut [Staged], now_ms: i64) -> Result<(), StorageError> {
        for batch in unwritten.iter_mut().rev() {
            if let Some(undo) = batch.undo.take() {
                self.producers.undo(undo);
            }
        }
        let rolled = self.roll(now_ms);
        for batch in unwritten {
            batch.undo = self.producers.update_undoably(&batch.header);
        }
        rolled
    }

    /// How many of the batches fit into the last segment; at least the first.
    fn run_len(&self, headers: &[BatchHeader]) -> usize {
        let segment_bytes = u64::from(self.config.segment_bytes);
        let first = headers[0].base_offset.min(self.log_end);
        let base_offset = self.segments.last().map_or(first, |segment| segment.base_offset);
        let mut size = self.segments.last().map_or(0, |segment| segment.size_bytes);
        let mut count = 0;
        for header in headers {
            size += header.size_in_bytes() as u64;
            if count > 0 && (size > segment_bytes || !fits_relative(base_offset, header)) {
                break;
            }
            count += 1;
        }
        count
    }

    /// The headers of the whole batches in `records`, each judged against what precedes it.
    fn check_replicated(&self, records: &Bytes) -> Result<Vec<BatchHeader>, AppendError> {
        let mut headers = Vec::new();
        let (mut end, mut epoch) = (self.log_end, self.epochs.latest());
        for cut in batches(records.clone()) {
            let (header, batch) = match cut {
                Err(BatchError::Incomplete { .. }) if !headers.is_empty() => break,
                cut => cut.map_err(InvalidBatch::from)?,
            };
            validate::replicated_batch(&header, &batch)?;
            // The leader may have compacted what lay between.
            let continues = header.base_offset >= end || headers.is_empty() && self.may_begin_with(&header);
            if !continues {
                return Err(AppendError::OutOfOrder { base_offset: header.base_offset, log_end: end });
            }
            if header.partition_leader_epoch < epoch {
                return Err(AppendError::StaleEpoch { epoch: header.partition_leader_epoch, latest: epoch });
            }
            (end, epoch) = (header.next_offset(), header.partition_leader_epoch);
            headers.push(header);
        }
        Ok(headers)
    }

    /// The leader's log may start inside a batch, after DeleteRecords, and it sends whole batches (KAFKA-6975).
    fn may_begin_with(&self, header: &BatchHeader) -> bool {
        self.segments.is_empty() && header.base_offset < self.log_start && header.last_offset() >= self.log_start
    }

    /// Writes batches to the end of the last segment, for which there is room, and takes note of them.
    fn write_run(&mut self, run: Run<'_>, now_ms: i64) -> Result<(), StorageError> {
        self.mark_caching()?;
        // A batch that the log starts in begins the segment as a whole.
        self.ensure_segment(run.headers[0].base_offset.min(self.log_end), now_ms)?;
        let segment = self.segments.last_mut().expect("there is one now");
        let active = self.active.as_mut().expect("it is loaded");
        let file = segment.file(&self.context, &self.dir)?;
        let start = segment.size_bytes;
        // With write.caching nobody waits for a sync, so there is nothing to gain from blocks that exist already.
        let preallocate = (!self.config.write_caching).then_some(u64::from(self.config.segment_bytes));
        let written = active.write(&self.context, &file, start, run.bytes, run.chunks, preallocate)?;
        if let Err(error) = written {
            let path = segment.path(&self.dir, crate::names::LOG);
            let failure = self.context.changed::<()>("write", &path, Err(error)).expect_err("it is an error");
            self.cut_failed_write(&failure)?;
            return Err(failure);
        }
        let mut position = start;
        for header in run.headers {
            active.on_batch(header, position, self.config.index_interval_bytes);
            if header.partition_leader_epoch > self.epochs.latest() {
                self.epochs.assign(header.partition_leader_epoch, header.base_offset.max(self.log_start));
            }
            position += header.size_in_bytes() as u64;
            self.log_end = header.next_offset();
        }
        segment.size_bytes = position;
        self.recent_snapshots.bytes_since += run.bytes;
        self.is_changed = true;
        segment.slot.pin(!self.config.write_caching);
        if active.index.has_block() {
            self.write_index_block();
        }
        Ok(())
    }

    /// With `write.caching` turned off, the mark says otherwise only once all that it spoke of is on disk. A replica that
    /// found it set after a crash appends nothing before it has told the controller.
    fn mark_caching(&mut self) -> Result<(), StorageError> {
        let is_unflushed = self.flush.flushed_end < self.log_end;
        let is_cached = self.config.write_caching || (self.mark.is_cached && is_unflushed);
        let mark = Mark { is_cached, ..self.mark };
        if is_cached && !self.mark.is_cached {
            self.marks.set_durably(&self.context, self.mark_key(), mark)?;
        } else if mark != self.mark {
            self.marks.set(self.mark_key(), mark);
        }
        self.mark = mark;
        Ok(())
    }

    /// After a write that found the disk full: what it left behind must never be taken for batches, not even after a
    /// crash, so the cut is synced.
    fn cut_failed_write(&mut self, failure: &StorageError) -> Result<(), StorageError> {
        if !matches!(failure, StorageError::DiskFull { .. }) {
            return Ok(());
        }
        let segment = self.segments.last().expect("it was written to");
        let active = self.active.as_mut().expect("it was written to");
        let file = segment.file(&self.context, &self.dir)?;
        let path = segment.path(&self.dir, crate::names::LOG);
        self.context.changed("cut", &path, file.set_len(segment.size_bytes))?;
        active.file_bytes = segment.size_bytes;
        self.context.synced(&path, file.sync_data())
    }

    /// Indexes may lag behind: recovery rebuilds them, and closing tries again.
    pub(super) fn write_index_block(&mut self) {
        let segment = self.segments.last().expect("it was written to");
        let active = self.active.as_mut().expect("it was written to");
        if let Err(error) = active.write_index(&self.context, &self.dir, segment) {
            tracing::warn!(log = %self.dir.display(), "index entries stay in memory: {error}");
        }
    }
}

enum StageOutcome {
    Duplicate(Appended),
    New(Appended, Box<Staged>),
}

/// Index entries hold offsets relative to the segment's base in 31 bits.
pub(super) fn fits_relative(base_offset: Offset, header: &BatchHeader) -> bool {
    header.last_offset() - base_offset <= i64::from(i32::MAX)
}
