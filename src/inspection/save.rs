//! A running process, inspected and written as a core file.

use crate::inspection::Inspection;
use crate::inspection::Request;
use crate::inspection::assemble::analyse_live;
use crate::inspection::assemble::capture;
use crate::inspection::error::InspectionError;
use crate::inspection::redact;
use crate::target::core::SaveOptions;
use crate::target::core::save;
use std::path::Path;

/// What is said in the core, and by the report on it.
const REDACTED: &str = "the contents of str, bytes and bytearray were left out, and what memory of \
pymalloc held before; names of types and modules were not";

/// Stops and copies a process, writes the copy, then analyses it. A redacted core is written last, since only
/// the analysis knows what is a string. The process is stopped for the copy only.
pub fn inspect_and_save(
    request: &Request<'_>,
    path: &Path,
    is_redacted: bool,
) -> Result<Inspection, InspectionError> {
    let mut request = request.clone();
    request.capture.with_state = true;
    request.capture.with_buffers = true;
    let (taken, located) = capture(&request)?;
    let mut options = SaveOptions {
        path,
        blanked: &[],
        redacted: None,
        progress: request.capture.progress,
        signals: request.capture.signals,
    };
    if !is_redacted {
        save(&taken, &options)?;
        return analyse_live(request.pid, taken, &located, request.purpose);
    }
    let inspection = analyse_live(request.pid, taken, &located, request.purpose)?;
    let blanked = redact::ranges(&inspection);
    options.blanked = &blanked;
    options.redacted = Some(REDACTED);
    save(&inspection.capture, &options)?;
    Ok(inspection)
}
