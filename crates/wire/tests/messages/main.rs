//! Every message in every version: against the schemas, against another implementation, against hostile bytes.
//!
//! `TIDELOG_FUZZ_ROUNDS=100 cargo test -p tidelog-wire --test messages` runs a hundred times as many
//! cases as an ordinary run; `TIDELOG_FUZZ_SEED` starts from another seed. Each message is also a fuzz target of its own:
//! `cargo bolero test -p tidelog-wire fuzz::FetchRequest` lets libFuzzer search.

mod allocations;
mod bytes_of;
mod fuzz;
mod hostile;
mod oracle;
#[path = "../../build/parse.rs"]
mod parse;
mod random;
mod round_trip;
#[allow(dead_code)]
#[path = "../../build/schema.rs"]
mod schema;
mod versions;

use std::ops::RangeInclusive;
use std::path::Path;

use bytes::Bytes;
use tidelog_wire::messages::*;
use tidelog_wire::{DecodeError, EncodeError, Reader, Schema, Writer};

/// A generated message, without its type.
pub struct Codec {
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    /// Whether the bytes can be decoded.
    pub decode: fn(Bytes, i16) -> bool,
    pub recode: fn(Bytes, i16) -> Result<Recoded, DecodeError>,
}

/// What became of some bytes that could be decoded.
pub struct Recoded {
    pub debug: fn(Bytes, i16) -> String,
    pub encoded: Result<Bytes, EncodeError>,
    pub undecoded_bytes: usize,
}

fn decode<S: Schema>(bytes: Bytes, version: i16) -> bool {
    S::decode(&mut Reader::new(bytes), version).is_ok()
}

fn recode<S: Schema + std::fmt::Debug>(bytes: Bytes, version: i16) -> Result<Recoded, DecodeError> {
    let mut reader = Reader::new(bytes);
    let message = S::decode(&mut reader, version)?;
    let mut writer = Writer::new();
    let encoded = message.encode(&mut writer, version).map(|()| writer.into_bytes());
    Ok(Recoded { debug: debug::<S>, encoded, undecoded_bytes: reader.remaining() })
}

fn debug<S: Schema + std::fmt::Debug>(bytes: Bytes, version: i16) -> String {
    format!("{:?}", S::decode(&mut Reader::new(bytes), version))
}

macro_rules! codecs {
    ($($name:ident)*) => {
        const CODECS: &[Codec] = &[$(Codec {
            name: stringify!($name),
            versions: <$name as Schema>::VERSIONS,
            decode: decode::<$name>,
            recode: recode::<$name>,
        }),*];
    };
}
tidelog_wire::for_each_message!(codecs);

/// The schemas, read again from their source.
pub fn schemas() -> Vec<schema::Message> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/kafka");
    let mut messages = Vec::new();
    for entry in std::fs::read_dir(folder).expect("proto/kafka can be listed") {
        let path = entry.expect("proto/kafka can be listed").path();
        if path.extension().is_some_and(|extension| extension == "schema") {
            let text = std::fs::read_to_string(&path).expect("a schema can be read");
            messages.extend(parse::parse(&path.to_string_lossy(), &text).messages);
        }
    }
    messages.sort_by(|one, other| one.root().name.cmp(&other.root().name));
    messages
}

pub fn codec(name: &str) -> &'static Codec {
    CODECS.iter().find(|codec| codec.name == name).unwrap_or_else(|| panic!("{name} is not generated"))
}

/// How many times a test repeats itself.
pub fn rounds(usual: u64) -> u64 {
    let factor = std::env::var("TIDELOG_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    usual * factor.unwrap_or(1)
}

/// Calls `case` with every message, version and a seed, `usual_rounds` times.
pub fn for_each_version(usual_rounds: u64, mut case: impl FnMut(&schema::Message, i16, &mut random::Random)) {
    let start: u64 = std::env::var("TIDELOG_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for message in &schemas() {
        for version in message.versions.min..=message.versions.max {
            for round in 0..rounds(usual_rounds) {
                case(message, version, &mut random::Random::new(start.wrapping_add(round)));
            }
        }
    }
}

#[test]
fn every_schema_is_generated() {
    let schemas = schemas();
    assert!(schemas.len() > 150, "{} schemas", schemas.len());
    assert_eq!(schemas.len(), CODECS.len());
    for schema in &schemas {
        assert_eq!(codec(&schema.root().name).name, schema.root().name);
    }
}
