//! The list of structures and fields that are read, and nothing about where they are.
//!
//! Read by three parties: the compiler (typed members of [`Layouts`]), [`Layouts::load`] (looked up
//! once per inspected process) and the extractors ([`wanted`]: what to look for in DWARF).
//!
//! A structure is named by the spellings that CPython's versions use, a field by the alternatives
//! of its place, each separated by `|`; the first spelling is the key in a [`Table`]. A field of
//! type `u64` exists in every supported version, an `Option` does not: some version has none.

mod allocator;
mod callables;
mod core;
mod exceptions;
mod field;
mod iteration;
mod library;
mod runtime;
mod values;
mod wrappers;

pub use allocator::*;
pub use callables::*;
pub use core::*;
pub use exceptions::*;
pub use field::Bits;
pub use field::MissingField;
pub use field::NamedOffset;
pub use field::WantedField;
pub use field::WantedStructure;
pub use field::first;
pub use iteration::*;
pub use library::*;
pub use runtime::*;
pub use values::*;
pub use wrappers::*;

use crate::layout::table::Table;
use field::StructureKind;

macro_rules! layouts {
    ($($member:ident: $kind:ty,)*) => {
        /// Where every field is that this program reads, for one CPython build.
        ///
        /// An `Option` structure is `None` where the build has none, or where nothing tells its layout.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Layouts {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] pub $member: $kind,)*
        }

        impl Layouts {
            /// Looks every field up. Fails on the first required field that the table lacks.
            pub fn load(table: &Table) -> Result<Self, MissingField> {
                Ok(Self { $($member: StructureKind::load(table)?,)* })
            }
        }

        /// Every structure that is wanted, in the order of [`Layouts`].
        pub fn wanted() -> &'static [WantedStructure] {
            &[$(<$kind as StructureKind>::WANTED,)*]
        }
    };
}

layouts! {
    object: Object,
    variable_object: VariableObject,
    gc_head: GcHead,
    type_object: TypeObject,
    heap_type: HeapType,
    member_def: MemberDef,
    method_def: MethodDef,
    getset_def: GetSetDef,
    module_def: ModuleDef,
    int: Int,
    float: Float,
    complex: Complex,
    ascii_string: AsciiString,
    compact_string: CompactString,
    legacy_string: LegacyString,
    bytes: Bytes,
    byte_array: ByteArray,
    list: List,
    tuple: Tuple,
    dict: Dict,
    dict_keys: DictKeys,
    dict_entry: DictEntry,
    dict_unicode_entry: Option<DictUnicodeEntry>,
    dict_values: Option<DictValues>,
    frozen_dict: Option<FrozenDict>,
    dict_view: DictView,
    dict_iterator: DictIterator,
    set: Set,
    set_entry: SetEntry,
    set_iterator: SetIterator,
    slice: Slice,
    range: Range,
    range_iterator: RangeIterator,
    long_range_iterator: LongRangeIterator,
    memory_view: MemoryView,
    managed_buffer: ManagedBuffer,
    buffer_view: Buffer,
    tuple_iterator: TupleIterator,
    list_iterator: ListIterator,
    list_reverse_iterator: ListReverseIterator,
    string_iterator: StringIterator,
    bytes_iterator: BytesIterator,
    byte_array_iterator: ByteArrayIterator,
    sequence_iterator: SequenceIterator,
    memory_view_iterator: Option<MemoryViewIterator>,
    callable_iterator: CallableIterator,
    union: Option<Union>,
    generic_alias: Option<GenericAlias>,
    generic_alias_iterator: Option<GenericAliasIterator>,
    capsule: Capsule,
    namespace: Namespace,
    function: Function,
    builtin_function: BuiltinFunction,
    builtin_method: Option<BuiltinMethod>,
    method: Method,
    instance_method: InstanceMethod,
    cell: Cell,
    code: Code,
    frame: Frame,
    interpreter_frame: Option<InterpreterFrame>,
    generator: Generator,
    coroutine: Coroutine,
    async_generator: AsyncGenerator,
    async_generator_send: AsyncGeneratorSend,
    async_generator_throw: AsyncGeneratorThrow,
    async_generator_value: AsyncGeneratorValue,
    coroutine_wrapper: CoroutineWrapper,
    async_iterator_wrapper: Option<AsyncIteratorWrapper>,
    anext_awaitable: Option<AnextAwaitable>,
    exception_stack_item: Option<ExceptionStackItem>,
    module: Module,
    weak_reference: WeakReference,
    property: Property,
    descriptor: Descriptor,
    method_descriptor: MethodDescriptor,
    member_descriptor: MemberDescriptor,
    getset_descriptor: GetSetDescriptor,
    wrapper_descriptor: WrapperDescriptor,
    method_wrapper: MethodWrapper,
    mapping_proxy: MappingProxy,
    super_object: Super,
    static_method: StaticMethod,
    class_method: ClassMethod,
    frame_locals_proxy: Option<FrameLocalsProxy>,
    lazy_import: Option<LazyImport>,
    type_alias: Option<TypeAlias>,
    type_var: Option<TypeVar>,
    type_var_tuple: Option<TypeVarTuple>,
    param_spec: Option<ParamSpec>,
    template: Option<Template>,
    interpolation: Option<Interpolation>,
    template_iterator: Option<TemplateIterator>,
    sentinel: Option<Sentinel>,
    base_exception: BaseException,
    syntax_error: SyntaxError,
    import_error: ImportError,
    unicode_error: UnicodeError,
    system_exit: SystemExit,
    os_error: OsError,
    stop_iteration: StopIteration,
    name_error: Option<NameError>,
    attribute_error: Option<AttributeError>,
    base_exception_group: Option<BaseExceptionGroup>,
    traceback: Traceback,
    context: Option<Context>,
    context_var: Option<ContextVar>,
    context_token: Option<ContextToken>,
    hamt: Option<Hamt>,
    hamt_array: Option<HamtArray>,
    hamt_bitmap: Option<HamtBitmap>,
    hamt_collision: Option<HamtCollision>,
    deque: Deque,
    deque_block: DequeBlock,
    deque_iterator: DequeIterator,
    default_dict: DefaultDict,
    ordered_dict: OrderedDict,
    ordered_dict_node: OrderedDictNode,
    ordered_dict_iterator: OrderedDictIterator,
    partial: Partial,
    lru_cache: LruCache,
    lru_link: LruLink,
    compare_key: CompareKey,
    accumulate: Accumulate,
    chain: Chain,
    combinations: Combinations,
    combinations_with_replacement: CombinationsWithReplacement,
    compress: Compress,
    count: Count,
    cycle: Cycle,
    drop_while: DropWhile,
    take_while: TakeWhile,
    filter_false: FilterFalse,
    group_by: GroupBy,
    grouper: Grouper,
    islice: Islice,
    permutations: Permutations,
    product: Product,
    repeat: Repeat,
    star_map: StarMap,
    tee: Tee,
    tee_data: TeeData,
    zip_longest: ZipLongest,
    filter: Filter,
    map: Map,
    zip: Zip,
    enumerate: Enumerate,
    reversed: Reversed,
    pairwise: Option<Pairwise>,
    batched: Option<Batched>,
    buffered: Buffered,
    bytes_io: BytesIo,
    bytes_io_buffer: BytesIoBuffer,
    string_io: StringIo,
    text_io: TextIo,
    file_io: FileIo,
    buffered_pair: BufferedPair,
    newline_decoder: NewlineDecoder,
    array: Option<Array>,
    array_descriptor: Option<ArrayDescriptor>,
    array_iterator: Option<ArrayIterator>,
    struct_format: Option<StructFormat>,
    decimal: Option<Decimal>,
    decimal_context: Option<DecimalContext>,
    decimal_context_manager: Option<DecimalContextManager>,
    element: Option<Element>,
    element_extra: Option<ElementExtra>,
    tree_builder: Option<TreeBuilder>,
    xml_parser: Option<XmlParser>,
    expat_parser: Option<ExpatParser>,
    pickler: Option<Pickler>,
    unpickler: Option<Unpickler>,
    simple_queue: Option<SimpleQueue>,
    c_data: Option<CData>,
    c_function_pointer: Option<CFunctionPointer>,
    c_thunk: Option<CThunk>,
    c_field: Option<CField>,
    zlib_stream: Option<ZlibStream>,
    zlib_decompressor: Option<ZlibDecompressor>,
    bz2_decompressor: Option<Bz2Decompressor>,
    lzma_decompressor: Option<LzmaDecompressor>,
    zstd_compressor: Option<ZstdCompressor>,
    zstd_decompressor: Option<ZstdDecompressor>,
    zstd_dict: Option<ZstdDict>,
    incremental_encoder: Option<IncrementalEncoder>,
    incremental_decoder: Option<IncrementalDecoder>,
    stream_reader: Option<StreamReader>,
    stream_writer: Option<StreamWriter>,
    c_argument: Option<CArgument>,
    storage_dict: Option<StorageDict>,
    storage_info: Option<StorageInfo>,
    date: Date,
    date_time: DateTime,
    time: Time,
    time_delta: TimeDelta,
    time_zone: Option<TimeZone>,
    future: Option<Future>,
    task: Option<Task>,
    task_step: Option<TaskStep>,
    thread_local: Option<ThreadLocal>,
    thread_local_dummy: Option<ThreadLocalDummy>,
    profiler: Option<Profiler>,
    attr_getter: Option<AttrGetter>,
    item_getter: Option<ItemGetter>,
    method_caller: Option<MethodCaller>,
    pattern: Option<Pattern>,
    match_object: Option<Match>,
    scanner: Option<Scanner>,
    json_scanner: Option<JsonScanner>,
    json_encoder: Option<JsonEncoder>,
    csv_reader: Option<CsvReader>,
    csv_writer: Option<CsvWriter>,
    hash: Option<Hash>,
    mmap: Option<Mmap>,
    abc_data: Option<AbcData>,
    sqlite_connection: Option<SqliteConnection>,
    sqlite_callback: Option<SqliteCallback>,
    sqlite_statement: Option<SqliteStatement>,
    sqlite_blob: Option<SqliteBlob>,
    sqlite_cache: Option<SqliteCache>,
    sqlite_node: Option<SqliteNode>,
    sqlite_cursor: Option<SqliteCursor>,
    sqlite_row: Option<SqliteRow>,
    ssl_context: Option<SslContext>,
    ssl_socket: Option<SslSocket>,
    zone_info: Option<ZoneInfo>,
    runtime: Runtime,
    interpreter: Interpreter,
    thread_state: ThreadState,
    thread_state_impl: Option<ThreadStateImpl>,
    c_frame: Option<CFrame>,
    stack_chunk: Option<StackChunk>,
    gc_state: GcState,
    gc_generation: GcGeneration,
    static_type_state: Option<StaticTypeState>,
    hash_table: HashTable,
    hash_table_entry: HashTableEntry,
    obmalloc: Option<Obmalloc>,
    arena: Arena,
    pool: Pool,
    object_free_lists: Option<ObjectFreeLists>,
    free_lists: Option<FreeLists>,
    free_list: Option<FreeList>,
    mimalloc_segment: Option<MimallocSegment>,
    mimalloc_page: Option<MimallocPage>,
    mimalloc_heap: Option<MimallocHeap>,
    mimalloc_interpreter: Option<MimallocInterpreter>,
    mimalloc_abandoned_pool: Option<MimallocAbandonedPool>,
}
