//! Which process holds the other end of a connection on this machine.

use std::fs;
use std::io;
use std::net::TcpStream;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

/// Stands for "whichever" in a question to the kernel.
const NO_COOKIE: [u8; 8] = [0xff; 8];
const ANSWER_BYTES_MAX: usize = 4096;

/// The kernel's name (`socket:[inode]`) of the socket at the other end of `stream`; `None` if it is closed already.
///
/// The kernel is asked for this very socket: its table in /proc takes as long to read as there are connections that
/// ended within the last minute, and with tens of thousands of them the network of a test would be slow.
pub(crate) fn name_of_peer(stream: &TcpStream) -> io::Result<Option<String>> {
    let (there, here) = (stream.peer_addr()?, stream.local_addr()?);
    let request = InetRequest {
        family: AF_INET,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: there.port(),
            destination_port: here.port(),
            source_address: there.ip().to_canonical(),
            destination_address: here.ip().to_canonical(),
            interface_id: 0,
            cookie: NO_COOKIE,
        },
    };
    let inode = match ask(request)? {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => socket.header.inode,
        NetlinkPayload::Error(error) if error.to_io().kind() == io::ErrorKind::NotFound => return Ok(None),
        NetlinkPayload::Error(error) => return Err(error.to_io()),
        other => return Err(io::Error::other(format!("the kernel answers {other:?}"))),
    };
    // Nobody holds a socket that only waits for its connection to be forgotten.
    Ok((inode != 0).then(|| format!("socket:[{inode}]")))
}

fn ask(request: InetRequest) -> io::Result<NetlinkPayload<SockDiagMessage>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let kernel = Socket::new(NETLINK_SOCK_DIAG)?;
    kernel.connect(&SocketAddr::new(0, 0))?;
    kernel.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    kernel.recv(&mut answer, 0)?;
    Ok(NetlinkMessage::deserialize(&answer).map_err(io::Error::other)?.payload)
}

/// Whether a process has the socket of this name open.
pub(crate) fn holds(pid: u32, socket: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.to_str() == Some(socket)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process;

    use super::*;

    /// A listener's end and the dialler's.
    fn connected(to: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let dialler = TcpStream::connect((to, port)).expect("connected");
        (listener.accept().expect("accepted").0, dialler)
    }

    #[test]
    fn the_other_end_is_found_while_it_is_open() {
        let (accepted, dialler) = connected("127.0.0.1");
        let name = name_of_peer(&accepted).expect("asked").expect("open");
        assert!(holds(process::id(), &name));
        drop(dialler);
        assert!(name_of_peer(&accepted).expect("asked").is_none_or(|name| !holds(process::id(), &name)));
    }

    /// Java's sockets are IPv6, with IPv4 addresses in them.
    #[test]
    fn an_ipv4_address_in_ipv6_is_found_too() {
        let (accepted, _dialler) = connected("::ffff:127.0.0.1");
        let name = name_of_peer(&accepted).expect("asked").expect("open");
        assert!(holds(process::id(), &name));
    }
}
