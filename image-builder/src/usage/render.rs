//! Sizes as tables for people.

use std::fmt::Write;

use twinhull_sysutil::size;

use super::{Folder, Named, Report, Size};

/// Rows of each table.
const ROWS: usize = 20;
/// A folder that has less than one part in this many of the whole is not shown.
const SMALL: u64 = 200;

/// The report as text.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "{}  /usr is {}: {} of file data ({} before compression) and {} of metadata",
        report.image,
        size::human(report.length),
        size::human(report.total.stored),
        size::human(report.total.logical),
        size::human(report.metadata)
    );
    let _ = writeln!(out, "\n  stored      logical     part    files   folder");
    folder(&mut out, &report.tree, 0, report.total.stored);
    table(&mut out, "kind of file", &report.kinds, report.total.stored);
    match &report.packages {
        Some(packages) => table(&mut out, "package (- is owned by none)", packages, report.total.stored),
        None => out.push_str("\n  packages: dpkg's lists of files are not in the image\n"),
    }
    table(&mut out, "largest files", &report.largest, report.total.stored);
    out
}

fn row(out: &mut String, size: &Size, all: u64, name: &str) {
    let part = size.stored as f64 * 100.0 / all.max(1) as f64;
    let _ = writeln!(
        out,
        "  {:<12}{:<12}{part:>5.1}% {:>7}  {name}",
        size::human(size.stored),
        size::human(size.logical),
        size.files
    );
}

fn folder(out: &mut String, folder_: &Folder, depth: usize, all: u64) {
    row(out, &folder_.size, all, &format!("{}{}", "  ".repeat(depth), folder_.path));
    for child in folder_.folders.iter().filter(|c| c.size.stored >= all / SMALL) {
        folder(out, child, depth + 1, all);
    }
}

fn table(out: &mut String, title: &str, list: &[Named], all: u64) {
    let _ = writeln!(out, "\n  stored      logical     part    files   {title}");
    list.iter().take(ROWS).for_each(|n| row(out, &n.size, all, &n.name));
    if list.len() > ROWS {
        let _ = writeln!(out, "  … and {} more (--json has them)", list.len() - ROWS);
    }
}
