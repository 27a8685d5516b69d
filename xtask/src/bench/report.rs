//! Pairs of measurements as a table and as JSON.

/// One measurement of ours and one of the peer's, in the same unit, made one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) ours: f64,
    pub(crate) peer: f64,
}

/// Median of `values`; 0 for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// Median of the ratios ours/peer.
pub(crate) fn ratio(pairs: &[Pair]) -> f64 {
    median(pairs.iter().map(|p| p.ours / p.peer).collect())
}

/// A row of the table: medians, their ratio, and the span of the ratios.
pub(crate) fn row(name: &str, unit: &str, pairs: &[Pair]) -> String {
    let ratios: Vec<f64> = pairs.iter().map(|p| p.ours / p.peer).collect();
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    format!(
        "{name:<24} {:>9.2} {unit:<4} {:>9.2} {unit:<4} {:>6.2}   {low:.2} to {high:.2}",
        median(pairs.iter().map(|p| p.ours).collect()),
        median(pairs.iter().map(|p| p.peer).collect()),
        ratio(pairs)
    )
}

/// The table's head.
pub(crate) fn head() -> String {
    format!("{:<24} {:>14} {:>14} {:>6}   span", "", "ours", "peer", "ratio")
}

/// Pairs as JSON.
pub(crate) fn json(pairs: &[Pair]) -> serde_json::Value {
    pairs.iter().map(|p| serde_json::json!({ "ours": p.ours, "peer": p.peer })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, want) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![1.0, 9.0, 2.0], 2.0), (vec![1.0, 2.0], 1.5)]
        {
            assert_eq!(median(values), want);
        }
    }
}
