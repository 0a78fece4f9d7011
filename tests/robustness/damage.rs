//! Deterministic damage: what one seed does to a core.

use crate::victim::HEADER;
use crate::victim::Targets;
use crate::victim::Victim;
use crate::victim::word_at;

const PAGE: u64 = 4096;

/// Numbers that mean harm.
const ODD: &[u64] = &[
    0,
    1,
    2,
    7,
    0xff,
    1 << 16,
    (1 << 20) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 36,
    (1 << 40) - 1,
    1 << 47,
    (1 << 60) + 1,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 15,
    u64::MAX - 1,
    u64::MAX,
];

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bit anywhere in memory.
    Bit,
    /// Fields of objects, their headers included.
    Object,
    /// What fields of objects lead to: items, nodes, tables.
    Pointee,
    /// Tables of dicts.
    DictTable,
    Type,
    /// Headers of pymalloc's pools.
    Pool,
    /// The runtime, interpreters, threads, frames.
    Runtime,
    /// Links of the collector's lists.
    Collector,
    /// A page, filled.
    Page,
    /// One object's bytes over another's.
    Copy,
    /// All of the above.
    Mixed,
    /// A segment that is not whole, or elsewhere.
    Segment,
    /// The file's header.
    ElfHeader,
    /// The headers of its segments.
    ProgramHeaders,
    Notes,
    /// Headers of the mapped binaries.
    Binaries,
    /// The file ends early.
    Truncation,
    /// A compressed file that is damaged or ends early.
    Compressed,
}

/// How often each is done, of 64.
const SHARES: &[(Kind, usize)] = &[
    (Kind::Bit, 6),
    (Kind::Object, 10),
    (Kind::Pointee, 6),
    (Kind::DictTable, 6),
    (Kind::Type, 6),
    (Kind::Pool, 3),
    (Kind::Runtime, 5),
    (Kind::Collector, 3),
    (Kind::Page, 3),
    (Kind::Copy, 2),
    (Kind::Mixed, 4),
    (Kind::Segment, 1),
    (Kind::ElfHeader, 1),
    (Kind::ProgramHeaders, 2),
    (Kind::Notes, 2),
    (Kind::Binaries, 1),
    (Kind::Truncation, 2),
    (Kind::Compressed, 1),
];

impl Kind {
    /// Every kind, in the order of tables.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        SHARES.iter().map(|&(kind, _)| kind)
    }

    /// What a seed damages.
    pub(crate) fn of(seed: u64) -> Self {
        let mut place = Random::new(seed ^ 0x6b69_6e64).below(SHARES.iter().map(|share| share.1).sum());
        for &(kind, share) in SHARES {
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => return kind,
            }
        }
        Self::Mixed
    }

    /// Whether it is the process that is damaged and not the file.
    pub(crate) fn is_memory(self) -> bool {
        !matches!(
            self,
            Self::Segment
                | Self::ElfHeader
                | Self::ProgramHeaders
                | Self::Notes
                | Self::Binaries
                | Self::Truncation
                | Self::Compressed
        )
    }
}

/// A generator of its own, so that a seed says all.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring numbers, and zero would stay zero.
        let mut random = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// One damage that is being done.
pub(crate) struct Damage<'a> {
    victim: &'a Victim,
    targets: &'a Targets,
    random: Random,
}

/// Damages a core as the seed says. A compressed file is another file: its bytes are given.
pub(crate) fn damage(victim: &Victim, seed: u64) -> Option<Vec<u8>> {
    let mut damage = Damage { victim, targets: &victim.targets, random: Random::new(seed) };
    let kind = Kind::of(seed);
    match kind {
        Kind::Truncation => damage.truncation(),
        Kind::Compressed => return Some(damage.compressed()),
        Kind::Page => damage.memory(kind),
        Kind::Mixed => {
            let kinds: Vec<Kind> = Kind::all().filter(|kind| kind.is_memory()).collect();
            for _ in 0..1 << damage.random.below(6) {
                let kind = *damage.random.pick(&kinds);
                damage.memory(kind);
            }
        }
        _ => {
            for _ in 0..1 << damage.random.below(4) {
                if kind.is_memory() { damage.memory(kind) } else { damage.file(kind) }
            }
        }
    }
    None
}

impl Damage<'_> {
    fn memory(&mut self, kind: Kind) {
        match kind {
            Kind::Bit => self.bit(),
            Kind::Pointee => self.pointee(),
            Kind::DictTable => self.dict_table(),
            Kind::Type => {
                let at = *self.random.pick(&self.targets.types) + 8 * self.random.below(60) as u64;
                self.hurt(at);
            }
            Kind::Pool => {
                let at = *self.random.pick(&self.targets.pools) + 8 * self.random.below(8) as u64;
                self.hurt(at);
            }
            Kind::Runtime => {
                let most = [16, 64, 512][self.random.below(3)];
                let at = *self.random.pick(&self.targets.runtime) + 8 * self.random.below(most) as u64;
                self.hurt(at);
            }
            Kind::Collector => self.collector_links(),
            Kind::Page => self.page(),
            Kind::Copy => self.copy(),
            _ => self.field(),
        }
    }

    fn object(&mut self) -> (u64, u64) {
        let kind = self.random.pick(&self.targets.kinds);
        *self.random.pick(kind)
    }

    /// A word that means harm at `at`.
    fn word(&mut self, at: u64) -> u64 {
        match self.random.below(8) {
            0..3 => *self.random.pick(ODD),
            3 => at,
            4 => self.object().0,
            5 => self.object().0.wrapping_add(self.random.below(64) as u64).wrapping_sub(24),
            6 => *self.random.pick(&self.targets.types),
            _ => *self.random.pick(&self.targets.pages) + self.random.below(PAGE as usize) as u64,
        }
    }

    /// A word, half a word, a byte or a bit.
    fn hurt(&mut self, at: u64) {
        match self.random.below(8) {
            0 => {
                let byte = self.random.next() as u8;
                self.victim.write(at + self.random.below(8) as u64, &[byte]);
            }
            1 => {
                let word = self.victim.word(at).unwrap_or(0) ^ (1 << self.random.below(64));
                self.victim.write(at, &word.to_le_bytes());
            }
            2 => {
                let half = self.word(at) as u32;
                self.victim.write(at + 4 * self.random.below(2) as u64, &half.to_le_bytes());
            }
            _ => {
                let word = self.word(at);
                self.victim.write(at, &word.to_le_bytes());
            }
        }
    }

    fn bit(&mut self) {
        let at = *self.random.pick(&self.targets.pages) + self.random.below(PAGE as usize) as u64;
        let Some(place) = self.victim.place(at) else { return };
        let byte = self.victim.bytes[place] ^ (1 << self.random.below(8));
        self.victim.write_file(place, &[byte]);
    }

    fn field(&mut self) {
        let (object, size) = self.object();
        let words = (size / 8 + 4).min(64) as usize;
        // Four words before the object belong to it, too.
        let at = (object - 32).wrapping_add(8 * self.random.below(words) as u64);
        self.hurt(at);
    }

    /// The start of a block that an object owns: items, keys, nodes.
    fn pointee(&mut self) {
        let (object, size) = self.object();
        let words = (size / 8).clamp(1, 40) as usize;
        let field = object + 8 * self.random.below(words) as u64;
        let block = self.victim.word(field).filter(|&block| self.victim.place(block).is_some());
        if let Some(block) = block {
            let at = (block & !7) + 8 * self.random.below(12) as u64;
            self.hurt(at);
        }
    }

    /// The head of a dict's table more often than its entries.
    fn dict_table(&mut self) {
        let dict = *self.random.pick(&self.targets.dicts);
        let Some(table) = self.victim.word(dict + self.victim.located.resolved.layouts.dict.keys) else {
            return;
        };
        let words = [5, 5, 12, 200][self.random.below(4)];
        let at = (table & !7) + 8 * self.random.below(words) as u64;
        self.hurt(at);
    }

    fn collector_links(&mut self) {
        let (object, _) = self.object();
        let (other, _) = self.object();
        self.victim.write(object - 16, &(other - 16).to_le_bytes());
        if self.random.below(2) == 0 {
            self.victim.write(other - 16, &(object - 16).to_le_bytes());
        }
    }

    fn page(&mut self) {
        let start = *self.random.pick(&self.targets.pages);
        let kind = self.random.below(5);
        let value = match kind {
            0 => u64::MAX,
            1 | 2 => *self.random.pick(&self.targets.types),
            3 => self.object().0,
            _ => 0,
        };
        let word = |index: u64| if kind == 4 { start + 8 * index } else { value };
        let bytes: Vec<u8> = (0..PAGE / 8).flat_map(|index| word(index).to_le_bytes()).collect();
        self.victim.write(start, &bytes);
    }

    fn copy(&mut self) {
        let (from, size) = self.object();
        let (to, _) = self.object();
        for index in 0..size.min(512) / 8 {
            if let Some(word) = self.victim.word(from + 8 * index) {
                self.victim.write(to + 8 * index, &word.to_le_bytes());
            }
        }
    }

    fn within(&mut self, start: usize, length: usize) -> usize {
        start + self.random.below(length.max(1))
    }

    fn file(&mut self, kind: Kind) {
        let targets = self.targets;
        let place = match kind {
            Kind::ElfHeader => self.within(0, HEADER),
            Kind::ProgramHeaders => self.within(HEADER, targets.notes.0 - HEADER),
            Kind::Notes => {
                // The registers come first, the tables of files last.
                let length = targets.notes.1 - targets.notes.0;
                let length = if self.random.below(2) == 0 { length.min(4096) } else { length };
                self.within(targets.notes.0, length)
            }
            Kind::Binaries => {
                let start = *self.random.pick(&targets.binaries);
                self.within(start, 1024)
            }
            _ => return self.segment(),
        };
        let (place, length) = if self.random.below(4) == 0 { (place, 1) } else { (place & !7, 8) };
        let old = word_at(&self.victim.bytes, place);
        let new = match self.random.below(6) {
            0 => old ^ (1 << self.random.below(64)),
            1 => *self.random.pick(ODD),
            2 => old.wrapping_add(1 << self.random.below(48)),
            3 => 1 << self.random.below(64),
            4 => old.swap_bytes(),
            _ => word_at(&self.victim.bytes, *self.random.pick(&targets.headers) + 8),
        };
        self.victim.write_file(place, &new.to_le_bytes()[..length]);
    }

    /// A segment's length, address, offset or permissions.
    fn segment(&mut self) {
        let header = *self.random.pick(&self.targets.headers);
        let field = [4, 8, 16, 32, 32, 32, 40][self.random.below(7)];
        let old = word_at(&self.victim.bytes, header + field);
        let new = match (field, self.random.below(3)) {
            (4, _) => 0,
            (32, _) => old / PAGE * self.random.below(1 << 10) as u64 / (1 << 10) * PAGE,
            (_, 0) => word_at(&self.victim.bytes, *self.random.pick(&self.targets.headers) + field),
            (_, 1) => old.wrapping_add(PAGE << self.random.below(30)),
            _ => old.wrapping_sub(PAGE),
        };
        let length = if field == 4 { 4 } else { 8 };
        self.victim.write_file(header + field, &new.to_le_bytes()[..length]);
    }

    /// At a power of two, beside one, or anywhere.
    fn truncation(&mut self) {
        let length = self.victim.bytes.len();
        let powers = length.ilog2() as usize + 1;
        let cut = match self.random.below(3) {
            0 => 1 << self.random.below(powers),
            1 => (1_usize << self.random.below(powers)) + self.random.below(3) - 1,
            _ => self.random.below(length),
        };
        self.victim.cut(cut);
    }

    fn compressed(&mut self) -> Vec<u8> {
        let mut bytes = self.random.pick(&self.targets.packed).clone();
        if self.random.below(3) == 0 {
            let length = self.random.below(bytes.len());
            bytes.truncate(length);
            return bytes;
        }
        for _ in 0..1 << self.random.below(4) {
            // Heads of streams and of their first blocks are where lengths are.
            let length = if self.random.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
            let place = self.random.below(length);
            bytes[place] ^= 1 << self.random.below(8);
        }
        bytes
    }
}
