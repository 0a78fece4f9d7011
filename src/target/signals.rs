//! SIGINT, SIGTERM and SIGHUP while a process is stopped: let it go first, then end.

use crate::target::TargetError;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::consts::SIGTSTP;
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// While it is held, the first signal is only noted, so that loops can look for it; a second one
/// ends us at once (the kernel then detaches, and the target runs on), as any does when it is not
/// held. Ctrl-Z is ignored while it is held: the target would stand still as long as we do.
///
/// One per process, installed by whoever owns the process.
pub struct SignalWatch {
    received: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

/// Signals have their usual effect again when this is dropped.
pub(super) struct Held<'a>(&'a SignalWatch);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::Relaxed);
    }
}

impl SignalWatch {
    /// Installs the handlers.
    pub fn install() -> io::Result<Self> {
        let watch = Self { received: Arc::default(), at_once: Arc::new(AtomicBool::new(true)) };
        flag::register_conditional_default(SIGTSTP, Arc::clone(&watch.at_once))?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the second signal finds the flag that the first one set.
            flag::register_conditional_default(signal, Arc::clone(&watch.at_once))?;
            flag::register(signal, Arc::clone(&watch.at_once))?;
            flag::register_usize(signal, Arc::clone(&watch.received), usize::try_from(signal).unwrap_or(0))?;
        }
        Ok(watch)
    }

    /// The signal that was received, if any.
    pub fn received(&self) -> Option<i32> {
        i32::try_from(self.received.load(Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }

    /// An error as soon as a signal was received.
    pub fn check(&self) -> Result<(), TargetError> {
        self.received().map_or(Ok(()), |signal| Err(TargetError::Interrupted { signal }))
    }

    /// From now on the first signal is only noted.
    pub(super) fn hold(&self) -> Held<'_> {
        self.at_once.store(false, Ordering::Relaxed);
        Held(self)
    }
}
