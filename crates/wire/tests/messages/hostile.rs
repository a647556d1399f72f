//! Bytes that nobody should send: decoding ends with a value or an error, and stays within its memory.

use bytes::Bytes;

use crate::allocations::peak_during;
use crate::bytes_of::{Style, bytes_of};
use crate::random::Random;
use crate::{codec, for_each_version};

const FREE_BYTES: usize = 1 << 20;
const BYTES_PER_INPUT_BYTE: usize = 8;

/// Decodes under the memory bound; what could be decoded can be encoded again.
pub fn decode_bounded(name: &str, version: i16, bytes: Vec<u8>) -> bool {
    let bytes = Bytes::from(bytes);
    let allowed = bytes.len() * BYTES_PER_INPUT_BYTE + FREE_BYTES;
    let (decoded, peak) = peak_during(|| (codec(name).decode)(bytes.clone(), version));
    assert!(peak <= allowed, "{name} {version}: {peak} bytes for {} of input", bytes.len());
    if !decoded {
        return false;
    }
    let recoded = (codec(name).recode)(bytes, version).expect("was decoded before");
    let encoded = recoded.encoded.unwrap_or_else(|error| panic!("{name} {version}: {error}"));
    // A second pass changes nothing: what the first one dropped (unknown tags, defaults) is gone.
    let again = (codec(name).recode)(encoded.clone(), version).expect("own bytes are decoded");
    assert_eq!(again.encoded, Ok(encoded), "{name} {version}");
    true
}

#[test]
fn random_bytes() {
    for_each_version(20, |message, version, random| {
        let len = random.below(200);
        let small_numbers = random.one_in(2);
        let byte = |random: &mut Random| if small_numbers { random.below(4) as u8 } else { random.next() as u8 };
        let bytes = (0..len).map(|_| byte(random)).collect();
        decode_bounded(&message.root().name, version, bytes);
    });
}

#[test]
fn damaged_messages() {
    let mut decoded = 0;
    for_each_version(20, |message, version, random| {
        let mut bytes = bytes_of(message, version, random, Style::default());
        for _ in 0..1 + random.below(3) {
            damage(&mut bytes, random);
        }
        decoded += u64::from(decode_bounded(&message.root().name, version, bytes));
    });
    assert!(decoded > 100, "damage leaves some messages readable, or it is too crude to test anything");
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        // Lengths and counts that promise far more than there is.
        3 => bytes.splice(at..at, [0x7f, 0xff, 0xff, 0xff]).for_each(drop),
        _ => bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
    }
}

#[test]
fn arrays_of_tiny_elements_stay_within_the_bound() {
    let mut refused = 0;
    for_each_version(1, |message, version, random| {
        if version != message.versions.max && version != message.versions.min {
            return;
        }
        let style = Style { bloat_elements: 20_000, ..Default::default() };
        let bytes = bytes_of(message, version, random, style);
        refused += u64::from(!decode_bounded(&message.root().name, version, bytes));
    });
    assert!(refused > 0, "some of these cost more than eight times their size, or this tests nothing");
}

#[test]
fn a_forged_count_costs_nothing() {
    for_each_version(1, |message, version, _| {
        for start in 0..24 {
            // Whatever is read at `start` as a count, in either form, it is large.
            let mut bytes = vec![0; start];
            bytes.extend([0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
            let bytes = Bytes::from(bytes);
            let (_, peak) = peak_during(|| (codec(&message.root().name).decode)(bytes.clone(), version));
            assert!(peak < 64 << 10, "{} {version}: {peak}", message.root().name);
        }
    });
}
