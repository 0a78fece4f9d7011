//! Small reads of a process that runs (or is stopped): `process_vm_readv`.

use crate::address::Address;
use crate::target::Memory;
use crate::target::Unreadable;
use crate::target::proc_status::memory_holder;
use nix::errno::Errno;
use nix::sys::uio::RemoteIoVec;
use nix::sys::uio::process_vm_readv;
use nix::unistd::Pid;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// The memory of a live process. What it says may change from one read to the next.
pub struct RemoteMemory {
    pid: i32,
    holder: i32,
    /// `/proc/PID/mem`, opened where `process_vm_readv` is forbidden (by a seccomp filter of a
    /// container, say).
    file: OnceLock<Option<File>>,
}

impl RemoteMemory {
    /// The memory of process `pid`, whether it exists or not.
    pub fn new(pid: i32) -> Self {
        Self { pid, holder: memory_holder(pid), file: OnceLock::new() }
    }

    /// Whose memory it is.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn read_through_file(&self, address: Address, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let open = || File::open(format!("/proc/{}/mem", self.holder)).ok();
        let file = self.file.get_or_init(open).as_ref().ok_or(Unreadable { address })?;
        file.read_exact_at(buffer, address.get()).map_err(|_| Unreadable { address })
    }
}

impl Memory for RemoteMemory {
    fn read_into(&self, address: Address, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let wanted = buffer.len();
        if wanted == 0 {
            return Ok(());
        }
        let remote = [RemoteIoVec { base: address.get() as usize, len: wanted }];
        match process_vm_readv(Pid::from_raw(self.holder), &mut [IoSliceMut::new(buffer)], &remote) {
            Ok(count) if count == wanted => Ok(()),
            Err(Errno::EPERM | Errno::ENOSYS) => self.read_through_file(address, buffer),
            Ok(_) | Err(_) => Err(Unreadable { address }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_is_there_and_nothing_else() {
        let memory = RemoteMemory::new(std::process::id().cast_signed());
        let value = Box::new(0x1234_5678_9abc_def0_u64);
        let address = Address::new(&raw const *value as u64);
        assert_eq!(memory.read_u64(address), Ok(*value));
        assert_eq!(memory.read_u64(Address::NULL), Err(Unreadable { address: Address::NULL }));
        for nowhere in [1 << 63, u64::MAX, u64::MAX - 4] {
            assert!(memory.read_u64(Address::new(nowhere)).is_err());
        }
        let mut bytes = [0; 8];
        memory.read_through_file(address, &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), *value);
    }

    #[test]
    fn nobody_has_no_memory() {
        assert!(RemoteMemory::new(i32::MAX).read_u32(Address::new(0x1000)).is_err());
        assert!(RemoteMemory::new(-1).read_u32(Address::new(0x1000)).is_err());
    }
}
