//! Where trees come from: a tar archive, a folder, or a distribution's packages.

pub mod debian;
pub mod dir;
pub mod tar;
