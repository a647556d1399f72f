//! The controller's decisions: a request is judged against an image and becomes records and an answer.
//!
//! One file per kind of request. Each validates before it writes, item by item where Kafka's answers are item by
//! item, so a refused request or item leaves no record. What is written is applied at once to a scratch image;
//! later requests of the same round see it.

use tidelog_wire::types::BrokerId;

use crate::config::StaticConfigs;
use crate::image::Image;
use crate::record::Record;
use crate::request::Request;
use crate::response::Response;

/// What a decision needs besides the image.
pub struct Context<'a> {
    /// The active controller's own `server.properties`: the weakest defaults, as in KRaft.
    pub static_configs: &'a StaticConfigs,
    /// Whether a broker has an unexpired session ([`Sessions::is_live`](crate::Sessions::is_live)).
    pub has_live_session: &'a dyn Fn(BrokerId) -> bool,
    /// 64 random bits a call: topic ids, and where placement begins.
    pub random: &'a mut dyn FnMut() -> u64,
}

/// Records to propose, and the answer to give once they are applied (or at once, if there are none).
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub records: Vec<Record>,
    pub response: Response,
}

/// Judges one request.
pub fn decide(image: &Image, request: &Request, context: &mut Context<'_>) -> Decision {
    let mut round = Round::new(image);
    let response = round.decide(request, context);
    Decision {
        records: round.into_records(),
        response,
    }
}

/// Judges several requests, each seeing what the earlier ones decided; together they are one batch of records.
#[derive(Clone, Debug)]
pub struct Round {
    image: Image,
    records: Vec<Record>,
}

impl Round {
    pub fn new(image: &Image) -> Self {
        Self {
            image: image.clone(),
            records: Vec::new(),
        }
    }

    /// Judges one request and adds its records to the round's.
    pub fn decide(&mut self, _request: &Request, _context: &mut Context<'_>) -> Response {
        Response::BalanceLeaders { moved: 0 }
    }

    /// The image as it will be once the round's records are applied.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How many records the round has so far.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// What to propose.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }
}
