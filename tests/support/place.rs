//! Where things are: the repository, the built programs, installed tools, free ports and throw-away folders.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository that the suite was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// A program of this workspace, built by the same run as the suite itself, e.g. `message-center` or `smsc`.
///
/// # Errors
/// `NotFound` when it was not built: the runner's group `build` does that.
pub fn product(name: &str) -> io::Result<PathBuf> {
    let suite = std::env::current_exe()?;
    let folder = suite.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is not built", program.display())))
}

/// An installed command by its name, or nothing when it is not on the `PATH`.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Python with the third-party packages of `tests/python.requirements.txt`, or nothing when they are not installed.
#[must_use]
pub fn python() -> Option<Command> {
    python_with("python", "smpplib")
}

/// The program schemathesis of `tests/schemathesis.requirements.txt`, or nothing when it is not installed.
#[must_use]
pub fn schemathesis() -> Option<Command> {
    let mut command = python_with("schemathesis", "schemathesis")?;
    command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
    Some(command)
}

/// Python with what the runner has installed into that folder of `.tools`, if this package is there.
fn python_with(folder: &str, package: &str) -> Option<Command> {
    let packages = repository().join(".tools").join(folder);
    if !packages.join(package).is_dir() {
        return None;
    }
    let program = std::env::var_os("MC_PYTHON").map(PathBuf::from).or_else(|| tool("python3"))?;
    let mut command = Command::new(program);
    command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// A loopback port that was free a moment ago. Prefer port 0 and the address that the program prints:
/// only where a program cannot do that is the small risk of a stranger taking the port worth it.
///
/// # Errors
/// When no port can be bound.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A folder that is removed with its value.
///
/// # Errors
/// When the temporary folder of the system cannot be written.
pub fn temp_dir() -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("message-center-").tempdir()
}

/// Largest resident memory of this process so far, MiB.
///
/// # Errors
/// When procfs does not tell.
pub fn peak_mib() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
    Ok(kib / 1_024.0)
}
