//! Exceptions, tracebacks, contexts and the trie behind them.

use super::field::structures;

structures! {
    /// `PyBaseExceptionObject`.
    BaseException = "PyBaseExceptionObject" {
        dict: u64 = "dict", args: u64 = "args", traceback: u64 = "traceback", context: u64 = "context",
        cause: u64 = "cause", suppress_context: u64 = "suppress_context", notes: Option<u64> = "notes",
    }
    /// `PySyntaxErrorObject`.
    SyntaxError = "PySyntaxErrorObject" {
        msg: u64 = "msg", filename: u64 = "filename", lineno: u64 = "lineno", offset: u64 = "offset",
        text: u64 = "text", print_file_and_line: u64 = "print_file_and_line",
        end_lineno: Option<u64> = "end_lineno", end_offset: Option<u64> = "end_offset",
        metadata: Option<u64> = "metadata",
    }
    /// `PyImportErrorObject`.
    ImportError = "PyImportErrorObject" {
        msg: u64 = "msg", name: u64 = "name", path: u64 = "path", name_from: Option<u64> = "name_from",
    }
    /// `PyUnicodeErrorObject`.
    UnicodeError = "PyUnicodeErrorObject" {
        encoding: u64 = "encoding", object: u64 = "object", start: u64 = "start", end: u64 = "end",
        reason: u64 = "reason",
    }
    /// `PySystemExitObject`.
    SystemExit = "PySystemExitObject" {
        code: u64 = "code",
    }
    /// `PyOSErrorObject`.
    OsError = "PyOSErrorObject" {
        myerrno: u64 = "myerrno", strerror: u64 = "strerror", filename: u64 = "filename",
        filename2: u64 = "filename2", written: u64 = "written",
    }
    /// `PyStopIterationObject`.
    StopIteration = "PyStopIterationObject" {
        value: u64 = "value",
    }
    /// `PyNameErrorObject`.
    NameError = "PyNameErrorObject" {
        name: u64 = "name",
    }
    /// `PyAttributeErrorObject`.
    AttributeError = "PyAttributeErrorObject" {
        obj: u64 = "obj", name: u64 = "name",
    }
    /// `PyBaseExceptionGroupObject`.
    BaseExceptionGroup = "PyBaseExceptionGroupObject" {
        msg: u64 = "msg", excs: u64 = "excs", excs_str: Option<u64> = "excs_str",
    }
    /// `PyTracebackObject`.
    Traceback = "PyTracebackObject|_traceback" {
        next: u64 = "tb_next", frame: u64 = "tb_frame",
    }
    /// `PyContext`.
    Context = "PyContext|_pycontextobject" {
        previous: u64 = "ctx_prev", variables: u64 = "ctx_vars", weakreflist: u64 = "ctx_weakreflist",
        entered: u64 = "ctx_entered",
    }
    /// `PyContextVar`.
    ContextVar = "PyContextVar|_pycontextvarobject" {
        name: u64 = "var_name", default: u64 = "var_default", cached: Option<u64> = "var_cached",
    }
    /// `PyContextToken`.
    ContextToken = "PyContextToken|_pycontexttokenobject" {
        context: u64 = "tok_ctx", variable: u64 = "tok_var", old_value: u64 = "tok_oldval",
    }
    /// `PyHamtObject`.
    Hamt = "PyHamtObject" {
        root: u64 = "h_root", weakreflist: u64 = "h_weakreflist", count: u64 = "h_count",
    }
    /// `PyHamtNode_Array`.
    HamtArray = "PyHamtNode_Array" {
        array: u64 = "a_array", count: u64 = "a_count",
    }
    /// `PyHamtNode_Bitmap`.
    HamtBitmap = "PyHamtNode_Bitmap" {
        bitmap: u64 = "b_bitmap", array: u64 = "b_array",
    }
    /// `PyHamtNode_Collision`.
    HamtCollision = "PyHamtNode_Collision" {
        hash: u64 = "c_hash", array: u64 = "c_array",
    }
}
