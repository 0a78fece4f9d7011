//! Who held the interpreter's lock when a process ended, in the kernel's terms.

use crate::inspection::locate::Located;
use crate::layout::gil;
use crate::runtime::gil::holders;
use crate::runtime::interpreters;
use crate::target::Capture;
use crate::target::core::CoreThread;

/// One line: `thread 4242, which crashed`. `None` if the runtime cannot be read.
pub(super) fn holder(capture: &Capture, located: &Located) -> Option<String> {
    let resolved = &located.resolved;
    let runtime =
        interpreters::read(&capture.image, &resolved.layouts, &resolved.features, located.runtime).ok()?;
    let held = holders(&capture.image, &runtime, &resolved.layouts, gil::fields(located.build));
    let threads = capture.description.core.as_ref().map_or(&[][..], |core| &core.threads);
    let crashed = capture.description.core.as_ref().is_some_and(|core| core.signal.is_some());
    let words = held.iter().map(|thread| {
        // The C library's name for a thread is where its own data are, which a register points at.
        let known = threads.iter().position(|known| known.thread_pointer.get() == thread.ident);
        match (known, thread.native_id) {
            (Some(0), _) if crashed => format!("thread {}, which crashed", threads[0].id),
            (Some(index), _) => format!("thread {}", thread_id(threads, index)),
            (None, Some(id)) => format!("thread {id}"),
            (None, None) => format!("thread {:#x}", thread.ident),
        }
    });
    let words: Vec<String> = words.collect();
    Some(if words.is_empty() { "nobody".to_owned() } else { words.join(", ") })
}

fn thread_id(threads: &[CoreThread], index: usize) -> i32 {
    threads.get(index).map_or(0, |thread| thread.id)
}
