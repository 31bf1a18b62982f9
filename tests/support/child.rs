//! A child process with a guard: it is ended by its id when the guard goes, whatever the test did.
//!
//! Output is read by a thread per stream into one queue, so a wait for a line is a blocking read with a deadline.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Lines of output kept for the message of a failed wait.
const REMEMBERED_LINES: usize = 40;

/// A running process that ends with this value.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: std::process::Child,
    lines: Receiver<String>,
    /// What the process said last, shown when a wait fails.
    heard: VecDeque<String>,
}

/// Why a process could not be started or did not say what was waited for.
#[derive(Debug)]
pub enum ChildError {
    /// The process could not be started or asked for its state.
    Io(String, std::io::Error),
    /// The deadline passed; the text holds the last lines that the process printed.
    Deadline(String),
    /// Both output streams ended first; the text holds the last lines that the process printed.
    Ended(String),
}

impl std::fmt::Display for ChildError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(name, error) => write!(out, "{name}: {error}"),
            Self::Deadline(heard) => write!(out, "deadline passed; last output:\n{heard}"),
            Self::Ended(heard) => write!(out, "output ended first; last output:\n{heard}"),
        }
    }
}

impl std::error::Error for ChildError {}

impl Child {
    /// Starts the command with both output streams captured and nothing to read.
    ///
    /// # Errors
    /// `ChildError::Io` when the system cannot start it.
    pub fn start(command: &mut Command) -> Result<Self, ChildError> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| ChildError::Io(name.clone(), error))?;
        let (queue, lines) = channel();
        if let Some(stdout) = process.stdout.take() {
            forward(stdout, queue.clone());
        }
        if let Some(stderr) = process.stderr.take() {
            forward(stderr, queue);
        }
        Ok(Self { name, process, lines, heard: VecDeque::new() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Reads lines until one satisfies `wanted`, and returns it.
    ///
    /// # Errors
    /// `Deadline` or `Ended` with the last lines heard when no such line came.
    pub fn wait_for_line(
        &mut self,
        deadline: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, ChildError> {
        let end = Instant::now() + deadline;
        loop {
            let line = self.next_line(end)?;
            if wanted(&line) {
                return Ok(line);
            }
        }
    }

    /// Reads to the end of all output and returns the exit status.
    ///
    /// # Errors
    /// `Deadline` when output goes on longer than that.
    pub fn wait_for_end(&mut self, deadline: Duration) -> Result<ExitStatus, ChildError> {
        let end = Instant::now() + deadline;
        loop {
            match self.next_line(end) {
                Ok(_) => {}
                Err(ChildError::Ended(_)) => break,
                Err(error) => return Err(error),
            }
        }
        self.process.wait().map_err(|error| ChildError::Io(self.name.clone(), error))
    }

    /// Asks the process to end (SIGTERM); what it says on the way out can still be waited for.
    ///
    /// # Errors
    /// `Io` when the request cannot be made.
    pub fn ask_to_end(&self) -> Result<(), ChildError> {
        let kill = Command::new("kill").args(["-s", "TERM", &self.id().to_string()]).status();
        kill.map(|_| ()).map_err(|error| ChildError::Io("kill".to_owned(), error))
    }

    /// Whether it has not ended yet.
    ///
    /// # Errors
    /// `Io` when the system does not tell.
    pub fn is_running(&mut self) -> Result<bool, ChildError> {
        let ended = self.process.try_wait();
        ended.map(|ended| ended.is_none()).map_err(|error| ChildError::Io(self.name.clone(), error))
    }

    /// Ends the process at once, as a power cut would end it.
    ///
    /// # Errors
    /// `Io` when the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus, ChildError> {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        ended.map_err(|error| ChildError::Io(self.name.clone(), error))
    }

    fn next_line(&mut self, end: Instant) -> Result<String, ChildError> {
        let left = end.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                if self.heard.len() == REMEMBERED_LINES {
                    self.heard.pop_front();
                }
                self.heard.push_back(line.clone());
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => Err(ChildError::Deadline(self.last_words())),
            Err(RecvTimeoutError::Disconnected) => Err(ChildError::Ended(self.last_words())),
        }
    }

    fn last_words(&self) -> String {
        let lines: Vec<&str> = self.heard.iter().map(String::as_str).collect();
        format!("{}:\n{}", self.name, lines.join("\n"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when the process is already gone, which is what is wanted here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Moves a stream into the queue line by line; ends with the stream or with the guard.
fn forward(stream: impl Read + Send + 'static, queue: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut raw = Vec::new();
        while matches!(reader.read_until(b'\n', &mut raw), Ok(count) if count > 0) {
            let line = String::from_utf8_lossy(&raw).trim_end_matches(['\n', '\r']).to_owned();
            if queue.send(line).is_err() {
                return;
            }
            raw.clear();
        }
    });
}
