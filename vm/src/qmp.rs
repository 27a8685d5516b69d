//! A word with QEMU's machine protocol (QMP): one connection, one command, one answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Name of the socket.
pub(crate) const SOCKET: &str = "qmp.sock";

/// The network of the guest on QEMU's command line.
pub(crate) const NETDEV: &str = "net0";

/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plugs the guest's network cable in or pulls it out.
pub(crate) fn set_link(dir: &Path, up: bool) -> Result<()> {
    command(dir, &json!({"execute": "set_link", "arguments": {"name": NETDEV, "up": up}}))
        .context("QEMU was to change the guest's network link")
}

fn command(dir: &Path, command: &Value) -> Result<()> {
    let socket = UnixStream::connect(dir.join(SOCKET)).context("QEMU's control socket does not answer")?;
    socket.set_read_timeout(Some(PATIENCE)).context("a socket could not be set up")?;
    let mut answers = BufReader::new(socket.try_clone().context("a socket could not be set up")?);
    for command in [&json!({"execute": "qmp_capabilities"}), command] {
        let mut writer = &socket;
        writeln!(writer, "{command}").context("QEMU's control socket takes no command")?;
        answer(&mut answers)?;
    }
    Ok(())
}

/// Reads up to the answer: the greeting and events come before it.
fn answer(answers: &mut BufReader<UnixStream>) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        let got = answers.read_line(&mut line).context("QEMU does not answer on its control socket")?;
        if got == 0 {
            bail!("QEMU closed its control socket");
        }
        let value: Value = serde_json::from_str(&line).context("QEMU answered with no JSON")?;
        if let Some(error) = value.get("error") {
            bail!("QEMU refused: {}", error["desc"].as_str().unwrap_or("it does not say why"));
        }
        if value.get("return").is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn talk(last: &'static str) -> (Result<()>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let qemu = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            writeln!(&stream, r#"{{"QMP": {{}}}}"#).unwrap();
            for answer in [r#"{"return": {}}"#, last] {
                heard.push(lines.next().unwrap().unwrap());
                writeln!(&stream, "{}\n{answer}", json!({"event": "RESET"})).unwrap();
            }
            heard
        });
        (set_link(dir.path(), false), qemu.join().unwrap())
    }

    #[test]
    fn a_command_has_its_answer() {
        let (done, heard) = talk(r#"{"return": {}}"#);
        done.unwrap();
        assert!(heard[0].contains("qmp_capabilities"), "{heard:?}");
        let set: Value = serde_json::from_str(&heard[1]).unwrap();
        assert_eq!(set["arguments"], json!({"name": "net0", "up": false}));
        let (refused, _) = talk(r#"{"error": {"class": "GenericError", "desc": "no such device"}}"#);
        assert!(format!("{:#}", refused.unwrap_err()).contains("no such device"));
    }
}
