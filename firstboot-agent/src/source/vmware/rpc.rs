//! Asks the hypervisor through `vmware-rpctool` of open-vm-tools: the port behind it is for unsafe code only.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::source::Host;
use crate::yaml::printable;
use crate::{Error, Result};

/// Where images with the package open-vm-tools have the program, in the initrd too.
const PROGRAM: &str = "/usr/bin/vmware-rpctool";

/// How long an answer may take; the hypervisor has it at hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest answer in bytes: 1 MiB in base64, and its line's end. The hypervisor itself hands out less.
const LIMIT: u64 = (4 << 20) / 3 + 4;

/// The value of `guestinfo.KEY`; `None` when it has none, or only what is written over a secret that was read.
///
/// Returns [`Error::Document`] when the hypervisor can't be asked or the answer is no text or too long.
pub(super) fn get(host: &Host<'_>, key: &str) -> Result<Option<String>> {
    let wrong = |problem: String| Error::Document { place: format!("guestinfo.{key}"), problem };
    let mut child = Command::new(host.path(PROGRAM))
        .arg(format!("info-get guestinfo.{key}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| wrong(format!("{PROGRAM} can't be started: {e}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Threads, as a pipe that nobody reads holds the program up; they end when it does.
    let (said, complained, status) = std::thread::scope(|scope| {
        let (said, complained) = (scope.spawn(|| read(stdout)), scope.spawn(|| read(stderr)));
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break Err(format!("{PROGRAM} gave no answer within {} s", PATIENCE.as_secs()));
                }
                Ok(Some(status)) => break Ok(status),
                Err(error) => break Err(error.to_string()),
            }
        };
        (said.join().unwrap_or_default(), complained.join().unwrap_or_default(), status)
    });
    let status = status.map_err(wrong)?;
    if said.len() as u64 > LIMIT {
        return Err(wrong(format!("it has more than {LIMIT} bytes")));
    }
    if !status.success() {
        // The answer itself isn't shown: it may be user data.
        let text = String::from_utf8_lossy(&complained);
        if text.contains("No value found") || said.starts_with(b"No value found") {
            return Ok(None);
        }
        return Err(wrong(format!("{PROGRAM} failed with {status}: {}", printable(text.trim()))));
    }
    let text = String::from_utf8(said)
        .map_err(|_| wrong("it isn't UTF-8 text; say how it is encoded, and encode it".into()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(text.to_owned()).filter(|text| !["", "---"].contains(&text.trim())))
}

/// What comes out of a pipe, and of what is too long so much that it shows.
fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What came before an error is judged by the program's exit status.
        let _ = pipe.take(LIMIT + 1).read_to_end(&mut bytes);
    }
    bytes
}
