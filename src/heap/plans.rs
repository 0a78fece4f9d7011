//! Plans by type number, made when the first instance is met: slots that threads fill once and read
//! without a lock.

use crate::heap::plan::Plan;
use crate::heap::plan::Planner;
use crate::heap::types::TypeRegistry;
use std::sync::OnceLock;

const BLOCK: usize = 1024;
/// 4 million types: more are not planned, and their instances have no references.
const BLOCKS: usize = 4096;

type Block = Box<[OnceLock<Option<Plan>>]>;

/// Every plan made so far.
pub struct Plans<'a> {
    /// Makes them.
    pub planner: Planner<'a>,
    /// The types.
    pub registry: &'a TypeRegistry<'a>,
    blocks: Vec<OnceLock<Block>>,
}

impl<'a> Plans<'a> {
    /// No plan yet.
    pub fn new(planner: Planner<'a>, registry: &'a TypeRegistry<'a>) -> Self {
        Self { planner, registry, blocks: std::iter::repeat_with(OnceLock::new).take(BLOCKS).collect() }
    }

    /// The plan of the type with this number. O(1) but for the first time.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&Plan> {
        let block = self.blocks.get(number as usize / BLOCK)?;
        let block = block.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(BLOCK).collect());
        block.get(number as usize % BLOCK)?.get_or_init(|| self.planner.plan(self.registry, number)).as_ref()
    }
}
