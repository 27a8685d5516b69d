//! units/ is compiled into the builder; a change there must compile it again.

fn main() {
    println!("cargo:rerun-if-changed=../units");
}
