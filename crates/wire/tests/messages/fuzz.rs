//! One fuzz target per message. An ordinary test run gives each a bounded number of random inputs; under `cargo bolero`
//! coverage leads the search.

use bolero::check;

use crate::codec;
use crate::hostile::decode_bounded;

const INPUTS: usize = 200;
const INPUT_BYTES_MAX: usize = 1 << 10;

/// The first byte chooses the version, the rest is the message.
fn decode_some_version(name: &str, input: &[u8]) {
    let versions = codec(name).versions.clone();
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let count = i16::from(*first) % (versions.end() - versions.start() + 1);
    decode_bounded(name, versions.start() + count, bytes.to_vec());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            #[allow(non_snake_case)]
            fn $name() {
                check!()
                    .with_iterations(INPUTS)
                    .with_max_len(INPUT_BYTES_MAX)
                    .for_each(|input| decode_some_version(stringify!($name), input));
            }
        )*
    };
}
tidelog_wire::for_each_message!(targets);
