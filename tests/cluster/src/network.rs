//! The network between the nodes: a TCP proxy in front of each server port, with a gate per direction
//! of each pair of nodes.
//!
//! A closed gate keeps bytes back without closing the connection, as a network that drops packets does;
//! what was kept back flows on when the gate opens. Who dialled is found by the process that owns
//! the other end, so that links can be cut one by one although all nodes share 127.0.0.1.
//! What brokers and what controllers say to each other has gates of its own.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::{sockets, wait};

const IDENTIFY_LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Replication.
    Data,
    /// Raft, sessions, and what brokers ask of the controller.
    Control,
}

/// One direction between two nodes: (sender, receiver).
type Direction = (Plane, i32, i32);

#[derive(Default)]
struct State {
    closed: HashSet<Direction>,
    process_of_node: HashMap<i32, u32>,
}

/// Handle to the gates of all links; clones share them.
#[derive(Clone, Default)]
pub struct Network {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Network {
    /// Serves `node`'s port `target` on `listener` to the other nodes.
    pub fn proxy(&self, node: i32, plane: Plane, listener: TcpListener, target: u16) {
        let network = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let network = network.clone();
                thread::spawn(move || network.serve(stream, node, plane, target));
            }
        });
    }

    /// The process that is `node` from now on.
    pub fn set_process(&self, node: i32, pid: u32) {
        self.change(|state| {
            state.process_of_node.insert(node, pid);
        });
    }

    /// Keeps back everything `from` sends to `to`.
    pub fn close(&self, from: i32, to: i32) {
        [Plane::Data, Plane::Control].into_iter().for_each(|plane| self.close_on(plane, from, to));
    }

    fn close_on(&self, plane: Plane, from: i32, to: i32) {
        self.change(|state| {
            state.closed.insert((plane, from, to));
        });
    }

    pub fn open(&self, from: i32, to: i32) {
        self.change(|state| {
            state.closed.remove(&(Plane::Data, from, to));
            state.closed.remove(&(Plane::Control, from, to));
        });
    }

    /// Cuts the link between two nodes in both directions.
    pub fn cut(&self, one: i32, other: i32) {
        self.close(one, other);
        self.close(other, one);
    }

    /// The same on one plane.
    pub fn cut_on(&self, plane: Plane, one: i32, other: i32) {
        self.close_on(plane, one, other);
        self.close_on(plane, other, one);
    }

    /// Opens all gates.
    pub fn heal(&self) {
        self.change(|state| state.closed.clear());
    }

    fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.shared.0.lock().expect("network state"));
        self.shared.1.notify_all();
    }

    fn wait_open(&self, directions: &[Direction]) {
        let state = self.shared.0.lock().expect("network state");
        let _open = self
            .shared
            .1
            .wait_while(state, |state| directions.iter().any(|d| state.closed.contains(d)))
            .expect("network state");
    }

    fn serve(&self, dialled: TcpStream, to: i32, plane: Plane, target: u16) -> Result<()> {
        let from = self.dialler(&dialled)?;
        self.wait_open(&[(plane, from, to), (plane, to, from)]);
        let upstream = TcpStream::connect(("127.0.0.1", target))?;
        dialled.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        let (network, there, back) = (self.clone(), dialled.try_clone()?, upstream.try_clone()?);
        thread::spawn(move || network.copy(there, back, (plane, from, to)));
        self.copy(upstream, dialled, (plane, to, from));
        Ok(())
    }

    /// Moves bytes one way until either end closes, then closes that way.
    fn copy(&self, mut source: TcpStream, mut sink: TcpStream, direction: Direction) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            self.wait_open(&[direction]);
            if sink.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        self.wait_open(&[direction]);
        // Either end may be gone already.
        let _ = sink.shutdown(Shutdown::Write);
        let _ = source.shutdown(Shutdown::Read);
    }

    /// The node whose process holds the other end of a connection made to us.
    fn dialler(&self, stream: &TcpStream) -> Result<i32> {
        wait::until("the dialling process is known", IDENTIFY_LIMIT, || {
            let Some(socket) = sockets::name_of_peer(stream)? else {
                return Ok(None);
            };
            let nodes: Vec<(i32, u32)> = {
                let state = self.shared.0.lock().expect("network state");
                state.process_of_node.iter().map(|(node, pid)| (*node, *pid)).collect()
            };
            Ok(nodes.into_iter().find(|(_, pid)| sockets::holds(*pid, &socket)).map(|(node, _)| node))
        })
    }
}
