//! Words of a sound core overwritten: of each eleven bytes three say where and eight with what.
#![no_main]

use heapattach::descriptions::Descriptions;
use heapattach::inspection::Answers;
use heapattach::inspection::CoreRequest;
use heapattach::inspection::View;
use heapattach::inspection::inspect_core;
use heapattach::inspection::locate::Located;
use heapattach::inspection::post_mortem;
use heapattach::target::core;
use heapattach::target::core::BinarySearch;
use heapattach::target::core::CoreOptions;
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

const PROGRAM_HEADER: usize = 56;
const HEADER: usize = 64;
/// Words before an object and from its start on that may be overwritten.
const BEFORE: u64 = 4;
const WORDS: u64 = 32;

/// A sound core, and a copy of it that is damaged and mended again.
struct Victim {
    bytes: Vec<u8>,
    file: File,
    path: PathBuf,
    located: Located,
    /// Addresses of objects, a few of each label.
    objects: Vec<u64>,
    /// Address, length and place in the file of each segment.
    segments: Vec<(u64, u64, usize)>,
}

fn options(path: &Path) -> CoreOptions<'_> {
    CoreOptions { path, search: BinarySearch::default(), progress: None, signals: None }
}

fn victim() -> &'static Victim {
    static VICTIM: OnceLock<Victim> = OnceLock::new();
    VICTIM.get_or_init(|| {
        let name = std::env::var_os("HEAPATTACH_FUZZ_CORE").expect("HEAPATTACH_FUZZ_CORE names a core file");
        let bytes = std::fs::read(name).expect("the core can be read");
        let path = PathBuf::from(format!("/dev/shm/heapattach-fuzz-{}", std::process::id()));
        std::fs::write(&path, &bytes).expect("there is room for a copy");
        let file = File::options().write(true).open(&path).expect("the copy can be written");
        let core = options(&path);
        let request =
            CoreRequest { core, purpose: View::Complete.into(), best_effort: false, descriptions: Descriptions::default() };
        let opened = core::open(&core).expect("the core is sound");
        let layout = post_mortem::layout_options(&request);
        let located = post_mortem::find_interpreter(&opened.capture, &opened.binaries, &layout);
        let inspection = inspect_core(&request).expect("the core is sound");
        let mut of_label: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        let mut objects = Vec::new();
        inspection.for_each_object(View::Complete, &mut |row| {
            let count = of_label.entry(row.clodo.to_owned()).or_default();
            *count += 1;
            if *count <= 8 {
                objects.push(row.address.get());
            }
            true
        });
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
        let headers = (1..count).map(|index| HEADER + index * PROGRAM_HEADER);
        let segments = headers.map(|at| (word(at + 16), word(at + 32), word(at + 8) as usize)).collect();
        let located = located.expect("the core is sound");
        Victim { bytes, file, path, located, objects, segments }
    })
}

impl Victim {
    fn place(&self, address: u64) -> Option<usize> {
        let found = self.segments.iter().find(|&&(start, length, _)| {
            address.checked_sub(start).is_some_and(|into| into.checked_add(8).is_some_and(|end| end <= length))
        });
        found.map(|&(start, _, offset)| offset + (address - start) as usize)
    }

    /// A word of an object, or of what the first word of those leads to.
    fn aim(&self, chunk: &[u8]) -> Option<usize> {
        let number = usize::from(u16::from_le_bytes([chunk[0], chunk[1]]));
        let object = self.objects[number % self.objects.len()];
        let (word, is_behind) = (u64::from(chunk[2] & 0x3f), chunk[2] & 0x40 != 0);
        let field = object + 8 * (word % (BEFORE + WORDS)) - 8 * BEFORE;
        let place = self.place(field)?;
        if !is_behind {
            return Some(place);
        }
        let pointer = u64::from_le_bytes(self.bytes[place..place + 8].try_into().ok()?);
        self.place((pointer & !7) + 8 * u64::from(chunk[2] >> 7))
    }
}

fuzz_target!(|input: &[u8]| {
    let victim = victim();
    let mut places = Vec::new();
    for chunk in input.chunks_exact(11) {
        if let Some(place) = victim.aim(chunk) {
            let _ = victim.file.write_all_at(&chunk[3..], place as u64);
            places.push(place);
        }
    }
    let opened = core::open(&options(&victim.path)).expect("only memory is damaged");
    if let Ok(inspection) = post_mortem::analyse_core(opened.capture, &victim.located, View::Complete) {
        let _ = inspection.totals(View::Complete);
        let _ = inspection.region_map(View::Complete);
        inspection.for_each_buffer(View::Complete, &mut |_| true);
    }
    for place in places {
        let _ = victim.file.write_all_at(&victim.bytes[place..place + 8], place as u64);
    }
});
