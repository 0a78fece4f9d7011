//! In the same control group as the process, with little memory left: an error message, and the process lives.

use crate::spawn::Target;
use crate::spawn::skipped;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// A control group with a limit of its memory, below the one that this process is in. Removed on drop.
struct Group {
    folder: PathBuf,
    limit: &'static str,
}

impl Group {
    /// `None`, and a loud word, where no group can be made: without root, or in a container.
    fn new(name: &str) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let made = groups.lines().find_map(|line| Self::below(line, name));
        if made.is_none() {
            skipped("no control group with a memory limit can be made here");
        }
        made
    }

    /// `line` is one of `/proc/self/cgroup`: `hierarchy:controllers:path`.
    fn below(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, limit) = match controllers {
            "" => (Path::new("/sys/fs/cgroup").to_owned(), "memory.max"),
            "memory" => (Path::new("/sys/fs/cgroup/memory").to_owned(), "memory.limit_in_bytes"),
            _ => return None,
        };
        let folder =
            root.join(path.trim_start_matches('/')).join(format!("heapattach-{name}-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Self { folder, limit };
        group.has_limit().then_some(group)
    }

    fn has_limit(&self) -> bool {
        self.folder.join(self.limit).exists() && self.folder.join("cgroup.procs").exists()
    }

    fn set_limit(&self, bytes: u64) {
        fs::write(self.folder.join(self.limit), bytes.to_string()).unwrap();
    }

    fn used(&self) -> u64 {
        let file = if self.limit == "memory.max" { "memory.current" } else { "memory.usage_in_bytes" };
        fs::read_to_string(self.folder.join(file)).unwrap().trim().parse().unwrap()
    }

    fn add(&self, pid: i32) {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Runs heapattach in the group.
    fn heapattach(&self, arguments: &[&str]) -> Output {
        let script = "echo $$ > \"$0\" && exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(self.folder.join("cgroup.procs"));
        command.arg(env!("CARGO_BIN_EXE_heapattach")).args(arguments).output().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whatever is still in it is being ended by its owner: it goes where we are.
        let above = self.folder.parent().unwrap().join("cgroup.procs");
        for pid in fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(&above, pid);
        }
        let _ = fs::remove_dir(&self.folder);
    }
}

/// However little room is left in the group that both are in: an answer, or a message that names the group.
#[test]
fn a_full_control_group_is_a_message_and_not_the_end_of_the_process() {
    const OBJECTS: usize = 100_000;
    let Some(group) = Group::new("full") else { return };
    let Some(target) = Target::python_in(OBJECTS, |pid| group.add(pid)) else { return };
    let pid = target.pid().to_string();
    let used = group.used();
    let mut refused = 0;
    // From less than the copy to more than copy and analysis need.
    for room in [4, 24, 48, 64, 80, 96, 128, 192, 1024].map(|mebibytes: u64| mebibytes << 20) {
        group.set_limit(used + room);
        let output = group.heapattach(&["-p", &pid]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => assert!(room > 24 << 20, "{room} bytes cannot have been enough"),
            Some(1) => {
                assert!(said.contains("limit of control group") && said.contains("are available"), "{said}");
                refused += 1;
            }
            code => panic!("with room for {room} bytes it ended with {code:?}: {said}"),
        }
        target.assert_runs();
    }
    assert!((2..9).contains(&refused), "{refused} of 9 were refused");
}
