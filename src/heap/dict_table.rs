//! The hash table of a `dict`: keys object, entries, values.
//!
//! `Include/internal/pycore_dict.h` and `Objects/dictobject.c`.

use crate::address::Address;
use crate::heap::space::Space;
use crate::heap::work::FREE_WORDS;
use crate::target::Memory;

/// What kind of keys a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysKind {
    /// Entries of hash, key and value; keys of any type (`DICT_KEYS_GENERAL`, and all tables of 3.10 and before).
    General,
    /// Entries of key and value; all keys are exact strings (`DICT_KEYS_UNICODE`).
    Unicode,
    /// The values are apart, one set for each dict that shares the keys (`DICT_KEYS_SPLIT`).
    Split,
}

/// A `PyDictKeysObject`.
#[derive(Clone, Copy, Debug)]
pub struct DictKeys {
    /// Where it is.
    pub address: Address,
    /// What its entries are like.
    pub kind: KeysKind,
    /// How many dicts share it.
    pub reference_count: u64,
    /// Number of entries used, deleted ones included.
    pub entry_count: u64,
    /// Number of entries still free (`dk_usable`).
    pub usable: u64,
    /// First entry.
    pub entries: Address,
    /// Bytes an entry.
    pub entry_size: u64,
    /// `_PyDict_KeysSize`: bytes of the whole object.
    pub size: u64,
    /// Places for indices (`dk_size`).
    pub slots: u64,
    /// Entries that the table has room for.
    pub capacity: u64,
    /// `dk_lookup`, before 3.11.
    pub lookup: Address,
}

/// Bytes before the indices, in any version.
const LARGEST_HEADER: usize = 64;
/// The most entries that are believed of one table.
const MOST_ENTRIES: u64 = 1 << 36;

impl Space<'_> {
    /// Reads a keys object; `None` where it cannot be one.
    pub fn dict_keys(&self, address: Address) -> Option<DictKeys> {
        let layout = &self.layouts.dict_keys;
        let mut copy = [0; LARGEST_HEADER];
        let length = (layout.indices as usize).min(LARGEST_HEADER);
        let header = if let Some(bytes) = self.image.bytes(address, length) {
            bytes
        } else {
            self.image.read_into(address, &mut copy[..length]).ok()?;
            &copy[..length]
        };
        let byte = |offset: u64| header.get(offset as usize).copied();
        let read = |offset: u64| Some(u64::from_le_bytes(*header.get(offset as usize..)?.first_chunk()?));
        let entry_count = read(layout.nentries)?;
        let usable = read(layout.usable)?;
        let (size, index_bytes, kind) = if let (Some(log2_size), Some(log2_index_bytes), Some(kind)) =
            (layout.log2_size, layout.log2_index_bytes, layout.kind)
        {
            let size = 1_u64.checked_shl(u32::from(byte(log2_size)?))?;
            let bytes = 1_u64.checked_shl(u32::from(byte(log2_index_bytes)?))?;
            let kind = match byte(kind)? {
                0 => KeysKind::General,
                1 => KeysKind::Unicode,
                2 => KeysKind::Split,
                _ => return None,
            };
            (size, bytes, kind)
        } else {
            // Before 3.11: dk_size indices of one, two, four or eight bytes.
            let size = read(layout.size?)?;
            let width = if size <= 0xff {
                1
            } else if size <= 0xffff {
                2
            } else if size <= 0xffff_ffff {
                4
            } else {
                8
            };
            (size, size.checked_mul(width)?, KeysKind::General)
        };
        if size > MOST_ENTRIES || entry_count > size || usable > size || index_bytes > MOST_ENTRIES {
            return None;
        }
        let entry_size = match kind {
            KeysKind::General => self.layouts.dict_entry.sizeof,
            KeysKind::Unicode | KeysKind::Split => self.layouts.dict_unicode_entry.as_ref()?.sizeof,
        };
        // USABLE_FRACTION(n) = 2n / 3.
        let capacity = (size << 1) / 3;
        let entries_offset = layout.indices + index_bytes;
        Some(DictKeys {
            address,
            kind,
            reference_count: read(layout.refcnt)?,
            entry_count,
            usable,
            entries: address.plus(entries_offset),
            entry_size,
            size: entries_offset + capacity * entry_size,
            slots: size,
            capacity,
            lookup: layout.lookup.and_then(&read).map_or(Address::NULL, Address::new),
        })
    }

    /// Calls `visit` with key and value of every used entry; the value is null in a shared table.
    pub fn for_each_entry(&self, keys: &DictKeys, mut visit: impl FnMut(Address, Address)) {
        let (key_at, value_at) = match (&self.layouts.dict_unicode_entry, keys.kind) {
            (Some(entry), KeysKind::Unicode | KeysKind::Split) => (entry.key, entry.value),
            _ => (self.layouts.dict_entry.key, self.layouts.dict_entry.value),
        };
        let (key_word, value_word) = ((key_at / 8) as usize, (value_at / 8) as usize);
        let words = (keys.entry_size / 8) as usize;
        // Small tables nearly always lie in one piece.
        let length = keys.entry_count.saturating_mul(keys.entry_size);
        if keys.entry_count <= FREE_WORDS
            && let Some(bytes) = self.image.bytes(keys.entries, length as usize)
        {
            let word = |entry: &[u8], at: u64| {
                entry
                    .get(at as usize..)
                    .and_then(<[u8]>::first_chunk)
                    .map_or(0, |word| u64::from_le_bytes(*word))
            };
            for entry in bytes.chunks_exact(keys.entry_size.max(1) as usize) {
                let key = word(entry, key_at);
                if key != 0 {
                    visit(Address::new(key), Address::new(word(entry, value_at)));
                }
            }
            return;
        }
        let mut entry = [0_u64; 4];
        let mut index = 0;
        self.for_each_word(keys.entries, keys.entry_count.saturating_mul(words as u64), |word| {
            if let Some(place) = entry.get_mut(index) {
                *place = word;
            }
            index += 1;
            if index == words {
                index = 0;
                let key = entry.get(key_word).copied().unwrap_or(0);
                let value = entry.get(value_word).copied().unwrap_or(0);
                if key != 0 {
                    visit(Address::new(key), Address::new(value));
                }
            }
        });
    }

    /// The value that a dict has for a string key. O(entries).
    pub fn find_in_dict(&self, dict: Address, name: &str) -> Option<Address> {
        let keys = self.dict_keys(self.image.pointer(dict.plus(self.layouts.dict.keys))?)?;
        let values = self.image.pointer(dict.plus(self.layouts.dict.values))?;
        let index = self.find_key(&keys, name)?;
        let value =
            if values.is_null() { self.entry_value(&keys, index) } else { self.value_at(values, index) };
        value.filter(|value| !value.is_null())
    }

    /// The number of the entry with a string key. O(entries).
    pub fn find_key(&self, keys: &DictKeys, name: &str) -> Option<u64> {
        let key_at = match (&self.layouts.dict_unicode_entry, keys.kind) {
            (Some(entry), KeysKind::Unicode | KeysKind::Split) => entry.key,
            _ => self.layouts.dict_entry.key,
        };
        for index in 0..keys.entry_count {
            // A count that damage made huge ends where memory does, and costs what it reads.
            let is_paid = index == 0 || !index.is_multiple_of(FREE_WORDS) || self.work.take(FREE_WORDS);
            let key = self
                .image
                .pointer(keys.entries.plus(index * keys.entry_size + key_at))
                .filter(|_| is_paid)?;
            if !key.is_null() && self.is_text(key, name) {
                return Some(index);
            }
        }
        None
    }

    fn entry_value(&self, keys: &DictKeys, index: u64) -> Option<Address> {
        let value_at = match (&self.layouts.dict_unicode_entry, keys.kind) {
            (Some(entry), KeysKind::Unicode | KeysKind::Split) => entry.value,
            _ => self.layouts.dict_entry.value,
        };
        self.image.pointer(keys.entries.plus(index * keys.entry_size + value_at))
    }

    /// The `index`th value of a `PyDictValues` (an array of pointers alone before 3.11).
    pub fn value_at(&self, values: Address, index: u64) -> Option<Address> {
        let first = self.layouts.dict_values.as_ref().map_or(0, |layout| layout.values);
        self.image.pointer(values.plus(first).plus(index.checked_mul(8)?))
    }

    fn is_text(&self, object: Address, expected: &str) -> bool {
        self.text_header(object)
            .is_some_and(|header| header.is_compact && header.length == expected.len() as u64)
            && self.read_text(object, expected.len() as u64).is_some_and(|text| text == expected)
    }
}
