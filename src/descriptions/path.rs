//! A path from an object to a number: offsets, and pointers that are followed.

use crate::address::Address;
use crate::layout::table::Table;
use crate::target::Image;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::Visitor;
use std::fmt;

/// More pointers than this are followed by no sensible description.
const MOST_STEPS: usize = 8;

/// What is read where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing: the place itself is meant.
    Place,
    /// An unsigned number of so many bytes.
    Unsigned(u64),
    /// A signed number of so many bytes.
    Signed(u64),
}

impl Read {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "u8" => Self::Unsigned(1),
            "u16" => Self::Unsigned(2),
            "u32" => Self::Unsigned(4),
            "u64" => Self::Unsigned(8),
            "i8" => Self::Signed(1),
            "i16" => Self::Signed(2),
            "i32" => Self::Signed(4),
            "i64" => Self::Signed(8),
            _ => return None,
        })
    }

    /// Bytes that are read.
    const fn width(self) -> u64 {
        match self {
            Self::Place => 0,
            Self::Unsigned(width) | Self::Signed(width) => width,
        }
    }
}

/// A part of an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Number(u64),
    /// `Structure.field` of the table of the target's Python.
    Field(String),
}

/// A path as it is written: `56 -> 40:i64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenPath {
    steps: Vec<Vec<Term>>,
    read: Read,
}

/// A path with all offsets known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    offsets: Vec<u64>,
    read: Read,
}

impl WrittenPath {
    fn parse(text: &str) -> Result<Self, String> {
        let (path, read) = match text.rsplit_once(':') {
            Some((path, word)) => {
                let word = word.trim();
                let unknown = || format!("`{word}` is none of u8, u16, u32, u64, i8, i16, i32, i64");
                (path, Read::parse(word).ok_or_else(unknown)?)
            }
            None => (text, Read::Unsigned(8)),
        };
        let pieces: Vec<&str> = path.split("->").map(str::trim).collect();
        if pieces.len() > MOST_STEPS {
            return Err(format!("`{text}` follows more than {MOST_STEPS} pointers"));
        }
        let mut place = false;
        let mut steps = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let is_last = index + 1 == pieces.len();
            let piece = match piece.strip_prefix('&') {
                Some(rest) if is_last && !text.contains(':') => {
                    place = true;
                    rest
                }
                Some(_) => {
                    return Err(format!("`&` stands before the last step of `{text}` only, without a type"));
                }
                None => piece,
            };
            steps.push(piece.split('+').map(|term| parse_term(term.trim())).collect::<Result<_, _>>()?);
        }
        Ok(Self { steps, read: if place { Read::Place } else { read } })
    }

    /// The path in a target; a field that its Python does not have is the error.
    pub(super) fn bind(&self, table: &Table) -> Result<Path, String> {
        let offset = |terms: &Vec<Term>| {
            terms.iter().try_fold(0_u64, |sum, term| match term {
                Term::Number(number) => Ok(sum.wrapping_add(*number)),
                Term::Field(name) => table
                    .get(name)
                    .map(|entry| sum.wrapping_add(entry.offset))
                    .ok_or_else(|| format!("this Python has no field {name}")),
            })
        };
        let offsets = self.steps.iter().map(offset).collect::<Result<_, _>>()?;
        Ok(Path { offsets, read: self.read })
    }
}

fn parse_term(term: &str) -> Result<Term, String> {
    if let Some(digits) = term.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16)
            .map(Term::Number)
            .map_err(|_| format!("`{term}` is no number"));
    }
    if term.starts_with(|letter: char| letter.is_ascii_digit()) {
        return term.parse().map(Term::Number).map_err(|_| format!("`{term}` is no offset"));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter))
    };
    if is_name(term) && term.contains('.') {
        return Ok(Term::Field(term.to_owned()));
    }
    Err(format!("`{term}` is neither an offset nor a `Structure.field`"))
}

impl Path {
    /// The number at the end of the path that begins at `base`.
    pub(super) fn number(&self, image: &Image, base: Address) -> Option<i64> {
        let (last, through) = self.offsets.split_last()?;
        let mut place = base;
        for &offset in through {
            place = image.pointer(place.plus(offset)).filter(|pointer| !pointer.is_null())?;
        }
        let at = place.plus(*last);
        let short = |width: u64| -> Option<u64> {
            Some(match width {
                1 => u64::from(image.byte(at)?),
                2 => u64::from(image.byte(at)?) | u64::from(image.byte(at.plus(1))?) << 8,
                4 => u64::from(image.word32(at)?),
                _ => image.word(at)?,
            })
        };
        match self.read {
            Read::Place => Some(at.get().cast_signed()),
            Read::Unsigned(width) => short(width).map(u64::cast_signed),
            Read::Signed(width) => {
                let shift = 64 - 8 * u32::try_from(width).ok()?;
                short(width).map(|value| (value << shift).cast_signed() >> shift)
            }
        }
    }

    /// The same as a place in memory.
    pub(super) fn address(&self, image: &Image, base: Address) -> Option<Address> {
        self.number(image, base).map(|number| Address::new(number.cast_unsigned()))
    }

    /// Bytes of the object itself that are looked at: the first one after them.
    pub(super) fn reach(&self) -> u64 {
        let width = if self.offsets.len() > 1 { 8 } else { self.read.width() };
        self.offsets.first().map_or(0, |offset| offset.saturating_add(width))
    }
}

impl<'de> Deserialize<'de> for WrittenPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = WrittenPath;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an offset, or a path such as \"56 -> 40:i64\"")
            }

            fn visit_i64<E: Error>(self, offset: i64) -> Result<WrittenPath, E> {
                let offset = u64::try_from(offset).map_err(|_| E::custom("an offset is not negative"))?;
                Ok(WrittenPath { steps: vec![vec![Term::Number(offset)]], read: Read::Unsigned(8) })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenPath, E> {
                WrittenPath::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// A number as it is written: itself, or a path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WrittenValue {
    /// Always the same.
    Constant(i64),
    /// Where it is.
    At(WrittenPath),
}

/// A number: itself, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Always the same.
    Constant(i64),
    /// Where it is.
    At(Path),
}

impl WrittenValue {
    /// The value in a target.
    pub(super) fn bind(&self, table: &Table) -> Result<Value, String> {
        match self {
            Self::Constant(number) => Ok(Value::Constant(*number)),
            Self::At(path) => path.bind(table).map(Value::At),
        }
    }
}

impl Value {
    /// The number.
    pub(super) fn number(&self, image: &Image, base: Address) -> Option<i64> {
        match self {
            Self::Constant(number) => Some(*number),
            Self::At(path) => path.number(image, base),
        }
    }

    /// See [`Path::reach`].
    pub(super) fn reach(&self) -> u64 {
        match self {
            Self::Constant(_) => 0,
            Self::At(path) => path.reach(),
        }
    }
}

impl<'de> Deserialize<'de> for WrittenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = WrittenValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, or a path to one such as \"56 -> 40:i64\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<WrittenValue, E> {
                Ok(WrittenValue::Constant(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenValue, E> {
                WrittenPath::parse(text).map(WrittenValue::At).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressRange;
    use crate::layout::table::Entry;
    use crate::target::image::Backing;
    use crate::target::image::Segment;

    const BASE: u64 = 0x7000_0000_0000;

    fn image() -> Image {
        let mut bytes = vec![0_u8; 4096];
        bytes[16..24].copy_from_slice(&(BASE + 100).to_le_bytes());
        bytes[104..112].copy_from_slice(&(-5_i64).to_le_bytes());
        bytes[32] = 0xfe;
        let range = AddressRange::new(Address::new(BASE), Address::new(BASE + 4096));
        Image::new(Backing::Owned(bytes), &[Segment { range, local: 0 }], Vec::new())
    }

    fn table() -> Table {
        let mut table = Table::default();
        table.insert("Thing.data", Entry::at(12));
        table
    }

    fn read(text: &str) -> Option<i64> {
        WrittenPath::parse(text).unwrap().bind(&table()).unwrap().number(&image(), Address::new(BASE))
    }

    #[test]
    fn a_path_is_followed() {
        assert_eq!(read("16"), Some((BASE + 100).cast_signed()));
        assert_eq!(read("16 -> 4:i64"), Some(-5));
        assert_eq!(read("16 -> 4:i32"), Some(-5));
        assert_eq!(read("16->4:u16"), Some(0xfffb));
        assert_eq!(read("Thing.data + 4 -> 4:i8"), Some(-5));
        assert_eq!(read("0x20:u8"), Some(0xfe));
        assert_eq!(read("32:i8"), Some(-2));
        assert_eq!(read("16 -> &4"), Some((BASE + 104).cast_signed()));
        assert_eq!(read("&40"), Some((BASE + 40).cast_signed()));
        assert_eq!(read("48 -> 8"), None, "a null pointer is not followed");
        assert_eq!(read("16 -> 8192"), None, "unreadable");
        assert_eq!(read("0xffffffffffffff00"), None, "unreadable");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "-8", "16 ->", "16:f64", "&16 -> 8", "&16:u8", "16 + ", "1e3", "a..b c"] {
            assert!(WrittenPath::parse(text).is_err(), "{text}");
        }
        assert!(WrittenPath::parse(&["1"; 9].join("->")).is_err());
        assert!(WrittenPath::parse("Thing.gone").unwrap().bind(&table()).is_err());
    }

    #[test]
    fn the_reach_is_what_is_read_of_the_object() {
        let reach = |text: &str| WrittenPath::parse(text).unwrap().bind(&table()).unwrap().reach();
        assert_eq!(
            [reach("16"), reach("16:u8"), reach("16 -> 800"), reach("&16"), reach("Thing.data:u16")],
            [24, 17, 24, 16, 14]
        );
    }
}
