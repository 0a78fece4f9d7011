//! pymalloc, free lists and mimalloc.

use super::field::Bits;
use super::field::NamedOffset;
use super::field::structures;

structures! {
    /// `_obmalloc_state`.
    Obmalloc = "_obmalloc_state" {
        arenas: u64 = "mgmt.arenas", max_arenas: u64 = "mgmt.maxarenas", used_pools: u64 = "pools.used",
        arena_map_root: u64 = "usage.arena_map_root",
    }
    /// `arena_object`.
    Arena = "arena_object" {
        address: u64 = "address", pool_address: u64 = "pool_address", nfreepools: u64 = "nfreepools",
        ntotalpools: u64 = "ntotalpools", freepools: u64 = "freepools", nextarena: u64 = "nextarena",
        prevarena: u64 = "prevarena",
    }
    /// `pool_header`.
    Pool = "pool_header" {
        count: u64 = "ref", free_block: u64 = "freeblock", next: u64 = "nextpool", previous: u64 = "prevpool",
        arena_index: u64 = "arenaindex", size_index: u64 = "szidx", next_offset: u64 = "nextoffset",
        max_next_offset: u64 = "maxnextoffset",
    }
    /// `_Py_object_freelists`.
    ObjectFreeLists = "_Py_object_freelists" {
        floats: u64 = "floats.items", tuples: u64 = "tuples.items", tuples_count: u64 = "tuples.numfree",
        lists: u64 = "lists.items", lists_count: u64 = "lists.numfree", dicts: u64 = "dicts.items",
        dicts_count: u64 = "dicts.numfree", dict_keys: u64 = "dictkeys.items",
        dict_keys_count: u64 = "dictkeys.numfree", slice: u64 = "slices.slice_cache",
        contexts: u64 = "contexts.items", async_values: u64 = "async_gens.items",
        async_values_count: u64 = "async_gens.numfree", async_sends: u64 = "async_gen_asends.items",
        async_sends_count: u64 = "async_gen_asends.numfree", object_stacks: u64 = "object_stacks.items",
    }
    /// `_Py_freelists`.
    FreeLists = "_Py_freelists" {
        lists: Vec<NamedOffset> =
            "floats,complexes,ints,tuples,lists,list_iters,tuple_iters,dicts,dictkeys,slices,ranges,\
             range_iters,contexts,async_gens,async_gen_asends,futureiters,object_stack_chunks,\
             unicode_writers,bytes_writers,pycfunctionobject,pycmethodobject,pymethodobjects",
    }
    /// `_Py_freelist`.
    FreeList = "_Py_freelist" {
        first: u64 = "freelist", count: u64 = "size",
    }
    /// `mi_segment_t`.
    MimallocSegment = "mi_segment_t|mi_segment_s" {
        segment_slices: u64 = "segment_slices", segment_info_slices: u64 = "segment_info_slices",
        kind: u64 = "kind", slice_entries: u64 = "slice_entries", thread_id: u64 = "thread_id",
        slices: u64 = "slices", abandoned_next: Option<u64> = "abandoned_next", used: u64 = "used",
        cookie: u64 = "cookie",
    }
    /// `mi_page_t`.
    MimallocPage = "mi_page_t|mi_page_s" {
        slice_count: u64 = "slice_count", slice_offset: u64 = "slice_offset", tag: Option<Bits> = "tag",
        heap_tag: Option<u64> = "heap_tag", block_size: Option<u64> = "block_size",
        xblock_size: Option<u64> = "xblock_size", page_start: Option<u64> = "page_start",
        capacity: u64 = "capacity", reserved: u64 = "reserved", free: u64 = "free", used: u64 = "used",
        local_free: u64 = "local_free", xthread_free: u64 = "xthread_free", xheap: u64 = "xheap",
        flags: u64 = "flags", keys: Option<u64> = "keys",
    }
    /// `mi_heap_t`.
    MimallocHeap = "mi_heap_t|mi_heap_s" {
        thread_local_data: u64 = "tld", pages: u64 = "pages", thread_delayed_free: u64 = "thread_delayed_free",
        thread_id: u64 = "thread_id", page_count: u64 = "page_count", next: u64 = "next", tag: u64 = "tag",
        debug_offset: u64 = "debug_offset", keys: Option<u64> = "keys",
    }
    /// `_mimalloc_interp_state`.
    MimallocInterpreter = "_mimalloc_interp_state" {
        abandoned_pool: Option<u64> = "abandoned_pool",
    }
    /// `mi_abandoned_pool_t`.
    MimallocAbandonedPool = "mi_abandoned_pool_t" {
        abandoned_visited: u64 = "abandoned_visited", abandoned: u64 = "abandoned",
    }
}

impl MimallocPage {
    /// The bits of a word at `used` that belong to it: 32 in mimalloc 2.1.2, 16 in 2.5.2, where the place of the
    /// first block is a field (`Include/internal/mimalloc/mimalloc/types.h`, `struct mi_page_s`).
    pub const fn used_mask(&self) -> u64 {
        if self.page_start.is_some() { 0xffff } else { 0xffff_ffff }
    }
}
