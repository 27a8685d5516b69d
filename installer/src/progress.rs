//! Shows how far it is: a bar on a terminal, a line each tenth elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use twinhull_sysutil::size::human;

/// Progress of one disk.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    tenths: u64,
}

impl Progress {
    /// `quiet` shows nothing.
    pub(crate) fn new(quiet: bool) -> Self {
        Progress { bar: None, quiet, tenths: 0 }
    }

    /// Shows that `done` of `total` bytes are done.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        if self.quiet {
            return;
        }
        if !std::io::stderr().is_terminal() {
            let tenths = done.saturating_mul(10) / total.max(1);
            if tenths > self.tenths {
                eprintln!("{} of {}", human(done), human(total));
            }
            self.tenths = tenths;
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            let template = "{wide_bar} {bytes} of {total_bytes}, {eta} left";
            // The template is a constant; a wrong one would only lose the decoration.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position(done);
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
