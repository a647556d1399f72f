//! Valid wire bytes made from a schema alone, without any of the crate's own codec: what the generated
//! code must read, and must write again byte for byte.

use crate::random::Random;
use crate::schema::{Field, Message, Struct, Type};

/// What values to choose.
#[derive(Clone, Copy, Default)]
pub struct Style {
    /// Adds tagged fields that no schema knows.
    pub with_unknown_tags: bool,
    /// Outermost arrays get this many elements, everything else is as small as it can be.
    pub bloat_elements: usize,
}

pub fn bytes_of(message: &Message, version: i16, random: &mut Random, style: Style) -> Vec<u8> {
    let mut maker = Maker { message, version, random, style, out: Vec::new(), array_depth: 0, in_tag: false };
    maker.structure(message.root());
    maker.out
}

struct Maker<'a> {
    message: &'a Message,
    version: i16,
    random: &'a mut Random,
    style: Style,
    out: Vec<u8>,
    array_depth: usize,
    /// A tagged field is only written if it is not the default.
    in_tag: bool,
}

impl Maker<'_> {
    fn is_flexible(&self) -> bool {
        self.message.is_flexible(self.version)
    }

    fn is_bloating(&self) -> bool {
        self.style.bloat_elements > 0
    }

    fn structure(&mut self, of: &Struct) {
        let version = self.version;
        for field in of.fields.iter().filter(|field| field.tag.is_none() && field.versions.contains(version)) {
            self.field(field);
        }
        if self.is_flexible() {
            self.tagged(of);
        }
    }

    fn tagged(&mut self, of: &Struct) {
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in &of.fields {
            let Some(tag) = field.tag.filter(|_| field.versions.contains(self.version)) else { continue };
            if !self.is_bloating() && self.random.one_in(2) {
                tagged.push((tag, self.aside(|maker| maker.field(field))));
            }
        }
        if self.style.with_unknown_tags {
            tagged.push((77, vec![1, 2, 3]));
            tagged.push((100_000, Vec::new()));
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        self.varint(tagged.len() as u32);
        for (tag, bytes) in tagged {
            self.varint(tag);
            self.varint(bytes.len() as u32);
            self.out.extend(bytes);
        }
    }

    fn aside(&mut self, make: impl FnOnce(&mut Self)) -> Vec<u8> {
        let outer = (std::mem::take(&mut self.out), std::mem::replace(&mut self.in_tag, true));
        make(self);
        self.in_tag = outer.1;
        std::mem::replace(&mut self.out, outer.0)
    }

    fn field(&mut self, field: &Field) {
        let may_be_null = field.nullable.is_some_and(|null| null.contains(self.version));
        let is_null = may_be_null && !self.in_tag && (self.is_bloating() || self.random.one_in(4));
        let flexible = self.is_flexible() && !field.inflexible;
        match &field.of {
            Type::Struct(_) if may_be_null => {
                self.out.push(if is_null { 0xff } else { 1 });
                if !is_null {
                    self.value(&field.of, flexible);
                }
            }
            Type::String | Type::Bytes | Type::Records | Type::Array(_) if is_null => match &field.of {
                _ if flexible => self.out.push(0),
                Type::String => self.out.extend([0xff; 2]),
                _ => self.out.extend([0xff; 4]),
            },
            of => self.value(of, flexible),
        }
    }

    fn value(&mut self, of: &Type, flexible: bool) {
        match of {
            Type::Bool => {
                let value = self.in_tag || self.random.one_in(2);
                self.out.push(value.into());
            }
            Type::Int8 => self.integer(1),
            Type::Int16 | Type::Uint16 | Type::Error => self.integer(2),
            Type::Int32 | Type::Uint32 => self.integer(4),
            Type::Int64 => self.integer(8),
            Type::Float64 => self.out.extend((self.random.below(1000) as f64 / 7.0 + 0.1).to_be_bytes()),
            Type::Uuid => {
                self.integer(8);
                self.integer(8);
            }
            Type::String => self.text(flexible),
            Type::Bytes | Type::Records => {
                let len = self.len(20);
                self.length(len, flexible);
                for _ in 0..len {
                    let byte = self.random.next() as u8;
                    self.out.push(byte);
                }
            }
            Type::Struct(name) => {
                let message = self.message;
                self.structure(message.struct_named(name));
            }
            Type::Array(element) => self.array(element, flexible),
        }
    }

    fn array(&mut self, element: &Type, flexible: bool) {
        let count = match self.style.bloat_elements {
            0 => self.len(4),
            elements if self.array_depth == 0 => elements,
            _ => 0,
        };
        self.length(count, flexible);
        self.array_depth += 1;
        for _ in 0..count {
            self.value(element, flexible);
        }
        self.array_depth -= 1;
    }

    /// Edge values as often as others; never the usual defaults where a default must not stand.
    fn integer(&mut self, size: usize) {
        let value = match self.random.below(6) {
            _ if self.in_tag => self.random.next() | 0x0101_0101_0101_0101 & !(1 << 7),
            0 => 0,
            1 => u64::MAX,
            2 => 1 << (size * 8 - 1),
            3 => (1 << (size * 8 - 1)) - 1,
            _ => self.random.next(),
        };
        let value = if self.in_tag && size < 8 { value & !(1 << 7) | 1 } else { value };
        self.out.extend(&value.to_be_bytes()[8 - size..]);
    }

    fn text(&mut self, flexible: bool) {
        let letters = self.len(12);
        let text: String = (0..letters).map(|_| ['a', 'Z', '-', 'ä', '→', '0'][self.random.below(6)]).collect();
        match flexible {
            true => self.varint(text.len() as u32 + 1),
            false => self.out.extend((text.len() as i16).to_be_bytes()),
        }
        self.out.extend(text.as_bytes());
    }

    fn len(&mut self, bound: usize) -> usize {
        match (self.is_bloating(), self.in_tag) {
            (true, _) => 0,
            (_, true) => 1 + self.random.below(bound - 1),
            _ => self.random.below(bound),
        }
    }

    fn length(&mut self, len: usize, flexible: bool) {
        match flexible {
            true => self.varint(len as u32 + 1),
            false => self.out.extend((len as i32).to_be_bytes()),
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
