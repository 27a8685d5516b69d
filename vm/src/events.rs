//! What is done to a running guest: its network cable pulled out and plugged in again, its power cut.

use std::time::Duration;

use anyhow::Result;

use crate::moment::{Console, Moment, Watch};
use crate::qemu::Plan;
use crate::qmp;

/// What is still to come.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    plan: &'a Plan<'a>,
    /// Only read when somebody waits for a text.
    console: Option<Console>,
    kill: Watch<'a>,
    kill_at: Option<Duration>,
    network_cut: Watch<'a>,
    network_back: Option<Duration>,
}

impl<'a> Events<'a> {
    /// Looks out for the moments of `plan`.
    pub(crate) fn watch(plan: &'a Plan<'a>) -> Result<Self> {
        let (kill, cut) = (plan.options.kill_after.as_ref(), plan.options.network_cut.as_ref());
        let text = [kill, cut].into_iter().flatten().any(|moment| matches!(moment, Moment::Text(_)));
        Ok(Events {
            plan,
            console: text.then(|| Console::open(&plan.serial)).transpose()?,
            kill: Watch::on(kill),
            kill_at: None,
            network_cut: Watch::on(cut),
            network_back: None,
        })
    }

    /// Does what is due, `elapsed` after the guest's start. True when the power has to be cut.
    pub(crate) fn act(&mut self, elapsed: Duration) -> Result<bool> {
        let news = self.console.as_mut().map(Console::news).transpose()?.unwrap_or_default();
        if self.kill.has_come(elapsed, &news) {
            self.kill_at = Some(elapsed + self.plan.options.kill_delay.unwrap_or_default());
        }
        if self.kill_at.is_some_and(|time| elapsed >= time) {
            return Ok(true);
        }
        if self.network_cut.has_come(elapsed, &news) {
            qmp::set_link(&self.plan.control, false)?;
            eprintln!("runvm: the guest's network cable was pulled out (--network-cut)");
            self.network_back = self.plan.options.network_back.map(|time| elapsed + time);
        }
        if self.network_back.is_some_and(|time| elapsed >= time) {
            qmp::set_link(&self.plan.control, true)?;
            eprintln!("runvm: the guest's network cable is plugged in again (--network-back)");
            self.network_back = None;
        }
        Ok(false)
    }
}
