//! From the text of a description file to what it says, or to the line that is wrong.

use crate::descriptions::raw::RawBuffer;
use crate::descriptions::raw::RawFile;
use crate::descriptions::raw::RawPart;
use crate::descriptions::raw::RawTest;
use std::fmt;
use std::ops::Range;
use thiserror::Error;

/// The version of the format that is read.
const FORMAT: u32 = 1;

/// A description file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct DescriptionError {
    /// The file.
    pub file: String,
    /// The line that is wrong, from 1; `None` if it is the whole file.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}, line {line}: {}", self.file, self.reason),
            None => write!(formatter, "{}: {}", self.file, self.reason),
        }
    }
}

impl DescriptionError {
    /// A mistake at a place in the text of a file.
    pub(super) fn at(file: &str, text: &str, span: Range<usize>, reason: &str) -> Self {
        let line = Some(line_of(text, span.start));
        Self { file: file.to_owned(), line, reason: reason.trim().replace('\n', " ") }
    }
}

/// Reads a file.
pub(super) fn parse(name: &str, text: &str) -> Result<RawFile, DescriptionError> {
    let whole = |reason: String| DescriptionError { file: name.to_owned(), line: None, reason };
    let fail = |(span, reason): (Range<usize>, String)| DescriptionError::at(name, text, span, &reason);
    let file: RawFile = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => fail((span, error.message().to_owned())),
        None => whole(error.message().trim().replace('\n', " ")),
    })?;
    if file.format != FORMAT {
        return Err(whole(format!("it is of format {}, and this program reads {FORMAT}", file.format)));
    }
    for kind in &file.types {
        let span = kind.name.span();
        if kind.buffers.is_empty() && kind.parts.is_empty() && kind.references.is_none() {
            return Err(fail((span, "the type has neither buffers nor parts nor references".to_owned())));
        }
        check_tests(&kind.when).map_err(|reason| fail((span, reason)))?;
        check_layout(&kind.buffers, &kind.parts).map_err(fail)?;
    }
    for structure in &file.structures {
        check_layout(&structure.buffers, &structure.parts).map_err(fail)?;
    }
    Ok(file)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

fn check_layout(buffers: &[RawBuffer], parts: &[RawPart]) -> Result<(), (Range<usize>, String)> {
    for buffer in buffers {
        let lengths = [&buffer.bytes, &buffer.bits, &buffer.length].into_iter().flatten().count()
            + usize::from(buffer.end.is_some())
            + usize::from(buffer.shape.is_some());
        let fail = |reason: &str| Err((buffer.address.span(), reason.to_owned()));
        if lengths != 1 {
            return fail("a buffer has exactly one of bytes, bits, end, length and shape");
        }
        if buffer.item_size.is_some() && buffer.length.is_none() && buffer.shape.is_none() {
            return fail("item_size goes with length or shape only");
        }
        if buffer.view && buffer.shared {
            return fail("a buffer is a view or shared, not both");
        }
        let mut tests = buffer.when.iter().chain(&buffer.objects_when).chain(&buffer.owns);
        tests.try_for_each(check_test).map_err(|reason| (buffer.address.span(), reason))?;
    }
    for part in parts {
        if part.each.as_ref().is_some_and(|each| each.step == 0 || each.step > 1 << 20) {
            return Err((part.is.span(), "step is from 1 to 1048576 bytes".to_owned()));
        }
    }
    Ok(())
}

fn check_tests(tests: &[RawTest]) -> Result<(), String> {
    tests.iter().try_for_each(check_test)
}

fn check_test(test: &RawTest) -> Result<(), String> {
    let subjects = [test.value.is_some(), test.basic_size_of.is_some(), test.type_of.is_some()];
    let bits = [test.any_bit, test.no_bit, test.at_least];
    let numbers = usize::from(test.equals.is_some()) + usize::from(test.differs.is_some());
    let number_count = numbers + bits.iter().flatten().count();
    if subjects.iter().filter(|&&given| given).count() != 1 {
        return Err("a condition has exactly one of value, basic_size_of and type_of".to_owned());
    }
    let is_sound = if test.type_of.is_some() {
        test.is.is_some() && number_count == 0
    } else {
        test.is.is_none() && number_count == 1
    };
    if is_sound {
        Ok(())
    } else {
        Err("a condition has exactly one of equals, differs, any_bit, no_bit and at_least, or with type_of: is".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: Option<usize>, reason: &str) {
        let error = parse("a.toml", text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.reason.contains(reason), "{error}");
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let head = "format = 1\n[[type]]\nname = 'a.B'\n";
        check("format = 2", None, "format 2");
        check("", Some(1), "missing field `format`");
        check("format = 1\n[[type]\n", Some(2), "");
        check(&format!("{head}lenght = 3"), Some(4), "unknown field `lenght`");
        check("format = 1\n[[type]]\nname = 3", Some(3), "expected a string");
        check(head, Some(3), "neither buffers");
        check(&format!("{head}buffers = [\n  {{ address = 16 }},\n]"), Some(5), "exactly one of bytes");
        check(
            &format!("{head}buffers = [\n  {{ address = '16:f8', bytes = 8 }},\n]"),
            Some(5),
            "`f8` is none of",
        );
        check(&format!("{head}buffers = [\n  {{ address = -1, bytes = 8 }},\n]"), Some(5), "not negative");
        check(
            &format!("{head}buffers = [ {{ address = 16, bytes = 8, owns = {{ value = 8 }} }} ]"),
            Some(4),
            "a condition has exactly one",
        );
        check(
            &format!("{head}buffers = [ {{ address = 16, bytes = 8, end = 24 }} ]"),
            Some(4),
            "exactly one of bytes",
        );
        check(
            &format!(
                "{head}parts = [ {{ each = {{ begin = 0, end = 8, step = 0 }}, follow = 0, is = 'x' }} ]"
            ),
            Some(4),
            "step",
        );
        check(&format!("{head}basic_size = [-1]"), Some(4), "");
    }
}
