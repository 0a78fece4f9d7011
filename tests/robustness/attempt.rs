//! One damaged core, asked everything.

use crate::damage::Kind;
use crate::damage::damage;
use crate::victim::Victim;
use crate::victim::options;
use crate::victim::request;
use heapattach::inspection::Answers;
use heapattach::inspection::Inspection;
use heapattach::inspection::InspectionError;
use heapattach::inspection::Purpose;
use heapattach::inspection::Relation;
use heapattach::inspection::View;
use heapattach::inspection::inspect_core;
use heapattach::inspection::post_mortem::analyse_core;
use heapattach::render::PageOptions;
use heapattach::render::find_format;
use heapattach::report::REPORTS;
use heapattach::report::ReportOptions;
use heapattach::report::find_report;
use heapattach::target::core;
use std::path::Path;

/// How often the way from the file is gone from its beginning although only memory is damaged.
const FROM_THE_START: u64 = 64;
/// How often everything is asked; else the table of classes.
const EVERYTHING: u64 = 8;

/// The view in which a seed's core is inspected.
pub(crate) fn view_of(seed: u64) -> View {
    if seed % 8 == 6 { View::Heapy } else { View::Complete }
}

/// Damages the victim as the seed says and inspects it: the number of objects of the seed's view, or none if it was
/// said why there is no answer. Panics if an answer contradicts itself. The victim stays damaged.
pub(crate) fn attempt(victim: &Victim, seed: u64) -> Option<u64> {
    let kind = Kind::of(seed);
    let view = view_of(seed);
    let purpose = Purpose { view, needs_references: seed % 16 == 14 };
    let answer = match damage(victim, seed) {
        Some(packed) => {
            let path = victim.path.with_extension("packed");
            std::fs::write(&path, packed).expect("there is room");
            inspect(victim, &path, (purpose, seed), true)
        }
        None => {
            inspect(victim, &victim.path, (purpose, seed), !kind.is_memory() || seed % FROM_THE_START == 1)
        }
    };
    match answer {
        Ok(inspection) => {
            let objects = if seed.is_multiple_of(EVERYTHING) {
                ask(&inspection, view)
            } else {
                table(&inspection, view)
            };
            deliver(&inspection, view, seed);
            Some(objects)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains('\n') && text.len() < 1000, "{text:?}");
            None
        }
    }
}

/// Inspects the victim before it is damaged.
pub(crate) fn sound(victim: &Victim) {
    let answers = [false, true].map(|needs_references| {
        let purpose = Purpose { view: View::Complete, needs_references };
        let inspection = inspect_core(&request(&victim.path, purpose, false)).expect("the core is sound");
        assert_eq!(inspection.heap.walk.references.get().is_some(), needs_references, "kept if wanted");
        assert_eq!(ask(&inspection, View::Complete), victim.objects(View::Complete));
        ["objects", "referrers", "unreachable"].map(|report| written(&inspection, report))
    });
    assert!(answers[0] == answers[1], "references that are kept and those read later differ");
    let purpose = View::Heapy.into();
    let inspection = inspect_core(&request(&victim.path, purpose, false)).expect("the core is sound");
    assert_eq!(ask(&inspection, View::Heapy), victim.objects(View::Heapy));
}

/// A report as it is printed, with all its rows.
fn written(inspection: &Inspection, report: &str) -> Vec<u8> {
    let options =
        ReportOptions { view: inspection.view, limit: Some(usize::MAX), ..ReportOptions::default() };
    let document = find_report(report).expect("a report").build(inspection, &options);
    let mut bytes = Vec::new();
    let format = find_format("csv").expect("a format");
    format.write(&document, &PageOptions::default(), &mut bytes).expect("memory takes everything");
    assert!(bytes.split(|&byte| byte == b'\n').count() > 2, "{report} has rows");
    bytes
}

fn inspect(
    victim: &Victim,
    path: &Path,
    (purpose, seed): (Purpose, u64),
    from_the_start: bool,
) -> Result<Inspection, InspectionError> {
    if from_the_start {
        return inspect_core(&request(path, purpose, seed % 8 == 5));
    }
    let opened = core::open(&options(path)).expect("nothing but memory is damaged");
    let result = analyse_core(opened.capture, &victim.located, purpose);
    if let Err(error) = &result {
        assert!(matches!(error, InspectionError::Runtime(_)), "{error}");
    }
    result
}

/// The table of classes; gives the number of objects of the view.
fn table(inspection: &Inspection, view: View) -> u64 {
    // A multiple of what there is, and as much as is granted to any.
    let words = inspection.capture.image.page_count() as u64 * 512;
    let limit = 6 * words + (1 << 23);
    assert!(inspection.work <= limit, "{} words of work", inspection.work);
    let totals = inspection.totals(view);
    let partition = inspection.partition(view, Relation::Clodo);
    assert_eq!(partition.objects, totals.all.objects, "the rows have all objects");
    totals.all.objects
}

/// Asks everything that reports ask; gives the number of objects of the view.
fn ask(inspection: &Inspection, view: View) -> u64 {
    let counted = table(inspection, view);
    assert_eq!(inspection.partition(view, Relation::Type).objects, counted);
    let mut objects = 0;
    inspection.for_each_object(view, &mut |row| {
        objects += 1;
        !row.clodo.is_empty() || objects > 0
    });
    assert_eq!(objects, counted);
    check_memory(inspection, view);
    objects
}

/// Buffers and the map by mapping agree with themselves.
fn check_memory(inspection: &Inspection, view: View) {
    let mut uncounted = 0_u64;
    inspection.for_each_buffer(view, &mut |row| {
        assert!(row.attributed <= row.bytes);
        uncounted += if row.counted { 0 } else { row.attributed };
        true
    });
    let stretches = inspection.uncounted_buffers(view);
    assert_eq!(uncounted, stretches.iter().map(|&(_, bytes)| bytes).sum::<u64>());
    assert!(stretches.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
    for region in &inspection.region_map(view).regions {
        assert!(region.used() <= region.range.length(), "{} in {}", region.used(), region.range.length());
    }
}

/// Writes one report in one format, another one for each seed.
fn deliver(inspection: &Inspection, view: View, seed: u64) {
    if !matches!(seed % 16, 5 | 14) {
        return;
    }
    let report = REPORTS[(seed / 16) as usize % REPORTS.len()];
    let formats = report.formats();
    let format = formats[(seed / 16) as usize / REPORTS.len() % formats.len()];
    let format = find_format(format).expect("reports name formats that there are");
    if report.view().is_some_and(|needed| needed != view) {
        return;
    }
    let report_options = ReportOptions { view, ..ReportOptions::default() };
    if report.refusal(inspection, &report_options).is_some() {
        return;
    }
    let document = report.build(inspection, &report_options);
    format.write(&document, &PageOptions::default(), &mut std::io::sink()).expect("a sink takes everything");
}
