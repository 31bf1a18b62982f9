//! Numbers that programs hand to a Trigger campaign: durable when the call returns, sent at once.
//!
//! An accepted number is a `Numbers` fact in the journal. The campaign's actor learns of it once: with its beginning
//! when that was asked for later, else by the call itself; one lock a campaign tells the two apart. Only a campaign
//! that is `Sending` takes numbers: a caller of a paused one hears so instead of waiting for nobody knows how long.

use crate::dispatch::budget::Paid;
use crate::dispatch::campaign::CampaignMsg;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::running::Running;
use crate::dispatch::supply::{ChunkData, Slice, SupplyMsg};
use crate::model::record::{Facts, Numbers};
use crate::model::values::{ValueFault, pack_row};
use crate::model::{
    CHUNK_RECIPIENTS, CampaignId, MAX_RECIPIENTS, Mode, Principal, Status, Values, WorkspaceId,
};
use std::sync::{Arc, PoisonError};

/// Most recipients of one call: larger ones are files.
pub const MAX_PUSH: usize = 1_000;

/// One recipient of a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    /// E.164 digits.
    pub number: u64,
    /// Values of the text's variables, in the order of the campaign's list of them.
    pub values: Vec<String>,
}

/// Shows neither number nor values.
impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Push({:?}, {} values)", crate::model::Number(self.number), self.values.len())
    }
}

/// Why a call was refused; nothing of it was accepted then. Places in it count from 0.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Only Trigger campaigns take numbers.
    #[error("only Trigger campaigns take numbers by call")]
    NotTrigger,
    /// Not started, paused or over.
    #[error("the campaign is {0}; numbers are taken while it is Sending")]
    NotSending(Status),
    /// No more numbers are taken.
    #[error("the campaign was finished: it takes no more numbers")]
    Finished,
    /// More than [`MAX_PUSH`] at once.
    #[error("{0} numbers in one call; at most {MAX_PUSH}")]
    TooMany(usize),
    /// The campaign is full.
    #[error("the campaign has {0} recipients; at most {MAX_RECIPIENTS}")]
    Full(u64),
    /// Not 1 to 15 digits.
    #[error("number {0} is not an E.164 number")]
    Number(usize),
    /// Not as many values as the text has variables.
    #[error("recipient {place} has {given} values; the text has {needed} variables")]
    Values {
        /// Which recipient.
        place: usize,
        /// What came.
        given: usize,
        /// What the text needs.
        needed: usize,
    },
    /// A value that cannot be taken.
    #[error("recipient {place}: {fault}")]
    Value {
        /// Which recipient.
        place: usize,
        /// What is wrong.
        fault: ValueFault,
    },
    /// The journal takes nothing now.
    #[error("the store takes nothing at present")]
    StoreUnavailable,
    /// Whatever else: no such campaign, the store, an engine that ends.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// How far the list of a Trigger campaign is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListEnd {
    /// Recipients that were given an ordinal.
    pub(super) next: u64,
    /// Recipients that the present actor knows from its beginning.
    pub(super) known: u64,
    /// Whether the campaign has ended and left every link: no actor begins any more.
    pub(super) is_over: bool,
}

impl Engine {
    /// Adds recipients to a Trigger campaign; their ordinals, in order. They are durable when this returns, and on
    /// their way.
    ///
    /// # Errors
    /// [`PushError`]. After [`PushError::Engine`] with an ended engine they may have been accepted.
    pub async fn push(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        pushes: Vec<Push>,
        by: &Principal,
    ) -> Result<Vec<u64>, PushError> {
        let engine = self.clone();
        tracing::debug!(campaign = %id, role = by.role, count = pushes.len(), "numbers by call");
        // To its end also when the caller goes away: what is durable must reach the actor.
        let pushed = tokio::spawn(async move { engine.push_now((workspace, id), pushes).await });
        pushed.await.unwrap_or_else(|ended| Err(EngineError::NotRunning(ended.to_string()).into()))
    }

    async fn push_now(
        &self,
        (workspace, id): (WorkspaceId, CampaignId),
        pushes: Vec<Push>,
    ) -> Result<Vec<u64>, PushError> {
        if pushes.len() > MAX_PUSH {
            return Err(PushError::TooMany(pushes.len()));
        }
        let no = self.campaign(workspace, id).await?.no;
        let running = self.campaigns().get(&no).cloned();
        let mut end = match &running {
            Some(running) => Some(running.list.lock().await),
            None => None,
        };
        // Read under the lock: what finishes the campaign takes it too.
        let campaign = self.campaign(workspace, id).await?;
        let (Some(running), Some(end_now)) = (&running, end.as_deref_mut()) else {
            return Err(refusal(&campaign).unwrap_or(PushError::NotSending(campaign.status)));
        };
        if let Some(refused) = refusal(&campaign) {
            return Err(refused);
        }
        let rows = pack(&pushes, campaign.content.variables.len())?;
        let first = end_now.next;
        let after = first + pushes.len() as u64;
        if after > MAX_RECIPIENTS {
            return Err(PushError::Full(first));
        }
        if !self.0.recorder.takes_intents() {
            return Err(PushError::StoreUnavailable);
        }
        let slices = self.append(running, first, &pushes, &rows);
        end_now.next = after;
        drop(end);
        self.recorder_flush().await?;
        hand_over(running, first, slices).await;
        Ok((first..after).collect())
    }

    /// Hands the facts to the recorder; the slices that they make.
    fn append(&self, running: &Running, first: u64, pushes: &[Push], rows: &[Vec<u8>]) -> Vec<Slice> {
        let now = self.0.env.clock.now();
        let (mut facts, mut slices) = (Facts::default(), Vec::new());
        let mut ordinal = first;
        let (mut rest, mut rows) = (pushes, rows.iter());
        while !rest.is_empty() {
            let (chunk, from) = (ordinal / CHUNK_RECIPIENTS as u64, ordinal % CHUNK_RECIPIENTS as u64);
            let room = CHUNK_RECIPIENTS - usize::try_from(from).unwrap_or(0);
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
            let from = u16::try_from(from).unwrap_or(u16::MAX);
            let count = u16::try_from(piece.len()).unwrap_or(u16::MAX);
            let packed: Vec<u8> = piece.iter().zip(rows.by_ref()).flat_map(|(_, row)| row).copied().collect();
            let octets: Vec<u8> = piece.iter().flat_map(|push| push.number.to_le_bytes()).collect();
            facts.numbers(&Numbers {
                campaign: running.campaign.no,
                chunk,
                from,
                at_ms: now.wall_ms,
                count,
                numbers: &octets,
                values: &packed,
            });
            slices.push(slice(running, (chunk, from), (piece, &packed), now.wall_ms));
            (ordinal, rest) = (ordinal + u64::from(count), behind);
        }
        let messages = u32::try_from(pushes.len()).unwrap_or(u32::MAX);
        self.0.recorder.append(facts.octets(), messages, true, now.mono_us);
        slices
    }
}

/// Why the campaign takes no numbers as it stands.
fn refusal(campaign: &crate::model::Campaign) -> Option<PushError> {
    match campaign.mode {
        Mode::Trigger if campaign.status != Status::Sending => Some(PushError::NotSending(campaign.status)),
        Mode::Trigger if campaign.finished => Some(PushError::Finished),
        Mode::Trigger => None,
        _ => Some(PushError::NotTrigger),
    }
}

/// Checks every recipient; their values, packed.
fn pack(pushes: &[Push], variables: usize) -> Result<Vec<Vec<u8>>, PushError> {
    let packed = pushes.iter().enumerate().map(|(place, push)| {
        if !(1..1_000_000_000_000_000).contains(&push.number) {
            return Err(PushError::Number(place));
        }
        if push.values.len() != variables {
            return Err(PushError::Values { place, given: push.values.len(), needed: variables });
        }
        let row: Vec<&str> = push.values.iter().map(String::as_str).collect();
        let mut packed = Vec::new();
        pack_row(&mut packed, &row).map_err(|fault| PushError::Value { place, fault })?;
        Ok(packed)
    });
    packed.collect()
}

fn slice(
    running: &Running,
    (chunk, from): (u32, u16),
    (pushes, packed): (&[Push], &[u8]),
    wall_ms: u64,
) -> Slice {
    let parts = u16::from(running.campaign.content.parts);
    let accepted_s = u32::try_from(wall_ms / 1000).unwrap_or(u32::MAX);
    let data = ChunkData {
        first: from,
        values: Values::index(packed, running.campaign.content.variables.len())
            .filter(|_| !packed.is_empty()),
        numbers: pushes.iter().map(|push| push.number).collect(),
        accepted_s: vec![accepted_s; pushes.len()].into(),
    };
    Slice {
        chunk,
        data: Arc::new(data),
        from: from * parts,
        count: u16::try_from(pushes.len()).unwrap_or(u16::MAX) * parts,
        attempt: 0,
        sieved: 0,
        not_after_ms: u64::MAX,
        route: 0,
        paid: Paid::No,
    }
}

/// Gives durable numbers to the campaign's actor unless it knows them from its beginning. Without an actor the next
/// beginning finds them.
async fn hand_over(running: &Running, first: u64, slices: Vec<Slice>) {
    let end = running.list.lock().await;
    if first < end.known {
        return;
    }
    let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(actor) = actor
        && actor.cast(CampaignMsg::Supply(SupplyMsg::Pushed(slices))).is_err()
    {
        tracing::debug!(campaign = running.campaign.no.0, "pushed to an actor that is gone");
    }
}
