//! Descriptions as they are used: what one says, bound to the fields of one Python.

use crate::descriptions::collection::Refusal;
use crate::descriptions::path::Path;
use crate::descriptions::path::Value;
use crate::descriptions::path::WrittenPath;
use crate::descriptions::raw::OneOrMore;
use crate::descriptions::raw::RawBuffer;
use crate::descriptions::raw::RawPart;
use crate::descriptions::raw::RawTerm;
use crate::descriptions::raw::RawTest;
use crate::descriptions::raw::RawType;
use crate::layout::table::Table;
use std::sync::Arc;

/// What buffers are, each word once.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Vec<String>);

impl Words {
    /// The number of a word.
    fn number(&mut self, word: &str) -> u16 {
        let known = self.0.iter().position(|known| known == word);
        let number = known.unwrap_or_else(|| {
            self.0.push(word.to_owned());
            self.0.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// The word with this number.
    pub(super) fn word(&self, number: u16) -> &str {
        self.0.get(usize::from(number)).map_or("data", String::as_str)
    }
}

/// One description of a type.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file that it comes from.
    pub file: String,
    basic_sizes: Vec<u64>,
    pub(super) when: Vec<Test>,
    pub(super) layout: Layout,
    /// Fields that refer to objects; `None` if the description does not say, and words must be scanned.
    pub(super) references: Option<Vec<Path>>,
    /// Fields that may refer to objects.
    pub(super) scanned: Vec<Path>,
    /// What `__sizeof__` adds to the basic size; `None` if that is unknown.
    pub(super) sizeof: Option<Vec<(Value, Value)>>,
}

impl Entry {
    pub(super) fn bind(
        file: &str,
        kind: &RawType,
        table: &Table,
        words: &mut Words,
    ) -> Result<Arc<Self>, String> {
        let paths = |paths: &[WrittenPath]| -> Result<Vec<Path>, String> {
            paths.iter().map(|path| path.bind(table)).collect()
        };
        let term = |term: &RawTerm| Ok::<_, String>((term.count.bind(table)?, term.each.bind(table)?));
        Ok(Arc::new(Self {
            file: file.to_owned(),
            basic_sizes: kind.basic_size.clone(),
            when: bind_tests(&kind.when, table)?,
            layout: Layout::bind((&kind.buffers, &kind.parts), table, words)?,
            references: kind.references.as_deref().map(paths).transpose()?,
            scanned: paths(&kind.scanned)?,
            sizeof: kind.sizeof.as_ref().map(|terms| terms.iter().map(term).collect()).transpose()?,
        }))
    }

    /// Whether all references are in the description.
    pub fn says_references(&self) -> bool {
        self.references.is_some()
    }

    /// Whether the description says what `__sizeof__` gives.
    pub fn says_size(&self) -> bool {
        self.sizeof.is_some()
    }

    /// Whether it can be of a type of this size.
    pub(super) fn check(&self, basic_size: u64, has_items: bool) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal { file: self.file.clone(), reason });
        if !self.basic_sizes.is_empty() && !self.basic_sizes.contains(&basic_size) {
            let sizes: Vec<_> = self.basic_sizes.iter().map(ToString::to_string).collect();
            return refuse(format!(
                "instances have {basic_size} bytes, and the description is for {}",
                sizes.join(" or ")
            ));
        }
        let reach = self.reach();
        if reach > basic_size && !has_items {
            return refuse(format!(
                "the description reads {reach} bytes of instances that have {basic_size}"
            ));
        }
        Ok(())
    }

    /// Bytes of an instance that the description looks at.
    fn reach(&self) -> u64 {
        let tests = self.when.iter().map(Test::reach);
        let references = self.references.iter().flatten().chain(&self.scanned).map(Path::reach);
        let terms = self.sizeof.iter().flatten().map(|(count, each)| count.reach().max(each.reach()));
        tests.chain(references).chain(terms).max().unwrap_or(0).max(self.layout.reach())
    }
}

/// Buffers and parts of a type or a structure.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) buffers: Vec<Buffer>,
    pub(super) parts: Vec<Part>,
}

impl Layout {
    pub(super) fn bind(
        (buffers, parts): (&[RawBuffer], &[RawPart]),
        table: &Table,
        words: &mut Words,
    ) -> Result<Self, String> {
        Ok(Self {
            buffers: buffers
                .iter()
                .map(|buffer| Buffer::bind(buffer, table, words))
                .collect::<Result<_, _>>()?,
            parts: parts.iter().map(|part| Part::bind(part, table)).collect::<Result<_, _>>()?,
        })
    }

    fn reach(&self) -> u64 {
        let buffers = self.buffers.iter().map(Buffer::reach);
        let parts = self.parts.iter().map(|part| match &part.each {
            Some(each) => each.begin.reach().max(each.end.reach()),
            None => part.follow.reach(),
        });
        buffers.chain(parts).max().unwrap_or(0)
    }
}

/// How long a buffer is.
#[derive(Clone, Debug)]
pub(super) enum Length {
    Bytes(Value),
    Bits(Value),
    End(Path),
    Items(Value, Value),
    /// Dimensions, where their sizes are, bytes of an item.
    Shape(Value, Path, Value),
}

/// Memory outside of an object.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    /// Number of the word that says what it is.
    pub(super) what: u16,
    pub(super) address: Path,
    pub(super) length: Length,
    pub(super) owner: Option<Path>,
    pub(super) owns: Option<Test>,
    pub(super) view: bool,
    pub(super) shared: bool,
    pub(super) counted: bool,
    pub(super) when: Vec<Test>,
    /// The items are references if these hold (and there are any).
    pub(super) objects_when: Vec<Test>,
}

impl Buffer {
    fn bind(raw: &RawBuffer, table: &Table, words: &mut Words) -> Result<Self, String> {
        let item_size = raw.item_size.as_ref().map(|size| size.bind(table)).transpose()?;
        let item_size = item_size.unwrap_or(Value::Constant(1));
        let length = if let Some(bytes) = &raw.bytes {
            Length::Bytes(bytes.bind(table)?)
        } else if let Some(bits) = &raw.bits {
            Length::Bits(bits.bind(table)?)
        } else if let Some(end) = &raw.end {
            Length::End(end.bind(table)?)
        } else if let Some(shape) = &raw.shape {
            Length::Shape(shape.dimensions.bind(table)?, shape.sizes.bind(table)?, item_size)
        } else {
            let length = raw.length.as_ref().ok_or("no length is given")?;
            Length::Items(length.bind(table)?, item_size)
        };
        Ok(Self {
            what: words.number(raw.what.as_deref().unwrap_or("data")),
            address: raw.address.get_ref().bind(table)?,
            length,
            owner: raw.owner.as_ref().map(|path| path.bind(table)).transpose()?,
            owns: raw.owns.as_ref().map(|test| Test::bind(test, table)).transpose()?,
            view: raw.view,
            shared: raw.shared,
            counted: raw.counted,
            when: bind_tests(&raw.when, table)?,
            objects_when: bind_tests(&raw.objects_when, table)?,
        })
    }

    fn reach(&self) -> u64 {
        let length = match &self.length {
            Length::Bytes(value) | Length::Bits(value) => value.reach(),
            Length::End(path) => path.reach(),
            Length::Items(count, size) => count.reach().max(size.reach()),
            Length::Shape(count, sizes, size) => count.reach().max(sizes.reach()).max(size.reach()),
        };
        let tests = self.when.iter().chain(&self.objects_when).chain(&self.owns).map(Test::reach);
        let rest = self.owner.iter().map(Path::reach).chain(tests).max().unwrap_or(0);
        self.address.reach().max(length).max(rest)
    }
}

/// The elements of an array or `std::vector`.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) begin: Path,
    pub(super) end: Path,
    pub(super) step: u64,
}

/// Another structure that belongs to the object.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) each: Option<Each>,
    pub(super) follow: Path,
    pub(super) is: String,
}

impl Part {
    fn bind(raw: &RawPart, table: &Table) -> Result<Self, String> {
        let each = match &raw.each {
            None => None,
            Some(each) => {
                Some(Each { begin: each.begin.bind(table)?, end: each.end.bind(table)?, step: each.step })
            }
        };
        Ok(Self { each, follow: raw.follow.bind(table)?, is: raw.is.get_ref().clone() })
    }
}

/// What a condition looks at.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A number.
    Value(Path),
    /// `tp_basicsize` of the type of the object that a field refers to.
    BasicSizeOf(Path),
    /// `tp_name` of that type.
    TypeOf(Path),
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) subject: Subject,
    /// One of these.
    pub(super) equals: Option<Vec<i64>>,
    /// None of these.
    pub(super) differs: Option<Vec<i64>>,
    pub(super) any_bit: Option<i64>,
    pub(super) no_bit: Option<i64>,
    pub(super) at_least: Option<i64>,
    pub(super) is: Option<String>,
}

impl Test {
    fn bind(raw: &RawTest, table: &Table) -> Result<Self, String> {
        let subject = match (&raw.value, &raw.basic_size_of, &raw.type_of) {
            (Some(path), ..) => Subject::Value(path.bind(table)?),
            (_, Some(path), _) => Subject::BasicSizeOf(path.bind(table)?),
            (_, _, Some(path)) => Subject::TypeOf(path.bind(table)?),
            _ => return Err("a condition looks at nothing".to_owned()),
        };
        Ok(Self {
            subject,
            equals: raw.equals.as_ref().map(numbers),
            differs: raw.differs.as_ref().map(numbers),
            any_bit: raw.any_bit,
            no_bit: raw.no_bit,
            at_least: raw.at_least,
            is: raw.is.clone(),
        })
    }

    fn reach(&self) -> u64 {
        match &self.subject {
            Subject::Value(path) | Subject::BasicSizeOf(path) | Subject::TypeOf(path) => path.reach(),
        }
    }
}

fn numbers(written: &OneOrMore) -> Vec<i64> {
    match written {
        OneOrMore::One(number) => vec![*number],
        OneOrMore::More(numbers) => numbers.clone(),
    }
}

fn bind_tests(tests: &[RawTest], table: &Table) -> Result<Vec<Test>, String> {
    tests.iter().map(|test| Test::bind(test, table)).collect()
}
