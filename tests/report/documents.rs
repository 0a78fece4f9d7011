//! Every report in every format: golden texts, empty heaps, the JSON contract.
//!
//! `HEAPATTACH_UPDATE=1` rewrites the expected texts in `testdata/expected/report`.

use crate::report::fake::Fake;
use heapattach::inspection::Answers;
use heapattach::inspection::Relation;
use heapattach::inspection::View;
use heapattach::render::PageOptions;
use heapattach::render::find_format;
use heapattach::report::BandsChoice;
use heapattach::report::REPORTS;
use heapattach::report::ReportOptions;
use heapattach::report::find_report;
use serde_json::Value;
use std::path::Path;

fn render(answers: &dyn Answers, report: &str, format: &str, options: ReportOptions) -> String {
    let document = find_report(report).unwrap().build(answers, &options);
    let mut out = Vec::new();
    find_format(format).unwrap().write(&document, &PageOptions::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn check_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/expected/report").join(name);
    if std::env::var_os("HEAPATTACH_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name}: HEAPATTACH_UPDATE=1 cargo test rewrites it");
}

fn few(limit: usize, view: View) -> ReportOptions {
    ReportOptions { view, limit: Some(limit), ..ReportOptions::default() }
}

#[test]
fn reports_look_as_expected() {
    let fake = Fake::service();
    let all = ReportOptions::default();
    check_golden("report.txt", &render(&fake, "report", "text", all));
    check_golden("report-heapy.txt", &render(&fake, "report", "text", few(3, View::Heapy)));
    check_golden("report.json", &render(&fake, "report", "json", all));
    check_golden("report.csv", &render(&fake, "report", "csv", all));
    check_golden("objects.txt", &render(&fake, "objects", "text", few(60, View::Complete)));
    check_golden("objects.json", &render(&fake, "objects", "json", few(20, View::Heapy)));
    check_golden("objects.csv", &render(&fake, "objects", "csv", few(60, View::Heapy)));
    let heap = |by, then, only| ReportOptions { limit: Some(5), by, then, only, ..all };
    let by_generation = heap(Relation::Generation, None, None);
    check_golden("heap.txt", &render(&fake, "heap", "text", by_generation));
    let of_strings = heap(Relation::Clodo, Some(Relation::Referrers), Some("str"));
    check_golden("heap-only.txt", &render(&fake, "heap", "text", of_strings));
    let nested = heap(Relation::Type, Some(Relation::Module), None);
    check_golden("heap-nested.txt", &render(&fake, "heap", "text", nested));
    check_golden("heap-nested.json", &render(&fake, "heap", "json", nested));
    check_golden("heap-nested.csv", &render(&fake, "heap", "csv", nested));
    check_golden("referrers.txt", &render(&fake, "referrers", "text", few(3, View::Complete)));
    check_golden("unreachable.txt", &render(&fake, "unreachable", "text", all));
    check_golden("map.txt", &render(&fake, "map", "text", few(2, View::Complete)));
    check_golden("map.csv", &render(&fake, "map", "csv", all));
    check_golden("map.svg", &render(&fake, "map", "svg", all));
    let recipe = ReportOptions { bands: BandsChoice::Recipe, with_buffers: true, ..all };
    check_golden("map-recipe.txt", &render(&fake, "map", "text", recipe));
    check_golden("buffers.txt", &render(&fake, "buffers", "text", few(2, View::Complete)));
    check_golden("buffers.json", &render(&fake, "buffers", "json", all));
    check_golden("stats-empty.json", &render(&Fake::empty(), "stats", "json", all));
    check_golden("report-empty.txt", &render(&Fake::empty(), "report", "text", all));
    check_golden("report-empty.json", &render(&Fake::empty(), "report", "json", all));
}

#[test]
fn the_dict_is_the_same_in_json_and_beside_it_is_what_it_was_made_of() {
    let fake = Fake::service();
    let json: Value =
        serde_json::from_str(&render(&fake, "stats", "json", ReportOptions::default())).unwrap();
    let pages = json["byclodo"]["reachable"].as_array().unwrap();
    assert!(pages[0].as_str().unwrap().starts_with("Partition of a set of 1960 objects."));
    assert_eq!(pages.len(), 3);
    let spans = json["spans"].as_array().unwrap();
    let detail = json["memmap"]["detail"].as_str().unwrap();
    assert_eq!(detail.matches("\na").count(), spans.len());
    let rows = json["partitions"]["rcs"].as_array().unwrap();
    let dump = json["byrcs"]["statdump"].as_str().unwrap();
    assert!(dump.contains(&format!(".numrows: {}\n", rows.len())));
}

#[test]
fn a_row_that_is_not_there_is_refused() {
    let fake = Fake::service();
    for report in ["heap", "referrers"] {
        let report = find_report(report).unwrap();
        let options = |only| ReportOptions { only: Some(only), ..ReportOptions::default() };
        let refusal = report.refusal(&fake, &options("nothing like this")).unwrap();
        assert!(refusal.contains("nothing like this"), "{refusal}");
        assert_eq!(report.refusal(&fake, &options("str")), None);
    }
}

#[test]
fn every_report_renders_in_every_format_for_an_empty_heap() {
    for report in REPORTS {
        for &format in report.formats() {
            for view in [View::Complete, View::Heapy] {
                let options = ReportOptions { view, protocol: 0, ..ReportOptions::default() };
                let text = render(&Fake::empty(), report.name(), format, options);
                let end = if format == "pickle" { '.' } else { '\n' };
                assert!(text.ends_with(end), "{} as {format}", report.name());
            }
        }
    }
}

#[test]
fn a_page_fits_eighty_columns_and_is_one_screen() {
    for report in ["report", "map", "buffers"] {
        let text = render(&Fake::service(), report, "text", ReportOptions::default());
        // The list of buffers is as wide as its columns are, and a map has a band for each region.
        let width = if report == "buffers" { 112 } else { 80 };
        let lines = if report == "map" { 60 } else { 50 };
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        assert!(text.lines().count() <= lines, "{text}");
        assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
    }
}

#[test]
fn every_page_of_an_incomplete_answer_says_so() {
    for report in ["report", "heap", "map", "buffers", "referrers", "unreachable"] {
        let text = render(&Fake::incomplete(), report, "text", ReportOptions::default());
        assert!(text.contains("incomplete  something could not be read"), "{report}");
        assert!(text.starts_with("process     4242 "), "{report}");
    }
}

#[test]
fn json_has_the_keys_of_the_contract() {
    let parse = |report, view| -> Value {
        let options = ReportOptions { view, ..ReportOptions::default() };
        serde_json::from_str(&render(&Fake::service(), report, "json", options)).unwrap()
    };
    let overview = parse("report", View::Complete);
    let keys = ["schema", "target", "capture", "view", "heap", "partitions", "memory_map", "anomalies"];
    assert!(keys.iter().all(|key| !overview[*key].is_null()));
    assert_eq!(overview["schema"], "heapattach/1");
    assert_eq!(overview["target"]["command"][8], "a\u{1b}[31mb");
    assert_eq!(overview["memory_map"]["lo"], Value::Null);
    assert_eq!(overview["anomalies"][0]["first"], "0x7f0000010010");
    for relation in ["clodo", "type"] {
        let rows = overview["partitions"][relation].as_array().unwrap();
        let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(overview["heap"]["objects"], sum("objects"));
        assert_eq!(overview["heap"]["bytes"], sum("bytes"));
    }
    let objects = parse("objects", View::Heapy);
    assert_eq!(objects["view"], "heapy");
    assert_eq!(objects["heap"]["objects"], objects["objects"].as_array().unwrap().len());
    assert!(objects["objects"][9]["refcount"].is_null() || objects["objects"][8]["refcount"].is_null());
}

#[test]
fn csv_says_the_same_as_json() {
    let json = render(&Fake::service(), "objects", "json", ReportOptions::default());
    let json: Value = serde_json::from_str(&json).unwrap();
    let text = render(&Fake::service(), "objects", "csv", ReportOptions::default());
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let expected = ["address", "type", "bytes", "clodo", "refcount", "gc_tracked", "found_by", "interpreter"];
    assert_eq!(heads, expected.to_vec());
    let mut rows = 0;
    for (record, row) in reader.records().zip(json["objects"].as_array().unwrap()) {
        for (head, field) in heads.iter().zip(&record.unwrap()) {
            let value = match &row[head] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!(field, value);
        }
        rows += 1;
    }
    assert_eq!(rows, json["heap"]["objects"].as_u64().unwrap());
}

#[test]
fn zero_rows_may_be_asked_for() {
    for report in REPORTS {
        for format in report.formats().iter().filter(|format| **format != "pickle") {
            render(&Fake::service(), report.name(), format, few(0, View::Complete));
        }
    }
    let csv = render(&Fake::service(), "objects", "csv", few(0, View::Complete));
    assert_eq!(csv.lines().count(), 1);
}

#[test]
fn tables_are_rectangular_and_paths_are_unique() {
    let fake = Fake::service();
    for report in REPORTS {
        let document = report.build(&fake, &ReportOptions::default());
        let mut paths: Vec<&str> = document.facts.iter().map(|fact| fact.path.as_str()).collect();
        for table in &document.tables {
            paths.push(table.path);
            let mut names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns.len(), "{}", table.path);
            table.for_each_row(&mut |row| {
                assert_eq!(row.len(), table.columns.len(), "{}", table.path);
                true
            });
        }
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }
}
