//! Generates the messages from the schemas in `proto/kafka/`.

#[path = "build/emit/mod.rs"]
mod emit;
#[path = "build/parse.rs"]
mod parse;
#[path = "build/schema.rs"]
mod schema;

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let schemas = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../proto/kafka");
    println!("cargo::rerun-if-changed={}", schemas.display());
    println!("cargo::rerun-if-changed=build");
    let mut paths: Vec<PathBuf> = fs::read_dir(&schemas)
        .expect("proto/kafka can be listed")
        .map(|entry| entry.expect("proto/kafka can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "schema"))
        .collect();
    paths.sort();
    let mut files: Vec<schema::File> = paths
        .iter()
        .map(|path| parse::parse(&path.to_string_lossy(), &fs::read_to_string(path).expect("a schema can be read")))
        .collect();
    files.sort_by_key(|file| file.api.as_ref().map_or(i16::MAX, |api| api.key));

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("messages.rs"), emit::messages(&files)).expect("OUT_DIR is writable");
    fs::write(out.join("api_keys.rs"), emit::api_keys(&files)).expect("OUT_DIR is writable");
}
