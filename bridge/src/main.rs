//! `twinhull-bridge`: `/init` of the bridge. See `twinhull_bridge::init`.

fn main() {
    if std::process::id() != 1 {
        eprintln!("twinhull-bridge is started by the kernel, as the first program of a bridge's initrd");
        std::process::exit(2);
    }
    twinhull_bridge::init::run()
}
