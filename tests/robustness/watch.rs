//! What ends a loop that has no end: a thread that looks at the clock and names the seed.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// What is being done, and until when it must be done.
type Task = Option<(Instant, String)>;

/// Ends the program if something takes longer than it may.
pub(crate) struct Watch {
    task: Arc<Mutex<Task>>,
}

impl Watch {
    /// Begins to look at the clock.
    pub(crate) fn start() -> Self {
        let task: Arc<Mutex<Task>> = Arc::default();
        let seen = Arc::clone(&task);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let task = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, what)) = task.as_ref().filter(|(end, _)| *end < Instant::now()) {
                    let _ = writeln!(std::io::stderr(), "FAILED: {what} does not end");
                    std::process::abort();
                }
            }
        });
        Self { task }
    }

    /// What follows may take so long.
    pub(crate) fn allow(&self, time: Duration, what: String) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now() + time, what));
    }

    /// It is done.
    pub(crate) fn done(&self) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
