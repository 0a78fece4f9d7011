//! Words of a sound core overwritten: six bytes say where, eight with what.
#![no_main]

use heapattach::inspection::Answers;
use heapattach::inspection::CoreRequest;
use heapattach::inspection::View;
use heapattach::inspection::inspect_core;
use heapattach::target::core::BinarySearch;
use heapattach::target::core::CoreOptions;
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// The sound core, and a copy of it that is damaged and mended again.
fn victim() -> &'static (Vec<u8>, File, std::path::PathBuf) {
    static VICTIM: OnceLock<(Vec<u8>, File, std::path::PathBuf)> = OnceLock::new();
    VICTIM.get_or_init(|| {
        let name = std::env::var_os("HEAPATTACH_FUZZ_CORE").expect("HEAPATTACH_FUZZ_CORE names a core file");
        let bytes = std::fs::read(name).expect("the core can be read");
        let path = std::path::PathBuf::from(format!("/dev/shm/heapattach-fuzz-{}", std::process::id()));
        std::fs::write(&path, &bytes).expect("there is room for a copy");
        let file = File::options().write(true).open(&path).expect("the copy can be written");
        (bytes, file, path)
    })
}

fuzz_target!(|input: &[u8]| {
    let (bytes, file, path) = victim();
    let places: Vec<usize> = input
        .chunks_exact(14)
        .map(|chunk| {
            let mut place = [0; 8];
            place[..6].copy_from_slice(&chunk[..6]);
            let place = (u64::from_le_bytes(place) as usize % (bytes.len() - 8)) & !7;
            let _ = file.write_all_at(&chunk[6..], place as u64);
            place
        })
        .collect();
    let core = CoreOptions { path, search: BinarySearch::default(), progress: None, signals: None };
    let request = CoreRequest { core, view: View::Complete, best_effort: false };
    if let Ok(inspection) = inspect_core(&request) {
        let _ = inspection.totals(View::Complete);
    }
    for place in places {
        let _ = file.write_all_at(&bytes[place..place + 8], place as u64);
    }
});
