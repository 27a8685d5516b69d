//! Connections from a port below 1024: Scaleway shows user data to nobody else, as proof that root asks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport};

use crate::clock::random;

/// Makes such connections.
#[derive(Debug)]
pub(super) struct Connector;

impl ureq::unversioned::transport::Connector for Connector {
    type Out = LowPort;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<LowPort>, ureq::Error> {
        let time = details.timeout.not_zero().map_or(Duration::from_secs(5), |t| *t);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &details.addrs {
            match connect(*address, time) {
                Ok(stream) => {
                    let config = details.config;
                    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(LowPort { stream, buffers }));
                }
                Err(error) => last = error,
            }
        }
        Err(ureq::Error::Io(last))
    }
}

/// A connected socket.
///
/// The port is a random one, as those used lately are still taken on the other side.
fn connect(to: SocketAddr, time: Duration) -> io::Result<TcpStream> {
    let (family, any): (_, IpAddr) = match to {
        SocketAddr::V4(_) => (AddressFamily::INET, Ipv4Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => (AddressFamily::INET6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..8 {
        let mut chance = [0; 2];
        random(&mut chance)?;
        let port = 512 + u16::from_le_bytes(chance) % 512;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // For Linux, the time a connection may take as well.
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(time))?;
        match rustix::net::bind(&socket, &SocketAddr::new(any, port)) {
            Err(rustix::io::Errno::ADDRINUSE) => continue,
            other => other?,
        }
        match rustix::net::connect(&socket, &to) {
            Ok(()) => return Ok(TcpStream::from(socket)),
            Err(error @ (rustix::io::Errno::ADDRINUSE | rustix::io::Errno::ADDRNOTAVAIL)) => {
                last = error.into()
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

/// Such a connection.
pub(super) struct LowPort {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl std::fmt::Debug for LowPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LowPort").finish_non_exhaustive()
    }
}

/// A socket's time-out comes as one of two kinds.
fn timely(error: io::Error, timeout: &NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}

impl Transport for LowPort {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|t| *t))?;
        let bytes = &self.buffers.output()[..amount];
        self.stream.write_all(bytes).map_err(|e| timely(e, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|t| *t))?;
        let got = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|e| timely(e, &timeout))?,
            }
        };
        self.buffers.input_appended(got);
        Ok(got > 0)
    }

    fn is_open(&mut self) -> bool {
        // Never used twice.
        false
    }
}

impl Drop for LowPort {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
