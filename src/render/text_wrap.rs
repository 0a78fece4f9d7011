//! Paragraph filling exactly as CPython's `textwrap.wrap` with its default options does it
//! (Lib/textwrap.py), because heapy's tables are filled by it. Widths are code points.
//!
//! One known difference: a combining mark or a circled letter counts as a word character here and
//! not in Python, which shows only where one stands beside a hyphen.

/// How a word that is longer than a line is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LongWords {
    /// After the last hyphen that fits, if there is one: CPython 3.10 and later.
    #[default]
    AfterHyphen,
    /// At the end of the line: CPython 3.9 and earlier.
    AtWidth,
}

/// What a paragraph is filled into.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// Code points in a line, indentation included.
    pub width: usize,
    /// Blanks before the first line.
    pub initial_indent: usize,
    /// Blanks before every other line.
    pub subsequent_indent: usize,
    /// How long words are cut.
    pub long_words: LongWords,
}

/// Splits `text` into lines. Cost: linear in the text.
pub fn wrap(text: &str, filling: &Filling) -> Vec<String> {
    let text = blank_out(&expand_tabs(text));
    let words = split(&text);
    Filler { text: &text, words, next: 0, filling }.lines()
}

/// Whether Python's `str.isspace` holds for the character.
pub fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// As `str.expandtabs(8)`.
fn expand_tabs(text: &str) -> Vec<char> {
    let mut column = 0;
    let mut expanded = Vec::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => {
                let blanks = 8 - column % 8;
                expanded.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                expanded.push(character);
                column = 0;
            }
            _ => {
                expanded.push(character);
                column += 1;
            }
        }
    }
    expanded
}

/// Every white space control character becomes a blank.
fn blank_out(text: &[char]) -> Vec<char> {
    text.iter().map(|&character| if is_ascii_space(character) { ' ' } else { character }).collect()
}

/// The white space that `textwrap` knows: no Unicode spaces.
const fn is_ascii_space(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// `\w` of Python's `re`.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A word character that is no decimal digit: `[^\d\W]`.
fn is_letter(character: char) -> bool {
    is_word(character) && !is_decimal(character)
}

/// What may stand before a dash between words.
fn is_word_or_punctuation(character: char) -> bool {
    is_word(character) || matches!(character, '!' | '"' | '\'' | '&' | '.' | ',' | '?')
}

/// The zeros of all decimal digits beyond ASCII (Unicode 15.1, category Nd); each is followed by
/// its one to nine.
#[rustfmt::skip]
const DECIMAL_ZEROS: [u32; 68] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6,
    0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10, 0x1_04a0, 0x1_0d30, 0x1_1066, 0x1_10f0, 0x1_1136, 0x1_11d0, 0x1_12f0, 0x1_1450, 0x1_14d0, 0x1_1650, 0x1_16c0,
    0x1_1730, 0x1_18e0, 0x1_1950, 0x1_1c50, 0x1_1d50, 0x1_1da0, 0x1_1f50, 0x1_6a60, 0x1_6ac0, 0x1_6b50, 0x1_d7ce, 0x1_d7d8,
    0x1_d7e2, 0x1_d7ec, 0x1_d7f6, 0x1_e140, 0x1_e2f0, 0x1_e4f0, 0x1_e950, 0x1_fbf0,
];

fn is_decimal(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_digit();
    }
    let code = u32::from(character);
    let zero = DECIMAL_ZEROS.partition_point(|&zero| zero <= code).checked_sub(1);
    zero.and_then(|index| DECIMAL_ZEROS.get(index)).is_some_and(|zero| code - zero < 10)
}

/// The pieces between which a line may break, as (start, end): white space, words, parts of words
/// up to and with a hyphen, dashes between words.
fn split(text: &[char]) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = piece_end(text, start);
        pieces.push((start, end));
        start = end;
    }
    pieces
}

fn piece_end(text: &[char], start: usize) -> usize {
    if is_ascii_space(text[start]) {
        return start + text[start..].iter().take_while(|&&character| is_ascii_space(character)).count();
    }
    if let Some(end) = dash_end(text, start) {
        return end;
    }
    let mut end = start + 1;
    while end < text.len() {
        if is_ascii_space(text[end]) || dash_end(text, end).is_some() {
            return end;
        }
        if is_hyphen_inside_word(text, end) {
            return end + 1;
        }
        end += 1;
    }
    end
}

/// The end of the two or more dashes at `start`, if they stand between words.
fn dash_end(text: &[char], start: usize) -> Option<usize> {
    let before = *text.get(start.checked_sub(1)?)?;
    if text.get(start) != Some(&'-') || !is_word_or_punctuation(before) {
        return None;
    }
    let dashes = text[start..].iter().take_while(|&&character| character == '-').count();
    let after = *text.get(start + dashes)?;
    (dashes >= 2 && is_word(after)).then_some(start + dashes)
}

/// Whether the hyphen at `at` may end a line: two letters before it and two after it, on either
/// side with or without another hyphen between them.
fn is_hyphen_inside_word(text: &[char], at: usize) -> bool {
    let test = |index: usize, holds: fn(char) -> bool| text.get(index).is_some_and(|&found| holds(found));
    let hyphen = |found: char| found == '-';
    if !test(at, hyphen) || at < 2 {
        return false;
    }
    let before = (test(at - 1, is_letter) && test(at - 2, is_letter))
        || (at >= 3 && test(at - 1, is_letter) && test(at - 2, hyphen) && test(at - 3, is_letter));
    let second = if test(at + 2, hyphen) { at + 3 } else { at + 2 };
    before && test(at + 1, is_letter) && test(second, is_letter)
}

/// The state of filling lines.
struct Filler<'a> {
    text: &'a [char],
    words: Vec<(usize, usize)>,
    /// The first word that is not in a line yet.
    next: usize,
    filling: &'a Filling,
}

impl Filler<'_> {
    fn lines(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while self.next < self.words.len() {
            let indent =
                if lines.is_empty() { self.filling.initial_indent } else { self.filling.subsequent_indent };
            if !lines.is_empty() && self.is_blank(self.words[self.next]) {
                self.next += 1;
            }
            let pieces = self.take_line(self.filling.width.saturating_sub(indent));
            if !pieces.is_empty() {
                let mut line = " ".repeat(indent);
                line.extend(pieces.iter().flat_map(|&(start, end)| &self.text[start..end]));
                lines.push(line);
            }
        }
        lines
    }

    /// The pieces of the next line, without a blank one at its end.
    fn take_line(&mut self, width: usize) -> Vec<(usize, usize)> {
        let mut pieces = Vec::new();
        let mut used = 0;
        while let Some(&(start, end)) = self.words.get(self.next) {
            if used + (end - start) > width {
                break;
            }
            pieces.push((start, end));
            used += end - start;
            self.next += 1;
        }
        if self.words.get(self.next).is_some_and(|&(start, end)| end - start > width) {
            pieces.push(self.cut_long_word(if width == 0 { 1 } else { width - used }));
        }
        // An empty piece, from a line that was already full, counts as a blank one: so does Python.
        if pieces.last().is_some_and(|&piece| self.is_blank(piece)) {
            pieces.pop();
        }
        pieces
    }

    /// Takes what fits into `room` off the next word.
    fn cut_long_word(&mut self, room: usize) -> (usize, usize) {
        let (start, end) = self.words[self.next];
        let mut cut = (start + room).min(end);
        if self.filling.long_words == LongWords::AfterHyphen
            && let Some(hyphen) = self.text[start..cut].iter().rposition(|&character| character == '-')
            && self.text[start..start + hyphen].iter().any(|&character| character != '-')
        {
            cut = start + hyphen + 1;
        }
        if cut == end {
            self.next += 1;
        } else {
            self.words[self.next].0 = cut;
        }
        (start, cut)
    }

    fn is_blank(&self, (start, end): (usize, usize)) -> bool {
        self.text[start..end].iter().all(|&character| is_python_space(character))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, width: usize, expected: &[&str]) {
        let filling =
            Filling { width, initial_indent: 0, subsequent_indent: 2, long_words: LongWords::AfterHyphen };
        assert_eq!(wrap(text, &filling), expected);
    }

    #[test]
    fn lines_break_at_blanks_hyphens_and_dashes() {
        check("", 10, &[]);
        check("  a b", 10, &["  a b"]);
        check("one two three", 8, &["one two", "  three"]);
        check("well-known word", 8, &["well-", "  known", "  word"]);
        // The blank stays: Python drops the empty piece that it cut off "three" instead.
        check("one--two three", 6, &["one--", "  two ", "  thre", "  e"]);
        check("a\tb", 12, &["a       b"]);
        check("1-2-3-4-5-6", 8, &["1-2-3-4-", "  5-6"]);
    }

    #[test]
    fn digits_of_other_scripts_are_digits() {
        assert!(is_decimal('\u{0669}') && is_decimal('\u{1e959}') && !is_decimal('\u{00b2}'));
        assert!(DECIMAL_ZEROS.is_sorted());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(
            text in "[ab1_.,é\u{2003}漢\t -]{0,200}",
            width in 1_usize..40,
            indent in 0_usize..50,
        ) {
            for long_words in [LongWords::AfterHyphen, LongWords::AtWidth] {
                let filling = Filling { width, initial_indent: 0, subsequent_indent: indent, long_words };
                let lines = wrap(&text, &filling);
                let room = width.max(indent + 1);
                prop_assert!(lines.iter().all(|line| line.chars().count() <= room));
                let solid = |text: &str| text.chars().filter(|&found| !is_python_space(found)).collect::<String>();
                prop_assert_eq!(solid(&lines.concat()), solid(&text));
            }
        }
    }
}
