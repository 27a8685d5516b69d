//! What monitoring sees, in Prometheus' text format: a file for node_exporter's textfile collector, and a socket that
//! answers any HTTP request.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use twinhull_sysutil::atomic;

use super::Shared;
use crate::memory::{self, Memory};
use crate::ops::Ops;
use crate::status::{Live, Phase};

/// How long somebody may take to ask.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of a request that are read.
const REQUEST: u64 = 8 << 10;

/// Where the figures come from.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    image: String,
    version: String,
    built: u64,
    state: PathBuf,
    shared: Shared,
    /// Folder for file and socket.
    runtime: Option<PathBuf>,
}

impl Metrics {
    pub(super) fn new(ops: &Ops, shared: Shared, runtime: Option<&Path>) -> Self {
        Metrics {
            image: ops.machine.image.clone(),
            version: ops.machine.version.clone(),
            built: ops.machine.built,
            state: ops.places.state.clone(),
            shared,
            runtime: runtime.map(Path::to_owned),
        }
    }

    /// All figures.
    fn text(&self) -> String {
        let live: Live = self.shared.get().clone();
        let mut text = String::new();
        let mut metric = |name: &str, help: &str, values: &[(String, String)]| {
            let name = format!("twinhull_update_{name}");
            text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
            for (labels, value) in values {
                text += &format!("{name}{labels} {value}\n");
            }
        };
        let one = |value: String| [(String::new(), value)];
        let labels = format!("{{image=\"{}\",version=\"{}\"}}", escape(&self.image), escape(&self.version));
        metric("info", "What runs.", &[(labels, "1".into())]);
        metric("built_timestamp_seconds", "Time of the running image.", &one(self.built.to_string()));
        let phases = Phase::ALL.map(|phase| {
            (format!("{{phase=\"{}\"}}", phase.name()), u8::from(phase == live.phase).to_string())
        });
        metric("phase", "What the agent is doing.", &phases);
        let next = u8::from(!live.next.is_empty());
        metric("reboot_pending", "Whether another version boots next.", &one(next.to_string()));
        if let Some(last) = Memory::last_check(&self.state) {
            metric(
                "last_check_timestamp_seconds",
                "When the agent looked for a newer version last.",
                &one(last.at.to_string()),
            );
            let good = u8::from(last.problem.is_none());
            metric("last_check_success", "Whether what it found could be believed.", &one(good.to_string()));
        }
        let failed = memory::failures(&self.state).len();
        metric(
            "failed_boots",
            "Boots that were not healthy, as far as they are remembered.",
            &one(failed.to_string()),
        );
        let (bytes, total) = live.progress;
        metric(
            "progress_bytes",
            "Bytes of the present or last update that are in their place.",
            &one(bytes.to_string()),
        );
        metric("progress_total_bytes", "All bytes of the present or last update.", &one(total.to_string()));
        text
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        Ok(atomic::replace(&runtime.join("metrics.prom"), self.text().as_bytes(), 0o644)?)
    }

    /// Answers on a socket from now on.
    pub(super) fn listen(&self) -> Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let path = runtime.join("metrics.sock");
        if path.exists() {
            fs_err::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        let metrics = self.clone();
        std::thread::Builder::new().name("metrics".into()).spawn(move || metrics.serve(&listener))?;
        Ok(())
    }

    /// Answers whoever asks, one after the other.
    fn serve(&self, listener: &UnixListener) {
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(|stream| self.answer(stream)) {
                log::debug!("somebody who asked for metrics went away: {error}");
            }
        }
    }

    fn answer(&self, mut stream: UnixStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = Vec::new();
        let mut byte = [0];
        let mut limited = (&mut stream).take(REQUEST);
        while !request.ends_with(b"\r\n\r\n") && limited.read(&mut byte)? > 0 {
            request.push(byte[0]);
        }
        let text = self.text();
        let length = text.len();
        write!(
            stream,
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\r\n{text}"
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
