//! The plot: time, memory and pause by the number of objects, both axes logarithmic.

use super::growth;
use super::results::Figures;
use super::results::Results;
use super::tools::BYRCS;
use super::tools::COPY;
use super::tools::RECIPE;
use super::tools::STATS;
use anyhow::Result;
use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1280, 520);

/// A curve: whose, of which heaps, under which name, in which colour.
struct Curve {
    tool: &'static str,
    aged: bool,
    name: &'static str,
    color: RGBColor,
}

const fn curve(tool: &'static str, aged: bool, name: &'static str, color: (u8, u8, u8)) -> Curve {
    Curve { tool, aged, name, color: RGBColor(color.0, color.1, color.2) }
}

const TIMES: [Curve; 9] = [
    curve(COPY, false, "heapattach", (0, 90, 200)),
    curve(COPY, true, "heapattach, aged", (110, 170, 240)),
    curve(BYRCS, false, "heapattach referrers", (0, 140, 100)),
    curve(STATS, false, "heapattach stats", (90, 60, 170)),
    curve("gc + getsizeof", false, "gc + getsizeof", (130, 130, 130)),
    curve("guppy3 heap()", false, "guppy3 heap()", (230, 140, 0)),
    curve("guppy3 byrcs", false, "guppy3 byrcs", (210, 90, 0)),
    curve(RECIPE, false, "recipe", (190, 0, 0)),
    curve("pympler", false, "pympler", (190, 0, 140)),
];
const MEMORIES: [Curve; 3] = [
    curve(COPY, false, "heapattach", (0, 90, 200)),
    curve(COPY, true, "heapattach, aged", (110, 170, 240)),
    curve(BYRCS, false, "heapattach referrers", (0, 140, 100)),
];
const PAUSES: [Curve; 6] = [
    curve(COPY, false, "copy", (0, 90, 200)),
    curve("heapattach, fork", false, "fork", (0, 140, 100)),
    curve("heapattach, precopy", false, "precopy", (90, 60, 170)),
    curve("heapattach, in-place", false, "in-place", (110, 170, 240)),
    curve("gcore", false, "gcore", (190, 0, 0)),
    curve("pystack", false, "pystack (stacks only)", (130, 130, 130)),
];

/// One of the three diagrams.
struct Panel {
    title: &'static str,
    curves: &'static [Curve],
    quantity: fn(&Figures) -> Option<f64>,
    /// Where its curves leave room for their names.
    names: SeriesLabelPosition,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "CPU time, s",
        curves: &TIMES,
        quantity: growth::CPU.1,
        names: SeriesLabelPosition::LowerRight,
    },
    Panel {
        title: "memory beyond the copy, MiB",
        curves: &MEMORIES,
        quantity: growth::MEMORY.1,
        names: SeriesLabelPosition::LowerRight,
    },
    Panel {
        title: "longest gap of a sleeping program, ms",
        curves: &PAUSES,
        quantity: |figures| figures.native_ms,
        names: SeriesLabelPosition::UpperLeft,
    },
];

/// Writes the plot as SVG.
pub(super) fn draw(results: &Results, path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    // Errors of the backend borrow it; their text is all that is needed.
    root.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    for (panel, area) in PANELS.iter().zip(root.split_evenly((1, PANELS.len()))) {
        draw_panel(results, panel, &area).map_err(|error| anyhow!("{}: {error}", panel.title))?;
    }
    root.present().map_err(|error| anyhow!("{error}"))?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_panel(results: &Results, panel: &Panel, area: &Area<'_>) -> Result<()> {
    let drawn: Vec<(&Curve, Vec<(f64, f64)>)> = panel
        .curves
        .iter()
        .map(|curve| (curve, growth::points(results, curve.tool, curve.aged, panel.quantity)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let all = || drawn.iter().flat_map(|(_, points)| points.iter().copied());
    let (Some(x), Some(y)) = (decades(all().map(|point| point.0)), decades(all().map(|point| point.1)))
    else {
        return Ok(());
    };
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("{error}");
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .caption(panel.title, ("sans-serif", 16))
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())
        .map_err(failed)?;
    let label = |value: &f64| power_of_ten(*value);
    chart
        .configure_mesh()
        .x_desc("objects")
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .light_line_style(RGBColor(245, 245, 245))
        .draw()
        .map_err(failed)?;
    for (curve, points) in &drawn {
        let (color, style) = (curve.color, curve.color.stroke_width(2));
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))
            .map_err(failed)?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], style));
        let dots = points.iter().map(|&point| Circle::new(point, 3, color.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    // A line of slope one to compare with, through the last point of the first curve.
    if let Some(&(n, value)) = drawn.first().and_then(|(_, points)| points.last()) {
        let line = [x.0, x.1].map(|at| (at, value * at / n)).into_iter();
        let line: Vec<(f64, f64)> = line.map(|(at, value)| (at, value.clamp(y.0, y.1))).collect();
        let start = (x.0.max(n * y.0 / value), (value * x.0 / n).max(y.0));
        let series =
            DashedLineSeries::new([start, *line.last().unwrap_or(&start)], 4, 4, BLACK.mix(0.5).into());
        chart
            .draw_series(series)
            .map_err(failed)?
            .label("linear")
            .legend(|(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], BLACK.mix(0.5)));
    }
    chart
        .configure_series_labels()
        .position(panel.names.clone())
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12))
        .draw()
        .map_err(failed)?;
    Ok(())
}

/// The powers of ten around all values.
fn decades(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (least, most) =
        values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    (least.is_finite() && least > 0.0)
        .then(|| (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().floor() + 1.0)))
}

fn power_of_ten(value: f64) -> String {
    if (0.01..10_000.0).contains(&value) { format!("{value}") } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Outcome;
    use crate::bench::results::Row;
    use crate::bench::subject::Scene;

    #[test]
    fn a_plot_has_the_curves_that_were_measured() {
        let mut results = Results::default();
        for objects in [100_000, 1_000_000, 10_000_000] {
            let figures = Figures {
                objects: Some(objects as f64),
                cpu_ms: Some(objects as f64 / 1e4),
                native_ms: Some(3.0),
                ..Figures::default()
            };
            let outcome = Outcome::Measured(Box::new(figures));
            results.put(Row { scene: Scene::fresh(objects), tool: COPY.to_owned(), outcome });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        draw(&results, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("<svg") && text.contains("heapattach") && text.contains("linear"));
        assert!(!text.contains("pympler"));
        assert!(text.matches("<circle").count() >= 6);
    }

    #[test]
    fn axes_begin_and_end_at_powers_of_ten() {
        assert_eq!(decades([0.2, 30.0].into_iter()), Some((0.1, 100.0)));
        assert_eq!(decades([].into_iter()), None);
    }
}
