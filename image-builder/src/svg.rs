//! Draws a graph of services from left to right: what wants or uses something stands left of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::graph::Graph;

/// A box, and the space between two.
const BOX: (i32, i32) = (190, 40);
const GAP: (i32, i32) = (130, 14);
const MARGIN: i32 = 16;

/// The column of each node: one right of the rightmost node that leads to it. There are no circles.
fn columns(graph: &Graph) -> BTreeMap<&str, i32> {
    let mut columns: BTreeMap<&str, i32> = graph.nodes.keys().map(|name| (name.as_str(), 0)).collect();
    // A path can't be longer than there are nodes.
    for _ in 0..graph.nodes.len() {
        let mut moved = false;
        for (from, to, _) in &graph.edges {
            let behind = columns.get(from.as_str()).copied().unwrap_or(0) + 1;
            if let Some(column) = columns.get_mut(to.as_str()).filter(|column| **column < behind) {
                *column = behind;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    columns
}

/// The upper left corner of each node's box.
fn places(graph: &Graph) -> BTreeMap<&str, (i32, i32)> {
    let columns = columns(graph);
    let mut rows: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for (name, column) in &columns {
        rows.entry(*column).or_default().push(name);
    }
    let mut out: BTreeMap<&str, (i32, i32)> = BTreeMap::new();
    for (column, mut names) in rows {
        // Near those that lead to them, so that few lines cross.
        let middle = |name: &str| {
            let heights: Vec<i32> = (graph.edges.iter().filter(|(_, to, _)| to == name))
                .filter_map(|(from, ..)| out.get(from.as_str()).map(|place| place.1))
                .collect();
            let count = i32::try_from(heights.len()).unwrap_or(i32::MAX);
            if count == 0 { i32::MAX } else { heights.iter().sum::<i32>() / count }
        };
        names.sort_by_cached_key(|name| (middle(name), *name));
        let mut y = MARGIN;
        for name in names {
            out.insert(name, (MARGIN + column * (BOX.0 + GAP.0), y));
            y += BOX.1 + GAP.1;
        }
    }
    out
}

/// The drawing, whole in itself.
pub(crate) fn draw(graph: &Graph) -> String {
    let places = places(graph);
    let right = places.values().map(|place| place.0).max().unwrap_or(0) + BOX.0 + MARGIN;
    let bottom = places.values().map(|place| place.1).max().unwrap_or(0) + BOX.1 + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (from, to, why) in &graph.edges {
        let (Some(a), Some(b)) = (places.get(from.as_str()), places.get(to.as_str())) else { continue };
        let (x1, y1, x2, y2) = (a.0 + BOX.0, a.1 + BOX.1 / 2, b.0, b.1 + BOX.1 / 2);
        let half = GAP.0 / 2;
        let _ = writeln!(
            out,
            "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#9aa7b2\"><title>{}: {} → {}</title></path>",
            x1 + half,
            x2 - half,
            escape(why),
            escape(from),
            escape(to)
        );
        if why != "wants" {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"10\" fill=\"#5b6872\">{}</text>",
                x1 + 6,
                y1 - 4,
                escape(why)
            );
        }
    }
    for (name, (x, y)) in &places {
        let kind = graph.nodes.get(*name).and_then(Option::as_deref);
        let (fill, corner) = if kind.is_some() { ("#e8f0f8", 6) } else { ("#f3eedd", 0) };
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"{corner}\" fill=\"{fill}\" stroke=\"#5b6872\"/>",
            BOX.0, BOX.1
        );
        let line = if kind.is_some() { 17 } else { 25 };
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", x + 10, y + line, escape(name));
        if let Some(kind) = kind {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"10\" fill=\"#5b6872\">{}</text>",
                x + 10,
                y + 32,
                escape(kind)
            );
        }
    }
    out + "</svg>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::default();
        graph.nodes.insert("multi-user.target".into(), None);
        for (name, kind) in [("web", "nginx.server"), ("site", "nginx.site"), ("a", "x.<&>")] {
            graph.nodes.insert(name.into(), Some(kind.into()));
        }
        for (from, to, why) in
            [("multi-user.target", "web", "wants"), ("site", "web", "server"), ("a", "site", "to")]
        {
            graph.edges.push((from.into(), to.into(), why.into()));
        }
        graph
    }

    #[test]
    fn what_is_used_stands_right_of_who_uses_it() {
        let graph = graph();
        let columns: Vec<_> = columns(&graph).into_iter().collect();
        assert_eq!(columns, [("a", 0), ("multi-user.target", 0), ("site", 1), ("web", 2)]);
        let places = places(&graph);
        let mut corners: Vec<_> = places.values().collect();
        corners.sort();
        corners.dedup();
        assert_eq!(corners.len(), 4, "no box is on another");
    }

    #[test]
    fn the_drawing_is_well_formed() {
        let text = draw(&graph());
        assert_eq!(text.matches("<rect").count(), 5);
        assert!(text.contains("x.&lt;&amp;&gt;") && !text.contains("<&>"), "{text}");
        for tag in ["svg", "text", "path", "title"] {
            let opened =
                text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
