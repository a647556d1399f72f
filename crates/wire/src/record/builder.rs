//! Building of one batch, record by record: a producer's, or a broker's own (markers, coordinator records).

use bytes::Bytes;

use super::RecordHeader;
use crate::Writer;
use crate::codec::{varint_size, varlong_size};
use crate::compression::{Compression, CompressionError};
use crate::record_batch::{Attributes, BatchHeader, HEADER_SIZE, LOG_OVERHEAD, MAGIC, seal};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Collects records into one batch.
///
/// Offsets count up from the base offset, which is 0 as producers send it unless set.
#[derive(Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    records: Writer,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new(Compression::None)
    }
}

impl BatchBuilder {
    pub fn new(compression: Compression) -> Self {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            partition_leader_epoch: LeaderEpoch::NONE,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default().with_compression(compression),
            last_offset_delta: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: -1,
            record_count: 0,
        };
        Self { header, compression, records: Writer::new() }
    }

    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.header.base_offset = offset;
        self
    }

    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.partition_leader_epoch = epoch;
        self
    }

    /// Makes it the batch of an idempotent producer.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional();
        self
    }

    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control();
        self
    }

    pub fn append(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[RecordHeader]) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp_ms;
        }
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp_ms);
        let timestamp_delta = timestamp_ms.wrapping_sub(self.header.base_timestamp);
        let offset_delta = self.header.record_count;
        let headers_size: usize =
            headers.iter().map(|header| field_size(Some(&header.key)) + field_size(header.value.as_deref())).sum();
        let length = 1
            + varlong_size(timestamp_delta)
            + varint_size(offset_delta)
            + field_size(key)
            + field_size(value)
            + varint_size(headers.len() as i32)
            + headers_size;
        let records = &mut self.records;
        records.varint(length as i32);
        records.i8(0);
        records.varlong(timestamp_delta);
        records.varint(offset_delta);
        write_field(records, key);
        write_field(records, value);
        records.varint(headers.len() as i32);
        for header in headers {
            write_field(records, Some(&header.key));
            write_field(records, header.value.as_deref());
        }
        self.header.record_count += 1;
        self.header.last_offset_delta = offset_delta;
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// Size of the batch as it is now, before compression.
    pub fn size_in_bytes(&self) -> usize {
        HEADER_SIZE + self.records.len()
    }

    /// The batch. Panics if there are no records: an empty batch takes no offset and is nothing to send.
    pub fn build(mut self) -> Result<Bytes, CompressionError> {
        assert!(!self.is_empty(), "a batch has records");
        let records = self.records.into_bytes();
        let records = match self.compression {
            Compression::None => records,
            codec => codec.compress(&records)?,
        };
        let size = HEADER_SIZE + records.len();
        self.header.batch_length = (size - LOG_OVERHEAD) as i32;
        let mut batch = Vec::with_capacity(size);
        batch.extend_from_slice(&self.header.to_bytes());
        batch.extend_from_slice(&records);
        seal(&mut batch);
        Ok(Bytes::from(batch))
    }
}

fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint_size(bytes.len() as i32) + bytes.len())
}

fn write_field(writer: &mut Writer, field: Option<&[u8]>) {
    match field {
        None => writer.varint(-1),
        Some(bytes) => {
            writer.varint(bytes.len() as i32);
            writer.raw(bytes);
        }
    }
}
