//! What it costs to read the records of producers' batches: CPU seconds per GB of records, with `record.validation=full` and
//! with `header`, for each codec.
//!
//! `cargo run --release -p tidelog-commitlog --example validation_speed -- BATCH_BYTES RECORD_BYTES ROUNDS`

use rustix::time::{ClockId, clock_gettime};
use tidelog_commitlog::{LogConfig, RecordValidation, Validator};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;

const NOW_MS: i64 = 1_700_000_000_000;
/// What one measurement reads.
const BYTES: usize = 256 << 20;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [batch_bytes, record_bytes, rounds] = arguments[..] else {
        panic!("usage: validation_speed BATCH_BYTES RECORD_BYTES ROUNDS");
    };
    println!("{:>8} {:>6} {:>12} {:>12} {:>12}", "codec", "ratio", "header s/GB", "full s/GB", "more s/GB");
    for codec in CODECS {
        let mut words = Words(1);
        let mut builder = BatchBuilder::new(codec);
        for _ in 0..(batch_bytes / record_bytes).max(1) {
            builder.append(NOW_MS, None, Some(&words.text(record_bytes)), &[]);
        }
        let plain_bytes = builder.size_in_bytes();
        let batch = builder.build().expect("builds");
        // In turn, so that what else the machine does meets both.
        let (mut header, mut full) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (validation, measured) in [(RecordValidation::Header, &mut header), (RecordValidation::Full, &mut full)]
            {
                let config = LogConfig { record_validation: validation, ..LogConfig::default() };
                let (mut validator, began) = (Validator::default(), cpu_seconds());
                let count = (BYTES / plain_bytes).max(1);
                for _ in 0..count {
                    validator.client_batch(&batch, &config, NOW_MS).expect("is valid");
                }
                measured.push((cpu_seconds() - began) / (count * plain_bytes) as f64 * 1e9);
            }
        }
        let (header, full) = (median(&mut header), median(&mut full));
        let ratio = plain_bytes as f64 / batch.len() as f64;
        println!("{:>8} {ratio:>6.1} {header:>12.3} {full:>12.3} {:>12.3}", codec.name(), full - header);
    }
}

/// Of this thread, so that others' load counts less.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Text of a few hundred different words, which compresses about as well as logs do.
struct Words(u64);

impl Words {
    fn text(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes + 10);
        while text.len() < bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let word = (self.0 % 500).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let letters = word.to_be_bytes().map(|byte| b'a' + byte % 26);
            text.extend_from_slice(&letters[..3 + (word % 6) as usize]);
            text.push(b' ');
        }
        text.truncate(bytes);
        text
    }
}
