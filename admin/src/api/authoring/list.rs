//! Recipient lists on their way into the journal, under a number of their own: written chunk by chunk, or copied from
//! another list with fewer variables or fewer recipients.
//!
//! Constant memory: two chunks. Blocks: for threads that may. Invariant: what is written has the digest that the engine
//! computes from the stored chunks, and a list that is not finished leaves nothing behind.

use super::upload::Permit;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::Engine;
use engine::intake::{CHUNK_RECIPIENTS, ChunkSink, ListHasher};
use engine::model::{
    Campaign, CampaignNo, ChunkNo, MAX_RECIPIENTS, MAX_VALUE_CHARS, Number, UnitStatus, Values, Variable,
    WorkspaceId, values,
};
use engine::report;
use engine::store::{Journal, RecipientWriter, Recipients, StoreError};
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A list in the journal that nobody owns yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its number.
    pub(crate) no: CampaignNo,
    /// How many.
    pub(crate) recipients: u64,
    /// What is known of each, with the length of the longest value.
    pub(crate) variables: Vec<Variable>,
    /// Binds them and their order.
    pub(crate) digest: String,
}

/// Writes one list. The writer is chosen late: whether a list is small is known at its second chunk.
pub(crate) struct ListWriter {
    journal: Arc<dyn Journal>,
    no: CampaignNo,
    first: Option<Recipients>,
    writer: Option<Box<dyn RecipientWriter>>,
    hasher: ListHasher,
    recipients: u64,
    names: Vec<String>,
    /// Characters of the longest value of each variable.
    longest: Vec<usize>,
    /// What the store said, where it has to pass as an input error.
    error: Option<StoreError>,
}

impl ListWriter {
    /// Begins a list whose recipients have values for these variables.
    pub(crate) fn new(journal: Arc<dyn Journal>, no: CampaignNo, names: Vec<String>) -> Self {
        let (hasher, longest) = (ListHasher::new(), vec![0; names.len()]);
        Self { journal, no, first: None, writer: None, hasher, recipients: 0, names, longest, error: None }
    }

    fn take(&mut self, numbers: &[u64], values: &[u8]) -> Result<(), StoreError> {
        self.hasher.chunk(numbers, values);
        self.recipients += numbers.len() as u64;
        self.measure(values);
        if let Some(writer) = &mut self.writer {
            return writer.chunk(numbers, values);
        }
        let Some(first) = self.first.take() else {
            self.first = Some(Recipients {
                numbers: numbers.to_vec(),
                values: values.to_vec(),
                ..Recipients::default()
            });
            return Ok(());
        };
        let mut writer = self.journal.write_recipients(self.no, MAX_RECIPIENTS)?;
        writer.chunk(&first.numbers, &first.values)?;
        writer.chunk(numbers, values)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn measure(&mut self, values: &[u8]) {
        let Some(rows) = Values::index(values, self.names.len()) else { return };
        for row in (0..rows.recipients()).map(|at| rows.row(at)) {
            for (place, longest) in self.longest.iter_mut().enumerate() {
                let chars = row.get(place).map_or(0, |value| value.chars().count());
                *longest = chars.max(*longest);
            }
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// The store's; then nothing of the list remains.
    pub(crate) fn finish(self) -> Result<Stored, StoreError> {
        if let Some(writer) = self.writer {
            writer.finish()?;
        } else {
            let first = self.first.unwrap_or_default();
            let mut writer = self.journal.write_recipients(self.no, first.numbers.len() as u64)?;
            if !first.numbers.is_empty() {
                writer.chunk(&first.numbers, &first.values)?;
            }
            writer.finish()?;
        }
        let max_chars = |longest: usize| u16::try_from(longest.clamp(1, MAX_VALUE_CHARS)).unwrap_or(u16::MAX);
        let variables = self.names.into_iter().zip(self.longest);
        Ok(Stored {
            no: self.no,
            recipients: self.recipients,
            variables: variables
                .map(|(name, longest)| Variable { name, max_chars: max_chars(longest) })
                .collect(),
            digest: self.hasher.finish().to_string(),
        })
    }

    /// What the store said when a chunk failed.
    pub(crate) fn into_error(self) -> Option<StoreError> {
        self.error
    }
}

impl ChunkSink for ListWriter {
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> io::Result<()> {
        self.take(numbers, values).map_err(|error| {
            self.error = Some(error);
            io::Error::other("not stored")
        })
    }
}

/// Gathers single recipients into chunks.
pub(crate) struct RowWriter {
    list: ListWriter,
    numbers: Vec<u64>,
    values: Vec<u8>,
}

impl RowWriter {
    /// Into this list.
    pub(crate) fn new(list: ListWriter) -> Self {
        Self { list, numbers: Vec::with_capacity(CHUNK_RECIPIENTS), values: Vec::new() }
    }

    /// Adds a recipient whose values are within their limits.
    ///
    /// # Errors
    /// The store's, and `Refused` for values beyond their limits.
    pub(crate) fn row(&mut self, number: u64, row: &[&str]) -> Result<(), StoreError> {
        values::pack_row(&mut self.values, row).map_err(|fault| StoreError::Refused(fault.to_string()))?;
        self.numbers.push(number);
        if self.numbers.len() == CHUNK_RECIPIENTS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let done = self.list.take(&self.numbers, &self.values);
        self.numbers.clear();
        self.values.clear();
        done
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn finish(mut self) -> Result<Stored, StoreError> {
        if !self.numbers.is_empty() {
            self.flush()?;
        }
        self.list.finish()
    }
}

/// What is copied of a list.
pub(crate) struct Copying {
    /// The list.
    pub(crate) from: CampaignNo,
    /// How many variables its recipients have.
    pub(crate) width: usize,
    /// The places of the variables that are kept, and their names.
    pub(crate) kept: Vec<(usize, String)>,
    /// Only recipients of this campaign that stand there; all without it.
    pub(crate) only: Option<(Box<Campaign>, Vec<UnitStatus>)>,
    /// Which numbers are left out; none without it. Whose number was erased never comes along.
    pub(crate) left_out: Option<Box<dyn Fn(Number) -> bool + Send>>,
}

/// Copies a list for a workspace, as [`copy`] does.
///
/// # Errors
/// Those of [`copy`], and `rate_limited` when the workspace has too many lists under way.
pub(crate) async fn copy_for(
    (api, workspace): (&Api, WorkspaceId),
    copying: Copying,
) -> Result<Stored, Problem> {
    let permit = api.intakes.permit_for(workspace)?;
    copy_with(permit, api, copying).await
}

/// Copies a list under a number of its own, on a thread that may block, for nobody in particular.
///
/// # Errors
/// The store's; then nothing of the copy remains. `rate_limited` when too many lists are being written.
pub(crate) async fn copy(api: &Api, copying: Copying) -> Result<Stored, Problem> {
    let permit = api.intakes.permit()?;
    copy_with(permit, api, copying).await
}

async fn copy_with(permit: Permit, api: &Api, copying: Copying) -> Result<Stored, Problem> {
    let no = api.catalog.next_campaign_no().await?;
    let (journal, engine, handle) = (Arc::clone(&api.journal), api.engine.clone(), Handle::current());
    let work = move || {
        let _permit = permit;
        copy_now((&journal, &engine), no, &copying, &handle)
    };
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new(Code::Internal))??)
}

fn copy_now(
    (journal, engine): (&Arc<dyn Journal>, &Engine),
    no: CampaignNo,
    copying: &Copying,
    handle: &Handle,
) -> Result<Stored, StoreError> {
    let names = copying.kept.iter().map(|(_, name)| name.clone()).collect();
    let mut to = RowWriter::new(ListWriter::new(Arc::clone(journal), no, names));
    for chunk in 0..ChunkNo::MAX {
        let list = match handle.block_on(journal.recipients(copying.from, chunk)) {
            Err(StoreError::NotFound) => break,
            list => list?,
        };
        let statuses = match &copying.only {
            None => None,
            Some((campaign, _)) => {
                Some(handle.block_on(report::recipients_now(engine, campaign, chunk, |_| true))?)
            }
        };
        let damaged = || StoreError::Unusable("the values of a recipient list cannot be read".to_owned());
        let rows = Values::index(&list.values, copying.width).ok_or_else(damaged)?;
        for (at, identity) in list.identities().enumerate() {
            let Some(number) = identity.number() else { continue };
            if copying.left_out.as_ref().is_some_and(|is_left_out| is_left_out(number)) {
                continue;
            }
            let is_kept = match (&copying.only, &statuses) {
                (Some((_, wanted)), Some(rows)) => {
                    rows.get(at).is_some_and(|row| wanted.contains(&row.status))
                }
                _ => true,
            };
            if is_kept {
                let row = rows.row(at);
                let kept: Vec<&str> =
                    copying.kept.iter().map(|(place, _)| row.get(*place).unwrap_or_default()).collect();
                to.row(number.0, &kept)?;
            }
        }
    }
    to.finish()
}

/// Removes a list that nobody owns, on a thread that may block: a file that is made anew keeps its writers waiting. What
/// cannot be removed now holds numbers of people, and is tried again by whoever erases those. To its end also when
/// nobody waits for it.
pub(crate) async fn discard(api: &Api, no: CampaignNo) {
    let (journal, unowned, handle) =
        (Arc::clone(&api.journal), api.erasing.unowned.clone(), Handle::current());
    let work = move || {
        if let Err(error) = handle.block_on(journal.remove(no)) {
            tracing::warn!(campaign = no.0, %error, "a recipient list that is not used any more was not removed");
            unowned.later(no);
        }
    };
    if tokio::task::spawn_blocking(work).await.is_err() {
        api.erasing.unowned.later(no);
    }
}
