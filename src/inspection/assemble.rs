//! The stages in order: look at the process while it runs, stop and copy it, analyse the copy.

use crate::address::Address;
use crate::address::AddressRange;
use crate::binary::Module;
use crate::binary::Modules;
use crate::descriptions::Bound;
use crate::descriptions::Descriptions;
use crate::graph::reach::ObjectSet;
use crate::heap::anomaly::Anomalies;
use crate::heap::anomaly::AnomalyKind;
use crate::heap::attribution;
use crate::heap::hidden;
use crate::heap::hidden::Hidden;
use crate::heap::labels;
use crate::heap::model::Heap;
use crate::heap::objects::Flags;
use crate::heap::roots;
use crate::heap::seen::Seen;
use crate::heap::space::Space;
use crate::heap::thread_counts;
use crate::heap::walk;
use crate::heap::walk::Walk;
use crate::heap::walk::WalkRequest;
use crate::heap::work::Work;
use crate::inspection::Inspection;
use crate::inspection::InterpreterDescription;
use crate::inspection::InterpreterFacts;
use crate::inspection::Purpose;
use crate::inspection::View;
use crate::inspection::error::InspectionError;
use crate::inspection::locate;
use crate::inspection::locate::Located;
use crate::layout::Resolved;
use crate::layout::features::ArenaTable;
use crate::layout::identify::LayoutOptions;
use crate::runtime::collector;
use crate::runtime::collector::CollectorList;
use crate::runtime::interpreters;
use crate::runtime::interpreters::Interpreter;
use crate::runtime::interpreters::Runtime;
use crate::runtime::mimalloc;
use crate::runtime::mimalloc::Mimalloc;
use crate::runtime::ownership;
use crate::runtime::pymalloc;
use crate::runtime::pymalloc::Pool;
use crate::target::Capture;
use crate::target::Image;
use crate::target::capture::CaptureOptions;
use crate::target::capture::capture_live;
use crate::target::mapped_file::open_mapped_file;
use crate::target::mapped_file::rebuild_mapped_file;
use crate::target::memory_limit::check_analysis;
use crate::target::memory_limit::check_beginning;
use crate::target::proc_maps::read_mappings;
use crate::target::remote_memory::RemoteMemory;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

/// What to do with a process.
#[derive(Clone)]
pub struct Request<'a> {
    /// The process.
    pub pid: i32,
    /// Which objects and references are wanted.
    pub purpose: Purpose,
    /// Where separate debug files are looked for first.
    pub debug_directories: Vec<PathBuf>,
    /// Use the nearest table for a release that no table knows.
    pub best_effort: bool,
    /// Where types of libraries keep memory outside their objects.
    pub descriptions: Descriptions,
    /// How the process is stopped and copied.
    pub capture: CaptureOptions<'a>,
}

/// Stops, copies and analyses a running process.
pub fn inspect(request: &Request<'_>) -> Result<Inspection, InspectionError> {
    let (first, located) = capture(request)?;
    let inspection = analyse_live(request.pid, first, &located, request.purpose)?;
    if inspection.capture.statistics.bytes_left_out == 0 || inspection.capture.image.missed() == 0 {
        return finish(request.pid, inspection);
    }
    // What looked like the inside of a buffer is something else.
    let mut request = request.clone();
    request.capture.with_buffers = true;
    let before = inspection.capture.statistics.longest_pause_ns;
    drop(inspection);
    let (second, located) = capture(&request)?;
    let mut inspection = analyse_live(request.pid, second, &located, request.purpose)?;
    let statistics = &mut inspection.capture.statistics;
    statistics.longest_pause_ns = statistics.longest_pause_ns.max(before);
    statistics.notes.push("it was copied twice, as a large buffer turned out to hold objects".to_owned());
    finish(request.pid, inspection)
}

/// Stops and copies a running process, with what is needed to analyse the copy.
pub fn capture(request: &Request<'_>) -> Result<(Capture, Located), InspectionError> {
    check_beginning(request.pid)?;
    let located = find_interpreter(request)?;
    let memory = RemoteMemory::new(request.pid);
    let resolved = &located.resolved;
    let mut options = request.capture.clone();
    let before = interpreters::read(&memory, &resolved.layouts, &resolved.features, located.runtime)?;
    options.busy_flags = interpreters::collecting_flags(&before, &resolved.layouts, &resolved.features);
    let capture = capture_live(request.pid, &options)?;
    Ok((capture, located))
}

/// Lets a process go that stood still until here.
fn finish(pid: i32, mut inspection: Inspection) -> Result<Inspection, InspectionError> {
    let Some(released) = inspection.capture.image.release(pid) else { return Ok(inspection) };
    if let Some(cut) = released.cut {
        return Err(cut.into());
    }
    let statistics = &mut inspection.capture.statistics;
    statistics.pause_ns = u64::try_from(released.stop.pause.as_nanos()).unwrap_or(u64::MAX);
    statistics.longest_pause_ns = statistics.longest_pause_ns.max(statistics.pause_ns);
    statistics.threads = released.stop.threads;
    statistics.bytes_copied = released.bytes;
    statistics.pages_skipped = released.unreadable_pages;
    Ok(inspection)
}

/// Which image of a running process is CPython, and where its fields are.
pub fn find_interpreter(request: &Request<'_>) -> Result<Located, InspectionError> {
    let mappings = read_mappings(request.pid)?;
    let memory = RemoteMemory::new(request.pid);
    let modules = Modules::of(&mappings, &|first| {
        open_mapped_file(request.pid, first).or_else(|_| rebuild_mapped_file(&memory, &mappings, first))
    });
    let layout = LayoutOptions {
        debug_directories: request.debug_directories.clone(),
        root: Some(PathBuf::from(format!("/proc/{}/root", request.pid))),
        best_effort: request.best_effort,
    };
    let mut located = locate::locate(&memory, modules, &layout)?;
    located.descriptions.clone_from(&request.descriptions);
    Ok(located)
}

/// The same as [`analyse`] for the copy of a live process, if there is memory enough for it.
pub fn analyse_live(
    pid: i32,
    capture: Capture,
    located: &Located,
    purpose: Purpose,
) -> Result<Inspection, InspectionError> {
    let pools = find_pools(&capture, located);
    check_analysis(pid, pools.iter().map(|pool| u64::from(pool.live)).sum())?;
    analyse_pools(capture, &pools, located, purpose)
}

/// The pools of pymalloc: none in builds without it, whatever looks like one.
fn find_pools(capture: &Capture, located: &Located) -> Vec<Pool> {
    let features = &located.resolved.features;
    match features.arena_table {
        ArenaTable::Mimalloc => Vec::new(),
        _ => pymalloc::find_pools(&capture.image, features.pool_size as u32),
    }
}

/// From a capture to answers. Cost: a few passes over the heap.
pub fn analyse(
    capture: Capture,
    located: &Located,
    purpose: impl Into<Purpose>,
) -> Result<Inspection, InspectionError> {
    let pools = find_pools(&capture, located);
    analyse_pools(capture, &pools, located, purpose.into())
}

fn analyse_pools(
    capture: Capture,
    pools: &[Pool],
    located: &Located,
    purpose: Purpose,
) -> Result<Inspection, InspectionError> {
    let view = purpose.view;
    let captured_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let resolved = &located.resolved;
    let (layouts, features) = (&resolved.layouts, &resolved.features);
    let runtime = interpreters::read(&capture.image, layouts, features, located.runtime)?;
    // The list is newest first; the main interpreter is the oldest.
    let addresses: Vec<Address> =
        runtime.interpreters.iter().rev().map(|interpreter| interpreter.address).collect();
    let mut space = Space {
        image: &capture.image,
        layouts,
        features,
        interpreters: &addresses,
        general_lookup: None,
        work: Work::of(&capture.image),
    };
    space.general_lookup = space.find_general_lookup(located.type_type);
    let collectors = interpreters::collector_lists(&capture.image, &runtime, layouts, features);
    let lists: Vec<CollectorList> =
        collectors.iter().flat_map(|collector| collector.lists.iter().copied()).collect();
    let mimalloc = match features.arena_table {
        ArenaTable::Mimalloc => mimalloc::find(&capture.image, layouts, &runtime),
        _ => Mimalloc::default(),
    };
    let descriptions = located.descriptions.bind(&resolved.table);
    let walk = walk_view(&space, (located, &descriptions), &runtime, (&lists, pools, &mimalloc), purpose);
    let work = space.work.spent();
    space.work.renew();
    let mut anomalies = walk.anomalies.clone();
    note_runtime(&mut anomalies, &capture, &runtime, resolved);
    let main = runtime.interpreters.iter().find(|interpreter| interpreter.id == 0);
    let labels = labels::labels(&space, main.map(|main| main.address), &walk.types);
    let frozen = frozen_objects(&space, &walk, &lists, &mut anomalies);
    let hidden = match view {
        View::Complete => Hidden::default(),
        View::Heapy => hidden::find(&space, main.map(|main| main.address), &walk),
    };
    let mut heap = Heap::new(&space, (walk, seen_in(view)), labels, frozen, hidden);
    let ranges = ownership::ranges(&capture.image, layouts, features, (&runtime, &mimalloc));
    heap.attribution = attribution::attribute(&space, &heap, &runtime, &ranges);
    let notes = notes(located, &heap);
    let interpreter = InterpreterDescription { notes, ..describe(located, &runtime, &capture.image) };
    let general_lookup = space.general_lookup;
    let thread_counts = thread_counts::read(&space, &runtime);
    if space.work.is_exhausted() {
        anomalies.add(AnomalyKind::WorkLimit, None);
    }
    Ok(Inspection {
        capture,
        interpreter,
        heap,
        view,
        anomalies,
        summary: OnceLock::new(),
        referrers: OnceLock::new(),
        was_cut: AtomicBool::new(false),
        captured_at,
        collectors,
        resolved: located.resolved.clone(),
        mimalloc,
        interpreters: addresses,
        thread_counts,
        general_lookup,
        work,
        descriptions,
        binaries: binaries(&located.modules),
        buffers: OnceLock::new(),
    })
}

const fn seen_in(view: View) -> Seen {
    match view {
        View::Complete => Seen::HELD,
        View::Heapy => Seen::HEAPY,
    }
}

fn walk_view(
    space: &Space<'_>,
    (located, descriptions): (&Located, &Bound),
    runtime: &Runtime,
    (lists, pools, mimalloc): (&[CollectorList], &[Pool], &Mimalloc),
    purpose: Purpose,
) -> Walk {
    let view = seen_in(purpose.view);
    let roots = roots::find(space, runtime);
    let makes_frames = view == Seen::HEAPY && space.features.heapy.makes_frames;
    let frames = if makes_frames { roots::main_thread_frames(space, runtime) } else { Vec::new() };
    let is_heapys = view == Seen::HEAPY;
    let other_frames = if is_heapys { roots::other_threads_frames(space, runtime) } else { Vec::new() };
    walk::walk(&WalkRequest {
        space,
        table: &located.resolved.table,
        descriptions,
        type_type: located.type_type,
        frame_type: located.frame_type,
        roots: &roots,
        lists,
        static_ranges: &static_ranges(&located.modules),
        view,
        // The interpreters share what several of them lead to.
        keeps_references: purpose.needs_references || runtime.interpreters.len() > 1,
        frames: &frames,
        pools,
        mimalloc,
        other_frames: &other_frames,
    })
}

/// The writable data of every binary, sorted, with its file.
fn binaries(modules: &Modules) -> Vec<(AddressRange, String)> {
    let data = |module: &Module| {
        module.data_ranges().into_iter().map(|range| (range, module.path.clone())).collect()
    };
    let mut ranges: Vec<(AddressRange, String)> =
        modules.modules.iter().flat_map(|module| -> Vec<_> { data(module) }).collect();
    ranges.sort();
    ranges
}

/// The writable data of every binary, sorted: where static objects are.
fn static_ranges(modules: &Modules) -> Vec<AddressRange> {
    let mut ranges: Vec<AddressRange> =
        modules.modules.iter().flat_map(|module| Module::data_ranges(module)).collect();
    ranges.sort();
    ranges
}

fn note_runtime(anomalies: &mut Anomalies, capture: &Capture, runtime: &Runtime, resolved: &Resolved) {
    if capture.statistics.collecting {
        anomalies.add(AnomalyKind::CollectorRunning, None);
    }
    if runtime.is_cut {
        anomalies.add(AnomalyKind::CutRuntime, None);
    }
    anomalies.add_many(AnomalyKind::GuessedLayout, resolved.is_guess.into(), None);
    anomalies.add_many(AnomalyKind::LayoutDisagreement, resolved.disagreements.len() as u64, None);
}

/// The objects of the permanent generation.
fn frozen_objects(
    space: &Space<'_>,
    walk: &Walk,
    lists: &[CollectorList],
    anomalies: &mut Anomalies,
) -> ObjectSet {
    let objects = &walk.objects;
    let mut frozen = ObjectSet::new(objects.addresses.len());
    if space.features.free_threading.is_some() {
        for (index, &address) in objects.addresses.iter().enumerate() {
            let object = crate::graph::id::ObjectId::from_index(index);
            if objects.flags[index].has(Flags::TRACKED) && space.is_marked_frozen(Address::new(address)) {
                frozen.insert(object);
            }
        }
        return frozen;
    }
    let (swept, extras) = objects.addresses.split_at(objects.swept);
    for list in lists.iter().filter(|list| list.is_permanent) {
        let members = collector::walk(space.image, space.layouts, *list, objects.addresses.len());
        if let Some(at) = members.broken_at {
            anomalies.add(AnomalyKind::BrokenCollectorList, Some(at));
        }
        for object in members.objects {
            let in_swept = swept.binary_search(&object.get()).ok();
            let index = in_swept
                .or_else(|| extras.binary_search(&object.get()).ok().map(|index| index + swept.len()));
            if let Some(index) = index {
                frozen.insert(crate::graph::id::ObjectId::from_index(index));
            }
        }
    }
    frozen
}

/// What is peculiar about this process.
fn notes(located: &Located, heap: &Heap) -> Vec<String> {
    let mut notes: Vec<String> = located
        .others
        .iter()
        .map(|other| format!("{other} is running in this process, too, and is not part of these numbers"))
        .collect();
    // Blocks of another allocator do not say that they are live.
    if heap.objects().swept == 0 && heap.count() > 0 && !located.build.free_threaded {
        notes.push(
            "pymalloc is off (PYTHONMALLOC): objects that only C code refers to cannot be found".to_owned(),
        );
    }
    notes
}

fn describe(located: &Located, runtime: &Runtime, image: &Image) -> InterpreterDescription {
    let (layouts, features) = (&located.resolved.layouts, &located.resolved.features);
    let own = ownership::own_allocators(image, layouts, features, runtime);
    let facts = |(interpreter, own_allocator): (&Interpreter, bool)| InterpreterFacts {
        id: interpreter.id,
        threads: interpreter.threads.len(),
        lock: ownership::lock(image, layouts, features, interpreter).name(),
        own_allocator,
    };
    InterpreterDescription {
        version: located.version.to_string(),
        build: located.build.to_string(),
        image_path: located.image_path.clone(),
        build_id: located.build_id.clone(),
        layout_source: located.resolved.source.clone(),
        breaks_after_hyphen: located.resolved.features.heapy.breaks_after_hyphen,
        interpreters: runtime.interpreters.len(),
        threads: runtime.interpreters.iter().map(|interpreter| interpreter.threads.len()).sum(),
        each: runtime.interpreters.iter().zip(own).rev().map(facts).collect(),
        crash_place: None,
        gil_holder: None,
        notes: Vec::new(),
    }
}
