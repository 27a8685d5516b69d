//! Shows what a long build is doing: a spinner on a terminal, one line a step elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Where steps are shown.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    terminal: bool,
}

/// A step that is under way.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
    name: String,
    started: Instant,
    print: bool,
}

impl Progress {
    /// `quiet` shows nothing.
    pub fn new(quiet: bool) -> Self {
        Progress { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// Begins a step of unknown length.
    pub fn step(&self, name: &str) -> Step {
        self.begin(name, None)
    }

    /// Begins a step of `total` bytes.
    pub fn bytes(&self, name: &str, total: u64) -> Step {
        self.begin(name, Some(total))
    }

    fn begin(&self, name: &str, total: Option<u64>) -> Step {
        let bar = if self.quiet || !self.terminal {
            ProgressBar::hidden()
        } else {
            let (bar, template) = match total {
                Some(total) => {
                    (ProgressBar::new(total), "{spinner} {prefix:<28} {wide_bar} {bytes}/{total_bytes}")
                }
                None => (ProgressBar::new_spinner(), "{spinner} {prefix:<28} {wide_msg}"),
            };
            // The templates are constants; a wrong one would only lose the decoration.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        };
        bar.set_prefix(name.to_owned());
        Step { bar, name: name.to_owned(), started: Instant::now(), print: !self.quiet }
    }
}

impl Step {
    /// Shows what the step is doing.
    pub fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Shows how many bytes are done.
    pub fn position(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Ends the step with a remark.
    pub fn done(self, remark: &str) {
        self.bar.finish_and_clear();
        if self.print {
            eprintln!("  {:<28} {remark} ({:.1} s)", self.name, self.started.elapsed().as_secs_f64());
        }
    }
}
