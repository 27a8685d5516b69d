//! nginx, which writes down how many bytes every request took.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Result, bail};

use super::peers::Peers;

/// nginx with a folder, until it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    log: PathBuf,
}

impl Server {
    /// Serves `folder`, which is below the peers' tree.
    pub(super) fn start(peers: &Peers, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        drop(listener);
        let (log, config) = (peers.work.join("access.log"), peers.work.join("nginx.conf"));
        let _ = fs_err::remove_file(&log);
        fs_err::write(
            &config,
            format!(
                "daemon off; user root; worker_processes 1; pid /bench/nginx.pid; error_log stderr;\nevents {{}}\n\
                 http {{ log_format bytes '$request_length $bytes_sent'; access_log {} bytes;\n\
                 server {{ listen {address}; root {}; }} }}\n",
                peers.inside(&log),
                peers.inside(folder)
            ),
        )?;
        let config = peers.inside(&config);
        let child = peers.command("nginx").args(["-e", "stderr", "-c"]).arg(config).into_inner().spawn()?;
        let server = Server { child, url: format!("http://{address}"), log };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer on {address}")
    }

    /// Ends the server and returns bytes, in both directions, and requests.
    pub(super) fn finish(mut self) -> Result<(u64, u64)> {
        self.stop();
        let log = fs_err::read_to_string(&self.log)?;
        let numbers =
            log.lines().map(|line| line.split(' ').filter_map(|n| n.parse::<u64>().ok()).sum::<u64>());
        // The connections that asked whether it is there have no request.
        let numbers: Vec<u64> = numbers.filter(|bytes| *bytes > 0).collect();
        Ok((numbers.iter().sum(), numbers.len() as u64))
    }

    fn stop(&mut self) {
        // nginx ends in order, and writes its log, on SIGTERM; the wrapper is the same process.
        if let Ok(pid) = i32::try_from(self.child.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
