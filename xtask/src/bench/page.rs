//! The table of the benchmark, as a page and as the summary in README.md.

use super::growth;
use super::results::Figures;
use super::results::Outcome;
use super::results::Results;
use super::results::Row;
use super::subject::Scene;
use super::tools::BYRCS;
use super::tools::COPY;
use super::tools::RECIPE;
use super::tools::STATS;
use super::tools::TOOLS;
use anyhow::Context;
use anyhow::Result;

/// Rows that are no tool's.
pub(super) const NOTHING: &str = "(no tool)";
pub(super) const FLOOR: &str = "(copying alone)";

const MIB: f64 = 1024.0 * 1024.0;
const SUMMARY_BEGIN: &str = "<!-- benchmark: written by `cargo xtask bench` -->\n";
const SUMMARY_END: &str = "<!-- end of benchmark -->";
/// The scene of the summary, if it was measured.
const SUMMARY_OBJECTS: [u64; 3] = [1_000_000, 100_000, 10_000_000];

const HOW: &str = "\
One run, one program after the other on the same kind of heap (`testdata/programs/heap.py`): records of 20 objects,
dicts, lists, tuples, instances, text and numbers; *aged* heaps had twice as many records replaced at random as there
are, so that neighbours in memory are no neighbours in the graph. *Mutating* programs replace 10,000 records (200,000
objects) a second, by all of their threads together.

- **longest gap**: the longest time that a thread of the program that knows nothing of Python did not run; in
  **Python**: the same for a thread of Python, which a tool inside the program holds up with the interpreter's lock.
- **in stop**: all gaps of the first kind longer than a millisecond, added up. The row without a tool shows what the
  machine itself does to a sleeping thread in two seconds; **reported**: the pause as heapattach's report states it,
  which is the better figure where the pause is no longer than that.
- **after stop**: from the end of the longest gap to the end of the tool: the analysis, the report, and giving the
  memory back.
- **peak**: the tool's memory; **B/object** of it without the copy of the program's memory. **grew**: the program's.
- Up to 10^7 objects figures of tools outside of the program are medians of three runs, the others are of one.
  `referrers` and `stats` are whole runs: they stop, copy and walk again (and make no map for the terminal, so that
  they may need less than the report does). gcore and memray write into memory.
- Tools inside the program are measured only up to sizes at which they end in reasonable time: guppy3's byrcs and
  the recipe (a program that does the same: `testdata/programs/heap_tools.py`) to 5,000,000 objects, pympler to
  1,000,000.
";

const FLOOR_NOTE: &str = "
The floor is what a prototype needed, on an idle machine with two such cores, to classify every block of the
allocator (0.08 s) and to mark what the roots reach (0.15 s fresh, up to 0.45 s aged) without finding sizes, labels,
owners and referrers, without writing references down, and without starting, printing and giving memory back.
Copying alone is two plain readers, one call for each MiB: a ratio below 1 says that they are not the fastest possible.
";

/// The whole page.
pub(super) fn page(results: &Results) -> String {
    let mut page = String::from("# Benchmark\n\nWritten by `cargo xtask bench`.\n\n");
    for condition in &results.conditions {
        page.extend([format!("- {condition}\n")]);
    }
    page.extend([format!("\n![time, memory and pause by number of objects](benchmark.svg)\n\n{HOW}")]);
    page += &aims(results);
    page += &growth::section(results);
    page += &pauses(results);
    page += "\n## Every tool, by size\n";
    for scene in results.scenes().into_iter().filter(|scene| is_plain(*scene)) {
        page.extend([format!("\n### {}\n\n{}", title(results, scene), table(results, scene))]);
    }
    page
}

/// Whether the scene is there for its size.
pub(super) fn is_plain(scene: Scene) -> bool {
    !scene.mutating && scene.threads == 1
}

fn title(results: &Results, scene: Scene) -> String {
    let counted = results.find(COPY, scene).and_then(|figures| figures.objects);
    let age = if scene.aged { "aged" } else { "fresh" };
    let asked = grouped(scene.objects as f64);
    match counted {
        Some(counted) => format!("{asked} objects asked for, {} counted, {age}", grouped(counted)),
        None => format!("{asked} objects, {age}"),
    }
}

const HEADING: &str = "\
| tool | result | longest gap ms | in Python ms | in stop ms | reported ms | wall s | CPU s | after stop s | peak MiB | B/object | grew MiB |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

fn table(results: &Results, scene: Scene) -> String {
    let mut table = HEADING.to_owned();
    let mut notes = String::new();
    for row in rows_of(results, scene) {
        match &row.outcome {
            Outcome::Measured(figures) if row.tool == FLOOR => {
                notes.extend([format!(
                    "\nTwo readers into memory prepared beforehand: {} ms a GiB.\n",
                    figure(figures.pause_ms, 1.0)
                )]);
            }
            Outcome::Measured(figures) => table += &line(&row.tool, figures),
            Outcome::LeftOut(reason) => notes.extend([format!("\nNot measured: {}: {reason}\n", row.tool)]),
        }
    }
    table + &notes
}

/// The rows of a scene in the order of the list of tools.
fn rows_of(results: &Results, scene: Scene) -> Vec<&Row> {
    let place = |row: &&Row| TOOLS.iter().position(|tool| tool.name == row.tool).map_or(0, |place| place + 1);
    let mut rows: Vec<&Row> = results.rows.iter().filter(|row| row.scene == scene).collect();
    rows.sort_by_key(place);
    rows
}

fn line(name: &str, figures: &Figures) -> String {
    let what = TOOLS.iter().find(|tool| tool.name == name).map_or("", |tool| tool.what);
    let cells = [
        figure(figures.native_ms, 1.0),
        figure(figures.python_ms, 1.0),
        figure(figures.stood_ms, 1.0),
        figure(figures.pause_ms, 1.0),
        figure(figures.wall_ms, 1e3),
        figure(figures.cpu_ms, 1e3),
        figure(figures.after_ms, 1e3),
        figure(figures.peak, MIB),
        figure(figures.bytes_per_object(), 1.0),
        figure(figures.target_growth, MIB),
    ];
    format!("| {name} | {what} | {} |\n", cells.join(" | "))
}

/// Three digits, as far as they matter.
fn figure(value: Option<f64>, unit: f64) -> String {
    let Some(value) = value.map(|value| value / unit) else { return "-".to_owned() };
    match value.abs() {
        size if size >= 99.95 => grouped(value),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// One line for the person who waits.
pub(super) fn progress(row: &Row) -> String {
    let Scene { objects, aged, mutating, threads } = row.scene;
    let age = if aged { "aged" } else { "fresh" };
    let state = if mutating { "mutating" } else { "asleep" };
    let scene = format!("{objects:>9} {age:<5} {state:<8} {threads:>3} threads");
    match &row.outcome {
        Outcome::LeftOut(reason) => format!("{scene}  {:<22} LEFT OUT: {reason}", row.tool),
        Outcome::Measured(figures) => format!(
            "{scene}  {:<22} gap {:>8} ms, Python {:>8} ms, reported {:>8} ms, wall {:>7} s, CPU {:>7} s, after {:>7} s, {:>6} B/object",
            row.tool,
            figure(figures.native_ms, 1.0),
            figure(figures.python_ms, 1.0),
            figure(figures.pause_ms, 1.0),
            figure(figures.wall_ms, 1e3),
            figure(figures.cpu_ms, 1e3),
            figure(figures.after_ms, 1e3),
            figure(figures.bytes_per_object(), 1.0),
        ),
    }
}

/// What is aimed at for 10^7 objects, and what was reached.
fn aims(results: &Results) -> String {
    const OBJECTS: u64 = 10_000_000;
    let mut text = format!(
        "\n## Aims for {} objects\n\nFrom the last byte copied to the end of the program, two cores.\n\n\
         | heap | | aim | measured | |\n|---|---|--:|--:|---|\n",
        grouped(OBJECTS as f64)
    );
    for aged in [false, true] {
        let scene = Scene { aged, ..Scene::fresh(OBJECTS) };
        let Some(report) = results.find(COPY, scene) else { continue };
        let after = |name: &str| results.find(name, scene).and_then(|figures| figures.after_ms);
        let more = |name: &str| Some(after(name)? - after(COPY)?);
        let floor = results.find(FLOOR, scene).and_then(|figures| figures.pause_ms);
        let copy = report.pause_ms.zip(report.copied).zip(floor);
        let ratio = copy.map(|((pause, copied), floor)| pause / (copied / MIB / 1024.0) / floor);
        let (floor_name, floor_seconds) = if aged {
            ("types, sizes, classes, map, in times of the floor of 0.53 s", 0.53)
        } else {
            ("types, sizes, classes, map, in times of the floor of 0.23 s", 0.23)
        };
        let rows = [
            ("types, sizes, classes, map (s)", 1.0, after(COPY).map(|ms| ms / 1e3)),
            ("byrcs, beyond that (s)", 1.0, more(BYRCS).map(|ms| ms / 1e3)),
            ("pickled dict, beyond that (s)", 2.5, more(STATS).map(|ms| ms / 1e3)),
            ("memory beyond the copy (bytes an object)", 60.0, report.bytes_per_object()),
            ("the same for the pickled dict", 60.0, stats_bytes(results, scene)),
            ("pause, in times of copying alone", 1.1, ratio),
            (floor_name, 1.0, after(COPY).map(|ms| ms / 1e3 / floor_seconds)),
        ];
        for (what, aim, measured) in rows {
            let verdict = measured.map_or("", |measured| if measured <= aim { "reached" } else { "missed" });
            let age = if aged { "aged" } else { "fresh" };
            text.extend([format!("| {age} | {what} | {aim} | {} | {verdict} |\n", figure(measured, 1.0))]);
        }
    }
    text += FLOOR_NOTE;
    let scene = Scene::fresh(5_000_000);
    if let (Some(ours), Some(recipe)) = (results.find(STATS, scene), results.find(RECIPE, scene)) {
        let ratio = recipe.cpu_ms.zip(ours.cpu_ms).map(|(recipe, ours)| recipe / ours);
        text.extend([format!(
            "\nThe pickled dict for 5,000,000 objects: {} s, {} s of CPU; the recipe's inside the program {} s of CPU, {} times as much.\n",
            figure(ours.wall_ms, 1e3),
            figure(ours.cpu_ms, 1e3),
            figure(recipe.cpu_ms, 1e3),
            figure(ratio, 1.0)
        )]);
    }
    text
}

/// `stats` writes no figures of its copy: the copy is that of the report.
fn stats_bytes(results: &Results, scene: Scene) -> Option<f64> {
    let (stats, report) = (results.find(STATS, scene)?, results.find(COPY, scene)?);
    Some((stats.peak? - report.copied?) / report.objects?)
}

/// The longest gaps by number of threads, asleep and mutating.
fn pauses(results: &Results) -> String {
    let mut text = String::from("\n## The pause by what the program does\n");
    let is_pause = |scene: &Scene| !scene.aged && (scene.mutating || scene.threads > 1);
    let mut sizes: Vec<u64> =
        results.scenes().iter().filter(|scene| is_pause(scene)).map(|scene| scene.objects).collect();
    sizes.dedup();
    for objects in sizes {
        let mut scenes: Vec<Scene> =
            results.scenes().into_iter().filter(|scene| !scene.aged && scene.objects == objects).collect();
        scenes.sort_by_key(|scene| (scene.mutating, scene.threads));
        text.extend([format!(
            "\n### {} objects: longest gap in ms, in brackets in Python\n\n| tool |",
            grouped(objects as f64)
        )]);
        for scene in &scenes {
            let state = if scene.mutating { "mutating" } else { "asleep" };
            text.extend([format!(" {state}, {} |", scene.threads)]);
        }
        text.extend([format!("\n|---|{}\n", "--:|".repeat(scenes.len()))]);
        for name in std::iter::once(NOTHING).chain(TOOLS.iter().map(|tool| tool.name)) {
            let found: Vec<Option<&Figures>> =
                scenes.iter().map(|&scene| results.find(name, scene)).collect();
            let is_here =
                scenes.iter().zip(&found).any(|(scene, figures)| is_pause(scene) && figures.is_some());
            if is_here {
                let cells = found.into_iter().map(|figures| {
                    let cell = |figures: &Figures| {
                        format!("{} ({})", figure(figures.native_ms, 1.0), figure(figures.python_ms, 1.0))
                    };
                    figures.map_or_else(|| "-".to_owned(), cell)
                });
                text.extend([format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "))]);
            }
        }
    }
    text
}

/// README.md with the main rows between its two marks.
pub(super) fn with_summary(readme: &str, results: &Results) -> Result<String> {
    let (before, rest) =
        readme.split_once(SUMMARY_BEGIN).context("README.md has no place for the benchmark")?;
    let (_, after) = rest.split_once(SUMMARY_END).context("README.md has no end of the benchmark")?;
    Ok(format!("{before}{SUMMARY_BEGIN}{}{SUMMARY_END}{after}", summary(results)))
}

fn summary(results: &Results) -> String {
    let scenes = SUMMARY_OBJECTS.map(Scene::fresh);
    let scene = scenes.into_iter().find(|&scene| results.find(COPY, scene).is_some());
    let Some(scene) = scene else { return "Not measured yet.\n".to_owned() };
    let mut text = format!(
        "{}, program asleep:\n\n| | result | longest gap ms | pause reported ms | wall s | CPU s | peak MiB |\n|---|---|--:|--:|--:|--:|--:|\n",
        title(results, scene)
    );
    for row in rows_of(results, scene) {
        let (Some(figures), Some(tool)) = (row.figures(), TOOLS.iter().find(|tool| tool.name == row.tool))
        else {
            continue;
        };
        // Inside a program it is Python that stands still.
        let gap = figures.native_ms.zip(figures.python_ms).map(|(native, python)| native.max(python));
        let cells = [
            figure(gap, 1.0),
            figure(figures.pause_ms, 1.0),
            figure(figures.wall_ms, 1e3),
            figure(figures.cpu_ms, 1e3),
            figure(figures.peak.or(figures.target_growth), MIB),
        ];
        text.extend([format!("| {} | {} | {} |\n", tool.name, tool.what, cells.join(" | "))]);
    }
    text + "\n![time, memory and pause by number of objects](docs/benchmark.svg)\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let figures = Figures {
            objects: Some(1e6),
            wall_ms: Some(1234.0),
            native_ms: Some(20.0),
            python_ms: Some(21.0),
            peak: Some(300.0 * MIB),
            ..Figures::default()
        };
        let scene = Scene::fresh(1_000_000);
        let mut results = Results::default();
        results.put(Row { scene, tool: COPY.to_owned(), outcome: Outcome::Measured(Box::new(figures)) });
        results.put(Row {
            scene,
            tool: "pympler".to_owned(),
            outcome: Outcome::LeftOut("absent".to_owned()),
        });
        results
    }

    #[test]
    fn the_page_has_what_was_measured_and_what_was_not() {
        let page = page(&results());
        assert!(
            page.contains("| heapattach | types, sizes, classes, map | 20.0 | 21.0 | - | - | 1.23 |"),
            "{page}"
        );
        assert!(page.contains("Not measured: pympler: absent"));
        assert!(page.contains("1,000,000 objects asked for, 1,000,000 counted, fresh"));
    }

    #[test]
    fn the_summary_replaces_what_is_between_its_marks() {
        let readme = format!("before\n{SUMMARY_BEGIN}old\n{SUMMARY_END}\nafter\n");
        let text = with_summary(&readme, &results()).unwrap();
        assert!(text.starts_with("before\n") && text.ends_with("\nafter\n") && !text.contains("old"));
        assert!(text.contains("| heapattach | types, sizes, classes, map | 21.0 | - | 1.23 |"), "{text}");
        assert!(with_summary("nothing", &results()).is_err());
    }

    #[test]
    fn figures_have_three_digits() {
        let all = [0.1234, 9.999, 45.67, 1_234_567.0].map(|value| figure(Some(value), 1.0));
        assert_eq!(all, ["0.12", "10.0", "45.7", "1,234,567"]);
        assert_eq!(figure(None, 1.0), "-");
    }
}
