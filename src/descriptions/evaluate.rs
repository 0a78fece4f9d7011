//! What a description says of one object. Nothing in memory is believed: lengths are checked, vectors
//! and chains of structures are bounded.

use crate::address::Address;
use crate::descriptions::collection::Bound;
use crate::descriptions::model::Buffer;
use crate::descriptions::model::Each;
use crate::descriptions::model::Entry;
use crate::descriptions::model::Layout;
use crate::descriptions::model::Length;
use crate::descriptions::model::Part;
use crate::descriptions::model::Subject;
use crate::descriptions::model::Test;
use crate::descriptions::path::Path;
use crate::descriptions::path::Value;
use crate::layout::schema::Layouts;
use crate::target::Image;
use crate::target::Memory;
use std::sync::Arc;

/// No buffer is larger than the address space. Unit: bytes.
const LARGEST: u64 = 1 << 47;
/// Structures of structures of structures: deeper is damage.
const DEEPEST: u32 = 64;
/// No array has more dimensions (`NPY_MAXDIMS`, numpy's ndarraytypes.h, is 32 or 64).
const MOST_DIMENSIONS: i64 = 64;
/// Longest name that a condition may ask for.
const LONGEST_NAME: usize = 256;

/// Whose a buffer is, as the object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The object frees it.
    Owned,
    /// Several objects hold it together; the last one frees it.
    Shared,
    /// The object only looks at it; the owner if it is said.
    View(Option<Address>),
}

/// A buffer of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is: [`Bound::word`] has the words.
    pub what: u16,
    /// Where it begins.
    pub address: Address,
    /// Its length.
    pub bytes: u64,
    /// Whose it is.
    pub hold: Hold,
    /// Whether `sys.getsizeof` counts it for an object that owns it.
    pub counted: bool,
}

/// What kept a description from being followed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A field leads to memory that is not there, or says something impossible.
    Unreadable,
    /// No description of the type has conditions that this object meets.
    NoneFits,
    /// More structures than one process has.
    TooMany,
}

/// A target that objects are read from.
#[derive(Clone, Copy)]
struct Reader<'a> {
    image: &'a Image,
    layouts: &'a Layouts,
}

impl Reader<'_> {
    fn type_field(&self, object: Address, offset: u64) -> Option<u64> {
        let kind = self.image.pointer(object.plus(self.layouts.object.type_pointer))?;
        self.image.word(kind.plus(offset))
    }

    fn holds(&self, test: &Test, base: Address) -> Option<bool> {
        let number = match &test.subject {
            Subject::Value(path) => path.number(self.image, base)?,
            Subject::BasicSizeOf(path) => {
                let object = path.address(self.image, base)?;
                self.type_field(object, self.layouts.type_object.basicsize)?.cast_signed()
            }
            Subject::TypeOf(path) => {
                let object = path.address(self.image, base)?;
                let name = Address::new(self.type_field(object, self.layouts.type_object.name)?);
                let name = self.image.read_c_string(name, LONGEST_NAME).ok()?;
                return Some(test.is.as_ref().is_some_and(|is| is.as_bytes() == name));
            }
        };
        Some(
            test.equals.as_ref().is_none_or(|equals| equals.contains(&number))
                && test.differs.as_ref().is_none_or(|differs| !differs.contains(&number))
                && test.any_bit.is_none_or(|bits| number & bits != 0)
                && test.no_bit.is_none_or(|bits| number & bits == 0)
                && test.at_least.is_none_or(|least| number >= least),
        )
    }

    fn all_hold(&self, tests: &[Test], base: Address) -> Option<bool> {
        for test in tests {
            if !self.holds(test, base)? {
                return Some(false);
            }
        }
        Some(true)
    }

    fn length(&self, buffer: &Buffer, start: Address, base: Address) -> Option<u64> {
        let number = |value: i64| u64::try_from(value).ok();
        let bytes = match &buffer.length {
            Length::Bytes(value) => number(value.number(self.image, base)?)?,
            Length::Bits(value) => number(value.number(self.image, base)?)?.div_ceil(8),
            Length::End(path) => start.distance_to(path.address(self.image, base)?)?,
            Length::Items(count, size) => {
                let count = number(count.number(self.image, base)?)?;
                count.checked_mul(number(size.number(self.image, base)?)?)?
            }
            Length::Shape(dimensions, sizes, size) => {
                let dimensions = dimensions.number(self.image, base)?;
                if !(0..=MOST_DIMENSIONS).contains(&dimensions) {
                    return None;
                }
                let mut product = number(size.number(self.image, base)?)?;
                for index in 0..dimensions.unsigned_abs() {
                    let at = sizes.address(self.image, base)?.plus(8 * index);
                    product = product.checked_mul(number(self.image.signed(at)?)?)?;
                }
                product
            }
        };
        (bytes <= LARGEST).then_some(bytes)
    }

    /// The buffer, if there is one.
    fn claim(&self, buffer: &Buffer, base: Address) -> Result<Option<Claim>, Trouble> {
        if !self.all_hold(&buffer.when, base).ok_or(Trouble::Unreadable)? {
            return Ok(None);
        }
        let address = buffer.address.address(self.image, base).ok_or(Trouble::Unreadable)?;
        if address.is_null() {
            return Ok(None);
        }
        let bytes = self.length(buffer, address, base).ok_or(Trouble::Unreadable)?;
        let owner = match &buffer.owner {
            Some(path) => path.address(self.image, base).filter(|owner| !owner.is_null()),
            None => None,
        };
        let owns = match &buffer.owns {
            Some(test) => self.holds(test, base).ok_or(Trouble::Unreadable)?,
            None => owner.is_none() && !buffer.view,
        };
        let hold = match owns {
            true if buffer.shared => Hold::Shared,
            true => Hold::Owned,
            false => Hold::View(owner),
        };
        Ok(Some(Claim { what: buffer.what, address, bytes, hold, counted: buffer.counted }))
    }

    /// The first description whose conditions the object meets.
    fn choose<'e>(&self, entries: &'e [Arc<Entry>], object: Address) -> Option<&'e Entry> {
        entries.iter().find(|entry| self.all_hold(&entry.when, object) == Some(true)).map(|entry| &**entry)
    }
}

/// An object of a described type.
#[derive(Clone, Copy)]
pub struct Described<'a> {
    /// The descriptions that fit its type.
    pub entries: &'a [Arc<Entry>],
    /// The copied memory.
    pub image: &'a Image,
    /// Where fields of CPython are.
    pub layouts: &'a Layouts,
    /// The object.
    pub object: Address,
}

impl<'a> Described<'a> {
    fn reader(&self) -> Reader<'a> {
        Reader { image: self.image, layouts: self.layouts }
    }

    /// Calls `sink` for every buffer of the object. `budget` is how many structures may still be read.
    ///
    /// # Errors
    ///
    /// What kept it from being complete; what was found before was handed over.
    pub fn claims(
        &self,
        bound: &Bound,
        budget: &mut u64,
        sink: &mut dyn FnMut(Claim),
    ) -> Result<(), Trouble> {
        let reader = self.reader();
        let entry = reader.choose(self.entries, self.object).ok_or(Trouble::NoneFits)?;
        Search { bound, reader, budget, sink }.layout(&entry.layout, self.object, 0)
    }

    /// What `__sizeof__` of the object gives; `basic_size` is that of its own type.
    pub(crate) fn own_size(&self, basic_size: u64) -> Option<u64> {
        let (reader, object) = (self.reader(), self.object);
        let entry = reader.choose(self.entries, object)?;
        let number = |value: &Value| u64::try_from(value.number(self.image, object)?).ok();
        let mut size = basic_size;
        for (count, each) in entry.sizeof.iter().flatten() {
            size = size.checked_add(number(count)?.checked_mul(number(each)?)?)?;
        }
        for buffer in entry.layout.buffers.iter().filter(|buffer| buffer.counted) {
            let claim = reader.claim(buffer, object).ok()?;
            if let Some(claim) = claim.filter(|claim| !matches!(claim.hold, Hold::View(_))) {
                size = size.checked_add(claim.bytes)?;
            }
        }
        Some(size)
    }

    /// Calls `visit` with the references of the object.
    pub(crate) fn references(&self, visit: &mut impl FnMut(Reference)) {
        let (reader, object) = (self.reader(), self.object);
        let Some(entry) = reader.choose(self.entries, object) else { return };
        let follow = |path: &Path| path.address(self.image, object).filter(|target| !target.is_null());
        for target in entry.references.iter().flatten().filter_map(follow) {
            visit(Reference::Certain(target));
        }
        for target in entry.scanned.iter().filter_map(follow) {
            visit(Reference::Scanned(target));
        }
        let of_objects = |buffer: &&Buffer| {
            !buffer.objects_when.is_empty() && reader.all_hold(&buffer.objects_when, object) == Some(true)
        };
        for buffer in entry.layout.buffers.iter().filter(of_objects) {
            if let Ok(Some(claim)) = reader.claim(buffer, object) {
                visit(Reference::Array(claim.address, claim.bytes / 8));
            }
        }
    }
}

/// What an object's description says of its references.
pub(crate) enum Reference {
    /// It refers to this object.
    Certain(Address),
    /// It may.
    Scanned(Address),
    /// An array of references: where, and how many.
    Array(Address, u64),
}

/// A way through the structures of one object.
struct Search<'a> {
    bound: &'a Bound,
    reader: Reader<'a>,
    budget: &'a mut u64,
    sink: &'a mut dyn FnMut(Claim),
}

impl Search<'_> {
    fn layout(&mut self, layout: &Layout, base: Address, depth: u32) -> Result<(), Trouble> {
        let mut result = Ok(());
        for buffer in &layout.buffers {
            match self.reader.claim(buffer, base) {
                Ok(claim) => claim.into_iter().for_each(&mut *self.sink),
                Err(trouble) => result = Err(trouble),
            }
        }
        for part in &layout.parts {
            let inside = self.part(part, base, depth);
            if inside == Err(Trouble::TooMany) {
                return inside;
            }
            result = result.and(inside);
        }
        result
    }

    fn part(&mut self, part: &Part, base: Address, depth: u32) -> Result<(), Trouble> {
        let image = self.reader.image;
        let structure = self.bound.structure(&part.is).ok_or(Trouble::Unreadable)?;
        let layout = structure.layout.as_ref().map_err(|_| Trouble::Unreadable)?;
        let places = match &part.each {
            None => Elements { at: base, count: 1, step: 0 },
            Some(each) => elements(each, image, base).ok_or(Trouble::Unreadable)?,
        };
        let mut result = Ok(());
        for index in 0..places.count {
            if depth >= DEEPEST || *self.budget == 0 {
                return Err(Trouble::TooMany);
            }
            *self.budget -= 1;
            let element = places.at.plus(index.wrapping_mul(places.step));
            let Some(target) = part.follow.address(image, element) else {
                // The rest of the array is not there either.
                return Err(Trouble::Unreadable);
            };
            if !target.is_null() {
                let inside = self.layout(layout, target, depth + 1);
                if inside == Err(Trouble::TooMany) {
                    return inside;
                }
                result = result.and(inside);
            }
        }
        result
    }
}

struct Elements {
    at: Address,
    count: u64,
    step: u64,
}

fn elements(each: &Each, image: &Image, base: Address) -> Option<Elements> {
    let begin = each.begin.address(image, base)?;
    let end = each.end.address(image, base)?;
    let length = begin.distance_to(end)?;
    (length <= LARGEST).then_some(Elements { at: begin, count: length / each.step, step: each.step })
}
