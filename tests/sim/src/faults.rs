//! What goes wrong, and how it ends.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::groups::MEMBERS_PER_GROUP;
use crate::world::{CONTROLLER, Event, NodeEvent, World};

/// A broker does not wait longer for its leaderships and ISRs to do without it.
const SHUTDOWN_WAIT_MS: i64 = 8000;

impl World {
    pub(crate) fn fault(&mut self) {
        let Some(every_ms) = self.options.fault_every_ms else { return };
        if self.now_ms > self.options.faults_until_ms {
            return;
        }
        let pause_ms = self.rng.random_range(1..=2 * every_ms);
        self.at(pause_ms, Event::Fault);
        let id = self.rng.random_range(1..=self.nodes.len() as i32);
        match self.rng.random_range(0..100) {
            5..15 | 92..97 if self.options.moves => self.reassign(),
            0..20 => self.crash_and_restart(id, false),
            20..35 => self.crash_and_restart(id, true),
            35..38 => self.crash_all(true),
            38..41 => self.crash_all(false),
            41..50 => self.pause(id),
            50..65 => self.cut_one_way(id),
            65..72 => self.isolate(id),
            72..80 => self.begin_shutdown(id),
            80..86 => self.change_min_isr(),
            86..94 => self.delete_records(id),
            _ => self.lose_disk(id),
        }
    }

    /// In each group one member dies for good, and so does the coordinator that would have missed it: the next one has
    /// only the log to know of it.
    pub(crate) fn lose_members_and_coordinator(&mut self) {
        for member in self.members.iter_mut().step_by(MEMBERS_PER_GROUP as usize) {
            member.is_gone = true;
        }
        let leader = self.controller.image().leader;
        if leader > 0 {
            self.crash_and_restart(leader, false);
        }
    }

    fn restart_later(&mut self, id: i32) {
        // Faster than anybody notices, or slower than the session's timeout.
        let delay_ms =
            if self.rng.random_bool(0.4) { self.rng.random_range(1..20) } else { self.rng.random_range(50..3000) };
        let incarnation = self.node(id).incarnation;
        self.at(delay_ms, Event::Start { id, incarnation });
    }

    fn crash_and_restart(&mut self, id: i32, power_cut: bool) {
        if self.node(id).is_up {
            self.crash(id, power_cut);
            self.restart_later(id);
        }
    }

    /// kill -9 leaves the page cache to the disk; a power cut does not.
    pub fn crash(&mut self, id: i32, power_cut: bool) {
        let broker_epoch = self.node(id).broker_epoch;
        let seed = power_cut.then(|| self.rng.random());
        let node = &mut self.nodes[id as usize - 1];
        let is_unclean = node.log.crash(seed, &mut self.rng);
        node.report_unclean |= is_unclean;
        node.may_lack_records |= is_unclean;
        self.stop(id);
        if self.rng.random_bool(0.5) {
            self.at(200, Event::StreamEnded { id, broker_epoch });
        }
    }

    fn stop(&mut self, id: i32) {
        let index = id as usize - 1;
        let stopped = self.nodes.remove(index).stop();
        self.nodes.insert(index, stopped);
    }

    fn crash_all(&mut self, power_cut: bool) {
        for id in 1..=self.nodes.len() as i32 {
            self.crash_and_restart(id, power_cut);
        }
    }

    fn pause(&mut self, id: i32) {
        let until_ms = self.now_ms + self.rng.random_range(50..4000);
        self.node(id).paused_until_ms = until_ms;
    }

    fn cut(&mut self, from: i32, to: i32, for_ms: i64) {
        self.cut.insert((from, to));
        self.at(for_ms, Event::HealLink { from, to });
    }

    fn cut_one_way(&mut self, from: i32) {
        let to = self.rng.random_range(CONTROLLER..=self.nodes.len() as i32);
        let for_ms = self.rng.random_range(50..5000);
        let (from, to) = if self.rng.random_bool(0.5) { (from, to) } else { (to, from) };
        self.cut(from, to, for_ms);
    }

    fn isolate(&mut self, id: i32) {
        let for_ms = self.rng.random_range(50..5000);
        let with_controller = self.rng.random_bool(0.7);
        for peer in CONTROLLER..=self.nodes.len() as i32 {
            if peer != id && (peer != CONTROLLER || with_controller) {
                self.cut(id, peer, for_ms);
                self.cut(peer, id, for_ms);
            }
        }
    }

    fn begin_shutdown(&mut self, id: i32) {
        let now_ms = self.now_ms;
        let node = self.node(id);
        if node.is_registered && node.stopping_since_ms.is_none() {
            node.stopping_since_ms = Some(now_ms);
            self.node_at(id, 1, NodeEvent::StopCleanly);
        }
    }

    /// Asked again until the controller lets it go; then a little later it stops, everything on disk.
    pub(crate) fn stop_cleanly(&mut self, id: i32) {
        let broker_epoch = self.node(id).broker_epoch;
        let reachable = !self.cut.contains(&(id, CONTROLLER));
        let since_ms = self.node(id).stopping_since_ms.unwrap_or(self.now_ms);
        let force = self.now_ms - since_ms >= SHUTDOWN_WAIT_MS;
        let leads = self.node(id).partition.as_ref().is_some_and(|partition| partition.is_leader());
        let may_stop = reachable && self.controller.shut_down(id, broker_epoch, force);
        if !force && (!may_stop || leads) {
            self.node_at(id, 100, NodeEvent::StopCleanly);
            return;
        }
        let node = &mut self.nodes[id as usize - 1];
        let marker = node.log.close_clean(broker_epoch, &mut self.rng);
        assert_eq!(marker, Some(broker_epoch), "the marker of a clean shutdown");
        self.stop(id);
        self.node(id).stopped_cleanly = marker;
        self.at(5, Event::StreamEnded { id, broker_epoch });
        self.restart_later(id);
    }

    fn change_min_isr(&mut self) {
        let min_isr = self.rng.random_range(1..=self.nodes.len());
        self.lowest_min_isr = self.lowest_min_isr.min(min_isr);
        self.controller.set_min_isr(min_isr);
    }

    /// From all replicas to one and from one to all, on any brokers; sometimes to as many others, sometimes back.
    fn reassign(&mut self) {
        let image = self.controller.image().clone();
        if !image.moving_to.is_empty() && self.rng.random_bool(0.3) {
            self.controller.reassign(None);
            return;
        }
        let present = if image.moving_to.is_empty() { image.replicas.len() } else { image.moving_to.len() };
        let is_narrowed = present == 1 || self.rng.random_bool(0.3);
        let count = if is_narrowed { self.options.replicas } else { 1 };
        let mut target: Vec<i32> = (1..=self.nodes.len() as i32).collect();
        target.shuffle(&mut self.rng);
        target.truncate(count);
        if self.controller.reassign(Some(&target)) {
            self.moves_begun += 1;
        }
    }

    fn delete_records(&mut self, id: i32) {
        // The offsets topic is compacted, and nobody deletes from it.
        let is_kept = self.options.groups;
        let node = self.node(id);
        if is_kept || node.paused_until_ms > 0 {
            return;
        }
        let (start, high_watermark) = (node.log.start(), node.high_watermark);
        let leads = node.partition.as_ref().is_some_and(|partition| partition.check_leader(None).is_ok());
        if leads && start < high_watermark {
            let to = self.rng.random_range(start + 1..=high_watermark);
            self.advance_log_start(id, to);
        }
    }

    /// A disk replaced while nobody looked. Never the last copy: that much a quorum of one cannot promise.
    fn lose_disk(&mut self, id: i32) {
        let image = self.controller.image().clone();
        let is_whole = |other: &&i32| {
            let node = &self.nodes[**other as usize - 1];
            **other != id && !node.may_lack_records && !image.brokers.get(*other).is_some_and(|broker| broker.unclean)
        };
        let others = image.isr.iter().chain(&image.elr).filter(is_whole).count();
        if others == 0 || !self.node(id).is_up || self.options.write_caching {
            return;
        }
        self.wipes += 1;
        self.crash(id, true);
        let node = &mut self.nodes[id as usize - 1];
        node.log.replace_disk(&mut self.rng);
        node.checkpoint = 0;
        node.report_unclean = true;
        node.may_lack_records = true;
        self.restart_later(id);
    }

    /// Ends all faults: what is down comes up, what is paused or cut off comes back.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.options.fault_every_ms = None;
        self.options.fetch_bytes_max = 1 << 20;
        self.options.lost_per_mille = 0;
        self.options.duplicated_per_mille = 0;
        for id in 1..=self.nodes.len() as i32 {
            let now_ms = self.now_ms;
            let node = self.node(id);
            node.paused_until_ms = now_ms;
            if !node.is_up {
                let incarnation = node.incarnation;
                self.at(1, Event::Start { id, incarnation });
            }
        }
    }
}
