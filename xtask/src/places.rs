//! The ways in which an interpreter is run for the grid: as it is, stripped, and in another root.
//!
//! Each is a small shell script that takes the place of the interpreter; process ids are the same inside.

use crate::process::output;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A way to run an interpreter, and what heapattach is told about it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `live`, `stripped`, `other root`: the column of the grid.
    pub(crate) name: &'static str,
    /// What to run.
    pub(crate) python: PathBuf,
    /// Separate debug files: one more column for the same program.
    pub(crate) debug_files: Option<PathBuf>,
}

/// A stripped copy of a dynamically linked interpreter and its extension modules, run in place of `prefix`'s;
/// the debug information goes into a folder of its own by build id.
pub(crate) fn stripped(name: &str, python: &Path, prefix: &Path) -> Result<Place> {
    let folder = target_directory().join("python/places").join(format!("{name}-stripped"));
    let script = folder.join("python");
    let place = Place { name: "stripped", python: script.clone(), debug_files: Some(folder.join("debug")) };
    if script.exists() {
        return Ok(place);
    }
    let library =
        find_one(&prefix.join("lib"), |name| name.starts_with("libpython3.") && name.ends_with(".so.1.0"))?;
    let modules = find_one(&prefix.join("lib"), |name| name.starts_with("python3."))?.join("lib-dynload");
    for part in ["lib", "lib-dynload"] {
        fs::create_dir_all(folder.join(part))?;
    }
    strip(&library, &folder.join("lib"), &folder.join("debug"))?;
    for entry in fs::read_dir(modules)? {
        strip(&entry?.path(), &folder.join("lib-dynload"), &folder.join("debug"))?;
    }
    let text = format!(
        "export LD_LIBRARY_PATH='{0}/lib' PYTHONPATH='{0}/lib-dynload'\nexec '{1}' \"$@\"\n",
        folder.display(),
        python.display()
    );
    write_script(&script, &text)?;
    Ok(place)
}

/// Copies a file without its debug information, which goes to `debug/.build-id/xx/yyy.debug`.
fn strip(file: &Path, into: &Path, debug: &Path) -> Result<()> {
    let copy = into.join(file.file_name().context("a library has a name")?);
    output(Command::new("objcopy").arg("--strip-all").args([file, &copy]))?;
    let notes = output(Command::new("readelf").arg("--notes").arg(file))?;
    let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    if let Some((first, rest)) = id.and_then(|id| id.split_at_checked(2)) {
        let folder = debug.join(".build-id").join(first);
        fs::create_dir_all(&folder)?;
        let separate = folder.join(format!("{rest}.debug"));
        output(Command::new("objcopy").arg("--only-keep-debug").arg(file).arg(separate))?;
    }
    Ok(())
}

/// This machine's files under a root of their own, in which the interpreter has another path.
pub(crate) fn own_files_elsewhere(name: &str, python: &Path, prefix: &Path) -> Result<Place> {
    let root = target_directory().join("python/places").join(format!("{name}-root"));
    let is_system = prefix == Path::new("/usr");
    // A system's interpreter is as well found where it is: its file is that of the other root all the same.
    let run = if is_system {
        format!("exec chroot '{}' '{}' \"$@\"\n", root.display(), python.display())
    } else {
        let packages = find_one(&python.with_file_name("../lib"), |name| name.starts_with("python"))?;
        let file = fs::canonicalize(python)?;
        let file = file.strip_prefix(prefix).context("the interpreter lies in its prefix")?;
        format!(
            "mount --bind '{}' '{root}/opt/python'\n\
             export PYTHONHOME=/opt/python LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH='{}'\n\
             exec chroot '{root}' '/opt/python/{}' \"$@\"\n",
            prefix.display(),
            fs::canonicalize(packages)?.join("site-packages").display(),
            file.display(),
            root = root.display(),
        )
    };
    let folders = "for folder in usr lib lib64 bin etc; do\n\
                   if [ -d /$folder ]; then mkdir -p $root/$folder; mount --bind /$folder $root/$folder; fi\ndone\n";
    let script = in_namespace(&root, folders, &run);
    let path = root.with_file_name(format!("{name}-root.sh"));
    fs::create_dir_all(root.join("opt/python"))?;
    write_script(&path, &script)?;
    try_it(&path)?;
    Ok(Place { name: "other root", python: path, debug_files: None })
}

/// A suite's interpreter, run by its own loader without leaving our root, and with its own root.
pub(crate) fn of_suite(name: &str, root: &Path, program: &str, packages: &Path) -> Result<Vec<Place>> {
    let folder = target_directory().join("python/places");
    fs::create_dir_all(&folder)?;
    let libraries = [root.join("lib/x86_64-linux-gnu"), root.join("usr/lib/x86_64-linux-gnu")];
    let libraries: Vec<String> = libraries.iter().map(|path| path.display().to_string()).collect();
    let live = folder.join(format!("{name}-live.sh"));
    let text = format!(
        "export PYTHONHOME='{root}/usr' PYTHONPATH='{}' PYTHONDONTWRITEBYTECODE=1\n\
         exec '{}' --library-path '{}' '{root}/usr/bin/{program}' \"$@\"\n",
        packages.display(),
        loader(root)?.display(),
        libraries.join(":"),
        root = root.display(),
    );
    write_script(&live, &text)?;
    let run = format!(
        "export PYTHONPATH='{}' PYTHONDONTWRITEBYTECODE=1\nexec chroot '{}' '/usr/bin/{program}' \"$@\"\n",
        packages.display(),
        root.display()
    );
    let other = folder.join(format!("{name}-root.sh"));
    write_script(&other, &in_namespace(root, "", &run))?;
    try_it(&live)?;
    try_it(&other)?;
    Ok(vec![
        Place { name: "live", python: live, debug_files: Some(root.join("usr/lib/debug")) },
        Place { name: "other root", python: other, debug_files: None },
    ])
}

/// The loader of a suite's programs. In older suites its name is a link from the root on, which is another root here.
fn loader(root: &Path) -> Result<PathBuf> {
    let name = root.join("lib64/ld-linux-x86-64.so.2");
    let target = fs::read_link(&name).with_context(|| name.display().to_string())?;
    Ok(target.strip_prefix("/").map_or(name, |inside| root.join(inside)))
}

/// A script that goes on in a mount namespace of its own, in which `root` has the project, processes and devices.
fn in_namespace(root: &Path, mounts: &str, run: &str) -> String {
    let shared: Vec<String> = [crate::process::project().to_owned(), target_directory()]
        .iter()
        .map(|path| format!("'{}'", path.display()))
        .collect();
    format!(
        "if [ \"$1\" != --inside ]; then exec unshare --mount \"$0\" --inside \"$@\"; fi\nshift\nroot='{}'\nset -e\n\
         for folder in {} /tmp; do mkdir -p \"$root$folder\"; mount --bind \"$folder\" \"$root$folder\"; done\n\
         for folder in /proc /dev; do mkdir -p \"$root$folder\"; mount --rbind \"$folder\" \"$root$folder\"; done\n\
         {mounts}{run}",
        root.display(),
        shared.join(" "),
    )
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{text}"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn try_it(python: &Path) -> Result<()> {
    output(Command::new(python).args(["-c", "import ctypes, ssl, sqlite3"])).map(|_| ())
}

fn find_one(folder: &Path, is_it: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(&is_it));
    Ok(found.next().with_context(|| format!("{} lacks a library", folder.display()))?.path())
}
