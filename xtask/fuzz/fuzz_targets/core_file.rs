//! Any bytes as a core file: opened, and analysed if they are taken for one.
#![no_main]

use heapattach::descriptions::Descriptions;
use heapattach::inspection::Answers;
use heapattach::inspection::CoreRequest;
use heapattach::inspection::View;
use heapattach::inspection::inspect_core;
use heapattach::target::core::BinarySearch;
use heapattach::target::core::CoreOptions;
use libfuzzer_sys::fuzz_target;
use std::io::Write;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let core =
        CoreOptions { path: file.path(), search: BinarySearch::default(), progress: None, signals: None };
    let request = CoreRequest { core, purpose: View::Complete.into(), best_effort: true, descriptions: Descriptions::default() };
    if let Ok(inspection) = inspect_core(&request) {
        let _ = inspection.totals(View::Complete);
    }
});
