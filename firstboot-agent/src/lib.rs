//! x
pub mod yaml;
/// x
pub mod cli { /// x
pub fn main() -> std::process::ExitCode { std::process::ExitCode::SUCCESS } }
