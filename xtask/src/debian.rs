//! CPythons of other suites of Debian, and debug files, unpacked under `target/python/debian/SUITE`.
//!
//! The mirror is the one that this machine's own apt uses, its signatures are checked with the same keys, and
//! apt works in a state of its own: nothing of the machine changes. Another suite's programs need its C
//! library, so what a package depends on is unpacked with it.

use crate::process::output;
use crate::process::target_directory;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A suite and the minor versions of CPython 3 that are taken from it.
pub(crate) struct Suite {
    /// Its code name.
    pub(crate) name: &'static str,
    /// Minor versions.
    pub(crate) minors: &'static [u8],
    /// Whether it has security updates of its own.
    has_security: bool,
}

/// What is taken, oldest first.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "bullseye", minors: &[9], has_security: true },
    Suite { name: "trixie", minors: &[13], has_security: true },
    Suite { name: "sid", minors: &[13, 14, 15], has_security: false },
];

/// The keys of all suites (package debian-archive-keyring).
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where this machine's apt gets Debian from.
struct Mirror {
    main: String,
    security: Option<String>,
    signed_by: Option<String>,
}

/// A private state of apt for one suite.
struct Apt {
    folder: PathBuf,
}

/// The root folder that a suite's interpreters, what they need and their debug files are unpacked in.
pub(crate) fn unpack(suite: &Suite) -> Result<PathBuf> {
    let packages: Vec<String> = suite.minors.iter().map(|minor| format!("python3.{minor}")).collect();
    let debug: Vec<String> = packages.iter().map(|package| format!("{package}-dbg")).collect();
    obtain(suite.name, suite.has_security, &packages, &debug)
}

/// The folder of debug files of this machine's own `/usr/bin/python3.MINOR`.
pub(crate) fn own_debug_files(minor: u8) -> Result<PathBuf> {
    let release = fs::read_to_string("/etc/os-release")?;
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let root =
        obtain(name.context("the system has no code name")?, true, &[], &[format!("python3.{minor}-dbg")])?;
    Ok(root.join("usr/lib/debug"))
}

fn obtain(suite: &str, has_security: bool, packages: &[String], alone: &[String]) -> Result<PathBuf> {
    let folder = target_directory().join("python/debian").join(suite);
    let root = folder.join("root");
    let marker = folder.join("unpacked");
    let wanted = format!("{}\n", [packages, alone].concat().join(" "));
    if fs::read_to_string(&marker).is_ok_and(|text| text == wanted) {
        return Ok(root);
    }
    println!("unpacking {} of Debian's {suite} in {}", wanted.trim(), folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let apt = Apt::new(folder, &find_mirror()?, suite, has_security)?;
    apt.run(&["update"])?;
    if !packages.is_empty() {
        let words: Vec<&str> = packages.iter().map(String::as_str).collect();
        apt.run(&[&["--yes", "--download-only", "--no-install-recommends", "install"], &words[..]].concat())?;
    }
    let words: Vec<&str> = alone.iter().map(String::as_str).collect();
    apt.run(&[&["download"], &words[..]].concat())?;
    apt.unpack_all(&root)?;
    fs::write(marker, wanted)?;
    Ok(root)
}

fn find_mirror() -> Result<Mirror> {
    let question = ["indextargets", "--format", "$(SITE)", "Created-By: Packages"];
    let listed = output(Command::new("apt-get").args(question)).context("this machine has no apt")?;
    let find = |name: &str| listed.lines().find(|site| site.trim_end_matches('/').ends_with(name));
    let Some(main) = find("/debian") else {
        bail!("this machine's packages are not Debian's");
    };
    Ok(Mirror {
        main: main.to_owned(),
        security: find("/debian-security").map(str::to_owned),
        // Without it apt believes the keys that it always believes.
        signed_by: Some(KEYS.to_owned()).filter(|keys| Path::new(keys).exists()),
    })
}

impl Apt {
    fn new(folder: PathBuf, mirror: &Mirror, suite: &str, has_security: bool) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "root"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let key = mirror.signed_by.as_ref().map_or(String::new(), |key| format!(" signed-by={key}"));
        let mut sources = format!("deb [arch=amd64{key}] {} {suite} main\n", mirror.main);
        if let Some(security) = mirror.security.as_ref().filter(|_| has_security) {
            writeln!(sources, "deb [arch=amd64{key}] {security} {suite}-security main")?;
        }
        fs::write(folder.join("sources.list"), sources)?;
        fs::write(folder.join("status"), "")?;
        Ok(Self { folder })
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let place = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new("apt-get");
        for option in [
            format!("Dir::Etc::sourcelist={}", place("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", place("lists")),
            format!("Dir::State::status={}", place("status")),
            format!("Dir::Cache={}", place("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        output(command.arg("-qq").args(words).current_dir(self.folder.join("cache/archives")))?;
        Ok(())
    }

    /// Unpacks every package and throws them away.
    fn unpack_all(&self, root: &Path) -> Result<()> {
        let archives = self.folder.join("cache/archives");
        for entry in fs::read_dir(&archives)? {
            let package = entry?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                output(Command::new("dpkg").arg("-x").arg(&package).arg(root))?;
            }
        }
        // The package that makes these links is not needed for anything else.
        for name in ["bin", "lib", "lib64"] {
            let (link, folder) = (root.join(name), Path::new("usr").join(name));
            if !link.exists() && root.join(&folder).exists() {
                symlink(folder, link)?;
            }
        }
        for name in ["cache", "lists"] {
            fs::remove_dir_all(self.folder.join(name))?;
        }
        Ok(())
    }
}
