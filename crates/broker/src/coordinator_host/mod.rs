//! Group coordinators: one on each partition of the offsets topic that this broker leads.
//!
//! `tidelog_coordinator` decides, this module gives it a life: it replays the partition's log when a leadership begins
//! ([`load`]), appends what operations decide, once per turn of the shard ([`hosted`]), sends replies when the high
//! watermark has passed what they depend on, and ends the coordinator with its leadership.

mod batches;
mod census;
mod hosted;
mod load;
mod offsets_topic;
mod topics;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tidelog_coordinator::{Caller, Coordinator, Outcome, Response, Topics};
use tidelog_metadata::{ImageDiff, TopicChange};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{ErrorCode, Str, Uuid};

pub(crate) use hosted::{Access, Asking, Hosted};
pub(crate) use offsets_topic::{OFFSETS_TOPIC, creatable, partition_of};

use census::Census;

use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// The coordinators of this broker, by partition.
#[derive(Default)]
pub(crate) struct Coordinators {
    hosted: RefCell<BTreeMap<PartitionIndex, Rc<Hosted>>>,
    /// Somebody has the offsets topic made.
    pub creating: Cell<bool>,
}

impl Coordinators {
    /// Has the group's coordinator run one operation, and waits for its answer to be committed.
    pub(crate) async fn ask(
        shard: &Rc<Shard>,
        group: &str,
        asking: &Asking<'_>,
        operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics, &Caller<'_>) -> Outcome,
    ) -> Result<Response, ErrorCode> {
        let hosted = shard.coordinators.of_group(shard, group)?;
        let answer = hosted.ask(shard, asking, operation)?;
        // A coordinator that ends lets go of its tickets: another one has or will have the group.
        answer.await.map_err(|_| ErrorCode::NOT_COORDINATOR)
    }

    /// Has every coordinator of this broker run one operation.
    pub(crate) async fn ask_all(
        shard: &Rc<Shard>,
        asking: &Asking<'_>,
        operation: impl Fn(&mut Coordinator, i64, &dyn Topics, &Caller<'_>) -> Outcome,
    ) -> Vec<Result<Response, ErrorCode>> {
        let answers: Vec<_> =
            shard.coordinators.all().iter().map(|hosted| hosted.ask(shard, asking, &operation)).collect();
        let mut all = Vec::with_capacity(answers.len());
        for answer in answers {
            all.push(match answer {
                Ok(answer) => answer.await.map_err(|_| ErrorCode::NOT_COORDINATOR),
                Err(code) => Err(code),
            });
        }
        all
    }

    fn of_group(&self, shard: &Shard, group: &str) -> Result<Rc<Hosted>, ErrorCode> {
        let index = partition_of(&shard.image(), group).ok_or(ErrorCode::NOT_COORDINATOR)?;
        self.hosted.borrow().get(&index).cloned().ok_or(ErrorCode::NOT_COORDINATOR)
    }

    fn all(&self) -> Vec<Rc<Hosted>> {
        self.hosted.borrow().values().cloned().collect()
    }

    /// Counts the groups of all coordinators that run.
    pub(crate) fn census(&self, shard: &Shard) -> Census {
        let mut census = Census::default();
        let image = shard.image();
        for hosted in self.all() {
            hosted.look(|coordinator| census.add(coordinator, &image));
        }
        census
    }

    /// A partition of the offsets topic began or ceased to be led here: its coordinator begins or ends with that.
    pub(crate) fn leadership_changed(&self, shard: &Rc<Shard>, partition: &PartitionHandle) {
        let index = partition.id.index;
        let known = self.hosted.borrow().get(&index).cloned();
        if known.as_ref().is_some_and(|hosted| Rc::ptr_eq(&hosted.partition, partition) && hosted.is_current()) {
            return;
        }
        if let Some(outdated) = known.as_ref().filter(|hosted| !hosted.is_current()) {
            self.hosted.borrow_mut().remove(&index);
            outdated.end(shard);
        }
        let leader_epoch = partition.leader_epoch();
        if partition.leads_in(leader_epoch) {
            let hosted = Hosted::new(Rc::clone(partition), leader_epoch, known.as_deref());
            self.hosted.borrow_mut().insert(index, Rc::clone(&hosted));
            shard.spawn("load of a coordinator", load::load(Rc::clone(shard), hosted));
        }
    }

    /// Topics came, went or grew.
    pub(crate) fn image_changed(&self, shard: &Rc<Shard>, diff: &ImageDiff<'_>) {
        let (mut deleted, mut changed): (Vec<(Str, Uuid)>, Vec<Str>) = Default::default();
        for change in &diff.topics {
            match change {
                TopicChange::Deleted(topic) => deleted.push((topic.name.clone(), topic.id)),
                TopicChange::Created(topic) => changed.push(topic.name.clone()),
                // Leaders and ISRs change often, and are nothing to a group.
                TopicChange::Changed { before, after } if before.partition_count() == after.partition_count() => {}
                TopicChange::Changed { after, .. } => changed.push(after.name.clone()),
            }
        }
        if deleted.is_empty() && changed.is_empty() {
            return;
        }
        for hosted in self.all() {
            if !deleted.is_empty() {
                hosted.act(shard, |coordinator, now_ms, topics| coordinator.topics_deleted(now_ms, topics, &deleted));
            }
            if !changed.is_empty() {
                hosted.act(shard, |coordinator, now_ms, topics| coordinator.topics_changed(now_ms, topics, &changed));
            }
        }
    }
}
