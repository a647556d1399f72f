//! The generated code against the schemas.

use bytes::Bytes;

use crate::bytes_of::{Style, bytes_of};
use crate::{codec, for_each_version};

#[test]
fn what_was_decoded_is_encoded_byte_for_byte() {
    for_each_version(10, |message, version, random| {
        let name = &message.root().name;
        let bytes = Bytes::from(bytes_of(message, version, random, Style::default()));
        let recoded = (codec(name).recode)(bytes.clone(), version);
        let recoded = recoded.unwrap_or_else(|error| panic!("{name} {version}: {error}: {bytes:?}"));
        assert_eq!(recoded.undecoded_bytes, 0, "{name} {version}");
        let value = (recoded.debug)(bytes.clone(), version);
        assert_eq!(recoded.encoded, Ok(bytes), "{name} {version}: {value}");
    });
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    for_each_version(2, |message, version, random| {
        let name = &message.root().name;
        let seed = random.next();
        let bytes = |with_unknown_tags| {
            let mut random = crate::random::Random::new(seed);
            let style = Style { with_unknown_tags, ..Default::default() };
            Bytes::from(bytes_of(message, version, &mut random, style))
        };
        let recoded = (codec(name).recode)(bytes(true), version);
        let recoded = recoded.unwrap_or_else(|error| panic!("{name} {version}: {error}"));
        assert_eq!(recoded.undecoded_bytes, 0, "{name} {version}");
        assert_eq!(recoded.encoded, Ok(bytes(false)), "{name} {version}");
    });
}

#[test]
fn other_versions_are_refused() {
    for message in crate::schemas() {
        for version in [message.versions.min - 1, message.versions.max + 1, i16::MIN, i16::MAX] {
            let recoded = (codec(&message.root().name).recode)(Bytes::from(vec![0; 64]), version);
            let error = recoded.err().map(|error| error.to_string());
            assert_eq!(error, Some(format!("{} has no version {version}", message.root().name)));
        }
    }
}
