//! Objects that wrap what a library keeps: compressors, codecs, databases, connections, parsers.

use super::field::structures;

structures! {
    /// `MultibyteIncrementalEncoderObject`.
    IncrementalEncoder = "MultibyteIncrementalEncoderObject" {
        errors: u64 = "errors", pending: u64 = "pending",
    }
    /// `MultibyteIncrementalDecoderObject`.
    IncrementalDecoder = "MultibyteIncrementalDecoderObject" {
        errors: u64 = "errors",
    }
    /// `MultibyteStreamReaderObject`.
    StreamReader = "MultibyteStreamReaderObject" {
        errors: u64 = "errors", stream: u64 = "stream",
    }
    /// `MultibyteStreamWriterObject`.
    StreamWriter = "MultibyteStreamWriterObject" {
        errors: u64 = "errors", pending: u64 = "pending", stream: u64 = "stream",
    }
    /// `compobject` of zlib.
    ZlibStream = "compobject" {
        unused_data: u64 = "unused_data", unconsumed_tail: u64 = "unconsumed_tail", zdict: u64 = "zdict",
    }
    /// `ZlibDecompressor` (3.12 on).
    ZlibDecompressor = "ZlibDecompressor" {
        zdict: u64 = "zdict", unused_data: u64 = "unused_data",
    }
    /// `BZ2Decompressor`.
    Bz2Decompressor = "BZ2Decompressor" {
        unused_data: u64 = "unused_data",
    }
    /// `Decompressor` of _lzma.
    LzmaDecompressor = "Decompressor" {
        unused_data: u64 = "unused_data",
    }
    /// `ZstdCompressor` (3.14 on).
    ZstdCompressor = "ZstdCompressor" {
        dict: u64 = "dict",
    }
    /// `ZstdDecompressor` (3.14 on).
    ZstdDecompressor = "ZstdDecompressor" {
        dict: u64 = "dict", unused_data: u64 = "unused_data",
    }
    /// `ZstdDict` (3.14 on).
    ZstdDict = "ZstdDict" {
        compression_dicts: u64 = "c_dicts",
    }
    /// `pysqlite_Connection`.
    SqliteConnection = "pysqlite_Connection" {
        isolation_level: u64 = "isolation_level", statement_cache: u64 = "statement_cache",
        cursors: Option<u64> = "cursors", blobs: Option<u64> = "blobs", statements: Option<u64> = "statements",
        row_factory: u64 = "row_factory", text_factory: u64 = "text_factory",
        collations: Option<u64> = "collations",
        trace_callback: Option<u64> = "function_pinboard_trace_callback",
        progress_handler: Option<u64> = "function_pinboard_progress_handler",
        authorizer_callback: Option<u64> = "function_pinboard_authorizer_cb",
        trace_context: Option<u64> = "trace_ctx", progress_context: Option<u64> = "progress_ctx",
        authorizer_context: Option<u64> = "authorizer_ctx",
    }
    /// `callback_context` (3.11 on, Modules/_sqlite/connection.h).
    SqliteCallback = "callback_context" {
        callable: u64 = "callable", module: u64 = "module",
    }
    /// `pysqlite_Statement`.
    SqliteStatement = "pysqlite_Statement" {
        sql: Option<u64> = "sql", weakreflist: Option<u64> = "in_weakreflist",
    }
    /// `pysqlite_Blob` (3.11 on).
    SqliteBlob = "pysqlite_Blob" {
        connection: u64 = "connection", weakreflist: u64 = "in_weakreflist",
    }
    /// `pysqlite_Cache` (up to 3.10, Modules/_sqlite/cache.h).
    SqliteCache = "pysqlite_Cache" {
        mapping: u64 = "mapping", first: u64 = "first",
    }
    /// `pysqlite_Node` (up to 3.10, Modules/_sqlite/cache.h).
    SqliteNode = "pysqlite_Node" {
        key: u64 = "key", data: u64 = "data", next: u64 = "next",
    }
    /// `pysqlite_Cursor`.
    SqliteCursor = "pysqlite_Cursor" {
        connection: u64 = "connection", description: u64 = "description", row_cast_map: u64 = "row_cast_map",
        lastrowid: u64 = "lastrowid", row_factory: u64 = "row_factory", statement: u64 = "statement",
        weakreflist: u64 = "in_weakreflist", next_row: Option<u64> = "next_row",
    }
    /// `pysqlite_Row`.
    SqliteRow = "pysqlite_Row" {
        data: u64 = "data", description: u64 = "description",
    }
    /// `PySSLContext`.
    SslContext = "PySSLContext" {
        set_sni_callback: u64 = "set_sni_cb|set_hostname", message_callback: Option<u64> = "msg_cb",
        keylog_filename: Option<u64> = "keylog_filename",
        psk_client_callback: Option<u64> = "psk_client_callback",
        psk_server_callback: Option<u64> = "psk_server_callback",
    }
    /// `PySSLSocket`.
    SslSocket = "PySSLSocket" {
        socket: u64 = "Socket", context: u64 = "ctx", owner: u64 = "owner",
        server_hostname: u64 = "server_hostname", exception: Option<u64> = "exc",
        exception_type: Option<u64> = "exc_type", exception_value: Option<u64> = "exc_value",
        exception_traceback: Option<u64> = "exc_tb",
    }
    /// `xmlparseobject`.
    ExpatParser = "xmlparseobject" {
        intern: u64 = "intern", handlers: u64 = "handlers", parent: Option<u64> = "parent",
    }
}
