//! A process image written byte by byte, as a release build of CPython 3.11 would have it.
//!
//! Every offset here is written by hand from CPython's headers (3.11: pycore_runtime.h, pycore_interp.h,
//! cpython/pystate.h, pycore_gc.h, cpython/object.h, pycore_dict.h, cpython/unicodeobject.h), on
//! purpose not taken from the tables under test.

use heapattach::address::Address;
use heapattach::address::AddressRange;
use heapattach::binary::Modules;
use heapattach::descriptions::Descriptions;
use heapattach::inspection::Inspection;
use heapattach::inspection::View;
use heapattach::inspection::assemble;
use heapattach::inspection::locate::Located;
use heapattach::layout;
use heapattach::layout::Build;
use heapattach::layout::ResolveRequest;
use heapattach::layout::Version;
use heapattach::target::Capture;
use heapattach::target::CaptureStatistics;
use heapattach::target::Image;
use heapattach::target::TargetDescription;
use heapattach::target::image::Backing;
use heapattach::target::image::Segment;
use std::collections::BTreeMap;

/// One region of everything.
const BASE: u64 = 0x7f00_0000_0000;
const RUNTIME: u64 = BASE;
const INTERPRETER: u64 = BASE + 0x3_0000;
const THREAD: u64 = BASE + 0x5_0000;
const C_FRAME: u64 = BASE + 0x5_1000;
/// Pools of 16 KiB from here on, one for each size of block.
const POOLS: u64 = BASE + 0x6_0000;
const POOL: u64 = 0x4000;
/// How many pools there is room for unless a test says otherwise.
const USUAL_POOLS: u64 = 40;

const HEAP_TYPE: u64 = 1 << 9;
const READY: u64 = 1 << 12;
const GC: u64 = 1 << 14;
const MANAGED_DICT: u64 = 1 << 4;

/// The types that every process has.
#[derive(Clone, Copy, Default)]
pub(crate) struct Types {
    pub(crate) type_type: u64,
    pub(crate) object: u64,
    pub(crate) int: u64,
    pub(crate) float: u64,
    pub(crate) text: u64,
    pub(crate) tuple: u64,
    pub(crate) list: u64,
    pub(crate) dict: u64,
    pub(crate) deque: u64,
    pub(crate) ordered_dict: u64,
}

/// What a type object says.
#[derive(Clone, Copy)]
struct Declared<'a> {
    name: &'a str,
    /// tp_basicsize and tp_itemsize.
    sizes: (u64, u64),
    flags: u64,
    base: u64,
}

/// Writes a process.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    /// malloc's memory begins behind the pools; the next address of it.
    next_raw: u64,
    /// How many pools there is room for.
    most_pools: u64,
    /// Block size of each pool and how many blocks are carved.
    pools: Vec<(u64, u64)>,
    /// The newest pool of each block size.
    open_pools: BTreeMap<u64, usize>,
    pub(crate) types: Types,
    builtins: Vec<(u64, u64)>,
}

impl Builder {
    /// A started interpreter with one thread and a few types, with room for so many bytes of raw memory.
    pub(crate) fn new(room: u64) -> Self {
        Self::with_pools(USUAL_POOLS, room)
    }

    /// The same with room for so many pools.
    pub(crate) fn with_pools(most_pools: u64, room: u64) -> Self {
        let raw = POOLS + POOL * most_pools;
        let length = (raw - BASE + room).next_multiple_of(4096) as usize;
        let mut builder = Self {
            bytes: vec![0; length],
            next_raw: raw,
            most_pools,
            pools: Vec::new(),
            open_pools: BTreeMap::new(),
            types: Types::default(),
            builtins: Vec::new(),
        };
        let type_type = builder.reserve(904 + 16) + 16;
        builder.types.type_type = type_type;
        let object = builder.static_type(Declared { name: "object", sizes: (16, 0), flags: 0, base: 0 });
        builder.write_type(
            type_type,
            Declared { name: "type", sizes: (904, 40), flags: GC | 1 << 31, base: object },
        );
        builder.types.object = object;
        builder.types.int =
            builder.static_type(Declared { name: "int", sizes: (24, 4), flags: 1 << 24, base: object });
        builder.types.float =
            builder.static_type(Declared { name: "float", sizes: (24, 0), flags: 0, base: object });
        builder.types.tuple = builder.static_type(Declared {
            name: "tuple",
            sizes: (24, 8),
            flags: GC | 1 << 26,
            base: object,
        });
        builder.types.text =
            builder.static_type(Declared { name: "str", sizes: (80, 0), flags: 1 << 28, base: object });
        builder.types.list =
            builder.static_type(Declared { name: "list", sizes: (40, 0), flags: GC | 1 << 25, base: object });
        builder.types.dict =
            builder.static_type(Declared { name: "dict", sizes: (48, 0), flags: GC | 1 << 29, base: object });
        builder.types.deque = builder.static_type(Declared {
            name: "collections.deque",
            sizes: (232, 0),
            flags: GC,
            base: object,
        });
        builder.types.ordered_dict = builder.static_type(Declared {
            name: "collections.OrderedDict",
            sizes: (112, 0),
            flags: GC | 1 << 29,
            base: builder.types.dict,
        });
        builder
    }

    /// Writes a 64-bit word.
    pub(crate) fn put(&mut self, address: u64, word: u64) {
        let at = (address - BASE) as usize;
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    fn put_bytes(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put32(&mut self, address: u64, word: u32) {
        self.put_bytes(address, &word.to_le_bytes());
    }

    /// Memory of malloc, 16-byte aligned.
    pub(crate) fn reserve(&mut self, size: u64) -> u64 {
        let address = self.next_raw;
        self.next_raw += size.next_multiple_of(16);
        assert!(self.next_raw <= BASE + self.bytes.len() as u64, "room for {size} more bytes");
        address
    }

    /// A block of a pool of blocks of `size` bytes.
    pub(crate) fn block(&mut self, size: u64) -> u64 {
        let capacity = (POOL - 48) / size;
        let open = self.open_pools.get(&size).copied().filter(|&index| self.pools[index].1 < capacity);
        let index = open.unwrap_or(self.pools.len());
        if open.is_none() {
            assert!((index as u64) < self.most_pools, "room for another pool of {size} bytes");
            self.pools.push((size, 0));
            self.open_pools.insert(size, index);
        }
        let pool = POOLS + POOL * index as u64;
        let carved = self.pools[index].1 + 1;
        self.pools[index].1 = carved;
        // struct pool_header: count@0, freeblock@8, arenaindex@32, szidx@36, nextoffset@40, maxnextoffset@44.
        self.put32(pool, carved as u32);
        self.put32(pool + 36, (size / 16 - 1) as u32);
        self.put32(pool + 40, (48 + carved * size) as u32);
        self.put32(pool + 44, (POOL - size) as u32);
        pool + 48 + (carved - 1) * size
    }

    fn text_of_c(&mut self, text: &str) -> u64 {
        let address = self.reserve(text.len() as u64 + 1);
        self.put_bytes(address, text.as_bytes());
        address
    }

    fn header(&mut self, object: u64, kind: u64) {
        self.put(object, 1);
        self.put(object + 8, kind);
    }

    fn static_type(&mut self, declared: Declared<'_>) -> u64 {
        let address = self.reserve(408 + 16) + 16;
        self.write_type(address, declared);
        address
    }

    /// PyTypeObject: tp_name@24, tp_basicsize@32, tp_itemsize@40, tp_dealloc@48, tp_flags@168,
    /// tp_traverse@184, tp_base@256, tp_dict@264, tp_dictoffset@288.
    fn write_type(&mut self, address: u64, declared: Declared<'_>) {
        let Declared { name, sizes: (basic, item), flags, base } = declared;
        let text = self.text_of_c(name);
        self.header(address, self.types.type_type);
        self.put(address + 24, text);
        self.put(address + 32, basic);
        self.put(address + 40, item);
        self.put(address + 168, flags | READY);
        self.put(address + 184, u64::from(flags & GC != 0) * 0x40_1000);
        self.put(address + 256, base);
    }

    /// A class made by a class statement, in a module of that name, with a managed dict.
    pub(crate) fn class(&mut self, module: &str, name: &str) -> u64 {
        let address = self.reserve(904 + 16) + 16;
        let flags = GC | HEAP_TYPE | MANAGED_DICT;
        self.write_type(address, Declared { name, sizes: (24, 0), flags, base: self.types.object });
        // tp_dealloc (subtype_dealloc), tp_weaklistoffset.
        self.put(address + 48, 0x40_2000);
        self.put(address + 208, 16);
        let (key, value) = (self.text("__module__"), self.text(module));
        let dict = self.dict(&[(key, value)]);
        self.put(address + 264, dict);
        self.put(address + 288, u64::MAX);
        // PyHeapTypeObject: ht_name@848.
        let name = self.text(name);
        self.put(address + 848, name);
        self.link(address);
        address
    }

    /// An instance with the dict given: values@-32, dict@-24, collector header@-16.
    pub(crate) fn instance(&mut self, class: u64, dict: u64) -> u64 {
        let object = self.block(64) + 32;
        self.header(object, class);
        self.put(object - 24, dict);
        self.link(object);
        object
    }

    /// PyLongObject: ob_size@16, ob_digit@24.
    pub(crate) fn int(&mut self, digit: u32) -> u64 {
        let object = self.block(32);
        self.header(object, self.types.int);
        self.put(object + 16, 1);
        self.put32(object + 24, digit);
        object
    }

    /// PyFloatObject: ob_fval@16.
    pub(crate) fn float(&mut self, value: f64) -> u64 {
        let object = self.block(32);
        self.header(object, self.types.float);
        self.put(object + 16, value.to_bits());
        object
    }

    /// PyTupleObject: ob_size@16, ob_item@24.
    pub(crate) fn tuple(&mut self, items: &[u64]) -> u64 {
        let object = self.block((40 + 8 * items.len() as u64).next_multiple_of(16)) + 16;
        self.header(object, self.types.tuple);
        self.put(object + 16, items.len() as u64);
        for (index, &item) in items.iter().enumerate() {
            self.put(object + 24 + 8 * index as u64, item);
        }
        self.link(object);
        object
    }

    /// PyASCIIObject: length@16, state@32 (kind 1, compact, ascii, ready), characters@48.
    pub(crate) fn text(&mut self, text: &str) -> u64 {
        let need = (text.len() as u64 + 49).next_multiple_of(16);
        let object = self.block(need);
        self.header(object, self.types.text);
        self.put(object + 16, text.len() as u64);
        self.put32(object + 32, 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7);
        self.put_bytes(object + 48, text.as_bytes());
        object
    }

    /// PyListObject: ob_size@16, ob_item@24, allocated@32.
    pub(crate) fn list(&mut self, items: &[u64]) -> u64 {
        let array = self.array(items);
        self.list_of(array, items.len() as u64)
    }

    /// Words in memory of their own.
    pub(crate) fn array(&mut self, items: &[u64]) -> u64 {
        let array = self.reserve(8 * items.len() as u64);
        for (index, &item) in items.iter().enumerate() {
            self.put(array + 8 * index as u64, item);
        }
        array
    }

    /// A list that claims an array, outside any pool.
    pub(crate) fn list_of(&mut self, array: u64, length: u64) -> u64 {
        let object = self.reserve(56) + 16;
        self.header(object, self.types.list);
        self.put(object + 16, length);
        self.put(object + 24, array);
        self.put(object + 32, length);
        self.link(object);
        object
    }

    /// PyDictObject: ma_used@16, ma_keys@32, ma_values@40. PyDictKeysObject: dk_refcnt@0, dk_log2_size@8,
    /// dk_log2_index_bytes@9, dk_kind@10, dk_usable@16, dk_nentries@24, indices@32, then (key, value).
    pub(crate) fn dict(&mut self, entries: &[(u64, u64)]) -> u64 {
        let keys = self.keys(entries);
        let object = self.block(64) + 16;
        self.header(object, self.types.dict);
        self.put(object + 16, entries.len() as u64);
        self.put(object + 32, keys);
        self.link(object);
        object
    }

    pub(crate) fn keys(&mut self, entries: &[(u64, u64)]) -> u64 {
        let (mut log2_size, count) = (3_u8, entries.len() as u64);
        while (2_u64 << log2_size) / 3 < count {
            log2_size += 1;
        }
        let (size, usable) = (1_u64 << log2_size, (2_u64 << log2_size) / 3);
        let keys = self.reserve(32 + size + 16 * usable);
        self.put(keys, 1);
        self.put_bytes(keys + 8, &[log2_size, log2_size, 1]);
        self.put(keys + 16, usable - count);
        self.put(keys + 24, count);
        for (index, &(key, value)) in entries.iter().enumerate() {
            self.put(keys + 32 + size + 16 * index as u64, key);
            self.put(keys + 32 + size + 16 * index as u64 + 8, value);
        }
        keys
    }

    /// A copy of a collected object, elsewhere.
    pub(crate) fn copy(&mut self, object: u64, size: u64) -> u64 {
        let copy = self.reserve(size + 16) + 16;
        let at = (object - BASE) as usize;
        let bytes = self.bytes[at..at + size as usize].to_vec();
        self.put_bytes(copy, &bytes);
        self.link(copy);
        copy
    }

    /// Onto a collector list of one: _gc_next@-16, _gc_prev@-8, both to itself.
    pub(crate) fn link(&mut self, object: u64) {
        self.put(object - 16, object - 16);
        self.put(object - 8, object - 16);
    }

    /// Puts an object into the builtins, so that the roots lead to it.
    pub(crate) fn hold(&mut self, name: &str, object: u64) {
        let key = self.text(name);
        self.builtins.push((key, object));
    }

    /// Writes runtime, interpreter and thread.
    fn write_runtime(&mut self) {
        let Types { type_type, object, int, text, list, dict, .. } = self.types;
        for (name, value) in [
            ("type", type_type),
            ("object", object),
            ("int", int),
            ("str", text),
            ("list", list),
            ("dict", dict),
        ] {
            self.hold(name, value);
        }
        let entries = std::mem::take(&mut self.builtins);
        let builtins = self.dict(&entries);
        let modules = self.dict(&[]);
        // _PyRuntimeState: interpreters.head@40, interpreters.main@48.
        self.put(RUNTIME + 40, INTERPRETER);
        self.put(RUNTIME + 48, INTERPRETER);
        // PyInterpreterState: next@0, threads.head@16, id@48, gc@648, modules@888, builtins@912.
        self.put(INTERPRETER + 16, THREAD);
        self.put(INTERPRETER + 888, modules);
        self.put(INTERPRETER + 912, builtins);
        // _gc_runtime_state: generations@24 (24 bytes each), generation0@96, permanent_generation@104.
        let gc = INTERPRETER + 648;
        for head in [gc + 24, gc + 48, gc + 72, gc + 104] {
            self.put(head, head);
            self.put(head + 8, head);
        }
        self.put(gc + 96, gc + 24);
        // PyThreadState: interp@16, cframe@56, thread_id@152. _PyCFrame: current_frame@8.
        self.put(THREAD + 16, INTERPRETER);
        self.put(THREAD + 56, C_FRAME);
        self.put(THREAD + 152, 0x1234);
    }

    /// Says that another interpreter comes after the main one.
    pub(crate) fn next_interpreter(&mut self, interpreter: u64) {
        self.put(INTERPRETER, interpreter);
    }

    /// Runs the analysis.
    pub(crate) fn analyse(self, view: View) -> Inspection {
        let (capture, located) = self.finish();
        assemble::analyse(capture, &located, view).expect("the runtime is sound")
    }

    /// What would have been taken from such a process.
    pub(crate) fn finish(mut self) -> (Capture, Located) {
        self.write_runtime();
        let version = Version::from_hex(0x030b_07f0).expect("3.11.7 is a version");
        let resolved = layout::resolve(&ResolveRequest {
            version,
            build: Build::default(),
            runtime_size: Some(166_688),
            dwarf: None,
            published: None,
            best_effort: false,
        });
        let located = Located {
            others: Vec::new(),
            modules: Modules { modules: Vec::new(), unreadable: Vec::new() },
            image_path: "/usr/bin/python3.11".to_owned(),
            build_id: None,
            version,
            build: Build::default(),
            resolved: resolved.expect("3.11 is supported"),
            runtime: Address::new(RUNTIME),
            type_type: Address::new(self.types.type_type),
            frame_type: None,
            descriptions: Descriptions::default(),
        };
        let end = BASE + self.bytes.len() as u64;
        let range = AddressRange::new(Address::new(BASE), Address::new(end));
        let capture = Capture {
            image: Image::new(Backing::Owned(self.bytes), &[Segment { range, local: 0 }], Vec::new()),
            mappings: Vec::new(),
            description: TargetDescription::default(),
            statistics: CaptureStatistics::default(),
        };
        (capture, located)
    }
}
