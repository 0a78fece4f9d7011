//! Python's pickles, protocols 0 to 5, as CPython's own pickler writes them (`Modules/_pickle.c`): equal strings
//! are written once and then fetched from the memo. Only what the recipe's result is made of: text, lists,
//! dicts with text for keys, and long strings of bytes that are made while they are written.
//!
//! From protocol 4 on CPython also puts what it writes into frames, which are a hint to readers and left out.

use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::io;
use std::io::Write;

/// The newest protocol.
pub const NEWEST: u8 = 5;
/// What a text or a string of bytes of the older protocols may have at most, in bytes.
const MOST_BYTES: u64 = 0xffff_ffff;
/// Longer texts are not looked up in the memo: no two of them are equal.
const LONGEST_KNOWN: usize = 1 << 12;

/// A value to be pickled.
pub enum Value<'a> {
    /// `str` (`unicode` in Python 2).
    Text(Cow<'a, str>),
    /// `bytes` (`str` in Python 2) of ASCII characters.
    Bytes(&'a dyn Stream),
    /// `list`, of at most a thousand.
    List(Vec<Value<'a>>),
    /// `dict`, of at most a thousand.
    Dict(Vec<(&'static str, Value<'a>)>),
}

/// ASCII characters that are made while they are written.
pub trait Stream {
    /// Number of bytes, exactly. Cost: at most that of writing them.
    fn length(&self) -> u64;

    /// Hands over all bytes, piece by piece.
    fn write(&self, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>;
}

/// Writes a pickle. Nothing is written if a part is too long for the protocol.
pub fn write_pickle(value: &Value<'_>, protocol: u8, out: &mut dyn Write) -> io::Result<()> {
    check_lengths(value, protocol)?;
    let mut pickler = Pickler { out, protocol, memoized: 0, known: FxHashMap::default() };
    if protocol >= 2 {
        pickler.out.write_all(&[0x80, protocol])?;
    }
    pickler.value(value)?;
    pickler.out.write_all(b".")
}

fn check_lengths(value: &Value<'_>, protocol: u8) -> io::Result<()> {
    match value {
        Value::Bytes(stream) if (1..4).contains(&protocol) && stream.length() > MOST_BYTES => {
            let message = "the memory map has more than 4 GiB: protocol 4 or 5 can say that";
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        Value::Text(_) | Value::Bytes(_) => Ok(()),
        Value::List(items) => items.iter().try_for_each(|item| check_lengths(item, protocol)),
        Value::Dict(items) => items.iter().try_for_each(|(_, item)| check_lengths(item, protocol)),
    }
}

struct Pickler<'a> {
    out: &'a mut dyn Write,
    protocol: u8,
    /// Number of values in the memo.
    memoized: u32,
    /// Where texts are in the memo.
    known: FxHashMap<String, u32>,
}

impl Pickler<'_> {
    fn value(&mut self, value: &Value<'_>) -> io::Result<()> {
        match value {
            Value::Text(text) => self.text(text),
            Value::Bytes(stream) => self.bytes(*stream),
            Value::List(items) => self.list(items),
            Value::Dict(items) => self.dict(items),
        }
    }

    /// Puts the value that was just written into the memo.
    fn memoize(&mut self) -> io::Result<()> {
        let place = self.memoized;
        self.memoized += 1;
        match (self.protocol, u8::try_from(place)) {
            (0, _) => writeln!(self.out, "p{place}"),
            (1..=3, Ok(place)) => self.out.write_all(&[b'q', place]),
            (1..=3, Err(_)) => self.number(b'r', place),
            _ => self.out.write_all(&[0x94]),
        }
    }

    fn fetch(&mut self, place: u32) -> io::Result<()> {
        match (self.protocol, u8::try_from(place)) {
            (0, _) => writeln!(self.out, "g{place}"),
            (_, Ok(place)) => self.out.write_all(&[b'h', place]),
            (_, Err(_)) => self.number(b'j', place),
        }
    }

    /// An operation with a number of four bytes.
    fn number(&mut self, operation: u8, number: u32) -> io::Result<()> {
        self.out.write_all(&[operation])?;
        self.out.write_all(&number.to_le_bytes())
    }

    /// An operation with a length, in as few bytes as the protocol has for it.
    fn length(&mut self, [short, usual, long]: [u8; 3], length: u64) -> io::Result<()> {
        if let Ok(length) = u8::try_from(length)
            && short != 0
        {
            return self.out.write_all(&[short, length]);
        }
        if let Ok(length) = u32::try_from(length) {
            return self.number(usual, length);
        }
        self.out.write_all(&[long])?;
        self.out.write_all(&length.to_le_bytes())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if let Some(&place) = self.known.get(text) {
            return self.fetch(place);
        }
        if self.protocol == 0 {
            self.out.write_all(b"V")?;
            write_escaped(text, self.out)?;
            self.out.write_all(b"\n")?;
        } else {
            self.text_length(text.len() as u64)?;
            self.out.write_all(text.as_bytes())?;
        }
        if text.len() <= LONGEST_KNOWN {
            self.known.insert(text.to_owned(), self.memoized);
        }
        self.memoize()
    }

    fn text_length(&mut self, length: u64) -> io::Result<()> {
        let short = if self.protocol >= 4 { 0x8c } else { 0 };
        self.length([short, b'X', 0x8d], length)
    }

    /// From protocol 3 on there are bytes; before, they are what `_codecs.encode` makes of a text.
    fn bytes(&mut self, stream: &dyn Stream) -> io::Result<()> {
        if self.protocol >= 3 {
            let length = stream.length();
            self.length([b'C', b'B', 0x8e], length)?;
            self.stream(stream, length)?;
            return self.memoize();
        }
        self.out.write_all(b"c_codecs\nencode\n")?;
        self.memoize()?;
        if self.protocol < 2 {
            self.out.write_all(b"(")?;
        }
        if self.protocol == 0 {
            self.out.write_all(b"V")?;
            stream.write(&mut |piece| {
                std::str::from_utf8(piece)
                    .map_err(io::Error::other)
                    .and_then(|text| write_escaped(text, self.out))
            })?;
            self.out.write_all(b"\n")?;
        } else {
            let length = stream.length();
            self.text_length(length)?;
            self.stream(stream, length)?;
        }
        self.memoize()?;
        self.text("latin1")?;
        self.out.write_all(if self.protocol < 2 { b"t" } else { &[0x86] })?;
        self.memoize()?;
        self.out.write_all(b"R")?;
        self.memoize()
    }

    /// The bytes; it is an error if there are more or fewer than was said.
    fn stream(&mut self, stream: &dyn Stream, length: u64) -> io::Result<()> {
        let mut left = length;
        stream.write(&mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(wrong_length)?;
            self.out.write_all(piece)
        })?;
        if left == 0 { Ok(()) } else { Err(wrong_length()) }
    }

    fn list(&mut self, items: &[Value<'_>]) -> io::Result<()> {
        self.out.write_all(if self.protocol == 0 { b"(l" } else { b"]" })?;
        self.memoize()?;
        let one_by_one = self.protocol == 0 || items.len() == 1;
        if !one_by_one && !items.is_empty() {
            self.out.write_all(b"(")?;
        }
        for item in items {
            self.value(item)?;
            if one_by_one {
                self.out.write_all(b"a")?;
            }
        }
        if one_by_one || items.is_empty() { Ok(()) } else { self.out.write_all(b"e") }
    }

    fn dict(&mut self, items: &[(&'static str, Value<'_>)]) -> io::Result<()> {
        self.out.write_all(if self.protocol == 0 { b"(d" } else { b"}" })?;
        self.memoize()?;
        let one_by_one = self.protocol == 0 || items.len() == 1;
        if !one_by_one && !items.is_empty() {
            self.out.write_all(b"(")?;
        }
        for (key, item) in items {
            self.text(key)?;
            self.value(item)?;
            if one_by_one {
                self.out.write_all(b"s")?;
            }
        }
        if one_by_one || items.is_empty() { Ok(()) } else { self.out.write_all(b"u") }
    }
}

fn wrong_length() -> io::Error {
    io::Error::other("a part of the pickle has another length than was counted")
}

/// Python's `raw-unicode-escape`, with the characters escaped that would end a line or the escape.
fn write_escaped(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 4);
    for character in text.chars() {
        match character {
            '\\' | '\0' | '\n' | '\r' | '\u{1a}' | '\u{100}'..='\u{ffff}' => {
                escaped.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            '\u{10000}'.. => {
                escaped.extend_from_slice(format!("\\U{:08x}", u32::from(character)).as_bytes());
            }
            _ => escaped.push(u32::from(character) as u8),
        }
    }
    out.write_all(&escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(&'static [&'static str], u64);

    impl Stream for Pieces {
        fn length(&self) -> u64 {
            self.1
        }

        fn write(&self, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
            self.0.iter().try_for_each(|piece| out(piece.as_bytes()))
        }
    }

    fn pickled(value: &Value<'_>, protocol: u8) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        write_pickle(value, protocol, &mut out)?;
        Ok(out)
    }

    #[test]
    fn equal_texts_are_written_once() {
        let text = |text: &'static str| Value::Text(text.into());
        let value = Value::Dict(vec![("a", text("b")), ("b", Value::List(vec![text("a")]))]);
        let expected = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01X\x01\x00\x00\x00bq\x02h\x02]q\x03h\x01au.";
        assert_eq!(pickled(&value, 2).unwrap(), expected);
        assert_eq!(pickled(&value, 0).unwrap(), b"(dp0\nVa\np1\nVb\np2\nsg2\n(lp3\ng1\nas.");
    }

    #[test]
    fn a_wrong_or_impossible_length_is_an_error() {
        let pieces = Pieces(&["ab", "c"], 3);
        assert_eq!(pickled(&Value::Bytes(&pieces), 3).unwrap(), b"\x80\x03C\x03abcq\x00.");
        for length in [2, 4, 1 << 33] {
            assert!(pickled(&Value::Bytes(&Pieces(&["ab", "c"], length)), 2).is_err(), "{length}");
        }
        let mut out = Vec::new();
        assert!(write_pickle(&Value::Bytes(&Pieces(&[], 1 << 33)), 3, &mut out).is_err());
        assert!(out.is_empty(), "nothing is written in vain");
    }

    #[test]
    fn characters_are_escaped_as_python_does() {
        let mut out = Vec::new();
        write_escaped("a\\\n\u{e9}\u{6f22}\u{1f600}", &mut out).unwrap();
        assert_eq!(out, b"a\\u005c\\u000a\xe9\\u6f22\\U0001f600");
    }
}
