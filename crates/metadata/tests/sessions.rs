//! When is a broker dead?

use tidelog_metadata::SessionEvent::*;
use tidelog_metadata::SessionVerdict::*;
use tidelog_metadata::{BrokerIdentity, SessionOptions, Sessions};
use tidelog_wire::types::*;

const A: BrokerIdentity = BrokerIdentity { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(10) };
const A_REBORN: BrokerIdentity = BrokerIdentity { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(20) };
const B: BrokerIdentity = BrokerIdentity { broker_id: BrokerId(2), broker_epoch: BrokerEpoch(11) };

fn open(now_ms: i64) -> Sessions {
    let mut sessions = Sessions::new(SessionOptions::default());
    assert_eq!(sessions.on_event(StreamOpened(A), now_ms), None);
    sessions
}

#[test]
fn silence_fences_after_the_session_timeout() {
    let mut sessions = open(0);
    assert_eq!(sessions.on_event(Heartbeat { broker: A, stalled_ms: 0 }, 300), None);
    assert_eq!(sessions.next_deadline_ms(), Some(1800));
    assert_eq!(sessions.tick(1799), []);
    assert!(sessions.is_live(A.broker_id, 1799));
    assert_eq!(sessions.tick(1800), [Fence(A)]);
    assert_eq!(sessions.tick(5000), [], "a verdict is given once");
    assert_eq!(sessions.next_deadline_ms(), None);
}

#[test]
fn a_controller_that_stood_still_fences_nobody_for_its_own_silence() {
    let mut sessions = open(0);
    sessions.on_event(StreamOpened(B), 200);
    // It was due at 1500.
    assert_eq!(sessions.tick(9000), []);
    // The brokers have given up the streams meanwhile, and dial.
    assert_eq!(sessions.on_event(StreamEnded(A), 9001), None);
    assert_eq!(sessions.on_event(StreamEnded(B), 9001), None);
    assert_eq!(sessions.tick(9201), []);
    sessions.on_event(StreamOpened(A), 9700);
    assert_eq!(sessions.tick(10_500), [Fence(B)], "which did not come back");
    assert_eq!(sessions.tick(11_200), [Fence(A)]);
}

/// On a machine with too much to do, somebody has to be dead at last.
#[test]
fn a_controller_that_is_always_late_puts_each_end_off_once() {
    let mut sessions = open(0);
    assert_eq!(sessions.tick(1700), []);
    assert_eq!(sessions.next_deadline_ms(), Some(1900));
    assert_eq!(sessions.tick(2100), [Fence(A)]);
}

#[test]
fn what_waited_while_the_controller_stood_still_may_come_before_the_deadlines() {
    let mut sessions = open(0);
    sessions.on_event(StreamOpened(B), 200);
    assert_eq!(sessions.on_event(StreamEnded(A), 9000), None);
    assert_eq!(sessions.tick(9200), []);
    assert_eq!(sessions.on_event(ProbeRefused(A), 9201), Some(Fence(A)));
    assert_eq!(sessions.tick(10_500), [Fence(B)]);
}

#[test]
fn an_ended_stream_fences_after_a_grace_unless_it_comes_back() {
    let mut sessions = open(0);
    sessions.on_event(StreamEnded(A), 100);
    assert!(!sessions.is_live(A.broker_id, 100), "its successor need not wait");
    assert_eq!(sessions.tick(299), []);
    sessions.on_event(StreamOpened(A), 299);
    assert_eq!(sessions.tick(300), []);
    sessions.on_event(StreamEnded(A), 400);
    assert_eq!(sessions.tick(600), [Fence(A)]);
}

#[test]
fn the_end_of_an_old_stream_is_nothing_while_a_newer_one_is_open() {
    let mut sessions = open(0);
    sessions.on_event(StreamOpened(A), 100);
    sessions.on_event(StreamEnded(A), 101);
    assert!(sessions.is_live(A.broker_id, 101));
    assert_eq!(sessions.on_event(ProbeRefused(A), 102), None);
    assert_eq!(sessions.tick(399), []);
    sessions.on_event(StreamEnded(A), 400);
    assert_eq!(sessions.tick(600), [Fence(A)]);
}

#[test]
fn the_grace_does_not_prolong_a_session() {
    let mut sessions = open(0);
    sessions.on_event(StreamEnded(A), 1450);
    assert_eq!(sessions.tick(1500), [Fence(A)]);
}

#[test]
fn a_refused_probe_ends_the_grace_but_not_an_open_stream() {
    let mut sessions = open(0);
    assert_eq!(sessions.on_event(ProbeRefused(A), 10), None);
    sessions.on_event(StreamEnded(A), 20);
    assert_eq!(sessions.on_event(ProbeRefused(A), 25), Some(Fence(A)));
    assert_eq!(sessions.on_event(ProbeRefused(A), 26), None);
}

#[test]
fn goodbye_fences_at_once() {
    let mut sessions = open(0);
    assert_eq!(sessions.on_event(Goodbye(A), 5), Some(Fence(A)));
}

#[test]
fn a_stuck_broker_is_demoted_once_and_then_fenced_although_it_speaks() {
    let mut sessions = open(0);
    let beat = |stalled_ms| Heartbeat { broker: A, stalled_ms };
    assert_eq!(sessions.on_event(beat(1000), 300), None);
    assert!(sessions.is_healthy(A, 300));
    assert_eq!(sessions.on_event(beat(1001), 600), Some(Demote(A)));
    assert_eq!(sessions.on_event(beat(1300), 900), None);
    assert!(!sessions.is_healthy(A, 900));
    assert_eq!(sessions.on_event(beat(1501), 1200), Some(Fence(A)));
    assert_eq!(sessions.on_event(beat(1800), 1500), None);
    assert!(!sessions.is_healthy(A, 1500), "it stays fenced while it is stuck");
    assert_eq!(sessions.on_event(beat(0), 1800), None);
    assert!(sessions.is_healthy(A, 1800));
}

#[test]
fn a_new_controller_gives_the_dead_less_time_than_the_silent() {
    let mut sessions = Sessions::take_over(SessionOptions::default(), [(A, true), (B, false)], 1000);
    assert_eq!(sessions.tick(1249), []);
    assert_eq!(sessions.tick(1250), [Fence(A)]);
    assert!(!sessions.is_live(B.broker_id, 1251), "not heard of yet");
    sessions.on_event(StreamOpened(B), 2400);
    assert_eq!(sessions.tick(2500), []);
    assert_eq!(sessions.tick(3900), [Fence(B)]);
}

#[test]
fn a_broker_that_dials_the_new_controller_is_alive() {
    let mut sessions = Sessions::take_over(SessionOptions::default(), [(A, true)], 0);
    sessions.on_event(StreamOpened(A), 200);
    assert_eq!(sessions.tick(250), []);
}

#[test]
fn events_of_an_earlier_incarnation_change_nothing() {
    let mut sessions = open(0);
    sessions.on_event(StreamOpened(A_REBORN), 100);
    for late in
        [StreamEnded(A), ProbeRefused(A), Goodbye(A), StreamOpened(A), Heartbeat { broker: A, stalled_ms: 9999 }]
    {
        assert_eq!(sessions.on_event(late, 150), None);
    }
    assert!(sessions.is_healthy(A_REBORN, 150));
    assert!(!sessions.is_healthy(A, 150));
    assert_eq!(sessions.next_deadline_ms(), Some(1600));
    sessions.registered(A);
    assert_eq!(sessions.next_deadline_ms(), Some(1600));
    sessions.registered(BrokerIdentity { broker_epoch: BrokerEpoch(30), ..A });
    assert_eq!(sessions.next_deadline_ms(), None);
}

/// The broker asked twice, and had the first answer when the second was decided.
#[test]
fn a_registration_that_is_answered_again_leaves_the_session_it_led_to() {
    let mut sessions = open(0);
    sessions.registered(A);
    sessions.on_event(StreamEnded(A), 100);
    assert_eq!(sessions.tick(300), [Fence(A)], "nobody would ever notice that it is dead");
}
