//! Rust for the schemas: one module a message, and the table of APIs.

mod code;
mod declare;
mod decode;
mod encode;
mod names;

use crate::schema::{File, Kind, Message};
use code::Code;

/// The content of `wire::messages`.
pub fn messages(files: &[File]) -> String {
    let mut code = Code::default();
    for file in files {
        for message in &file.messages {
            module(&mut code, file, message);
        }
    }
    for_each_message(&mut code, files);
    code.text
}

fn module(code: &mut Code, file: &File, message: &Message) {
    let root = &message.root().name;
    let module = names::snake(root);
    code.line(format!("pub use {module}::{root};"));
    code.open(format!("pub mod {module} {{"));
    code.line("use super::*;");
    for (index, each) in message.structs.iter().enumerate() {
        if index == 0 {
            for line in &file.doc {
                code.line(format!("/// {line}"));
            }
        }
        declare::declare(code, message, each);
        code.open(format!("impl Message for {} {{", each.name));
        decode::decode(code, message, each);
        encode::encode(code, message, each);
        code.close("}");
    }
    schema_impl(code, message);
    if let (Kind::Request, Some(api)) = (message.kind, &file.api) {
        code.open(format!("impl Request for {root} {{"));
        code.line(format!("const KEY: ApiKey = ApiKey::{};", api.name));
        code.line(format!("type Response = super::{}Response;", api.name));
        code.close("}");
    }
    code.close("}");
}

fn schema_impl(code: &mut Code, message: &Message) {
    let root = &message.root().name;
    code.open(format!("impl Schema for {root} {{"));
    code.line(format!("const NAME: &'static str = \"{root}\";"));
    let (min, max) = (message.versions.min, message.versions.max);
    code.line(format!("const VERSIONS: RangeInclusive<i16> = {min}..={max};"));
    code.line(format!("const FLEXIBLE_FROM: Option<i16> = {:?};", message.flexible_from));
    code.close("}");
}

/// A macro that hands the names of all messages to another one, for tests that cover every message.
fn for_each_message(code: &mut Code, files: &[File]) {
    let roots = files.iter().flat_map(|file| &file.messages).map(|message| message.root().name.as_str());
    code.line("#[doc(hidden)]");
    code.line("#[macro_export]");
    code.open("macro_rules! for_each_message {");
    code.open("($callback:ident) => {");
    code.line(format!("$callback! {{ {} }}", roots.collect::<Vec<_>>().join(" ")));
    code.close("};");
    code.close("}");
}

/// `ApiKey` and its table.
pub fn api_keys(files: &[File]) -> String {
    let mut code = Code::default();
    code.open("api_keys! {");
    for file in files {
        let Some(api) = &file.api else { continue };
        let Some(request) = file.messages.iter().find(|message| message.kind == Kind::Request) else {
            continue;
        };
        let (min, max) = (request.versions.min, request.versions.max);
        let doc = file.doc.join(" ");
        code.line(format!("{} {} {min} {max} {:?}, {doc:?};", api.name, api.key, request.flexible_from));
    }
    code.close("}");
    code.text
}
