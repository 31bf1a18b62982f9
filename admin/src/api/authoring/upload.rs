//! A recipient file on its way from the network into the journal: piece by piece through a bounded queue to a thread that
//! may block, in constant memory.
//!
//! Bounds: files at once, pieces under way, octets, waiting. Invariant: a file that is cut off, too long, too slow or not
//! storable leaves nothing, neither recipients nor scratch space; what was uploaded before is the caller's and stays.

use super::list::{ListWriter, Stored};
use super::quota::{Ledgers, Reservation};
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use axum::body::{Body, Bytes};
use axum::http::header;
use engine::intake::{Intake, IntakeError, IntakeSummary, Options, RejectKind};
use engine::model::{CampaignNo, JobError, JobErrors, MAX_JOB_ERRORS, Number, WorkspaceId};
use engine::store::{Journal, StoreError};
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

/// Lists written at once: as many large ones as the store takes, 20 MiB of memory each.
pub(crate) const MAX_INTAKES: usize = 4;
/// How many of them one workspace may have, so that it never keeps all others waiting.
const MAX_INTAKES_OF_ONE: usize = 2;
/// After how many seconds a refused client may try again: a small file is through by then.
const RETRY_AFTER_S: u32 = 5;
/// Pieces between network and intake: enough that neither waits for the other, 1 MiB at most.
const PIECES: usize = 16;
/// Largest piece, octets.
const PIECE_OCTETS: usize = 64 << 10;
/// How long the next piece may take.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that every file has, whatever its size.
const GRACE: Duration = Duration::from_secs(60);
/// Octets a second below which a client is too slow, on average behind the grace: one that sends an octet now and then
/// must not keep others from uploading.
const MIN_OCTETS_PER_S: u64 = 64 << 10;
/// How much of a refused body is read and thrown away, so that its sender gets to read the refusal.
const DRAIN_OCTETS: usize = 64 << 20;
/// For how long.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Where lists are taken in, and how many at once.
#[derive(Debug)]
pub(crate) struct Intakes {
    permits: Arc<Semaphore>,
    /// How many of them a workspace has; none that has none.
    held: Held,
    /// Room that lists have which have no owner yet.
    pub(crate) ledgers: Ledgers,
    /// For scratch files: on the store's disk.
    pub(crate) scratch: PathBuf,
}

type Held = Arc<Mutex<HashMap<WorkspaceId, usize>>>;

/// The right to write one list. The share goes first: whoever gets a free place finds the share free too.
#[derive(Debug)]
pub(crate) struct Permit {
    _share: Option<Share>,
    _place: OwnedSemaphorePermit,
}

/// One of the places that a workspace has.
#[derive(Debug)]
struct Share {
    workspace: WorkspaceId,
    held: Held,
}

impl Share {
    fn of(workspace: WorkspaceId, held: &Held) -> Option<Self> {
        let mut counts = held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(workspace).or_default();
        if *count == MAX_INTAKES_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Self { workspace, held: Arc::clone(held) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.workspace);
            }
        }
    }
}

impl Intakes {
    /// With scratch files in this directory.
    pub(crate) fn new(scratch: PathBuf) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_INTAKES));
        Self { permits, held: Held::default(), ledgers: Ledgers::default(), scratch }
    }

    /// Waits until none of `all` lists is being written.
    #[cfg(test)]
    pub(crate) async fn until_idle(&self, all: u32) {
        drop(self.permits.acquire_many(all).await.expect("the semaphore is never closed"));
    }

    /// How many lists are being written.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        MAX_INTAKES - self.permits.available_permits()
    }

    /// The right to write one list, for nobody in particular.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn permit(&self) -> Result<Permit, Problem> {
        let place = Arc::clone(&self.permits).try_acquire_owned();
        let place = place.map_err(|_| later(format!("{MAX_INTAKES} recipient lists are being written")))?;
        Ok(Permit { _share: None, _place: place })
    }

    /// The right to write one list for a workspace, which has a few at most.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn permit_for(&self, workspace: WorkspaceId) -> Result<Permit, Problem> {
        let permit = self.permit()?;
        let share = Share::of(workspace, &self.held).ok_or_else(|| {
            later(format!("{MAX_INTAKES_OF_ONE} recipient lists of this workspace are being written"))
        })?;
        Ok(Permit { _share: Some(share), ..permit })
    }
}

fn later(told: String) -> Problem {
    Problem::because(Code::RateLimited, format!("{told}; try again in a moment."))
        .with_header(header::RETRY_AFTER, RETRY_AFTER_S)
}

/// What a file held.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The list.
    pub(crate) stored: Stored,
    /// Octets.
    pub(crate) bytes: u64,
    /// Lines.
    pub(crate) lines: u64,
    /// Lines that repeat an earlier number.
    pub(crate) duplicate: u64,
    /// Lines that were refused.
    pub(crate) invalid: u64,
    /// The same by the code of the job error.
    pub(crate) invalid_by_reason: BTreeMap<String, u64>,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// The first numbers, masked.
    pub(crate) sample: Vec<String>,
    /// The refused and repeated lines.
    pub(crate) rejects: JobErrors,
    /// Its room in the workspace's storage, to be kept until the list has its owner.
    pub(crate) _room: Option<Reservation>,
}

enum Piece {
    Octets(Bytes),
    End,
}

/// Takes a body in. `over` is the refusal of one that is longer than the options allow.
///
/// # Errors
/// 413 `over`, 422 for missing columns and too many recipients, 408 for a slow client, 400 for one that breaks off,
/// 429 when too many are under way, 503 and 507 for the store's.
pub(crate) async fn take(
    (api, workspace): (&Api, WorkspaceId),
    (options, names): (Options, Vec<String>),
    body: Body,
    over: Code,
) -> Result<Taken, Problem> {
    let permit = api.intakes.permit_for(workspace)?;
    let no = api.catalog.next_campaign_no().await?;
    let (pieces, inbox) = mpsc::channel(PIECES);
    let (journal, scratch, at) = (Arc::clone(&api.journal), api.intakes.scratch.clone(), api.now());
    let span = tracing::Span::current();
    let work = move || {
        let _permit = permit;
        let list = ListWriter::new(journal, no, names);
        span.in_scope(|| intake((options, scratch), list, inbox, (over, at)))
    };
    let intake = tokio::task::spawn_blocking(work);
    let sent = send(body, &pieces).await;
    drop(pieces);
    let taken = intake.await.map_err(|_| Problem::new(Code::Internal))?;
    match (sent, taken) {
        // What the intake refuses also ends the sending.
        (_, Err(Some(refused))) => Err(refused),
        (Err(broken), _) => Err(broken),
        (Ok(()), taken) => taken.map_err(|_| Problem::new(Code::Internal)),
    }
}

/// Hands the body over, piece by piece; ends early without an error when the intake takes no more.
async fn send(mut body: Body, pieces: &mpsc::Sender<Piece>) -> Result<(), Problem> {
    let began = Instant::now();
    let mut octets: u64 = 0;
    loop {
        let slowest = GRACE + Duration::from_secs(octets / MIN_OCTETS_PER_S);
        let until = (began + slowest).min(Instant::now() + PIECE_TIMEOUT);
        let frame = timeout_at(until, body.frame()).await.map_err(|_| {
            Problem::because(Code::RequestTimeout, "The file comes too slowly; it was given up.")
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Problem::because(Code::Malformed, "The body ended early."))?;
        let Ok(mut data) = frame.into_data() else { continue };
        octets += data.len() as u64;
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE_OCTETS));
            if pieces.send(Piece::Octets(piece)).await.is_err() {
                tokio::spawn(drain(body));
                return Ok(());
            }
        }
    }
    // An intake that is gone has refused the file.
    let _ = pieces.send(Piece::End).await;
    Ok(())
}

/// Reads what a refused client still sends: closed at once, its connection would lose the answer.
pub(crate) async fn drain(mut body: Body) {
    let mut left = DRAIN_OCTETS;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whoever is slower than that has had the time to read.
    let _ = timeout(DRAIN_TIME, reading).await;
}

/// Runs on a thread that may block. `None` as an error: the sender went away.
fn intake(
    (options, scratch): (Options, PathBuf),
    mut list: ListWriter,
    mut inbox: mpsc::Receiver<Piece>,
    (over, at): (Code, Timestamp),
) -> Result<Taken, Option<Problem>> {
    let refused = |error: IntakeError| Some(explain(&error, over));
    let mut intake = Intake::new(options, &scratch).map_err(refused)?;
    loop {
        match inbox.blocking_recv() {
            Some(Piece::Octets(octets)) => intake.feed(&octets).map_err(refused)?,
            Some(Piece::End) => break,
            None => return Err(None),
        }
    }
    let summary = match intake.finish(&mut list) {
        Ok(summary) => summary,
        Err(error) => return Err(list.into_error().map(Problem::from).or_else(|| refused(error))),
    };
    let rejects = rejects(&summary, at).map_err(|error| refused(IntakeError::Scratch(error)))?;
    let stored = list.finish().map_err(|error| Some(error.into()))?;
    let reason = |(reason, count): (&engine::intake::RejectReason, &u64)| {
        (RejectKind::Invalid(*reason).job_error().code().to_owned(), *count)
    };
    let mut invalid_by_reason = BTreeMap::new();
    for (code, count) in summary.invalid_by_reason.iter().map(reason) {
        *invalid_by_reason.entry(code).or_default() += count;
    }
    Ok(Taken {
        stored,
        bytes: summary.bytes,
        lines: summary.lines,
        duplicate: summary.duplicate,
        invalid: summary.invalid,
        invalid_by_reason,
        columns: summary.columns,
        sample: summary.sample.iter().map(|number| Number(number.get()).to_string()).collect(),
        rejects,
        _room: None,
    })
}

/// The first refused and repeated lines as job errors.
fn rejects(summary: &IntakeSummary, at: Timestamp) -> std::io::Result<JobErrors> {
    let mut items = Vec::new();
    summary.rejects.visit(|reject| {
        if items.len() < MAX_JOB_ERRORS {
            let detail = match reject.kind {
                RejectKind::Invalid(_) => reject.value_masked.clone(),
                RejectKind::Duplicate { .. } => format!("{} {}", reject.value_masked, reject.kind.detail()),
            };
            let (code, line) = (reject.kind.job_error(), Some(u64::from(reject.line)));
            items.push(JobError { seq: 0, at, code, line, detail });
        }
        Ok(())
    })?;
    Ok(JobErrors { items, noted: summary.rejects.total() })
}

fn explain(error: &IntakeError, over: Code) -> Problem {
    let told = error.to_string();
    match error {
        IntakeError::Options(_) => Problem::because(Code::BadParameter, told),
        IntakeError::TooLarge { .. } => Problem::because(over, told),
        IntakeError::MissingColumns { .. } => Problem::field("variables", "missing_columns", told),
        IntakeError::TooManyRecipients { .. } => Problem::field("recipients", "too_many", told),
        IntakeError::Scratch(error) if error.kind() == ErrorKind::StorageFull => {
            Problem::new(Code::StorageFull)
        }
        IntakeError::Scratch(_) | IntakeError::Sink(_) => StoreError::Unavailable(told).into(),
    }
}

/// Begins the list of a Trigger campaign: empty, to grow by calls.
///
/// # Errors
/// The store's.
pub(crate) async fn open_list(api: &Api) -> Result<CampaignNo, Problem> {
    let no = api.catalog.next_campaign_no().await?;
    let journal: Arc<dyn Journal> = Arc::clone(&api.journal);
    let work = move || journal.write_recipients(no, 0)?.finish();
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new(Code::Internal))??;
    Ok(no)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::api::testing::{Client, House, code, read};
    use axum::http::Method;
    use futures_util::stream;
    use serde_json::{Value, json};
    use std::convert::Infallible;

    /// What becomes of three minutes of a client that sends so much every second.
    async fn paced(octets_per_s: usize) -> Result<(), Code> {
        let each = move |(mut each, left): (tokio::time::Interval, u32)| async move {
            let left = left.checked_sub(1)?;
            each.tick().await;
            Some((Ok::<_, Infallible>(Bytes::from(vec![b'1'; octets_per_s])), (each, left)))
        };
        let clock = tokio::time::interval(Duration::from_secs(1));
        let body = Body::from_stream(stream::unfold((clock, 180), each));
        let (pieces, mut inbox) = mpsc::channel(PIECES);
        let reading = async { while inbox.recv().await.is_some() {} };
        let sending = async {
            let sent = send(body, &pieces).await;
            drop(pieces);
            sent
        };
        tokio::join!(sending, reading).0.map_err(|problem| problem.code())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_slower_than_the_least_rate_is_given_up_behind_the_grace() {
        assert_eq!(paced(64 << 10).await, Ok(()));
        assert_eq!(paced(32 << 10).await, Err(Code::RequestTimeout));
    }

    async fn upload(client: &Client, slug: &str) -> (u16, Value) {
        let (_, draft) = client.post(&format!("/w/{slug}/drafts"), json!({"name": "a"})).await;
        let path = format!("/w/{slug}/drafts/{}/recipients", draft["id"].as_str().unwrap());
        let request = client.request(Method::PUT, &path).header("content-type", "text/plain");
        read(request.body("+491701234567").send().await.unwrap()).await
    }

    #[tokio::test]
    async fn a_workspace_has_its_share_of_the_places_and_leaves_the_others_theirs() {
        let house = House::open().await;
        let (shop, other) = (house.workspace("shop").await, house.workspace("other").await);
        let (seller, another) = (house.member(&shop, "Author").await, house.member(&other, "Author").await);
        let intakes = &house.api.intakes;
        let held: Vec<_> = (0..MAX_INTAKES_OF_ONE).map(|_| intakes.permit_for(shop.id).unwrap()).collect();
        let (status, body) = upload(&seller, "shop").await;
        assert_eq!((status, code(&body)), (429, "rate_limited"), "{body}");
        assert!(body["detail"].as_str().unwrap().contains("of this workspace"), "{body}");
        assert_eq!(upload(&another, "other").await.0, 200);
        // What is nobody's counts against no workspace.
        drop(held);
        let erasing = intakes.permit().unwrap();
        assert_eq!(upload(&seller, "shop").await.0, 200);
        drop(erasing);
        assert!(intakes.held.lock().unwrap().is_empty(), "a workspace without a place is forgotten");
        house.close().await;
    }
}
