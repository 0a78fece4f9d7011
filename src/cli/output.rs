//! Where results go: standard output, or a file that appears wholly or not at all.

use crate::cli::args::Destination;
use crate::cli::failure::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupts;
use nix::fcntl::AT_FDCWD;
use nix::fcntl::AtFlags;
use nix::fcntl::OFlag;
use nix::unistd::linkat;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Bytes that are put together before they are written.
const BUFFER: usize = 1 << 18;

/// An open destination.
pub(super) enum Output<'a> {
    /// Standard output.
    Stdout(BufWriter<Watched<'a, &'a mut dyn Write>>),
    /// A file that is there already and is no regular one: a pipe, a device.
    Special(BufWriter<Watched<'a, File>>),
    /// A new file, without a name until it is complete, or under another one where the file system has no such
    /// files: nothing is left of the former, however we end.
    File { writer: Option<BufWriter<Watched<'a, File>>>, unfinished: PathBuf, is_named: bool, name: PathBuf },
}

impl<'a> Output<'a> {
    /// Opens the destination, before anything else is done, so that a mistake costs nothing.
    pub(super) fn open(
        destination: &Destination,
        stdout: &'a mut dyn Write,
        interrupts: &'a Interrupts,
    ) -> Result<Self, Failure> {
        let Destination::File(name) = destination else {
            return Ok(Self::Stdout(buffered(stdout, interrupts)));
        };
        let failed = |error: io::Error| {
            Failure::new(ExitStatus::AnalysisFailed, format!("cannot write to {}", name.display()))
                .because_of(Some(&error))
        };
        if name.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if name.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let file = OpenOptions::new().write(true).open(name).map_err(failed)?;
            return Ok(Self::Special(buffered(file, interrupts)));
        }
        let unfinished = unfinished_name(name);
        let (file, is_named) = match create_nameless(name) {
            Ok(file) => (file, false),
            Err(_) => (create_new(&unfinished).map_err(failed)?, true),
        };
        Ok(Self::File { writer: Some(buffered(file, interrupts)), unfinished, is_named, name: name.clone() })
    }

    /// What cannot be written if something fails, as a message says it.
    pub(super) fn called(&self) -> String {
        match self {
            Self::Stdout(_) | Self::Special(_) => "the result".to_owned(),
            Self::File { name, .. } => format!("to {}", name.display()),
        }
    }

    /// What to write to.
    pub(super) fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(writer) => writer,
            Self::Special(writer) | Self::File { writer: Some(writer), .. } => writer,
            Self::File { writer: None, .. } => unreachable!("the writer is taken by finish alone"),
        }
    }

    /// Writes what is left and gives the file its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match &mut self {
            Self::Stdout(writer) => writer.flush(),
            Self::Special(writer) => writer.flush(),
            Self::File { writer: None, .. } => Ok(()),
            Self::File { writer: Some(writer), unfinished, is_named, name } => {
                writer.flush()?;
                if !*is_named {
                    give_name(&writer.get_ref().inner, unfinished)?;
                    *is_named = true;
                }
                std::fs::rename(unfinished, name)?;
                *is_named = false;
                Ok(())
            }
        }
    }
}

impl Drop for Output<'_> {
    /// Removes what was not finished.
    fn drop(&mut self) {
        if let Self::File { unfinished, is_named: true, .. } = self {
            let _ = std::fs::remove_file(unfinished);
        }
    }
}

fn buffered<W: Write>(inner: W, interrupts: &Interrupts) -> BufWriter<Watched<'_, W>> {
    BufWriter::with_capacity(BUFFER, Watched { inner, interrupts })
}

/// `NAME.tmp`.
fn unfinished_name(name: &Path) -> PathBuf {
    let mut unfinished = name.as_os_str().to_owned();
    unfinished.push(".tmp");
    PathBuf::from(unfinished)
}

/// A file in the folder of `name` that has no name itself (`O_TMPFILE`).
fn create_nameless(name: &Path) -> io::Result<File> {
    let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    OpenOptions::new().write(true).custom_flags(OFlag::O_TMPFILE.bits()).mode(0o600).open(folder)
}

/// Gives a nameless file a name, as open(2) tells how; what has it already is replaced.
fn give_name(file: &File, name: &Path) -> io::Result<()> {
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = || linkat(AT_FDCWD, place.as_str(), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW);
    match link().map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(name)?;
            link().map_err(io::Error::from)
        }
        result => result,
    }
}

/// A file of our own that nobody else may read: it tells what is in another program's memory. One
/// left over from a run that was killed is replaced, and a link that someone laid is not followed.
fn create_new(name: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(name);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(name)?;
            create()
        }
        result => result,
    }
}

/// A writer that fails once the user wants the program to end.
pub(super) struct Watched<'a, W: Write> {
    inner: W,
    interrupts: &'a Interrupts,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.interrupts.received() {
            Some(_) => Err(io::Error::other("interrupted")),
            None => self.inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(name: &Path, finish: bool) -> Result<(), Failure> {
        let interrupts = Interrupts::none();
        let mut stdout = Vec::new();
        let mut output = Output::open(&Destination::File(name.to_owned()), &mut stdout, &interrupts)?;
        output.writer().write_all(b"result").unwrap();
        if finish {
            output.finish().unwrap();
        }
        Ok(())
    }

    #[test]
    fn a_file_appears_wholly_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("a.json");
        write(&name, false).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        std::fs::write(directory.path().join("a.json.tmp"), "left over").unwrap();
        write(&name, true).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        assert_eq!(std::fs::read(&name).unwrap(), b"result");
        assert_eq!(name.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// However the program ends: nothing has a name before it is finished.
    #[test]
    fn a_file_that_is_being_written_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("a.json");
        if create_nameless(&name).is_err() {
            return; // The file system has no such files.
        }
        let interrupts = Interrupts::none();
        let mut stdout = Vec::new();
        let mut output = Output::open(&Destination::File(name.clone()), &mut stdout, &interrupts).unwrap();
        output.writer().write_all(&vec![b'x'; 2 * BUFFER]).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        output.finish().unwrap();
        assert_eq!(name.metadata().unwrap().len(), 2 * BUFFER as u64);
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, directory.path().join("a.csv.tmp")).unwrap();
        write(&directory.path().join("a.csv"), true).unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let failure = write(directory.path(), true).unwrap_err();
        assert_eq!(failure.exit, ExitStatus::AnalysisFailed);
        assert!(write(&directory.path().join("no/such/place"), true).is_err());
        write(Path::new("/dev/null"), true).unwrap();
    }
}
