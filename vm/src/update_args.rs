//! The part of the command line for trying updates: a server with releases, and what goes wrong.

use std::path::PathBuf;
use std::time::Duration;

use crate::moment::{Moment, parse_duration};
use crate::options::Options;
use crate::web::Web;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Updates and failures")]
pub(crate) struct UpdateArgs {
    /// Serve DIR to the guest with nginx, at http://10.0.2.100 (with --cloud hetzner: http://169.254.169.100)
    #[arg(long, value_name = "DIR")]
    serve: Option<PathBuf>,

    /// Log the guest's requests to FILE
    #[arg(long, value_name = "FILE", requires = "serve")]
    serve_log: Option<PathBuf>,

    /// Bytes a second that a connection gets, such as 100K
    #[arg(long, value_name = "SIZE", value_parser = twinhull_sysutil::size::parse, requires = "serve")]
    serve_rate: Option<u64>,

    /// Add a line to the `server` block of nginx's configuration, such as `max_ranges 0;` (repeatable)
    #[arg(long, value_name = "DIRECTIVE", requires = "serve")]
    serve_directive: Vec<String>,

    /// The command that is nginx, for --serve; words are separated by white space
    #[arg(long, value_name = "COMMAND", env = "TWINHULL_NGINX", hide_env_values = true)]
    nginx: Option<String>,

    /// Cut the guest's power after a time, such as 90s, or when a line of the serial console has TEXT in it, and end
    /// with status 125
    #[arg(long, value_name = "TIME|TEXT")]
    kill_after: Option<Moment>,

    /// Cut the power so long after that moment, such as 1.5s
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "kill_after")]
    kill_delay: Option<Duration>,

    /// Fill the guest's /var before its services start, but for SIZE, such as 0 or 10M; the file is /var/runvm-fill
    #[arg(long, value_name = "SIZE", value_parser = twinhull_sysutil::size::parse)]
    fill_disk: Option<u64>,

    /// Pull the guest's network cable out after a time, or when a line of the serial console has TEXT in it
    #[arg(long, value_name = "TIME|TEXT")]
    network_cut: Option<Moment>,

    /// Plug the cable in again so long after it was pulled out
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "network_cut")]
    network_back: Option<Duration>,
}

impl UpdateArgs {
    /// Adds what was said to the guest.
    pub(crate) fn add_to(self, options: &mut Options) {
        let UpdateArgs { serve_log: log, serve_rate: rate, serve_directive: directives, nginx, .. } = self;
        options.web = self.serve.map(|folder| Web { folder, log, rate, directives, nginx });
        options.kill_after = self.kill_after;
        options.kill_delay = self.kill_delay;
        options.fill_disk = self.fill_disk;
        options.network_cut = self.network_cut;
        options.network_back = self.network_back;
    }
}
