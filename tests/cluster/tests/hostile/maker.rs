//! Requests out of the schemas, with values at the borders of what their types can say.

use crate::schema::{Field, Message, Struct, Type};

/// As long as a string can be.
const LONGEST: usize = i16::MAX as usize;

/// What one request may create.
const TOPICS_CREATED_MAX: usize = 10_000;

/// What kind of extreme a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Every number 0, every text and array empty.
    Empty,
    /// As `Empty`, with null wherever that is allowed.
    Null,
    /// The longest text in every place, one element in every array.
    Longest,
    /// The least number in every place.
    Least,
    /// The greatest number in every place.
    Greatest,
    /// A count below zero, and one above all that is there.
    NegativeCount,
    ForgedCount,
    /// So many elements that name what is there, all the same one.
    Equal(usize),
    /// So many that name what is not there, each another.
    Unknown(usize),
    /// The same inside of one element of the outermost arrays.
    EqualInside(usize),
    UnknownInside(usize),
}

/// What is there to be named.
pub struct Existing {
    pub topic: String,
    pub topic_id: [u8; 16],
    pub group: String,
}

pub fn request(message: &Message, version: i16, case: Case, existing: &Existing) -> Vec<u8> {
    let mut maker = Maker { message, version, case, existing, out: Vec::new(), depth: 0, count: 0 };
    maker.structure(message.root());
    maker.out
}

/// Whether the request has arrays at all, and some inside of others.
pub fn has_arrays(message: &Message, version: i16) -> (bool, bool) {
    let is_here = |field: &&Field| field.versions.contains(version) && field.tag.is_none();
    let arrays = |of: &Struct| of.fields.iter().filter(is_here).filter(|f| matches!(f.of, Type::Array(_))).count();
    let outside = arrays(message.root()) > 0;
    (outside, outside && message.structs[1..].iter().any(|inner| arrays(inner) > 0))
}

struct Maker<'a> {
    message: &'a Message,
    version: i16,
    case: Case,
    existing: &'a Existing,
    out: Vec<u8>,
    /// Arrays around the present place.
    depth: usize,
    /// Grows, so that what is unknown is always new.
    count: usize,
}

impl Maker<'_> {
    fn structure(&mut self, of: &Struct) {
        let version = self.version;
        for field in of.fields.iter().filter(|field| field.tag.is_none() && field.versions.contains(version)) {
            self.field(field);
        }
        if self.message.is_flexible(version) {
            self.out.push(0);
        }
    }

    fn field(&mut self, field: &Field) {
        let may_be_null = field.nullable.is_some_and(|null| null.contains(self.version));
        let flexible = self.message.is_flexible(self.version) && !field.inflexible;
        let is_null = may_be_null && (self.case == Case::Null || is_better_absent(&field.name));
        match &field.of {
            Type::Struct(_) if may_be_null => {
                self.out.push(if is_null { 0xff } else { 1 });
                if !is_null {
                    self.value(&field.name, &field.of, flexible);
                }
            }
            Type::String | Type::Bytes | Type::Records | Type::Array(_) if is_null => match &field.of {
                _ if flexible => self.out.push(0),
                Type::String => self.out.extend([0xff; 2]),
                _ => self.out.extend([0xff; 4]),
            },
            of => self.value(&field.name, of, flexible),
        }
    }

    fn value(&mut self, name: &str, of: &Type, flexible: bool) {
        match of {
            Type::Bool => self.out.push(u8::from(self.flag(name))),
            Type::Int8 => self.integer(name, 1),
            Type::Int16 | Type::Uint16 | Type::Error => self.integer(name, 2),
            Type::Int32 | Type::Uint32 => self.integer(name, 4),
            Type::Int64 => self.integer(name, 8),
            Type::Float64 => self.out.extend(f64::NAN.to_be_bytes()),
            Type::Uuid => self.uuid(),
            Type::String => {
                let text = self.text(name);
                self.text_length(text.len(), flexible);
                self.out.extend(text.as_bytes());
            }
            Type::Bytes | Type::Records => {
                let len = if self.case == Case::Longest { LONGEST } else { 0 };
                self.length(len, flexible);
                self.out.resize(self.out.len() + len, 0);
            }
            Type::Struct(inner) => self.structure(self.message.struct_named(inner)),
            Type::Array(element) => self.array(name, element, flexible),
        }
    }

    fn array(&mut self, name: &str, element: &Type, flexible: bool) {
        let count = match self.case {
            Case::Empty | Case::Null => 0,
            Case::NegativeCount if flexible => return self.out.extend([0xff, 0xff, 0xff, 0xff, 0x0f]),
            Case::NegativeCount => return self.out.extend((-2_i32).to_be_bytes()),
            Case::ForgedCount => {
                self.length(i32::MAX as usize - 1, flexible);
                return;
            }
            Case::Equal(count) | Case::Unknown(count) if self.depth == 0 => count,
            Case::EqualInside(count) | Case::UnknownInside(count) if self.depth == 1 => count,
            _ => 1,
        };
        self.length(count, flexible);
        self.depth += 1;
        for _ in 0..count {
            self.count += 1;
            self.value(name, element, flexible);
        }
        self.depth -= 1;
    }

    /// Whether names here are to be those of nothing.
    fn is_unknown(&self) -> bool {
        match self.case {
            Case::Unknown(_) => self.depth >= 1,
            Case::UnknownInside(_) => self.depth >= 2,
            _ => false,
        }
    }

    fn text(&self, name: &str) -> String {
        match self.case {
            Case::Empty | Case::Null | Case::NegativeCount | Case::ForgedCount => String::new(),
            Case::Longest => "x".repeat(LONGEST),
            _ if self.is_unknown() => format!("unknown-{}", self.count),
            _ => match name {
                "group_id" | "groups" | "group_ids" | "groups_names" | "key" | "coordinator_keys" => {
                    self.existing.group.clone()
                }
                "protocol_type" => "consumer".to_owned(),
                // A member or an instance that joins; nobody is one yet.
                "member_id" | "group_instance_id" if self.depth == 0 => String::new(),
                _ => self.existing.topic.clone(),
            },
        }
    }

    fn flag(&self, name: &str) -> bool {
        match (name, self.case) {
            (_, Case::Empty | Case::Null) => false,
            // More than may be created at once: none is. Fewer would be, and are no business of this test.
            ("allow_auto_topic_creation", Case::Unknown(count)) => count > TOPICS_CREATED_MAX,
            _ => true,
        }
    }

    fn uuid(&mut self) {
        let mut id = match self.case {
            Case::Empty | Case::Null => [0; 16],
            Case::Least | Case::Greatest => [0xff; 16],
            _ => self.existing.topic_id,
        };
        if self.is_unknown() {
            id[..8].copy_from_slice(&self.count.to_be_bytes());
        }
        self.out.extend(id);
    }

    fn integer(&mut self, name: &str, size: usize) {
        let value = match (self.case, name) {
            // How long an answer may be kept waiting is the client's own affair.
            (_, "max_wait_ms") => 0,
            (_, "timeout_ms") => 1_000,
            // 0 asks for no answer.
            (Case::Empty | Case::Null, "acks") => 1,
            (Case::Least, _) => i64::MIN >> (64 - size * 8),
            (Case::Greatest, _) => i64::MAX >> (64 - size * 8),
            (Case::Equal(_) | Case::EqualInside(_) | Case::Unknown(_) | Case::UnknownInside(_), name) => {
                self.plausible(name)
            }
            _ => 0,
        };
        self.out.extend(&value.to_be_bytes()[8 - size..]);
    }

    /// A number by which a request gets past the first look at it.
    fn plausible(&self, name: &str) -> i64 {
        match name {
            "acks" | "num_partitions" | "replication_factor" | "count" | "partition_max_bytes" => 1,
            "max_bytes" => 1 << 20,
            "session_timeout_ms" | "rebalance_timeout_ms" => 10_000,
            "replica_id" | "session_epoch" | "generation_id" | "generation_id_or_member_epoch" | "timestamp" => -1,
            "current_leader_epoch" | "broker_id" => -1,
            // A topic.
            "resource_type" => 2,
            "partition" | "partitions" | "partition_index" | "partition_indexes" | "index" if self.is_unknown() => {
                self.count as i64
            }
            _ => 0,
        }
    }

    fn text_length(&mut self, len: usize, flexible: bool) {
        match flexible {
            true => self.varint(len as u32 + 1),
            false => self.out.extend((len as i16).to_be_bytes()),
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

/// What would keep a request from being looked at: transactions are not served.
fn is_better_absent(name: &str) -> bool {
    name == "transactional_id" || name == "group_instance_id" || name == "cursor"
}
