//! The hosts, one entry each.

use std::fmt;

/// Which of the prepared interpreters a case runs.
#[derive(Clone, Copy)]
pub(crate) enum Interpreter {
    /// The distribution's own: static and stripped on Debian.
    System,
    /// The last prepared one of this series, `3.12`.
    Series(&'static str),
}

impl Interpreter {
    /// Whether an environment is that of such an interpreter.
    pub(crate) fn is(self, name: &str) -> bool {
        match self {
            Self::System => name.ends_with("-system"),
            Self::Series(series) => {
                !name.contains("-system")
                    && name.strip_prefix(series).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("interpreter of the system"),
            Self::Series(series) => write!(formatter, "interpreter {series}"),
        }
    }
}

/// Something that a case needs.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A program on `PATH`.
    Program(&'static str),
    /// A shared library, by the beginning of its name: its path stands for `{library}`.
    Library(&'static str),
    /// `testdata/programs/late.c`, as `{late}`.
    Late,
    /// `testdata/programs/embedding.c`, as `{embedding}`.
    Embedding(Linking),
    /// To be root.
    Root,
    /// A copy of the interpreter's own program, as `{copy}`, in a folder of its own.
    Copy,
    /// A copy of the interpreter's library, as `{library}`, in a folder of its own, `{folder}`.
    LibraryCopy,
    /// A shared library of another CPython, as `{second}`.
    SecondLibrary,
    /// A debug build of the interpreter, as `{debug}`.
    DebugBuild,
    /// A program that PyInstaller made of `testdata/programs/runner.py`, as `{frozen}`.
    Frozen,
    /// A zip application that runs the script that it is given, as `{zipapp}`.
    ZipApplication,
}

/// How CPython gets into a program of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// `libpython3.x.so`
    Shared,
    /// `libpython3.x.a`, with the symbols that extension modules need.
    Static,
    /// The same, stripped.
    StaticStripped,
    /// Stripped, and no symbol exported: no extension module can be loaded.
    StaticSilent,
}

/// One host.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) interpreter: Interpreter,
    /// File in `testdata/scenarios/`.
    pub(crate) scenario: &'static str,
    /// How the scenario is started.
    pub(crate) host: &'static str,
    /// What happens to the process, or around it, before it is inspected: a shell command.
    pub(crate) then: &'static str,
    /// What stands before heapattach on its command line.
    pub(crate) inspector: &'static str,
    pub(crate) needs: &'static [Need],
}

const PLAIN: Case = Case {
    name: "",
    interpreter: Interpreter::System,
    // The quickest one: what the types are is other tests' matter.
    scenario: "collector.py",
    host: "{python} {scenario}",
    then: "",
    inspector: "",
    needs: &[],
};

const EMBEDDED: &str = "env PYTHONPATH={site}:{scenarios} {embedding} main {scenario}";

/// Root without a single capability.
const UNPRIVILEGED: &str = "setpriv --bounding-set=-all --inh-caps=-all";

/// Fails unless the process has a filter already.
const FILTERED: &str = "grep -q '^Seccomp:.*2' /proc/$HEAPATTACH_PID/status";

/// Every host.
pub(crate) const CASES: &[Case] = &[
    // Interpreters started in other ways.
    Case { name: "hash_seed", host: "env PYTHONHASHSEED=7 {python} {scenario}", ..PLAIN },
    Case { name: "importtime", host: "{python} -X importtime {scenario}", ..PLAIN },
    Case { name: "dev_mode", host: "{python} -X dev {scenario}", ..PLAIN },
    Case { name: "isolated", host: "{python} -S -E -I -B {runner} {scenario}", ..PLAIN },
    Case { name: "zipapp", host: "{python} {zipapp} {scenario}", needs: &[Need::ZipApplication], ..PLAIN },
    Case {
        name: "forked_child",
        interpreter: Interpreter::Series("3.13"),
        host: "{python} {programs}/in_child.py fork {scenario}",
        ..PLAIN
    },
    Case {
        name: "child_forked_by_thread",
        interpreter: Interpreter::Series("3.12"),
        host: "{python} {programs}/in_child.py thread {scenario}",
        ..PLAIN
    },
    // Allocators.
    Case { name: "malloc", host: "env PYTHONMALLOC=malloc {python} {scenario}", ..PLAIN },
    Case {
        name: "malloc_3_13",
        scenario: "classes.py",
        interpreter: Interpreter::Series("3.13"),
        host: "env PYTHONMALLOC=malloc {python} {scenario}",
        ..PLAIN
    },
    Case {
        name: "pymalloc_debug",
        scenario: "classes.py",
        interpreter: Interpreter::Series("3.12"),
        host: "env PYTHONMALLOC=pymalloc_debug {python} {scenario}",
        ..PLAIN
    },
    Case {
        name: "malloc_debug",
        scenario: "classes.py",
        interpreter: Interpreter::Series("3.13"),
        host: "env PYTHONMALLOC=malloc_debug {python} {scenario}",
        ..PLAIN
    },
    Case {
        name: "jemalloc",
        host: "env LD_PRELOAD={library} {python} {scenario}",
        needs: &[Need::Library("libjemalloc.so")],
        ..PLAIN
    },
    Case {
        name: "jemalloc_alone",
        host: "env PYTHONMALLOC=malloc LD_PRELOAD={library} {python} {scenario}",
        needs: &[Need::Library("libjemalloc.so")],
        ..PLAIN
    },
    Case {
        name: "tcmalloc_alone",
        host: "env PYTHONMALLOC=malloc LD_PRELOAD={library} {python} {scenario}",
        needs: &[Need::Library("libtcmalloc")],
        ..PLAIN
    },
    // Other builds and other programs.
    Case {
        name: "debug_build",
        scenario: "classes.py",
        // It may be unpacked into a folder without the standard library.
        host: "env PYTHONPATH={site} PYTHONHOME={home} {debug} {scenario}",
        needs: &[Need::DebugBuild],
        ..PLAIN
    },
    Case { name: "embedded", host: EMBEDDED, needs: &[Need::Embedding(Linking::Shared)], ..PLAIN },
    Case {
        name: "embedded_3_12",
        interpreter: Interpreter::Series("3.12"),
        host: EMBEDDED,
        needs: &[Need::Embedding(Linking::Shared)],
        ..PLAIN
    },
    Case { name: "embedded_static", host: EMBEDDED, needs: &[Need::Embedding(Linking::Static)], ..PLAIN },
    Case {
        name: "embedded_stripped",
        scenario: "classes.py",
        host: EMBEDDED,
        needs: &[Need::Embedding(Linking::StaticStripped)],
        ..PLAIN
    },
    Case {
        // heapy calls the thread in which it runs its own; ours is the first, so it is not asked.
        name: "embedded_in_thread",
        host: "env PYTHONPATH={scenarios} {embedding} thread {scenario}",
        needs: &[Need::Embedding(Linking::Shared)],
        ..PLAIN
    },
    Case {
        name: "gdb",
        host: "env PYTHONPATH={site}:{scenarios} gdb -nx -q -batch -ex 'source {scenario}'",
        needs: &[Need::Program("gdb")],
        ..PLAIN
    },
    Case {
        // A worker of a master process, in its first request.
        name: "uwsgi_worker",
        host: "sh -c '(until curl -s --unix-socket {folder}/socket http://localhost/; do sleep 0.1; done) & \
               HOST_SCENARIO={scenario} PYTHONPATH={site} exec uwsgi --plugin python3 --master --processes 2 \
               --enable-threads --http-socket {folder}/socket --wsgi-file {programs}/wsgi_app.py 2>/dev/null'",
        needs: &[Need::Program("uwsgi"), Need::Program("curl")],
        ..PLAIN
    },
    Case {
        name: "frozen_by_pyinstaller",
        interpreter: Interpreter::Series("3.12"),
        host: "{frozen} {scenario}",
        needs: &[Need::Frozen],
        ..PLAIN
    },
    // Files that are not what they were.
    Case {
        name: "deleted_program",
        host: "env PYTHONHOME={home} PYTHONPATH={site} {copy} {scenario}",
        then: "rm {copy}",
        needs: &[Need::Copy],
        ..PLAIN
    },
    Case {
        name: "replaced_program",
        host: "env PYTHONHOME={home} PYTHONPATH={site} {copy} {scenario}",
        then: "cp /bin/true {copy}.new && mv {copy}.new {copy}",
        needs: &[Need::Copy],
        ..PLAIN
    },
    Case {
        // Without privileges /proc/PID/map_files is closed, and the name is gone.
        name: "deleted_program_without_privileges",
        host: "setpriv --bounding-set=-all --inh-caps=-all env PYTHONHOME={home} PYTHONPATH={site} {copy} {scenario}",
        then: "rm {copy}",
        inspector: UNPRIVILEGED,
        needs: &[Need::Copy, Need::Root],
        ..PLAIN
    },
    Case {
        name: "deleted_library_without_privileges",
        interpreter: Interpreter::Series("3.12"),
        host: "setpriv --bounding-set=-all --inh-caps=-all env LD_PRELOAD={library} {python} {scenario}",
        then: "grep -q {library} /proc/$HEAPATTACH_PID/maps && rm {library}",
        inspector: UNPRIVILEGED,
        needs: &[Need::LibraryCopy, Need::Root],
        ..PLAIN
    },
    Case {
        name: "replaced_library",
        interpreter: Interpreter::Series("3.13"),
        host: "env LD_PRELOAD={library} {python} {scenario}",
        then: "cp /bin/true {library}.new && mv {library}.new {library}",
        needs: &[Need::LibraryCopy],
        ..PLAIN
    },
    // Confined processes.
    Case {
        name: "pid_and_mount_namespace",
        host: "unshare --pid --fork --kill-child --mount --mount-proc {python} {scenario}",
        needs: &[Need::Root],
        ..PLAIN
    },
    Case {
        // The program is in a file system that nobody else sees.
        name: "files_of_its_own",
        host: "unshare --mount sh -c 'mount -t tmpfs none {folder} && cp {program} {folder}/inside && \
               PYTHONHOME={home} PYTHONPATH={site} exec {folder}/inside {scenario}'",
        then: "! test -e {folder}/inside && grep -q {folder}/inside /proc/$HEAPATTACH_PID/maps",
        needs: &[Need::Root],
        ..PLAIN
    },
    Case {
        name: "user_namespace",
        host: "unshare --user --map-root-user --pid --fork --kill-child --mount --mount-proc {python} {scenario}",
        needs: &[Need::Root],
        ..PLAIN
    },
    Case {
        name: "seccomp_kills",
        host: "env HOST_LATE=seccomp LD_PRELOAD={late} {python} {scenario}",
        then: FILTERED,
        needs: &[Need::Late],
        ..PLAIN
    },
    Case {
        // A stop breaks a nanosleep off, and the kernel goes on with another call.
        name: "seccomp_kills_in_nanosleep",
        interpreter: Interpreter::Series("3.12"),
        host: "env HOST_LATE=naps,seccomp LD_PRELOAD={late} {python} {scenario}",
        then: FILTERED,
        needs: &[Need::Late],
        ..PLAIN
    },
    Case {
        name: "seccomp_kills_and_other_user",
        host: "env HOST_LATE=user,seccomp LD_PRELOAD={late} {python} {scenario}",
        then: FILTERED,
        needs: &[Need::Late, Need::Root],
        ..PLAIN
    },
    Case {
        name: "other_user",
        host: "env HOST_LATE=user LD_PRELOAD={late} {python} {scenario}",
        then: "grep -q '^Uid:.*65534' /proc/$HEAPATTACH_PID/status",
        needs: &[Need::Late, Need::Root],
        ..PLAIN
    },
    Case {
        name: "not_dumpable",
        interpreter: Interpreter::Series("3.12"),
        host: "env HOST_LATE=dumpable LD_PRELOAD={late} {python} {scenario}",
        needs: &[Need::Late, Need::Root],
        ..PLAIN
    },
    Case {
        name: "first_thread_gone",
        interpreter: Interpreter::Series("3.13"),
        host: "env HOST_LATE=leaderless LD_PRELOAD={late} {python} {scenario}",
        then: "grep -q '^State:.*Z' /proc/$HEAPATTACH_PID/status",
        needs: &[Need::Late],
        ..PLAIN
    },
];
