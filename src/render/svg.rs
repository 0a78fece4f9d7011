//! The picture of a document as SVG, for browsers and papers.

use crate::render::Format;
use crate::render::PageOptions;
use crate::render::shorten::cut_middle;
use crate::render::shorten::harmless;
use crate::report::Document;
use crate::report::picture::Picture;
use crate::report::picture::PictureCell;
use crate::report::picture::ROW;
use crate::report::picture::Strip;
use crate::report::words;
use std::io;
use std::io::Write;
use svg::node::element::Group;
use svg::node::element::Rectangle;
use svg::node::element::Text;
use svg::node::element::Title;

/// Width and height of a cell, in pixels.
const CELL: (usize, usize) = (7, 14);
const MARGIN: usize = 24;
const LINE: usize = 18;
/// Space between two strips.
const GAP: usize = 14;
/// Entries of the legend in a line.
const LEGEND_COLUMNS: usize = 4;
/// Characters that fit in a line of the picture, and in an entry of the legend.
const LINE_CHARACTERS: usize = 130;
const ENTRY_CHARACTERS: usize = 22;

/// One colour for each group of `memory_map::regions`: types, other objects, buffers, other blocks.
/// They can be told apart with the common kinds of colour blindness (after Okabe and Ito).
const COLORS: [&str; 10] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#a6761d", "#8c8c8c", "#7b3294",
    "#4d4d4d",
];
const FREE: &str = "#efefef";
const FONT: &str = "sans-serif";

/// The format `svg`.
pub(super) struct Svg;

impl Format for Svg {
    fn name(&self) -> &'static str {
        "svg"
    }

    fn write(&self, document: &Document<'_>, _page: &PageOptions, out: &mut dyn Write) -> io::Result<()> {
        let drawing = match &document.picture {
            Some(picture) => draw(picture),
            // The command line asks for no such thing.
            None => sheet(400, 60).add(label(MARGIN, 34, 13, "This report has no picture.")),
        };
        writeln!(out, "{drawing}")
    }
}

fn sheet(width: usize, height: usize) -> svg::Document {
    let background = Rectangle::new().set("width", width).set("height", height).set("fill", "white");
    svg::Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", FONT)
        .add(background)
}

fn label(x: usize, y: usize, size: usize, text: &str) -> Text {
    Text::new(clean(text, LINE_CHARACTERS)).set("x", x).set("y", y).set("font-size", size).set("fill", "#222")
}

/// What may stand in XML, and fits.
fn clean(text: &str, width: usize) -> String {
    let harmless = harmless(text);
    let allowed: String = harmless
        .chars()
        .map(|letter| if letter.is_control() || letter >= '\u{fffe}' { ' ' } else { letter })
        .collect();
    cut_middle(&allowed, width).into_owned()
}

fn height_of(strip: &Strip) -> usize {
    2 * LINE + strip.cells.len().div_ceil(ROW) * CELL.1 + GAP
}

fn draw(picture: &Picture) -> svg::Document {
    let width = 2 * MARGIN + ROW * CELL.0;
    // Types without a byte in the picture need no colour.
    let entries: Vec<_> = picture.legend.iter().zip(COLORS).filter(|(entry, _)| entry.bytes > 0).collect();
    let legend_lines = (entries.len() + 1).div_ceil(LEGEND_COLUMNS);
    let strips_at = MARGIN + LINE + picture.subtitles.len() * LINE + GAP + legend_lines * LINE + GAP;
    let strips: usize = picture.strips.iter().map(height_of).sum();
    let height = strips_at + strips + MARGIN + LINE;
    let mut sheet =
        sheet(width, height).add(label(MARGIN, MARGIN, 17, &picture.title).set("font-weight", "bold"));
    let mut y = MARGIN;
    for line in &picture.subtitles {
        y += LINE;
        sheet = sheet.add(label(MARGIN, y, 12, line));
    }
    y += LINE + GAP;
    let column = (width - 2 * MARGIN) / LEGEND_COLUMNS;
    let free = ("free".to_owned(), FREE);
    let entries = entries.into_iter().map(|(entry, color)| {
        (format!("{} {}", clean(&entry.name, ENTRY_CHARACTERS), words::bytes(entry.bytes)), color)
    });
    for (index, (text, color)) in entries.chain([free]).enumerate() {
        let x = MARGIN + index % LEGEND_COLUMNS * column;
        let at = y + index / LEGEND_COLUMNS * LINE;
        let swatch = rectangle((x, at - 10), (12, 12), color).set("stroke", "#999").set("stroke-width", 0.5);
        sheet = sheet.add(swatch).add(label(x + 18, at, 12, &text));
    }
    y = strips_at;
    for strip in &picture.strips {
        sheet = sheet.add(draw_strip(strip, y));
        y += height_of(strip);
    }
    match &picture.note {
        Some(note) => sheet.add(label(MARGIN, y + LINE, 12, note)),
        None => sheet,
    }
}

fn rectangle((x, y): (usize, usize), (width, height): (usize, usize), color: &str) -> Rectangle {
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height).set("fill", color)
}

/// A region: its title, its numbers, and its cells, equal neighbours as one rectangle. What is in use
/// fills a cell from below.
fn draw_strip(strip: &Strip, y: usize) -> Group {
    let mut group = Group::new()
        .add(Title::new(clean(&format!("{}: {}", strip.title, strip.subtitle), 4 * LINE_CHARACTERS)))
        .add(label(MARGIN, y + LINE - 4, 13, &strip.title).set("font-weight", "bold"))
        .add(label(MARGIN, y + 2 * LINE - 6, 11, &strip.subtitle));
    let top = y + 2 * LINE;
    for (row, cells) in strip.cells.chunks(ROW).enumerate() {
        let at = top + row * CELL.1;
        group = group.add(rectangle((MARGIN, at), (cells.len() * CELL.0, CELL.1 - 1), FREE));
        let mut x = MARGIN;
        for run in cells.chunk_by(|one, other| look(*one) == look(*other)) {
            if let Some((color, height)) = look(run[0]) {
                let size = (run.len() * CELL.0, height);
                group = group.add(rectangle((x, at + CELL.1 - 1 - height), size, color));
            }
            x += run.len() * CELL.0;
        }
    }
    group
}

/// Colour and height of a cell; `None` if it is empty. Whatever is in use is seen.
fn look(cell: PictureCell) -> Option<(&'static str, usize)> {
    let most = (CELL.1 - 1) as f64;
    let height = (cell.part.clamp(0.0, 1.0) * most).ceil().clamp(1.0, most);
    #[expect(clippy::cast_sign_loss, reason = "it is between 1 and the height of a cell")]
    let height = height as usize;
    cell.group.map(|group| (COLORS[group % COLORS.len()], height))
}
