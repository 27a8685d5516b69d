//! Somebody who logs in by SSH while a guest runs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use twinhull_tests::{Ran, run};

use crate::support::Guest;

/// Somebody with a key, on the host.
pub(crate) struct Visitor {
    key: PathBuf,
    /// Port of the host that leads to the guest's SSH.
    pub(crate) port: String,
}

/// In the guest: waits for the visitor and prints as whom they came.
pub(crate) const VISIT: &str = "for i in $(seq 180); do [ -e /tmp/came-in ] && break; sleep 1; done; echo login=$(stat -c %U /tmp/came-in)";

impl Visitor {
    /// A new key in the folder `dir`, and a free port.
    pub(crate) fn new(dir: &Path) -> Self {
        let key = dir.join("key");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f"]).arg(&key))
            .ok();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        Visitor { key, port }
    }

    /// The file with the public key.
    pub(crate) fn public_file(&self) -> String {
        self.key.with_extension("pub").display().to_string()
    }

    /// The line in it.
    pub(crate) fn public(&self) -> String {
        fs_err::read_to_string(self.public_file()).unwrap().trim().to_owned()
    }

    /// Runs `script` and [`VISIT`] in the guest. Meanwhile, logs in as `user` as soon as it can be done.
    pub(crate) fn visits(&self, guest: &Guest, user: &str, script: &str) -> Ran {
        guest.exec_while(&format!("{script}; {VISIT}"), &[(&|| self.logs_in(user), &|| ())])
    }

    /// Whether `user` of the guest can be logged in as, and leaves the mark that [`VISIT`] waits for.
    pub(crate) fn logs_in(&self, user: &str) -> bool {
        let mut ssh = Command::new("ssh");
        for option in
            ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=10"]
        {
            ssh.args(["-o", option]);
        }
        ssh.args(["-p", &self.port, "-i"]).arg(&self.key);
        ssh.args([&format!("{user}@127.0.0.1"), "touch /tmp/came-in"]);
        run(ssh.stdin(Stdio::null())).code == 0
    }
}
