//! The tree of folders as a picture: a squarified treemap (Bruls, Huizing, van Wijk 2000) in one SVG file that
//! needs nothing else. Areas are stored bytes; pointing at a folder shows its name and size.

use std::fmt::Write;

use twinhull_sysutil::size;

use super::{Folder, Report};

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 800.0;
/// Room for a folder's name, and around what is in it.
const HEAD: f64 = 16.0;
const MARGIN: f64 = 2.0;
/// About how wide a letter is.
const LETTER: f64 = 6.6;
/// Colours by top folder.
const COLOURS: [&str; 8] =
    ["#8dd3c7", "#fdb462", "#bebada", "#b3de69", "#80b1d3", "#fb8072", "#fccde5", "#d9d9d9"];

#[derive(Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// The picture of `report`.
pub(crate) fn svg(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    draw(&mut out, &report.tree, Area { x: 0.0, y: 0.0, w: WIDTH, h: HEIGHT }, "#f5f5f5", 0);
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, folder: &Folder, area: Area, colour: &str, depth: usize) {
    let name = escape(&folder.path);
    let _ = writeln!(
        out,
        "<g><title>{name}\n{} stored, {} logical, {} files</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\" stroke=\"#555\" stroke-width=\"0.5\"/>",
        size::human(folder.size.stored),
        size::human(folder.size.logical),
        folder.size.files,
        area.x,
        area.y,
        area.w,
        area.h
    );
    let short = if depth == 0 { &folder.path } else { folder.path.rsplit('/').next().unwrap_or_default() };
    if area.h > HEAD && area.w > short.chars().count() as f64 * LETTER + 2.0 * MARGIN {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            area.x + 3.0,
            area.y + 12.0,
            escape(short)
        );
    }
    let inner =
        Area { x: area.x + MARGIN, y: area.y + HEAD, w: area.w - 2.0 * MARGIN, h: area.h - HEAD - MARGIN };
    if inner.w > 4.0 && inner.h > 4.0 {
        // What lies directly in the folder takes its part of the room, at the end.
        let children: Vec<&Folder> = folder.folders.iter().filter(|c| c.size.stored > 0).collect();
        let sizes: Vec<f64> = children.iter().map(|c| c.size.stored as f64).collect();
        for (n, (child, area)) in
            children.iter().zip(squarify(&sizes, folder.size.stored as f64, inner)).enumerate()
        {
            let colour = if depth == 0 { COLOURS[n % COLOURS.len()] } else { colour };
            draw(out, child, area, colour, depth + 1);
        }
    }
    out.push_str("</g>\n");
}

/// Places rectangles for `sizes`, the largest first, that together take their part of `whole` of the area.
fn squarify(sizes: &[f64], whole: f64, mut free: Area) -> Vec<Area> {
    let scale = free.w * free.h / whole.max(1.0);
    let (mut placed, mut rest) = (Vec::new(), sizes);
    while !rest.is_empty() && free.w > 0.0 && free.h > 0.0 {
        let side = free.w.min(free.h);
        // The row grows while its worst rectangle becomes no longer and thinner.
        let worst = |count: usize| {
            let sum: f64 = rest[..count].iter().sum::<f64>() * scale;
            let ratio = |size: &f64| {
                let other = size * scale * side / sum;
                let depth = sum / side;
                (other / depth).max(depth / other)
            };
            rest[..count].iter().map(ratio).fold(0.0, f64::max)
        };
        let mut count = 1;
        while count < rest.len() && worst(count + 1) <= worst(count) {
            count += 1;
        }
        let sum: f64 = rest[..count].iter().sum::<f64>() * scale;
        let depth = sum / side;
        let mut at = 0.0;
        for size in &rest[..count] {
            let len = size * scale * side / sum;
            placed.push(if free.w >= free.h {
                Area { x: free.x, y: free.y + at, w: depth, h: len }
            } else {
                Area { x: free.x + at, y: free.y, w: len, h: depth }
            });
            at += len;
        }
        if free.w >= free.h {
            free = Area { x: free.x + depth, w: free.w - depth, ..free };
        } else {
            free = Area { y: free.y + depth, h: free.h - depth, ..free };
        }
        rest = &rest[count..];
    }
    placed
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Size;

    #[test]
    fn rectangles_fill_their_part_and_nothing_else() {
        let sizes = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let placed = squarify(&sizes, 24.0, Area { x: 0.0, y: 0.0, w: 6.0, h: 4.0 });
        assert_eq!(placed.len(), sizes.len());
        for (area, size) in placed.iter().zip(sizes) {
            assert!((area.w * area.h - size).abs() < 1e-6);
            assert!(area.x >= -1e-9 && area.x + area.w <= 6.0 + 1e-9 && area.y + area.h <= 4.0 + 1e-9);
        }
        // The example of the paper: two of 6 in the first column.
        assert!((placed[0].w - 3.0).abs() < 1e-9 && (placed[1].h - 2.0).abs() < 1e-9);
    }

    #[test]
    fn names_are_no_markup() {
        let leaf = Folder {
            path: "/<b>&\"".into(),
            size: Size { stored: 5, logical: 5, files: 1 },
            folders: vec![],
        };
        let mut out = String::new();
        draw(&mut out, &leaf, Area { x: 0.0, y: 0.0, w: 500.0, h: 500.0 }, "#fff", 0);
        assert!(out.contains("/&lt;b&gt;&amp;&quot;") && !out.contains("<b>"), "{out}");
    }
}
