//! Deterministic damage: what one seed does to a memory.

use crate::material::Material;
use crate::material::Memory;
use heapattach::target::image::PAGE;
use std::collections::BTreeMap;

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

/// What there is to aim at.
pub(crate) struct Targets {
    /// Addresses and sizes of objects, by label of type: rare types are hit as often as common ones.
    kinds: Vec<Vec<(u64, u64)>>,
    types: Vec<u64>,
    runtime: Vec<u64>,
    pages: Vec<u64>,
    pools: Vec<u64>,
}

impl Targets {
    /// The objects and structures of a sound memory.
    pub(crate) fn of(material: &Material, objects: &[(u64, u64, String)]) -> Self {
        let mut kinds: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for (address, size, label) in objects {
            kinds.entry(label).or_default().push((*address, *size));
        }
        let types =
            kinds.get("type").map_or(Vec::new(), |types| types.iter().map(|&(address, _)| address).collect());
        let pool_size = material.located.resolved.features.pool_size;
        let image = material.image(material.memory.clone());
        let pools = heapattach::runtime::pymalloc::find_pools(&image, pool_size as u32);
        Self {
            kinds: kinds.into_values().collect(),
            types,
            runtime: material.runtime_addresses(),
            pages: image.pages().map(|(address, _)| address.get()).collect(),
            pools: pools.iter().map(|pool| pool.address.get()).collect(),
        }
    }

    fn object(&self, random: &mut Random) -> (u64, u64) {
        let kind = random.pick(&self.kinds);
        *random.pick(kind)
    }

    /// A word that means harm at `at`.
    fn word(&self, random: &mut Random, at: u64) -> u64 {
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
        match random.below(8) {
            0..3 => *random.pick(ODD),
            3 => at,
            4 => self.object(random).0,
            5 => self.object(random).0.wrapping_add(random.below(64) as u64).wrapping_sub(24),
            6 => *random.pick(&self.types),
            _ => random.pick(&self.pages) + random.below(PAGE as usize) as u64,
        }
    }

    /// Damages a memory as the seed says.
    pub(crate) fn damage(&self, memory: &mut Memory, seed: u64) {
        let random = &mut Random::new(seed);
        let times = 1 << random.below(6);
        for _ in 0..times {
            match random.below(12) {
                0 => self.random_byte(memory, random),
                1..5 => self.field(memory, random),
                5 | 6 => self.behind_a_field(memory, random),
                7 => self.type_field(memory, random),
                8 => self.pool_header(memory, random),
                9 => self.runtime_field(memory, random),
                10 => self.collector_links(memory, random),
                _ if times <= 4 => self.page(memory, random),
                _ => self.copy(memory, random),
            }
        }
    }

    fn random_byte(&self, memory: &mut Memory, random: &mut Random) {
        let at = random.pick(&self.pages) + random.below(PAGE as usize) as u64;
        memory.write(at, &[random.next() as u8]);
    }

    /// A word, half a word, a byte or a bit.
    fn hurt(&self, memory: &mut Memory, random: &mut Random, at: u64) {
        match random.below(8) {
            0 => memory.write(at + random.below(8) as u64, &[random.next() as u8]),
            1 => {
                let bit = 1 << random.below(64);
                let word = memory.word(at).unwrap_or(0) ^ bit;
                memory.write(at, &word.to_le_bytes());
            }
            2 => {
                let half = self.word(random, at) as u32;
                memory.write(at + 4 * random.below(2) as u64, &half.to_le_bytes());
            }
            _ => {
                let word = self.word(random, at);
                memory.write(at, &word.to_le_bytes());
            }
        }
    }

    fn field(&self, memory: &mut Memory, random: &mut Random) {
        let (object, size) = self.object(random);
        let words = (size / 8 + 4).min(64) as usize;
        // Four words before the object belong to it, too.
        let at = (object - 32).wrapping_add(8 * random.below(words) as u64);
        self.hurt(memory, random, at);
    }

    /// The start of a block that an object owns: items, keys, nodes.
    fn behind_a_field(&self, memory: &mut Memory, random: &mut Random) {
        let (object, size) = self.object(random);
        let words = (size / 8).clamp(1, 40) as usize;
        let field = object + 8 * random.below(words) as u64;
        let Some(block) = memory.word(field).filter(|&block| memory.place(block).is_some()) else { return };
        let at = (block & !7) + 8 * random.below(12) as u64;
        self.hurt(memory, random, at);
    }

    fn type_field(&self, memory: &mut Memory, random: &mut Random) {
        let at = random.pick(&self.types) + 8 * random.below(60) as u64;
        self.hurt(memory, random, at);
    }

    fn pool_header(&self, memory: &mut Memory, random: &mut Random) {
        let at = random.pick(&self.pools) + 8 * random.below(8) as u64;
        self.hurt(memory, random, at);
    }

    fn runtime_field(&self, memory: &mut Memory, random: &mut Random) {
        let most = [16, 64, 512][random.below(3)];
        let at = random.pick(&self.runtime) + 8 * random.below(most) as u64;
        self.hurt(memory, random, at);
    }

    fn collector_links(&self, memory: &mut Memory, random: &mut Random) {
        let (object, _) = self.object(random);
        let (other, _) = self.object(random);
        memory.write(object - 16, &(other - 16).to_le_bytes());
        if random.below(2) == 0 {
            memory.write(other - 16, &(object - 16).to_le_bytes());
        }
    }

    fn page(&self, memory: &mut Memory, random: &mut Random) {
        let start = *random.pick(&self.pages);
        let kind = random.below(6);
        let value = match kind {
            0 => return memory.drop_page(start),
            1 => u64::MAX,
            2 | 3 => *random.pick(&self.types),
            4 => self.object(random).0,
            _ => 0,
        };
        for index in 0..PAGE / 8 {
            let at = start + 8 * index;
            let word = if kind == 5 { at } else { value };
            memory.write(at, &word.to_le_bytes());
        }
    }

    /// One object's bytes over another's.
    fn copy(&self, memory: &mut Memory, random: &mut Random) {
        let (from, size) = self.object(random);
        let (to, _) = self.object(random);
        for index in 0..size.min(512) / 8 {
            if let Some(word) = memory.word(from + 8 * index) {
                memory.write(to + 8 * index, &word.to_le_bytes());
            }
        }
    }
}
