//! Making foreign words fit for a page: cut in the middle, nothing that moves the cursor.

use std::borrow::Cow;

/// What stands for what was cut out.
const GAP: &str = "...";

/// At most `width` code points: the middle is cut out, since names differ at both ends.
pub(super) fn cut_middle(text: &str, width: usize) -> Cow<'_, str> {
    // Bytes are at least as many as code points.
    if text.len() <= width {
        return Cow::Borrowed(text);
    }
    let length = text.chars().count();
    if length <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(GAP.len());
    let tail = room / 2;
    let start_of = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(start, _)| start);
    let (head_end, tail_start) = if text.is_ascii() {
        (room - tail, length - tail)
    } else {
        (start_of(room - tail), start_of(length - tail))
    };
    let gap = &GAP[..GAP.len().min(width)];
    Cow::Owned([&text[..head_end], gap, &text[tail_start..]].concat())
}

/// The text with control characters and characters that change the direction of writing spelled
/// out: class names and command lines are the target's to choose.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_harmful(character) {
            spelled.extend(character.escape_default());
        } else {
            spelled.push(character);
        }
    }
    Cow::Owned(spelled)
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle() {
        assert_eq!(cut_middle("collections.OrderedDict", 23), "collections.OrderedDict");
        assert_eq!(cut_middle("collections.OrderedDict", 15), "collec...edDict");
        assert_eq!(cut_middle("ééééééé", 5), "é...é");
        assert_eq!(cut_middle("abcdef", 2), "..");
        assert_eq!(cut_middle("abcdef", 0), "");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\x1b[2J\n\u{202e}é"), "a\\u{1b}[2J\\n\\u{202e}é");
    }
}
