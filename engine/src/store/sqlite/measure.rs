//! Figures of this backend on the machine at hand; run one by name with `--ignored --nocapture`.
//!
//! CPU is the calling thread's, kernel included. The directory is the temporary one: set `TMPDIR` to a real disk.

use super::SqliteStore;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkState};
use crate::store::{Commit, Journal, StateSave};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An octet count of a journal row that carries one full group commit of 2048 messages.
const ROW_OCTETS: usize = 27_000;

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("three numbers"))
}

fn memory(key: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().find(|line| line.starts_with(key)).expect("a known key").to_owned()
}

/// What resembles phone numbers and ids: it does not compress to nothing on the way.
fn octets(count: usize) -> Vec<u8> {
    let mut x = 1_u32;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        x.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 1000];
    format!("p50 {:?} p99 {:?} p99.9 {:?} max {:?}", at(500), at(990), at(999), at(1000))
}

#[expect(clippy::print_stdout, reason = "a measurement is for people")]
fn report(what: &str, count: usize, wall: Duration, cpu: Duration) {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!("{what}: {count} in {wall:?}, {:.0}/s, CPU {:.1} us each", 1e6 / per(wall), per(cpu));
    println!("    {} {}", memory("VmRSS"), memory("VmHWM"));
}

#[test]
#[ignore = "a measurement"]
fn journal_commits_with_housekeeping() {
    let directory = TempDir::new().expect("a temporary directory");
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    let (row, count) = (octets(ROW_OCTETS), 10_000);
    let mut times = Vec::new();
    let mut trims = Vec::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let begin = cpu();
            let mut rounds = 0_usize;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                runtime.block_on(store.maintain()).expect("maintained");
                rounds += 1;
                std::thread::park_timeout(Duration::from_millis(200));
            }
            report("passive checkpoints", rounds, Duration::from_secs(1), cpu() - begin);
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (begin, begin_cpu) = (Instant::now(), cpu());
        for seq in 1..=count {
            let start = Instant::now();
            assert_eq!(runtime.block_on(store.commit(seq, row.clone())), Commit::Durable);
            times.push(start.elapsed());
            if seq % 2_000 == 0 {
                let start = Instant::now();
                runtime.block_on(store.trim(seq - 500)).expect("trimmed");
                trims.push(start.elapsed());
            }
        }
        let count = usize::try_from(count).expect("small");
        report("commits of 27 KB with trims", count, begin.elapsed(), cpu() - begin_cpu);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    report(&percentiles(times), 1, Duration::ZERO, Duration::ZERO);
    report(&format!("trims of 2000 rows {trims:?}"), 1, Duration::ZERO, Duration::ZERO);
    for name in ["journal.db", "journal.db-wal"] {
        let length = std::fs::metadata(directory.path().join(name)).expect("a file").len();
        report(&format!("{name} {} MiB", length >> 20), 1, Duration::ZERO, Duration::ZERO);
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn recipients_and_state_of_ten_million() {
    const TOTAL: usize = 10_000_000;
    let directory = TempDir::new().expect("a temporary directory");
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    let no = CampaignNo(1);
    let (begin, begin_cpu) = (Instant::now(), cpu());
    let mut writer = store.write_recipients(no, TOTAL as u64).expect("begins");
    let mut numbers = Vec::with_capacity(CHUNK_RECIPIENTS);
    let mut left = TOTAL;
    while left > 0 {
        numbers.clear();
        numbers.extend((0..left.min(CHUNK_RECIPIENTS) as u64).map(|n| 49_150_000_000 + left as u64 - n));
        writer.chunk(&numbers).expect("taken");
        left -= numbers.len();
    }
    let written = begin.elapsed();
    writer.finish().expect("finished");
    report("recipients in", TOTAL, begin.elapsed(), cpu() - begin_cpu);
    report("of it before finish", TOTAL, written, Duration::ZERO);

    let (begin, begin_cpu) = (Instant::now(), cpu());
    let mut chunk = 0;
    while let Ok(numbers) = store.recipients(no, chunk).await {
        std::hint::black_box(numbers);
        chunk += 1;
    }
    report("chunks out", chunk as usize, begin.elapsed(), cpu() - begin_cpu);

    let ids = octets(CHUNK_RECIPIENTS * 9);
    for round in 0..4 {
        let chunks = (0..256)
            .map(|chunk| ChunkState {
                chunk: chunk + 256 * (round / 2),
                status: vec![2; CHUNK_RECIPIENTS],
                errors: Vec::new(),
                message_ids: ids.clone(),
                submitted_ms: vec![1_000; CHUNK_RECIPIENTS],
                final_ms: vec![2_000; CHUNK_RECIPIENTS],
            })
            .collect();
        let (begin, begin_cpu) = (Instant::now(), cpu());
        store.save_state(no, StateSave { watermark: 1, chunks }).await.expect("saved");
        report("chunks of state saved", 256, begin.elapsed(), cpu() - begin_cpu);
    }
    let (begin, begin_cpu) = (Instant::now(), cpu());
    for chunk in 0..512 {
        assert!(store.state(no, chunk).await.expect("known").is_some());
    }
    report("chunks of state out", 512, begin.elapsed(), cpu() - begin_cpu);
}
