//! QEMU's life: started, looked after, ended, and what has to be said about it.

use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::accel::Chosen;
use crate::events::Events;
use crate::exec::{self, Channel};
use crate::options::{Console, Options};
use crate::process::{Supervised, TICK, tethered};
use crate::qemu::Plan;
use crate::run::{End, Outcome, ended};
use crate::signals::Signals;
use crate::streams::{Complaints, Follower, Terminal, printable, serial_text};
use crate::web;

/// How many lines of the serial log are shown when a command never reported.
const TAIL_LINES: usize = 40;

/// Starts QEMU and stays with it.
pub(crate) fn attend(
    plan: &Plan<'_>,
    channel: Option<Channel>,
    web: Option<&mut web::Server>,
    signals: &Signals,
) -> Result<Outcome> {
    let options = plan.options;
    let interactive = options.console == Console::Interactive;
    fs_err::write(&plan.serial, "")?;
    let terminal = Terminal::keep(interactive);
    if interactive {
        eprintln!(
            "runvm: this is the guest's serial console; Ctrl-A X ends the guest, Ctrl-A H shows more keys"
        );
    }
    let mut command = tethered(&plan.argv()).into_inner();
    if interactive {
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
    } else {
        command.stdin(Stdio::null()).stdout(Stdio::null());
    }
    command.stderr(Stdio::piped());
    let mut follower = Follower::start(&plan.serial, options)?;
    let mut guest = Supervised::start(command, "QEMU")?;
    let stderr = guest.child().stderr.take().context("QEMU has no stderr")?;
    let complaints = Complaints::listen(stderr);

    let waited = wait(plan, &mut guest, channel.as_ref(), web, &complaints, signals);
    complaints.hush();
    guest.stop()?;
    complaints.join();
    drop(terminal);
    follower.stop();
    let (reported, output) = channel.map(Channel::finish).unwrap_or_default();
    let mut outcome = ended(match (waited?, reported) {
        (End::PowerOff | End::Exec | End::Timeout, Some(_)) => End::Exec,
        (End::PowerOff | End::Exec, None) if options.exec.is_some() => End::NoReport,
        (end, _) => end,
    });
    if let (End::Exec, Some(status)) = (outcome.end, reported) {
        outcome.status = status;
    }
    outcome.output = output;
    outcome.serial = serial_text(&plan.serial)?;
    explain(options, &outcome);
    Ok(outcome)
}

/// Says on stderr what the exit status alone does not.
fn explain(options: &Options, outcome: &Outcome) {
    match outcome.end {
        End::Timeout => {
            let seconds = options.timeout.unwrap_or_default().as_secs();
            eprintln!("runvm: the guest was killed after {seconds} s (--timeout)");
        }
        End::PowerCut => eprintln!("runvm: the guest's power was cut (--kill-after)"),
        End::PowerOff | End::Exec if options.kill_after.is_some() => {
            eprintln!("runvm: the guest ended before the moment of --kill-after came")
        }
        End::NoReport => {
            eprintln!("runvm: the guest powered off before the command reported its exit status")
        }
        _ => {}
    }
    let unheard = matches!(outcome.end, End::Timeout | End::NoReport | End::Failed);
    if unheard && options.exec.is_some() {
        let lines: Vec<_> = outcome.serial.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        if tail.is_empty() {
            eprintln!("runvm: the serial console showed nothing");
            return;
        }
        eprintln!("runvm: the last {} lines of the serial console:", tail.len());
        for line in tail {
            eprintln!("{}", printable(line));
        }
    }
}

/// Returns when the guest is gone or has to go.
fn wait(
    plan: &Plan<'_>,
    guest: &mut Supervised,
    channel: Option<&Channel>,
    mut web: Option<&mut web::Server>,
    complaints: &Complaints,
    signals: &Signals,
) -> Result<End> {
    let start = Instant::now();
    let mut reported = None;
    let mut events = Events::watch(plan)?;
    loop {
        if let Some(status) = guest.ended()? {
            return Ok(if status.success() { End::PowerOff } else { failed(status) });
        }
        if let Some(signal) = signals.pending() {
            return Ok(End::Signal(signal));
        }
        if events.act(start.elapsed())? {
            guest.kill()?;
            return Ok(End::PowerCut);
        }
        if let Some(web) = &mut web {
            web.check()?;
        }
        if complaints.kvm_broken() {
            ensure!(
                plan.accel != Chosen::Kvm,
                "KVM gave up on the guest (KVM internal error); try again with --accel tcg"
            );
        }
        if let Some(channel) = channel {
            if let Some(failure) = channel.failure() {
                bail!(failure);
            }
            if reported.is_none() && channel.status().is_some() {
                reported = Some(Instant::now());
            }
        }
        if plan.options.timeout.is_some_and(|timeout| start.elapsed() > timeout) {
            return Ok(End::Timeout);
        }
        if reported.is_some_and(|at| at.elapsed() > exec::POWEROFF_PATIENCE) {
            eprintln!(
                "runvm: the guest has not powered off {} s after the command ended, and is killed",
                exec::POWEROFF_PATIENCE.as_secs()
            );
            return Ok(End::Exec);
        }
        std::thread::sleep(TICK);
    }
}

fn failed(status: ExitStatus) -> End {
    eprintln!("runvm: QEMU failed ({status})");
    End::Failed
}
