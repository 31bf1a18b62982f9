//! The pipeline on the real store, with outages made to order: every note once and in order, whatever fails.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::testing::{note, second};
use super::*;
use engine::store::fault::{FaultCatalog, FaultPlan, Verdict};
use engine::store::{Note, Scope, SqliteStore};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, advance};

const LATE: Duration = Duration::from_millis(1);
/// Longer than any test lasts.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

type Store = Arc<FaultCatalog<SqliteStore>>;

fn store(directory: &Path, delay: Duration, plan: FaultPlan) -> Store {
    Arc::new(FaultCatalog::new(SqliteStore::open(&directory.join("store")).unwrap(), delay, plan))
}

fn healthy(directory: &Path) -> Store {
    store(directory, LATE, FaultPlan::default())
}

fn clock() -> Clock {
    Clock::Virtual { start: Instant::now(), wall_ms: 1_700_000_000_000 }
}

fn open(directory: &Path, store: &Store, octets: u64, overflow: AuditOverflow) -> Recorder {
    let fallback = Fallback { path: directory.join("fallback"), octets, overflow };
    Recorder::open(Arc::clone(store) as _, clock(), fallback).unwrap()
}

fn line() -> u64 {
    line::encode(&note(1)).len() as u64
}

/// All events of the platform's log, which is sound.
async fn log(store: &Store) -> Vec<engine::model::AuditEvent> {
    let mut events: Vec<engine::model::AuditEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let page = store.inner().audit(Scope::Platform, after).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    assert_eq!(store.inner().audit_verify(Scope::Platform).await.unwrap().broken, None);
    events
}

fn numbers(events: &[engine::model::AuditEvent]) -> Vec<u32> {
    let number = |event: &engine::model::AuditEvent| event.after["n"].as_str().map(|n| n.parse().unwrap());
    events.iter().filter_map(number).collect()
}

/// Waits until the replay has emptied the file.
async fn emptied(recorder: &Recorder) {
    while recorder.state().octets > 0 || recorder.state().gap.is_some() {
        tokio::time::timeout(LATE, std::future::pending::<()>()).await.unwrap_err();
    }
}

/// What is logged while the guard lives.
fn logged() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let text = Arc::new(Mutex::new(Vec::new()));
    let sink = Sink(Arc::clone(&text));
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).finish();
    (text, tracing::subscriber::set_default(log))
}

fn lines_with(text: &Mutex<Vec<u8>>, word: &str) -> usize {
    String::from_utf8_lossy(&text.lock().unwrap()).lines().filter(|line| line.contains(word)).count()
}

#[tokio::test(start_paused = true)]
async fn every_note_of_a_busy_outage_is_stored_once_and_in_the_order_of_its_caller() {
    const CALLERS: u32 = 8;
    const EACH: u32 = 150;
    for seed in 0..4 {
        let directory = TempDir::new().unwrap();
        let store = store(directory.path(), LATE, FaultPlan::seeded(seed, 100));
        let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
        let replay = tokio::spawn(recorder.clone().keep_replaying());
        let mut buffered = 0;
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    let mut buffered = 0;
                    for n in 0..EACH {
                        let recorded = recorder.record(note(caller * EACH + n)).await.unwrap();
                        assert_ne!(recorded, Recorded::Dropped);
                        buffered += u32::from(recorded == Recorded::Buffered);
                        tokio::time::timeout(LATE, std::future::pending::<()>()).await.unwrap_err();
                    }
                    buffered
                })
            })
            .collect();
        store.fail_calls_for(Duration::from_millis(50));
        for caller in callers {
            buffered += caller.await.unwrap();
        }
        emptied(&recorder).await;
        replay.abort();
        assert!(buffered > 100, "an outage that nobody noticed proves nothing: {buffered}");
        let seen = numbers(&log(&store).await);
        for caller in 0..CALLERS {
            let own: Vec<u32> = seen.iter().copied().filter(|n| n / EACH == caller).collect();
            assert_eq!(own, (caller * EACH..(caller + 1) * EACH).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_anything_waits_in_the_file_nothing_overtakes_it() {
    let directory = TempDir::new().unwrap();
    let store = healthy(directory.path());
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    assert_eq!(recorder.record(note(1)).await, Ok(Recorded::Stored));
    store.fail_calls_for(Duration::from_secs(1));
    assert_eq!(recorder.record(note(2)).await, Ok(Recorded::Buffered));
    advance(Duration::from_secs(2)).await;
    assert_eq!(recorder.record(note(3)).await, Ok(Recorded::Buffered));
    assert_eq!(recorder.state().octets, 2 * line());
    assert!(recorder.state().since.is_some());
    recorder.drain().await.unwrap();
    assert_eq!(recorder.record(note(4)).await, Ok(Recorded::Stored));
    assert_eq!(numbers(&log(&store).await), [1, 2, 3, 4]);
    assert_eq!((recorder.state().octets, recorder.state().since), (0, None));
    assert_eq!(std::fs::metadata(directory.path().join("fallback")).unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_the_cap_is_dropped_counted_told_and_noted_as_a_gap() {
    let (text, _guard) = logged();
    let directory = TempDir::new().unwrap();
    let store = healthy(directory.path());
    let recorder = open(directory.path(), &store, 10 * line() + 5, AuditOverflow::Drop);
    store.fail_calls_for(FOR_EVER);
    for n in 1..=10 {
        assert_eq!(recorder.record(note(n)).await, Ok(Recorded::Buffered));
    }
    assert_eq!([lines_with(&text, "at 50 %"), lines_with(&text, "at 80 %")], [1, 1]);
    assert_eq!(
        (lines_with(&text, "[audit-fallback]"), lines_with(&text, "[audit-fallback-overflow]")),
        (3, 0)
    );
    for n in 11..=15 {
        assert_eq!(recorder.record(note(n)).await, Ok(Recorded::Dropped));
        recorder.admit().unwrap();
    }
    assert_eq!(lines_with(&text, "[audit-fallback-overflow]"), 1);
    advance(Duration::from_secs(60)).await;
    assert_eq!(recorder.record(note(16)).await, Ok(Recorded::Dropped));
    assert_eq!(recorder.record(note(17)).await, Ok(Recorded::Dropped));
    assert_eq!(lines_with(&text, "[audit-fallback-overflow]"), 2);
    assert_eq!(lines_with(&text, "dropped=6"), 1);
    let state = recorder.state();
    assert_eq!((state.octets, state.is_full, state.dropped), (10 * line(), true, 7));
    assert_eq!(std::fs::metadata(directory.path().join("fallback")).unwrap().len(), 10 * line());

    store.fail_calls_for(Duration::ZERO);
    recorder.drain().await.unwrap();
    assert_eq!(recorder.record(note(18)).await, Ok(Recorded::Stored));
    let events = log(&store).await;
    assert_eq!(numbers(&events), (1..=10).chain([18]).collect::<Vec<_>>());
    assert_eq!(events[10].action, "audit.gap");
    let told = &events[10].after;
    assert_eq!(
        (&told["dropped"], &told["from"], &told["to"]),
        (&7.into(), &second(11).to_string().into(), &second(17).to_string().into())
    );
    let state = recorder.state();
    assert_eq!((state.octets, state.is_full, state.gap, state.dropped), (0, false, None, 7));
}

#[tokio::test(start_paused = true)]
async fn a_gap_outlives_the_process_and_is_told_once() {
    let directory = TempDir::new().unwrap();
    {
        let store = healthy(directory.path());
        let recorder = open(directory.path(), &store, line(), AuditOverflow::Drop);
        store.fail_calls_for(FOR_EVER);
        assert_eq!(recorder.record(note(1)).await, Ok(Recorded::Buffered));
        assert_eq!(recorder.record(note(2)).await, Ok(Recorded::Dropped));
    }
    for round in 0..2 {
        let store = healthy(directory.path());
        let recorder = open(directory.path(), &store, line(), AuditOverflow::Drop);
        recorder.drain().await.unwrap();
        let events = log(&store).await;
        assert_eq!(events.iter().filter(|event| event.action == "audit.gap").count(), 1, "round {round}");
        assert_eq!((numbers(&events), events.len()), (vec![1], 2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_blocks_refuses_what_it_cannot_record_and_loses_nothing() {
    let directory = TempDir::new().unwrap();
    let store = healthy(directory.path());
    let recorder = open(directory.path(), &store, 2 * line(), AuditOverflow::Block);
    store.fail_calls_for(FOR_EVER);
    for n in 1..=2 {
        recorder.admit().unwrap();
        assert_eq!(recorder.record(note(n)).await, Ok(Recorded::Buffered));
    }
    assert_eq!(recorder.record(note(3)).await, Err(Blocked));
    assert_eq!(recorder.admit(), Err(Blocked));
    store.fail_calls_for(Duration::ZERO);
    recorder.drain().await.unwrap();
    recorder.admit().unwrap();
    assert_eq!(numbers(&log(&store).await), [1, 2]);
    assert_eq!((recorder.state().dropped, recorder.state().gap), (0, None));
    recorder.set_overflow(AuditOverflow::Drop);
    store.fail_calls_for(FOR_EVER);
    for (n, recorded) in [(4, Recorded::Buffered), (5, Recorded::Buffered), (6, Recorded::Dropped)] {
        assert_eq!(recorder.record(note(n)).await, Ok(recorded));
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_lines_are_skipped_told_once_and_kept_aside() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("fallback");
    let mut lines: Vec<Vec<u8>> = (1..=6).map(|n| line::encode(&note(n))).collect();
    lines[2][40] ^= 4;
    lines[5].truncate(30);
    let octets = lines.concat();
    std::fs::write(&path, &octets).unwrap();
    // The first try ends before the file is cleared.
    let script = [Verdict::Durable, Verdict::AmbiguousStored, Verdict::Durable];
    let store = store(directory.path(), LATE, FaultPlan::script(script));
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    recorder.drain().await.unwrap_err();
    drop(recorder);
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    recorder.drain().await.unwrap();
    let events = log(&store).await;
    assert_eq!(numbers(&events), [1, 2, 4, 5]);
    assert_eq!(
        (events.len(), events[4].action.as_str(), &events[4].after["lines"]),
        (5, "audit.damaged", &2.into())
    );
    assert_eq!(recorder.state().damaged_lines, 2);
    assert!(std::fs::read(directory.path().join("fallback.damaged")).unwrap().starts_with(&octets));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    assert_eq!(recorder.record(note(7)).await, Ok(Recorded::Stored));
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_stops_between_two_batches_begins_again_without_doubling() {
    const NOTES: u32 = 1_000;
    let directory = TempDir::new().unwrap();
    let lines: Vec<u8> = (0..NOTES).flat_map(|n| line::encode(&note(n))).collect();
    std::fs::write(directory.path().join("fallback"), lines).unwrap();
    let script = [Verdict::Durable, Verdict::AmbiguousStored, Verdict::Durable, Verdict::AmbiguousLost];
    let store = store(directory.path(), LATE, FaultPlan::script(script));
    for _ in 0..2 {
        let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
        recorder.drain().await.unwrap_err();
        assert!(recorder.state().octets > 0);
    }
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    recorder.drain().await.unwrap();
    assert_eq!(numbers(&log(&store).await), (0..NOTES).collect::<Vec<_>>());
}

/// Names the environment variable with the directory of the child.
const CHILD: &str = "MC_AUDIT_CHILD";
/// Notes that wait for the child: it takes seconds over them.
const WAITING: u32 = 20_000;

/// Not a test by itself: without a directory it does nothing and proves nothing.
#[test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn child_that_replays() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store(Path::new(&directory), Duration::from_millis(50), FaultPlan::default());
        let recorder = open(Path::new(&directory), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
        let replay = tokio::spawn(recorder.keep_replaying());
        while store.inner().audit(Scope::Platform, 0).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        println!("in the middle");
        replay.await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_process_killed_in_the_middle_of_its_replay_stores_every_event_once() {
    let directory = TempDir::new().unwrap();
    let lines: Vec<u8> = (0..WAITING).flat_map(|n| line::encode(&note(n))).collect();
    std::fs::write(directory.path().join("fallback"), lines).unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::tests::child_that_replays", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.into_iter().any(|line| line.contains("in the middle")));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = healthy(directory.path());
        let stored = numbers(&log(&store).await);
        assert!(stored.len() >= seen && stored.len() < WAITING as usize, "{} stored", stored.len());
        seen = stored.len();
    }
    let store = healthy(directory.path());
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    recorder.drain().await.unwrap();
    assert_eq!(numbers(&log(&store).await), (0..WAITING).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_note_beyond_its_limits_is_cut_and_recorded() {
    let directory = TempDir::new().unwrap();
    let store = healthy(directory.path());
    let recorder = open(directory.path(), &store, FALLBACK_OCTETS, AuditOverflow::Drop);
    let mut long = note(1);
    long.by.user_agent = Some("x".repeat(100_000));
    let long = Note { details: "x".repeat(100_000).into(), ..long };
    assert_eq!(recorder.record(long.clone()).await, Ok(Recorded::Stored));
    store.fail_calls_for(Duration::from_secs(1));
    assert_eq!(recorder.record(Note { id: note(2).id, ..long }).await, Ok(Recorded::Buffered));
    advance(Duration::from_secs(2)).await;
    recorder.drain().await.unwrap();
    let events = log(&store).await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.after["left_out_octets"] == 100_002));
}

#[tokio::test(start_paused = true)]
async fn expiry_follows_the_configuration_until_there_are_settings() {
    use engine::model::{Principal, Settings};
    use engine::store::{AUDIT_SEGMENT, Change, Entity, Expect};
    let directory = TempDir::new().unwrap();
    let store = healthy(directory.path());
    for n in 0..u32::try_from(AUDIT_SEGMENT).unwrap() + 1 {
        store.inner().note(vec![note(n)]).await.unwrap();
    }
    let day = |n: i64| second(2_000) + SignedDuration::from_hours(n * 24);
    assert_eq!(expiry::expire(&*store, 30, day(29)).await.unwrap(), 0);
    let mut settings = Settings { audit_retention_days: 90, ..Settings::default() };
    settings.keep_audit(10, day(28));
    let change = Change {
        scope: Scope::Platform,
        expect: Expect::Absent,
        entity: Entity::Settings(settings),
        action: "settings.create",
    };
    store.inner().apply(vec![change], &Principal::engine(), day(28)).await.unwrap();
    assert_eq!(expiry::expire(&*store, 1, day(34)).await.unwrap(), 0, "the shorter one waits");
    assert_eq!(expiry::expire(&*store, 1, day(35)).await.unwrap(), AUDIT_SEGMENT);
    assert_eq!(store.inner().audit_verify(Scope::Platform).await.unwrap().broken, None);
}
