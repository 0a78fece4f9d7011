//! `itertools` and the iterating builtins.

use super::field::structures;

structures! {
    /// `accumulateobject`.
    Accumulate = "accumulateobject" {
        total: u64 = "total", it: u64 = "it", binop: u64 = "binop", initial: Option<u64> = "initial",
    }
    /// `chainobject`.
    Chain = "chainobject" {
        source: u64 = "source", active: u64 = "active",
    }
    /// `combinationsobject`.
    Combinations = "combinationsobject" {
        pool: u64 = "pool", indices: u64 = "indices", result: u64 = "result", r: u64 = "r",
        stopped: u64 = "stopped",
    }
    /// `cwrobject`.
    CombinationsWithReplacement = "cwrobject" {
        pool: u64 = "pool", indices: u64 = "indices", result: u64 = "result", r: u64 = "r",
        stopped: u64 = "stopped",
    }
    /// `compressobject`.
    Compress = "compressobject" {
        data: u64 = "data", selectors: u64 = "selectors",
    }
    /// `countobject`.
    Count = "countobject" {
        cnt: u64 = "cnt", long_cnt: u64 = "long_cnt", long_step: u64 = "long_step",
    }
    /// `cycleobject`.
    Cycle = "cycleobject" {
        it: u64 = "it", saved: u64 = "saved", index: u64 = "index", firstpass: Option<u64> = "firstpass",
    }
    /// `dropwhileobject`.
    DropWhile = "dropwhileobject" {
        func: u64 = "func", it: u64 = "it", start: u64 = "start",
    }
    /// `takewhileobject`.
    TakeWhile = "takewhileobject" {
        func: u64 = "func", it: u64 = "it", stop: u64 = "stop",
    }
    /// `filterfalseobject`.
    FilterFalse = "filterfalseobject" {
        func: u64 = "func", it: u64 = "it",
    }
    /// `groupbyobject`.
    GroupBy = "groupbyobject" {
        it: u64 = "it", keyfunc: u64 = "keyfunc", tgtkey: u64 = "tgtkey", currkey: u64 = "currkey",
        currvalue: u64 = "currvalue", currgrouper: Option<u64> = "currgrouper",
    }
    /// `_grouperobject`.
    Grouper = "_grouperobject" {
        parent: u64 = "parent", tgtkey: u64 = "tgtkey",
    }
    /// `isliceobject`.
    Islice = "isliceobject" {
        it: u64 = "it", next: u64 = "next", stop: u64 = "stop", step: u64 = "step", cnt: u64 = "cnt",
    }
    /// `permutationsobject`.
    Permutations = "permutationsobject" {
        pool: u64 = "pool", indices: u64 = "indices", cycles: u64 = "cycles", result: u64 = "result",
        r: u64 = "r", stopped: u64 = "stopped",
    }
    /// `productobject`.
    Product = "productobject" {
        pools: u64 = "pools", indices: u64 = "indices", result: u64 = "result", stopped: u64 = "stopped",
    }
    /// `repeatobject`.
    Repeat = "repeatobject" {
        element: u64 = "element", cnt: u64 = "cnt",
    }
    /// `starmapobject`.
    StarMap = "starmapobject" {
        func: u64 = "func", it: u64 = "it",
    }
    /// `teeobject`.
    Tee = "teeobject" {
        dataobj: u64 = "dataobj", index: u64 = "index", weakreflist: u64 = "weakreflist",
    }
    /// `teedataobject`.
    TeeData = "teedataobject" {
        it: u64 = "it", numread: u64 = "numread", nextlink: u64 = "nextlink", values: u64 = "values",
    }
    /// `ziplongestobject`.
    ZipLongest = "ziplongestobject" {
        tuplesize: u64 = "tuplesize", numactive: u64 = "numactive", ittuple: u64 = "ittuple",
        result: u64 = "result", fillvalue: u64 = "fillvalue",
    }
    /// `filterobject`.
    Filter = "filterobject" {
        func: u64 = "func", it: u64 = "it",
    }
    /// `mapobject`.
    Map = "mapobject" {
        iters: u64 = "iters", func: u64 = "func", strict: Option<u64> = "strict",
    }
    /// `zipobject`.
    Zip = "zipobject" {
        tuplesize: u64 = "tuplesize", ittuple: u64 = "ittuple", result: u64 = "result",
        strict: Option<u64> = "strict",
    }
    /// `enumobject`.
    Enumerate = "enumobject" {
        index: u64 = "en_index", sit: u64 = "en_sit", result: u64 = "en_result",
        longindex: u64 = "en_longindex", one: Option<u64> = "one",
    }
    /// `reversedobject`.
    Reversed = "reversedobject" {
        index: u64 = "index", seq: u64 = "seq",
    }
    /// `pairwiseobject`.
    Pairwise = "pairwiseobject" {
        it: u64 = "it", old: u64 = "old", result: Option<u64> = "result",
    }
    /// `batchedobject`.
    Batched = "batchedobject" {
        it: u64 = "it", batch_size: u64 = "batch_size", strict: Option<u64> = "strict",
    }
}
