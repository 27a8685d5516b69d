//! Pairs of horizontal bars as a self-contained SVG.

use std::fmt::Write;

use super::report::Pair;

const WIDTH: f64 = 640.0;
const LEFT: f64 = 150.0;
const BAR: f64 = 18.0;

/// A chart with two bars for every name, ours and the peer's, with their values in `unit`.
pub(crate) fn bars(title: &str, unit: &str, (ours, peer): (&str, &str), pairs: &[(&str, Pair)]) -> String {
    let most = pairs.iter().flat_map(|(_, p)| [p.ours, p.peer]).fold(f64::MIN_POSITIVE, f64::max);
    let height = 70.0 + pairs.len() as f64 * (2.0 * BAR + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"12\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    // Writing to a String can't fail.
    for (n, (name, color)) in [(ours, "#2a6fb0"), (peer, "#b8c4cf")].iter().enumerate() {
        let x = LEFT + n as f64 * 130.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{color}\"/><text x=\"{}\" y=\"47\">{name}</text>",
            x + 18.0
        );
    }
    for (n, (name, pair)) in pairs.iter().enumerate() {
        let y = 62.0 + n as f64 * (2.0 * BAR + 16.0);
        let _ = writeln!(out, "<text x=\"12\" y=\"{}\">{}</text>", y + BAR + 4.0, name.replace('_', " "));
        for (k, (value, color)) in [(pair.ours, "#2a6fb0"), (pair.peer, "#b8c4cf")].iter().enumerate() {
            let (top, length) = (y + k as f64 * BAR, value / most * (WIDTH - LEFT - 80.0));
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{color}\"/><text x=\"{:.1}\" y=\"{}\">{value:.2} {unit}</text>",
                BAR - 2.0,
                LEFT + length + 6.0,
                top + BAR - 5.0
            );
        }
    }
    out.push_str("</svg>\n");
    out
}
