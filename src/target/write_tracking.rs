//! Which pages a running process writes to: a `userfaultfd` of its own in asynchronous write-protect mode
//! (Linux 6.7), of which we hold the only descriptor.
//!
//! The kernel resolves every fault itself, so the process never waits for us; when the descriptor is closed,
//! be it by our death, nothing is left of it.

use crate::address::AddressRange;
use crate::target::TargetError;
use crate::target::inject::Injection;
use crate::target::inject::Means;
use crate::target::inject::StepWatch;
use crate::target::live::Live;
use crate::target::live::StopLimits;
use crate::target::live::on_a_thread;
use crate::target::pagemap::Pagemap;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// `UFFD_API` (Linux `include/uapi/linux/userfaultfd.h`, as everything here).
const API: u64 = 0xaa;
/// `UFFD_FEATURE_PAGEFAULT_FLAG_WP` and `UFFD_FEATURE_WP_ASYNC`.
const FEATURES: u64 = 1 | 1 << 15;
/// `UFFDIO_REGISTER_MODE_WP`.
const WRITE_PROTECT: u64 = 1 << 1;
/// `UFFD_USER_MODE_ONLY`: allowed to everybody.
const USER_MODE_ONLY: i32 = 1;
/// Unregistering holds the lock of the address space: so many bytes at a time.
const UNREGISTERED_AT_A_TIME: u64 = 8 << 20;

mod request {
    /// `struct uffdio_api`.
    #[repr(C)]
    pub(super) struct Api {
        pub(super) version: u64,
        pub(super) features: u64,
        pub(super) ioctls: u64,
    }

    /// `struct uffdio_range`.
    #[repr(C)]
    pub(super) struct Range {
        pub(super) start: u64,
        pub(super) length: u64,
    }

    /// `struct uffdio_register`.
    #[repr(C)]
    pub(super) struct Register {
        pub(super) range: Range,
        pub(super) mode: u64,
        pub(super) ioctls: u64,
    }

    nix::ioctl_readwrite!(
        /// `UFFDIO_API`: agrees on the features.
        api, 0xaa, 0x3f, Api
    );
    nix::ioctl_readwrite!(
        /// `UFFDIO_REGISTER`.
        register, 0xaa, 0x00, Register
    );
    nix::ioctl_read!(
        /// `UFFDIO_UNREGISTER`.
        unregister, 0xaa, 0x01, Range
    );
}

/// A `userfaultfd` and the ranges registered with it.
pub(super) struct WriteTracking {
    pid: i32,
    descriptor: OwnedFd,
    registered: Vec<AddressRange>,
}

impl WriteTracking {
    /// Whether this kernel can do it: tried on a page of our own.
    pub(super) fn is_supported() -> bool {
        let number = i64::from(libc::O_CLOEXEC | USER_MODE_ONLY);
        #[expect(unsafe_code, reason = "a system call that no library wraps")]
        // SAFETY: the call takes a number and gives a new descriptor, or an error.
        let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, number) };
        let Some(descriptor) = i32::try_from(descriptor).ok().filter(|&descriptor| descriptor >= 0) else {
            return false;
        };
        // SAFETY: the descriptor was made just now and is nobody else's.
        #[expect(unsafe_code, reason = "a raw descriptor becomes ours")]
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Self::with(descriptor, std::process::id().cast_signed())
            .and_then(Self::try_on_ourselves)
            .unwrap_or(false)
    }

    fn with(descriptor: OwnedFd, pid: i32) -> Result<Self, Errno> {
        let mut api = request::Api { version: API, features: FEATURES, ioctls: 0 };
        #[expect(unsafe_code, reason = "an ioctl that no library wraps")]
        // SAFETY: the argument has the kernel's layout and outlives the call.
        unsafe { request::api(descriptor.as_raw_fd(), &raw mut api) }?;
        Ok(Self { pid, descriptor, registered: Vec::new() })
    }

    /// Two of four pages are written to, one of them after the protection.
    fn try_on_ourselves(mut self) -> Result<bool, Errno> {
        const PAGE: usize = 4096;
        let failed = |_| Errno::EIO;
        let mut map = memmap2::MmapMut::map_anon(4 * PAGE).map_err(|_| Errno::ENOMEM)?;
        (map[0], map[2 * PAGE]) = (1, 1);
        let start = crate::address::Address::new(map.as_ptr() as u64);
        let range = AddressRange::new(start, start.plus(4 * PAGE as u64));
        if self.register(&[range]) != 1 {
            return Ok(false);
        }
        let mut pagemap = Pagemap::open(self.pid).map_err(|_| Errno::EIO)?;
        let mut protected = Vec::new();
        pagemap.protect_written(range, &mut protected).map_err(failed)?;
        map[2 * PAGE] = 2;
        let mut found = Vec::new();
        pagemap.find_written(range, &mut found).map_err(failed)?;
        let page = |index: u64| AddressRange::new(start.plus(index * 4096), start.plus((index + 1) * 4096));
        // Huge pages may have made one page of all four.
        Ok(protected.len() == 2 && found == [(page(0), false), (page(2), true)])
    }

    /// Makes a `userfaultfd` in a process and takes it away from it: two system calls, in its first thread,
    /// which alone stands still for it. Gives the pause, too.
    pub(super) fn of_process(
        pid: i32,
        means: &Means,
        watch: Option<StepWatch<'_>>,
    ) -> Result<(Self, Duration), String> {
        on_a_thread(|| {
            let failed = |error: TargetError| error.to_string();
            let limits = StopLimits { deadline: Duration::from_secs(2), signals: None };
            let mut live = Live::seize_leader(pid, limits).map_err(failed)?;
            live.stop_known().map_err(failed)?;
            if !live.is_interrupted(pid) {
                return Err("its first thread is stopped, ends, or hangs in the kernel".to_owned());
            }
            let mut injection = Injection::begin(pid, means, watch)?;
            let flags = (libc::O_CLOEXEC | USER_MODE_ONLY) as u64;
            let (result, _) = injection.call(libc::SYS_userfaultfd, [flags, 0, 0, 0, 0])?;
            let descriptor = i32::try_from(result).ok().filter(|&descriptor| descriptor >= 0);
            let descriptor = descriptor.ok_or_else(|| {
                format!("the kernel refuses it a userfaultfd: {}", Errno::from_raw(-result as i32))
            })?;
            let ours = take_descriptor(pid, descriptor);
            injection.call(libc::SYS_close, [u64::from(descriptor.unsigned_abs()), 0, 0, 0, 0])?;
            injection.end()?;
            let pause = live.release().pause;
            let tracking = ours.and_then(|descriptor| Self::with(descriptor, pid));
            tracking
                .map(|tracking| (tracking, pause))
                .map_err(|error| format!("its userfaultfd cannot be used: {error}"))
        })
    }

    /// Registers ranges of anonymous memory; says how many. The others count as written to.
    pub(super) fn register(&mut self, ranges: &[AddressRange]) -> usize {
        let before = self.registered.len();
        for &range in ranges {
            let mut argument = request::Register {
                range: request::Range { start: range.start.get(), length: range.length() },
                mode: WRITE_PROTECT,
                ioctls: 0,
            };
            #[expect(unsafe_code, reason = "an ioctl that no library wraps")]
            // SAFETY: the argument has the kernel's layout and outlives the call.
            let result = unsafe { request::register(self.descriptor.as_raw_fd(), &raw mut argument) };
            if result.is_ok() {
                self.registered.push(range);
            }
        }
        self.registered.len() - before
    }

    /// The process whose it is.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// What is registered.
    pub(super) fn registered(&self) -> &[AddressRange] {
        &self.registered
    }
}

/// Piece by piece: closing it at once would let the process wait for memory until all is done.
impl Drop for WriteTracking {
    fn drop(&mut self) {
        for range in &self.registered {
            let mut start = range.start;
            while start < range.end {
                let end = start.plus(UNREGISTERED_AT_A_TIME).min(range.end);
                let mut argument = request::Range { start: start.get(), length: end.get() - start.get() };
                #[expect(unsafe_code, reason = "an ioctl that no library wraps")]
                // SAFETY: the argument has the kernel's layout and outlives the call.
                // It fails for what the process has unmapped itself, which is no longer registered.
                let _ = unsafe { request::unregister(self.descriptor.as_raw_fd(), &raw mut argument) };
                start = end;
            }
        }
    }
}

/// Copies a descriptor of another process into ours.
#[expect(unsafe_code, reason = "system calls that no library wraps")]
fn take_descriptor(pid: i32, descriptor: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: both calls take numbers only, and give a new descriptor, or an error.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let process = Errno::result(process)?;
    // SAFETY: the descriptor was made just now and is nobody else's.
    let process = unsafe { OwnedFd::from_raw_fd(process as i32) };
    // SAFETY: as above.
    let ours = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) };
    let ours = Errno::result(ours)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(ours as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Older kernels cannot do it, and the trial must notice.
    #[test]
    fn the_trial_agrees_with_the_kernel_version() {
        let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = version.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let is_supported = WriteTracking::is_supported();
        assert!(!is_supported || version >= (6, 7));
        let configuration = std::process::Command::new("zcat").arg("/proc/config.gz").output();
        let text = configuration.map(|output| output.stdout).unwrap_or_default();
        let has = |line: &str| String::from_utf8_lossy(&text).lines().any(|other| other == line);
        if version >= (6, 7) && has("CONFIG_USERFAULTFD=y") && has("CONFIG_HAVE_ARCH_USERFAULTFD_WP=y") {
            assert!(is_supported);
        }
    }
}
