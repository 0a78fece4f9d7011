//! `__sizeof__` of types of extension modules; each rule is the C file named in [`SizeRule`].

use crate::address::Address;
use crate::heap::plan::Plan;
use crate::heap::size::SizeRule;
use crate::heap::size::dict_size;
use crate::heap::space::Space;
use crate::heap::work::FREE_WORDS;

/// `__sizeof__` of a type of an extension module.
pub(super) fn library_size(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    let basic = plan.record.basic_size;
    let layouts = space.layouts;
    let read = |offset: u64| space.image.word(object.plus(offset));
    let tuple_length = |offset: u64| space.size(space.image.pointer(object.plus(offset))?);
    match plan.size_rule {
        SizeRule::Array => {
            let (array, descriptor) = (layouts.array.as_ref()?, layouts.array_descriptor.as_ref()?);
            let at = space.image.pointer(object.plus(array.descriptor))?.plus(descriptor.item_size);
            basic.checked_add(read(array.allocated)?.checked_mul(u64::from(space.image.word32(at)?))?)
        }
        SizeRule::StructFormat => struct_format_size(space, basic, object),
        SizeRule::Decimal => {
            let layout = layouts.decimal.as_ref()?;
            let is_inline = read(layout.pointer)? == object.plus(layout.data).get();
            let words = if is_inline { 0 } else { read(layout.allocated)? };
            basic.checked_add(words.checked_mul(8)?)
        }
        SizeRule::Buffered => {
            let has_buffer = read(layouts.buffered.buffer)? != 0;
            basic.checked_add(if has_buffer { read(layouts.buffered.buffer_size)? } else { 0 })
        }
        SizeRule::BytesIo => bytes_io_size(space, basic, object),
        SizeRule::Element => element_size(space, basic, object),
        SizeRule::Product => basic.checked_add(tuple_length(layouts.product.pools)?.checked_mul(8)?),
        SizeRule::Permutations => {
            let counts =
                tuple_length(layouts.permutations.pool)?.checked_add(read(layouts.permutations.r)?)?;
            basic.checked_add(counts.checked_mul(8)?)
        }
        SizeRule::Combinations => basic.checked_add(read(layouts.combinations.r)?.checked_mul(8)?),
        SizeRule::StorageDict => storage_dict_size(space, basic, object),
        SizeRule::CtypesType => ctypes_type_size(space, plan, object),
        SizeRule::Pickler => {
            // PyMemoTable { mt_mask, mt_used, mt_allocated, mt_table }, entries of two words.
            let layout = layouts.pickler.as_ref()?;
            let memo = space.image.pointer(object.plus(layout.memo))?;
            let table = if memo.is_null() {
                0
            } else {
                space.image.word(memo.plus(16))?.checked_mul(16)?.checked_add(32)?
            };
            let output = space.image.pointer(object.plus(layout.output_buffer))?;
            let output =
                if output.is_null() { 0 } else { space.size(output)?.checked_add(layouts.bytes.data + 1)? };
            basic.checked_add(table)?.checked_add(output)
        }
        SizeRule::Unpickler => {
            let layout = layouts.unpickler.as_ref()?;
            let memo = if read(layout.memo)? == 0 { 0 } else { read(layout.memo_size)? };
            let marks = if read(layout.marks)? == 0 { 0 } else { read(layout.marks_size)? };
            let strings = [layout.input_line, layout.encoding, layout.errors];
            let strings =
                strings.iter().map(|&offset| c_string_size(space, read(offset).unwrap_or(0))).sum::<u64>();
            basic.checked_add(memo.checked_add(marks)?.checked_mul(8)?)?.checked_add(strings)
        }
        SizeRule::SimpleQueue if space.features.simple_queue_counts_ring => {
            let capacity = layouts.simple_queue.as_ref()?.ring_capacity;
            basic.checked_add(capacity.map_or(Some(0), read)?.checked_mul(8)?)
        }
        _ => Some(basic),
    }
}

fn c_string_size(space: &Space<'_>, address: u64) -> u64 {
    if address == 0 {
        return 0;
    }
    let limit = if space.work.is_exhausted() { 64 } else { 1 << 20 };
    let size = crate::target::Memory::read_c_string(space.image, Address::new(address), limit)
        .map_or(0, |text| text.len() as u64 + 1);
    space.work.take_long(size / 8);
    size
}

fn struct_format_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    // formatcode { fmtdef, offset, size, repeat }: four words; the last one has a null fmtdef.
    const FORMAT_CODE: u64 = 32;
    let layout = space.layouts.struct_format.as_ref()?;
    let mut code = space.image.pointer(object.plus(layout.codes))?;
    let mut size = basic + FORMAT_CODE;
    for index in 1_u64..1 << 16 {
        if index.is_multiple_of(FREE_WORDS) && !space.work.take(FREE_WORDS) {
            return None;
        }
        if code.is_null() || space.image.word(code)? == 0 {
            return Some(size);
        }
        size += FORMAT_CODE;
        code = code.plus(FORMAT_CODE);
    }
    None
}

fn bytes_io_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let buffer = space.image.pointer(object.plus(space.layouts.bytes_io.buf))?;
    if buffer.is_null() || space.reference_count(buffer)? > 1 {
        return Some(basic);
    }
    basic.checked_add(space.size(buffer)?.checked_add(space.layouts.bytes.data + 1)?)
}

fn element_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let (layout, extra_layout) = (space.layouts.element.as_ref()?, space.layouts.element_extra.as_ref()?);
    let extra = space.image.pointer(object.plus(layout.extra))?;
    if extra.is_null() {
        return Some(basic);
    }
    let is_inline =
        space.image.pointer(extra.plus(extra_layout.children))? == extra.plus(extra_layout.inline_children);
    let children = if is_inline { 0 } else { space.image.word(extra.plus(extra_layout.allocated))? };
    basic.checked_add(extra_layout.sizeof)?.checked_add(children.checked_mul(8)?)
}

fn storage_dict_size(space: &Space<'_>, basic: u64, object: Address) -> Option<u64> {
    let layout = space.layouts.storage_dict.as_ref()?;
    let read = |offset: u64| space.image.word(object.plus(offset));
    // PyCStgDict_sizeof: the dict (which has the additional fields already), the additional fields once
    // more, the format, the shape and the element types.
    let dict = dict_size(space, basic, object)?;
    if !space.features.storage_dict_has_size {
        return Some(dict);
    }
    let format = c_string_size(space, read(layout.format)?);
    let shape = u64::from(space.image.word32(object.plus(layout.ndim))?).checked_mul(8)?;
    // ffi_type { size, alignment, type, elements@16 }.
    let elements = if read(layout.ffi_type_pointer + 16)? == 0 {
        0
    } else {
        read(layout.length)?.checked_add(1)?.checked_mul(8)?
    };
    (layout.sizeof - space.layouts.dict.sizeof)
        .checked_add(dict)?
        .checked_add(format)?
        .checked_add(shape)?
        .checked_add(elements)
}

fn ctypes_type_size(space: &Space<'_>, plan: &Plan, object: Address) -> Option<u64> {
    // CType_Type_sizeof: the metatype's basic size, and what the StgInfo behind the type owns.
    let layout = space.layouts.storage_info.as_ref()?;
    let basic = plan.record.basic_size;
    let info = object.plus(space.layouts.heap_type.sizeof.next_multiple_of(16));
    let read = |offset: u64| space.image.word(info.plus(offset));
    if space.image.word32(info.plus(layout.initialized))? == 0 {
        return Some(basic);
    }
    let format = c_string_size(space, read(layout.format)?);
    let shape = u64::from(space.image.word32(info.plus(layout.ndim))?).checked_mul(8)?;
    let elements = if read(layout.ffi_type_pointer + 16)? == 0 {
        0
    } else {
        read(layout.length)?.checked_add(1)?.checked_mul(8)?
    };
    basic.checked_add(format)?.checked_add(shape)?.checked_add(elements)
}
