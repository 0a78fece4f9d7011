//! Where bytes come from: the only layer that talks to the kernel.
//!
//! Nothing here knows Python. A live process and a core file both end as an [`Image`]: what was
//! readable at one instant, by address. Reading never invents a value: a page that was not
//! captured is [`Unreadable`], never zero.
//!
//! Nothing is executed in the target and its memory is not written, unless the user allows it ([`inject`]); and
//! whatever happens to us, it runs on.

mod backing;
pub mod capture;
pub mod core;
pub mod diagnose;
pub mod error;
mod facts;
pub mod huge_pages;
pub mod image;
pub mod inject;
mod interrupted_call;
pub mod live;
pub mod mapped_file;
pub mod memory_limit;
pub mod on_demand;
mod page_places;
mod pagemap;
pub mod prefetch;
mod priority;
pub mod proc_maps;
pub mod proc_status;
pub mod process_state;
mod ptrace;
pub mod remote_memory;
pub mod signals;
mod soft_dirty;
mod watchdog;
mod write_tracking;

use crate::address::Address;
use crate::address::AddressRange;
use std::path::PathBuf;
use thiserror::Error;

pub use capture::CaptureOptions;
pub use capture::Choice;
pub use capture::Forecast;
pub use capture::Progress;
pub use capture::Stage;
pub use capture::capture_live;
pub use capture::forecast;
pub use error::TargetError;
pub use image::Image;
pub use remote_memory::RemoteMemory;
pub use signals::SignalWatch;

/// A read that met an address which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("address {address} is unreadable")]
pub struct Unreadable {
    /// The first address asked for.
    pub address: Address,
}

/// Memory of the inspected process, by address. Implemented by the running process (small reads
/// before the stop) and by [`Image`] (everything after it).
pub trait Memory: Sync {
    /// Fills `buffer` from `address` on, wholly or not at all.
    fn read_into(&self, address: Address, buffer: &mut [u8]) -> Result<(), Unreadable>;

    /// An unsigned 32-bit value, little-endian.
    fn read_u32(&self, address: Address) -> Result<u32, Unreadable> {
        let mut bytes = [0; 4];
        self.read_into(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// An unsigned 64-bit value, little-endian.
    fn read_u64(&self, address: Address) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        self.read_into(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A pointer.
    fn read_address(&self, address: Address) -> Result<Address, Unreadable> {
        self.read_u64(address).map(Address::new)
    }

    /// A NUL-terminated string of at most `limit` bytes, without the NUL; cut at `limit`.
    fn read_c_string(&self, address: Address, limit: usize) -> Result<Vec<u8>, Unreadable> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < limit {
            // Never across a page boundary, so that a string at the end of a mapping is readable.
            let room = usize::try_from(4096 - at.get() % 4096).unwrap_or(1).min(64).min(limit - text.len());
            let mut piece = [0; 64];
            // Memory may end, or be missing, right behind the string.
            let room = if self.read_into(at, &mut piece[..room]).is_ok() { room } else { 1 };
            let piece = &mut piece[..room];
            if room == 1 {
                self.read_into(at, piece)?;
            }
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&piece[..end]);
                return Ok(text);
            }
            text.extend_from_slice(piece);
            at = at.plus(room as u64);
        }
        Ok(text)
    }
}

/// One line of the target's address space, as `/proc/PID/maps` or a core's notes give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Addresses covered.
    pub range: AddressRange,
    /// Readable by the target.
    pub readable: bool,
    /// Writable by the target.
    pub writable: bool,
    /// Executable by the target.
    pub executable: bool,
    /// `MAP_SHARED` rather than `MAP_PRIVATE`.
    pub shared: bool,
    /// Offset in the mapped file, in bytes.
    pub file_offset: u64,
    /// Device and inode of the mapped file; inode 0 for anonymous memory.
    pub inode: u64,
    /// The path or `[name]` shown; empty for anonymous memory. Without the ` (deleted)` suffix.
    pub name: String,
    /// Whether the file was deleted or replaced since it was mapped.
    pub deleted: bool,
}

impl Mapping {
    /// Whether a file (and not anonymous or kernel memory) is mapped here.
    pub fn is_file(&self) -> bool {
        self.inode != 0 && self.name.starts_with('/')
    }
}

/// What was inspected, for the head of every report.
#[derive(Clone, Debug, Default)]
pub struct TargetDescription {
    /// Process id in our PID namespace.
    pub pid: i32,
    /// Command line, argument by argument.
    pub command: Vec<String>,
    /// The program's own short name (`/proc/PID/comm`).
    pub name: String,
    /// The executable's path as the kernel names it, if known.
    pub executable: Option<PathBuf>,
    /// Number of kernel threads at the stop.
    pub threads: usize,
    /// What there is to say about the core file that it was read from, if it was.
    pub core: Option<Box<core::CoreDescription>>,
    /// What a core file has beside memory, if it was asked for.
    pub state: Option<Box<process_state::ProcessState>>,
}

/// How a capture went.
#[derive(Clone, Debug, Default)]
pub struct CaptureStatistics {
    /// Name of the strategy used: `copy`, `fork`, `precopy`, `in-place`; `core` for a core file.
    pub strategy: &'static str,
    /// How long the target stood still in the stop that was used, in nanoseconds.
    pub pause_ns: u64,
    /// The longest time the target stood still in any try, in nanoseconds.
    pub longest_pause_ns: u64,
    /// Bytes copied from the target.
    pub bytes_copied: u64,
    /// Pages that were wanted and could not be read (past the end of a file, say).
    pub pages_skipped: u64,
    /// Threads stopped.
    pub threads: usize,
    /// Stops that were given up because the collector was running.
    pub retries: u32,
    /// Whether the collector was still running in the stop that was used.
    pub collecting: bool,
    /// Bytes in memory that were not copied: contents of large buffers without a pointer in them.
    pub bytes_left_out: u64,
    /// The pause that was expected before the stop, in nanoseconds.
    pub expected_pause_ns: u64,
    /// What to know about how it was done: why another strategy was not used, one sentence each.
    pub notes: Vec<String>,
}

/// Everything taken from the target in one stop.
pub struct Capture {
    /// The memory.
    pub image: Image,
    /// The address space, sorted by address.
    pub mappings: Vec<Mapping>,
    /// Whose it is.
    pub description: TargetDescription,
    /// How it went.
    pub statistics: CaptureStatistics,
}
