//! How much memory we may use: the machine's, and that of the control groups we are in.

use crate::target::TargetError;
use std::path::Path;
use std::path::PathBuf;

/// The tightest limit on our memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryLimit {
    /// Bytes that can still be used.
    pub(super) available: u64,
    /// What sets the limit.
    pub(super) name: String,
}

/// Looks at the machine and at every control group from ours up to the root. `None` if nothing
/// can be found out.
pub(super) fn tightest() -> Option<MemoryLimit> {
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = memory
        .and_then(|text| machine_available(&text))
        .map(|available| MemoryLimit { available, name: "memory of the machine".to_owned() });
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limits(Path::new("/sys/fs/cgroup"), &groups)
        .into_iter()
        .chain(machine)
        .min_by_key(|limit| limit.available)
}

/// Bytes that the analysis needs for an object, references included, and for everything else.
/// (`docs/benchmark.md`: 37 to 44 bytes an object from 10^6 objects on.)
const PER_OBJECT: u64 = 44;
const FIXED: u64 = 16 << 20;

/// Refuses to begin where there is not even room for looking at a process: its pages cannot be read either then,
/// which would look like damage.
pub fn check_beginning(pid: i32) -> Result<(), TargetError> {
    fits(pid, "a look at", FIXED, tightest())
}

/// Refuses to analyse a copy of so many objects where memory would run out in the middle of it, when nobody could
/// say any more what has happened.
pub fn check_analysis(pid: i32, objects: u64) -> Result<(), TargetError> {
    let needed = objects.saturating_mul(PER_OBJECT).saturating_add(FIXED);
    fits(pid, &format!("the analysis of {objects} objects of"), needed, tightest())
}

/// Refuses to make a copy that is larger than there is memory, or than is allowed.
pub(super) fn check_copy(pid: i32, needed: u64, allowed: Option<u64>) -> Result<(), TargetError> {
    let asked = allowed.map(|available| MemoryLimit { available, name: "--memory-limit".to_owned() });
    fits(pid, "the copy of", needed, asked)?;
    fits(pid, "the copy of", needed, tightest())
}

fn fits(pid: i32, purpose: &str, needed: u64, limit: Option<MemoryLimit>) -> Result<(), TargetError> {
    match limit {
        Some(MemoryLimit { available, name: limit }) if available < needed => {
            let purpose = purpose.to_owned();
            Err(TargetError::NotEnoughMemory { pid, purpose, needed, available, limit })
        }
        _ => Ok(()),
    }
}

/// Should memory run out, we are to be ended, and not the process: both may be in the same control group.
/// (`/proc/PID/oom_score_adj`; everybody may raise his own.)
pub(super) fn go_first() {
    // Where it cannot be written the kernel's own choice stands: the largest.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// What a process may still use within its control groups; `None` without a limit.
pub(super) fn headroom_of(pid: i32) -> Option<MemoryLimit> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let limits = group_limits(Path::new("/sys/fs/cgroup"), &groups);
    limits.into_iter().min_by_key(|limit| limit.available)
}

fn machine_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The files of one version of control groups.
struct Names {
    limit: &'static str,
    usage: &'static str,
    reclaimable: &'static str,
}

const UNIFIED: Names = Names { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };
const LEGACY: Names = Names {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

/// `text` is `/proc/self/cgroup`: lines of `hierarchy:controllers:path`.
fn group_limits(root: &Path, text: &str) -> Vec<MemoryLimit> {
    let mut limits = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (root, names) = match controllers {
            "" => (root.to_path_buf(), &UNIFIED),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), &LEGACY),
            _ => continue,
        };
        let mut group: PathBuf = root.join(path.trim_start_matches('/'));
        while group.starts_with(&root) {
            limits.extend(group_limit(&group, names));
            if !group.pop() {
                break;
            }
        }
    }
    limits
}

fn group_limit(group: &Path, names: &Names) -> Option<MemoryLimit> {
    let number = |file: &str| -> Option<u64> {
        std::fs::read_to_string(group.join(file)).ok()?.trim().parse().ok() // "max" is no number
    };
    let (limit, usage) = (number(names.limit)?, number(names.usage)?);
    let statistics = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable = statistics
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == names.reclaimable)
        .and_then(|(_, value)| value.trim().parse::<u64>().ok())
        .unwrap_or(0);
    let available = limit.saturating_sub(usage.saturating_sub(reclaimable));
    Some(MemoryLimit { available, name: format!("limit of control group {}", group.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let limit = || Some(MemoryLimit { available: 5 << 20, name: "limit of control group x".to_owned() });
        assert!(fits(7, "the copy of", 5 << 20, limit()).is_ok());
        assert!(fits(7, "the copy of", u64::MAX, None).is_ok());
        let error = fits(7, "the copy of", 6 << 20, limit()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the copy of process 7 needs 6 MiB and only 5 MiB are available (limit of control group x)"
        );
        assert_eq!(error.exit_status(), 1);
        assert!(check_analysis(7, u64::MAX).is_err());
    }

    #[test]
    fn the_machine_has_some_memory() {
        assert_eq!(machine_available("MemTotal: 9 kB\nMemAvailable:   2 kB\n"), Some(2048));
        assert_eq!(machine_available("MemAvailable: many\n"), None);
        assert!(tightest().is_some_and(|limit| limit.available > 1 << 20));
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("outer/memory.max", "1000\n");
        write("outer/memory.current", "900\n");
        write("outer/memory.stat", "anon 5\ninactive_file 300\n");
        write("outer/inner/memory.max", "max\n");
        write("outer/inner/memory.current", "100\n");
        write("memory/old/memory.limit_in_bytes", "5000\n");
        write("memory/old/memory.usage_in_bytes", "1000\n");
        let limits = group_limits(root.path(), "0::/outer/inner\n3:cpu,memory:/old\n2:pids:/x\nnonsense\n");
        let available: Vec<_> = limits.iter().map(|limit| limit.available).collect();
        assert_eq!(available, [400, 4000]);
        assert!(limits[0].name.ends_with("outer"));
    }
}
