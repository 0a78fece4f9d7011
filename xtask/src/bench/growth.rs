//! How time and memory grow with the number of objects.

use super::page::is_plain;
use super::results::Figures;
use super::results::Results;
use super::tools::BYRCS;
use super::tools::COPY;
use super::tools::STATS;

/// Below that, what does not depend on the heap (starting, reading the binary's symbols) is most of the time.
const FIRST: f64 = 900_000.0;

/// Something that grows: its name, how to get it, and its unit.
pub(super) type Quantity = (&'static str, fn(&Figures) -> Option<f64>);

/// CPU time in seconds.
pub(super) const CPU: Quantity = ("CPU time", |figures| Some(figures.cpu_ms? / 1e3));
/// Memory beyond the copy, in MiB.
pub(super) const MEMORY: Quantity =
    ("memory beyond the copy", |figures| Some((figures.peak? - figures.copied?) / (1024.0 * 1024.0)));

/// (objects, quantity) of a tool at each size. Objects as counted; the number asked for where nobody counted.
pub(super) fn points(
    results: &Results,
    tool: &str,
    aged: bool,
    quantity: fn(&Figures) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let scenes = results.scenes().into_iter().filter(|&scene| is_plain(scene) && scene.aged == aged);
    let points = scenes.filter_map(|scene| {
        let counted = results.find(COPY, scene).and_then(|figures| figures.objects);
        let value = quantity(results.find(tool, scene)?)?;
        Some((counted.unwrap_or(scene.objects as f64), value))
    });
    points.filter(|&(_, value)| value > 0.0).collect()
}

/// The exponent `k` of `n^k` that fits best, from 10^6 objects on: 1 is linear. `None` for less than three points.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(n, _)| *n > FIRST).map(|(n, value)| (n.ln(), value.ln())).collect();
    if logs.len() < 3 {
        return None;
    }
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let slope: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(slope / spread)
}

/// The page's section.
pub(super) fn section(results: &Results) -> String {
    let mut text = String::from(
        "\n## Growth\n\nThe exponent k of n^k that fits best from 10^6 objects on; 1 is linear.\n\n\
         | | heap | k | from | to |\n|---|---|--:|--:|--:|\n",
    );
    for tool in [COPY, BYRCS, STATS] {
        for (name, quantity) in [CPU, MEMORY] {
            for aged in [false, true] {
                let points = points(results, tool, aged, quantity);
                if let (Some(k), [.., last]) = (exponent(&points), points.as_slice()) {
                    let first = points.iter().find(|(n, _)| *n > FIRST).map_or(0.0, |point| point.0);
                    let age = if aged { "aged" } else { "fresh" };
                    text.extend([format!(
                        "| {tool}, {name} | {age} | {k:.2} | {first:.1e} | {:.1e} |\n",
                        last.0
                    )]);
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_of_known_curves() {
        let curve =
            |k: f64| -> Vec<(f64, f64)> { [1e5, 1e6, 1e7, 5e7].map(|n: f64| (n, 3.0 * n.powf(k))).to_vec() };
        for k in [0.5, 1.0, 2.0] {
            assert!((exponent(&curve(k)).unwrap() - k).abs() < 1e-9);
        }
        assert_eq!(exponent(&curve(1.0)[..3]), None, "two points from 10^6 on are not enough");
    }
}
