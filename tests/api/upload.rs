//! Recipient files over HTTP: the server's memory does not grow with them, and one that breaks off leaves nothing.
//!
//! The suite sends 20 MiB; `MC_UPLOAD=n` sends n lines instead, as near to 1 GiB as ten million get, and judges the
//! rate against the intake alone in the same run.

use super::people::{self, Address, Team};
use anyhow::Context;
use engine::intake::{ChunkSink, Intake, Options};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::service::{Client, DEADLINE, Service, Setting};

/// Behind each number: ten million lines stay just below 1 GiB.
const PADDING: &str =
    ",Jane Example,2026-11-21T09:00:00Z,Example Street 12 Berlin,premium-customer,0123456789 some t\n";
/// Lines of the suite's file: 20 MiB.
const LINES: u64 = 196_000;
const FIRST_NUMBER: u64 = 491_600_000_000;
/// Octets that are sent at once.
const BLOCK_OCTETS: usize = 256 << 10;
/// How much more memory a large file may take than one of 1 KiB.
const GROWTH_MIB: f64 = 32.0;
/// Least share of the intake's own rate.
const LEAST_RATE: f64 = 0.6;

/// Counts what the intake takes.
#[derive(Default)]
struct Counter(u64);

impl ChunkSink for Counter {
    fn chunk(&mut self, numbers: &[u64], _: &[u8]) -> io::Result<()> {
        self.0 += numbers.len() as u64;
        Ok(())
    }
}

fn written(path: &Path, lines: u64) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(BLOCK_OCTETS, File::create(path)?);
    for line in 0..lines {
        // A multiplier without a common factor with the count of numbers visits each once, in no order.
        let number = FIRST_NUMBER + line * 38_196_601 % 100_000_000;
        write!(file, "{number}{PADDING}")?;
    }
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}

/// The file as a body that is read while it is sent.
fn body(path: &Path) -> io::Result<reqwest::Body> {
    let mut file = File::open(path)?;
    let blocks = std::iter::from_fn(move || {
        let mut block = vec![0; BLOCK_OCTETS];
        match file.read(&mut block) {
            Ok(0) => None,
            Ok(count) => {
                block.truncate(count);
                Some(Ok::<_, io::Error>(block))
            }
            Err(error) => Some(Err(error)),
        }
    });
    Ok(reqwest::Body::wrap_stream(futures_util::stream::iter(blocks)))
}

/// How long the intake takes without a server around it.
fn intake_alone(path: &Path, place: &Path) -> anyhow::Result<Duration> {
    let limits = engine::intake::Limits { max_bytes: 1 << 30, ..Default::default() };
    let mut intake = Intake::new(Options { limits, ..Options::default() }, place)?;
    let (mut file, mut block) = (File::open(path)?, vec![0; BLOCK_OCTETS]);
    let begun = Instant::now();
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => intake.feed(&block[..count])?,
        }
    }
    let mut counter = Counter::default();
    let summary = intake.finish(&mut counter)?;
    assert_eq!(summary.accepted, counter.0);
    Ok(begun.elapsed())
}

/// Largest resident memory of a process since the last [`forget_peak`], MiB.
fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}

fn forget_peak(pid: u32) -> io::Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

async fn house() -> anyhow::Result<(Service, Team, Client, String)> {
    let service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let team = people::team(&service, &root, "acme", Address { saddr: "ACME", ston: 5, snpi: 0 }).await?;
    let key = json!({"name": "feeder", "scopes": ["campaigns:read", "campaigns:write"]});
    let key = team.author.post(&team.path("/api-keys"), key).await?.expect(201)?;
    let (program, secret) = (service.program(key.text("key")), key.text("key").to_owned());
    Ok((service, team, program, secret))
}

async fn draft(team: &Team, program: &Client) -> anyhow::Result<String> {
    let fields = json!({"name": "Large", "mode": "OnDemand", "text": "Hello", "sender_id": team.sender});
    let draft = program.post(&team.path("/drafts"), fields).await?.expect(201)?;
    Ok(team.path(&format!("/drafts/{}", draft.text("id"))))
}

#[tokio::test]
async fn the_memory_of_the_server_does_not_grow_with_the_file() -> anyhow::Result<()> {
    let long: Option<u64> = std::env::var("MC_UPLOAD").ok().map(|lines| lines.parse()).transpose()?;
    let lines = long.unwrap_or(LINES);
    let (service, team, program, _) = house().await?;
    let (pid, path) = (service.child.id(), service.folder().join("numbers.csv"));
    let octets = written(&path, lines)?;
    let draft = draft(&team, &program).await?;
    let recipients = format!("{draft}/recipients");

    let small = people::file(FIRST_NUMBER..FIRST_NUMBER + 64);
    program.upload(&recipients, small.clone()).await?.expect(200)?;
    forget_peak(pid)?;
    program.upload(&recipients, small).await?.expect(200)?;
    let before = peak_mib(pid)?;
    forget_peak(pid)?;
    let begun = Instant::now();
    let answer = program.upload(&recipients, body(&path)?).await?.expect(200)?;
    let took = begun.elapsed();
    let grown = peak_mib(pid)? - before;
    let count = |name: &str| answer.body[name].as_u64();
    assert_eq!([count("accepted"), count("bytes")], [Some(lines), Some(octets)], "{}", answer.body);
    assert!(grown < GROWTH_MIB, "{octets} octets took {grown:.1} MiB more than 1 KiB did");
    if long.is_some() {
        let alone = intake_alone(&path, service.folder())?;
        let share = alone.as_secs_f64() / took.as_secs_f64();
        people::show(&format!(
            "upload of {lines} lines, {octets} octets: {took:.1?}, the intake alone {alone:.1?} ({:.0} %), \
             {grown:.1} MiB over {before:.1} MiB",
            share * 100.0
        ));
        assert!(share >= LEAST_RATE, "{share:.2} of the intake's own rate");
    }
    Ok(())
}

/// Files below a folder.
fn names(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(names(&path)?);
        } else {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Files that a process holds open though they have no name any more.
fn nameless(pid: u32) -> io::Result<usize> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?;
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().ends_with(" (deleted)")).count())
}

/// Sends the head of an upload and the first octets of its body and sends no more; returns when the server is done with
/// it, which is when it answers or hangs up.
fn break_off(
    service: &Service,
    (path, secret): (&str, &str),
    body: &[u8],
    octets: usize,
) -> anyhow::Result<()> {
    let address = service.origin.strip_prefix("http://").context("plain HTTP")?;
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "PUT /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {secret}\r\n\
         Content-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.write_all(&body[..octets])?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.starts_with("HTTP/1.1 2"), "{octets} octets were taken for a whole file: {answer}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_breaks_off_leaves_nothing_to_send_and_nothing_on_the_disk() -> anyhow::Result<()> {
    let (service, team, program, secret) = house().await?;
    let draft = draft(&team, &program).await?;
    let file = people::file(FIRST_NUMBER..FIRST_NUMBER + 200_000).into_bytes();
    let pid = service.child.id();
    let before = (names(service.folder())?, nameless(pid)?);
    for octets in [1, file.len() / 2, file.len() - 1] {
        let path = format!("{draft}/recipients");
        break_off(&service, (&path, &secret), &file, octets)?;
        let end = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let after = (names(service.folder())?, nameless(pid)?);
            if after == before {
                break;
            }
            assert!(Instant::now() < end, "{octets} octets left {after:?} instead of {before:?}");
        }
        let now = program.get(&draft).await?.expect(200)?;
        assert_eq!(now.body["upload"], Value::Null, "{}", now.body);
        let submitted = program.post(&format!("{draft}/submit"), Value::Null).await?;
        assert_eq!((submitted.status, submitted.code()), (422, "no_recipients"), "{}", submitted.body);
    }
    program.upload(&format!("{draft}/recipients"), file).await?.expect(200)?;
    program.post(&format!("{draft}/submit"), Value::Null).await?.expect(201)?;
    Ok(())
}
