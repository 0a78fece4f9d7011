//! JSON, by a contract that other programs rely on.
//!
#![doc = include_str!("JSON.md")]

use crate::render::Format;
use crate::render::PageOptions;
use crate::render::digits::NO_DIGITS;
use crate::render::digits::decimal;
use crate::render::digits::hexadecimal;
use crate::render::heap_stats::Detail;
use crate::render::heap_stats::heap_stats;
use crate::render::pickle::Value;
use crate::report::Cell;
use crate::report::Document;
use crate::report::Table;
use std::io;
use std::io::Write;

/// The name and version of the contract.
pub const SCHEMA: &str = "heapattach/1";

/// Bytes of rows that are put together before they are written.
const CHUNK: usize = 1 << 17;

/// The format `json`.
pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn write(&self, document: &Document<'_>, _page: &PageOptions, out: &mut dyn Write) -> io::Result<()> {
        let schema = Cell::text(SCHEMA);
        let report = Cell::text(document.report);
        let mut top = Vec::new();
        insert(&mut top, "schema", Node::Value(&schema));
        insert(&mut top, "report", Node::Value(&report));
        for fact in &document.facts {
            insert(&mut top, &fact.path, Node::Value(&fact.value));
        }
        for table in &document.tables {
            insert(&mut top, table.path, Node::Table(table));
        }
        let detail = document.stats.as_ref().map(|stats| Detail { stats });
        let value = document.stats.as_ref().zip(detail.as_ref());
        let value = value.map(|(stats, detail)| heap_stats(stats, detail));
        if let Some(Value::Dict(members)) = &value {
            top.extend(members.iter().map(|(key, value)| (*key, Node::Pickled(value))));
        }
        write_node(out, &Node::Object(top), 0)?;
        out.write_all(b"\n")
    }
}

/// A place in the tree that the paths of a document describe.
enum Node<'a> {
    Value(&'a Cell<'a>),
    Table(&'a Table<'a>),
    Object(Vec<(&'a str, Node<'a>)>),
    Pickled(&'a Value<'a>),
}

/// Puts a node at a path; the first one at a place stays.
fn insert<'a>(entries: &mut Vec<(&'a str, Node<'a>)>, path: &'a str, node: Node<'a>) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let at = entries.iter().position(|(present, _)| *present == key);
    match (rest, at) {
        (None, None) => entries.push((key, node)),
        (None, Some(_)) => {}
        (Some(rest), Some(at)) => {
            if let Node::Object(inner) = &mut entries[at].1 {
                insert(inner, rest, node);
            }
        }
        (Some(rest), None) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, node);
            entries.push((key, Node::Object(inner)));
        }
    }
}

fn write_node(out: &mut dyn Write, node: &Node<'_>, depth: usize) -> io::Result<()> {
    match node {
        Node::Value(cell) => {
            let mut text = Vec::new();
            push_cell(&mut text, cell);
            out.write_all(&text)
        }
        Node::Table(table) => write_rows(out, table, depth),
        Node::Pickled(value) => write_value(out, value),
        Node::Object(entries) => {
            out.write_all(b"{")?;
            for (index, (key, inner)) in entries.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(out, "{comma}\n{:indent$}\"{key}\": ", "", indent = 2 * depth + 2)?;
                write_node(out, inner, depth + 1)?;
            }
            write!(out, "\n{:indent$}}}", "", indent = 2 * depth)
        }
    }
}

/// What a pickle has, with strings of bytes as text.
fn write_value(out: &mut dyn Write, value: &Value<'_>) -> io::Result<()> {
    let mut text = Vec::new();
    match value {
        Value::Text(value) => {
            push_string(&mut text, value);
            out.write_all(&text)
        }
        Value::Bytes(stream) => {
            out.write_all(b"\"")?;
            stream.write(&mut |piece| {
                text.clear();
                for &byte in piece {
                    match byte {
                        b'\n' => text.extend_from_slice(b"\\n"),
                        b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
                        _ => text.push(byte),
                    }
                }
                out.write_all(&text)
            })?;
            out.write_all(b"\"")
        }
        Value::List(items) => {
            out.write_all(b"[")?;
            for (index, item) in items.iter().enumerate() {
                out.write_all(if index == 0 { b"" } else { b", " })?;
                write_value(out, item)?;
            }
            out.write_all(b"]")
        }
        Value::Dict(items) => {
            out.write_all(b"{")?;
            for (index, (key, item)) in items.iter().enumerate() {
                write!(out, "{}\n    \"{key}\": ", if index == 0 { "" } else { "," })?;
                write_value(out, item)?;
            }
            out.write_all(b"\n  }")
        }
    }
}

/// The rows as an array of objects, one a line.
fn write_rows(out: &mut dyn Write, table: &Table<'_>, depth: usize) -> io::Result<()> {
    let lead = format!("\n{:indent$}{{", "", indent = 2 * depth + 2).into_bytes();
    let keys: Vec<_> =
        table.columns.iter().map(|column| format!("\"{}\":", column.name).into_bytes()).collect();
    let mut written = Ok(());
    let mut any = false;
    let mut text = Vec::with_capacity(CHUNK + CHUNK / 8);
    text.push(b'[');
    table.for_each_row(&mut |row| {
        if any {
            text.push(b',');
        }
        any = true;
        text.extend_from_slice(&lead);
        for (index, (key, cell)) in keys.iter().zip(row).enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(key);
            push_cell(&mut text, cell);
        }
        text.push(b'}');
        if text.len() >= CHUNK {
            written = out.write_all(&text);
            text.clear();
        }
        written.is_ok()
    });
    written?;
    out.write_all(&text)?;
    if any {
        write!(out, "\n{:indent$}", "", indent = 2 * depth)?;
    }
    out.write_all(b"]")
}

fn push_cell(out: &mut Vec<u8>, cell: &Cell<'_>) {
    let mut digits = NO_DIGITS;
    match cell {
        Cell::Text(text) => push_string(out, text),
        Cell::Count(number) | Cell::Bytes(number) => {
            out.extend_from_slice(decimal(*number, &mut digits).as_bytes());
        }
        Cell::Percent(number) | Cell::Milliseconds(number) => push_number(out, *number),
        Cell::Address(address) => {
            out.push(b'"');
            out.extend_from_slice(hexadecimal(address.get(), &mut digits).as_bytes());
            out.push(b'"');
        }
        Cell::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Cell::Words(words) => {
            out.push(b'[');
            for (index, word) in words.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_string(out, word);
            }
            out.push(b']');
        }
        Cell::Missing => out.extend_from_slice(b"null"),
    }
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// A JSON number; null for what is none.
fn push_number(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(serde_json::Value::from(number).to_string().as_bytes());
}
