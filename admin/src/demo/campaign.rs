//! The demo's workspace, sender and approved campaign, or the campaign that an earlier demo left unfinished.

use super::recipients::{self, Source};
use crate::command::DemoOptions;
use crate::exit::{self, Failure};
use crate::lines::{Lines, thousands};
use crate::place::Place;
use crate::signals::Signals;
use engine::model::{Campaign, CampaignId, DeliveryPolicy, Principal, Status, WorkspaceId};
use engine::seed::{CampaignSeed, Seed, SeedError};
use engine::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope, SqliteStore, StoreError};
use engine::{Engine, parts_of};
use std::path::Path;
use std::sync::Arc;

/// Slug of the demo's workspace; a kept directory has one for each demo.
const SLUG: &str = "demo";
/// The sender's address.
const SADDR: &str = "MsgCenter";

/// A campaign that can be followed.
pub(super) struct Prepared {
    /// Its id.
    pub(super) id: CampaignId,
    /// Recipients accepted by intake.
    pub(super) recipients: u64,
    /// Segments of each message.
    pub(super) parts: u8,
    /// Whether its sending began in an earlier run.
    pub(super) resumed: bool,
    workspace: WorkspaceId,
    by: Principal,
}

impl Prepared {
    /// Starts it; one that an earlier run began goes on by itself.
    pub(super) async fn start(&self, engine: &Engine) -> Result<(), Failure> {
        if self.resumed {
            return Ok(());
        }
        engine.build(self.workspace, self.id, &self.by).await?;
        Ok(engine.start_campaign(self.workspace, self.id, &self.by).await?)
    }
}

/// Refuses a text that cannot be sent.
pub(super) fn check_text(text: &str) -> Result<(), Failure> {
    parts_of(text).map(drop).map_err(|error| Failure::new(exit::USAGE, format!("--text: {error}")))
}

/// Makes the campaign; `None` when a signal came first.
pub(super) async fn prepare(
    place: &Place,
    (source, directory): (Source, &Path),
    options: &DemoOptions,
    (signals, lines): (&Signals, Lines),
) -> Result<Option<Prepared>, Failure> {
    let store = &place.store;
    if let Some(campaign) = unfinished(store).await? {
        return resume(&campaign, options, lines).map(Some);
    }
    let no = store.next_campaign_no().await?;
    let stored = {
        let (store, signals) = (Arc::clone(store), signals.clone());
        let (directory, keeps) = (directory.to_owned(), options.directory.is_some() || !options.exit);
        let work = move || recipients::store((&store, no), (&directory, keeps), source, (&signals, lines));
        tokio::task::spawn_blocking(work).await
    };
    let stored = stored.map_err(|_| Failure::new(exit::STORE, "the intake of the recipients failed"))??;
    let Some(stored) = stored else { return Ok(None) };
    let now = jiff::Timestamp::now();
    let seed = workspace(store, now).await?;
    let campaign = CampaignSeed {
        name: "Demo".to_owned(),
        mode: engine::model::Mode::OnDemand,
        rules: engine::model::SendingRules::default(),
        text: options.text.clone(),
        receipts: options.wants_receipts(),
        delivery_policy: DeliveryPolicy::AtMostOnce,
        recipients: stored.recipients,
        recipients_digest: stored.digest,
    };
    let id = seed.approved(&**store, no, campaign, now).await.map_err(explain)?;
    let parts = parts_of(&options.text).map_err(|error| Failure::new(exit::USAGE, error))?;
    lines.say(&format!(
        "campaign approved by a second person: {} recipients, {parts} segment{} each",
        thousands(stored.recipients),
        if parts == 1 { "" } else { "s" },
    ));
    let (workspace, by) = (seed.workspace, seed.author());
    Ok(Some(Prepared { id, recipients: stored.recipients, parts, resumed: false, workspace, by }))
}

/// A workspace with an approved sender, under the first free slug.
async fn workspace(store: &SqliteStore, now: jiff::Timestamp) -> Result<Seed, Failure> {
    let later = format!("{SLUG}-{}", now.as_millisecond());
    match Seed::create(store, SLUG, SADDR, now).await {
        Err(SeedError::Store(StoreError::Taken(_))) => {
            Seed::create(store, &later, SADDR, now).await.map_err(explain)
        }
        other => other.map_err(explain),
    }
}

fn explain(error: SeedError) -> Failure {
    match error {
        SeedError::Store(error) => error.into(),
        SeedError::Message(error) => Failure::new(exit::USAGE, format!("--text: {error}")),
    }
}

/// The one campaign that an earlier run in this directory has not ended.
async fn unfinished(store: &SqliteStore) -> Result<Option<Campaign>, Failure> {
    let statuses = vec![Status::Sending.to_string(), Status::Paused.to_string()];
    let query = Query { kind: Kind::Campaign, statuses, parent: None, after: None, limit: MAX_PAGE };
    let mut found = store.list(Scope::Platform, query).await?.items;
    match (found.pop(), found.len()) {
        (None, _) => Ok(None),
        (Some(Entity::Campaign(campaign)), 0) if campaign.status == Status::Sending => Ok(Some(*campaign)),
        _ => {
            let sentence =
                "the directory holds campaigns that are not a demo's: run them with message-center serve";
            Err(Failure::new(exit::STORE, sentence))
        }
    }
}

fn resume(campaign: &Campaign, options: &DemoOptions, lines: Lines) -> Result<Prepared, Failure> {
    if options.recipients.is_some() || options.file.is_some() {
        let sentence = "the directory holds a campaign that was interrupted: finish it first, without --recipients and --file";
        return Err(Failure::new(exit::USAGE, sentence));
    }
    lines.say(&format!("an interrupted campaign of {} recipients goes on", thousands(campaign.recipients)));
    Ok(Prepared {
        id: campaign.id,
        recipients: campaign.recipients,
        parts: campaign.content.parts,
        resumed: true,
        workspace: campaign.workspace_id,
        by: Principal::engine(),
    })
}
