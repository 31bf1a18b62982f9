//! A first workspace, ready to send: an author, a second person who approves, an approved sender, a campaign.
//!
//! The demo, the load rigs and the tests begin here; everything goes through the catalog like any other change,
//! four eyes and audit included.

use crate::dispatch::{MessageError, parts_of};
use crate::model::{
    Approval, Campaign, CampaignId, Content, DeliveryPolicy, Mode, Move, Principal, Revision, RevisionStatus,
    Sender, SenderId, SendingRules, Status, UserId, Workspace, WorkspaceId,
};
use crate::store::{Catalog, Change, Entity, Expect, Scope, StoreError};
use jiff::Timestamp;
use uuid::Uuid;

/// What a campaign needs beyond its recipients.
#[derive(Clone, Debug)]
pub struct CampaignSeed {
    /// Its name.
    pub name: String,
    /// When it sends.
    pub mode: Mode,
    /// How it sends.
    pub rules: SendingRules,
    /// Its text.
    pub text: String,
    /// Whether receipts are asked for.
    pub receipts: bool,
    /// What happens to uncertain parts.
    pub delivery_policy: DeliveryPolicy,
    /// Number of recipients.
    pub recipients: u64,
    /// Their digest.
    pub recipients_digest: String,
}

/// Why seeding failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// A workspace with an approved sender.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The workspace.
    pub workspace: WorkspaceId,
    author: UserId,
    moderator: UserId,
    revision: Revision,
}

/// A member of the seeded workspace as the one who acts.
fn principal(user: UserId, role: &str) -> Principal {
    Principal { user_id: Some(user), role: role.to_owned(), ..Principal::engine() }
}

impl Seed {
    /// Creates a workspace and an approved sender in it.
    ///
    /// # Errors
    /// `Taken` when the slug is in use, and the store's other errors.
    pub async fn create(
        catalog: &dyn Catalog,
        slug: &str,
        saddr: &str,
        at: Timestamp,
    ) -> Result<Self, SeedError> {
        let workspace = WorkspaceId(Uuid::now_v7());
        let (author, moderator) = (UserId(Uuid::now_v7()), UserId(Uuid::now_v7()));
        let entity = Entity::Workspace(Workspace {
            id: workspace,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            time_zone: "UTC".to_owned(),
            weight: 1,
            rate_per_s: 0,
            daily_limit: None,
            quiet_hours: None,
            stop_keywords: Vec::new(),
            policies: crate::model::Policies::default(),
            terms: crate::model::Terms::default(),
            version: 0,
            created_at: at,
        });
        let change =
            Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "workspace.create" };
        catalog.apply(vec![change], &principal(moderator, "SuperAdmin"), at).await?;
        let (sender_id, revision_id) = (SenderId(Uuid::now_v7()), Uuid::now_v7());
        let sender = Sender {
            id: sender_id,
            workspace_id: workspace,
            name: saddr.to_owned(),
            rate_per_s: 0,
            version: 0,
            created_at: at,
            archived_at: None,
            active: Some(revision_id),
        };
        let revision = Revision {
            id: revision_id,
            sender_id,
            workspace_id: workspace,
            n: 1,
            saddr: saddr.to_owned(),
            ston: 5,
            snpi: 0,
            status: RevisionStatus::PendingApproval,
            version: 0,
            created_by: author,
            submitted_by: None,
            decided_by: None,
            self_approved: false,
            registration_ref: None,
            note: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            decided_at: None,
            archived_at: None,
        };
        let scope = Scope::Workspace(workspace);
        let create = |entity, action| Change { scope, expect: Expect::Absent, entity, action };
        let changes = vec![
            create(Entity::Sender(sender), "sender.create"),
            create(Entity::Revision(revision.clone()), "revision.submit"),
        ];
        catalog.apply(changes, &principal(author, "Author"), at).await?;
        let revision = Revision { status: RevisionStatus::Approved, decided_by: Some(moderator), ..revision };
        let entity = Entity::Revision(revision.clone());
        let change = Change { scope, expect: Expect::Version(0), entity, action: "revision.approve" };
        catalog.apply(vec![change], &principal(moderator, "Moderator"), at).await?;
        Ok(Self { workspace, author, moderator, revision })
    }

    /// Creates a campaign whose recipients are already stored under `no`, has it approved by the second person and
    /// leaves it `Pending`, ready to be started, without the engine's checks.
    ///
    /// # Errors
    /// A text that cannot be sent, and the store's.
    pub async fn campaign(
        &self,
        catalog: &dyn Catalog,
        no: crate::model::CampaignNo,
        seed: CampaignSeed,
        at: Timestamp,
    ) -> Result<CampaignId, SeedError> {
        let campaign = self.submit(catalog, no, seed, at).await?;
        let campaign = self.decide(catalog, campaign, Move::Approve, at).await?;
        Ok(self.decide(catalog, campaign, Move::Built, at).await?.id)
    }

    /// The same up to the approval: `Building`, to be built by the engine.
    ///
    /// # Errors
    /// As for [`Self::campaign`].
    pub async fn approved(
        &self,
        catalog: &dyn Catalog,
        no: crate::model::CampaignNo,
        seed: CampaignSeed,
        at: Timestamp,
    ) -> Result<CampaignId, SeedError> {
        let campaign = self.submit(catalog, no, seed, at).await?;
        Ok(self.decide(catalog, campaign, Move::Approve, at).await?.id)
    }

    /// Creates a campaign as its author leaves it: `New`, waiting for an approval.
    ///
    /// # Errors
    /// As for [`Self::campaign`].
    pub async fn submit(
        &self,
        catalog: &dyn Catalog,
        no: crate::model::CampaignNo,
        seed: CampaignSeed,
        at: Timestamp,
    ) -> Result<Campaign, SeedError> {
        let campaign = self.new_campaign(no, &seed, at)?;
        let scope = Scope::Workspace(self.workspace);
        let entity = Entity::Campaign(Box::new(campaign.clone()));
        let change = Change { scope, expect: Expect::Absent, entity, action: "campaign.create" };
        catalog.apply(vec![change], &principal(self.author, "Author"), at).await?;
        Ok(campaign)
    }

    /// The second person's move.
    async fn decide(
        &self,
        catalog: &dyn Catalog,
        campaign: Campaign,
        what: Move,
        at: Timestamp,
    ) -> Result<Campaign, SeedError> {
        let expect = Expect::Version(campaign.state_version);
        let mut changed = Campaign {
            status: campaign.status.after(what).unwrap_or(campaign.status),
            hold_reason: what.hold_reason(),
            state_version: campaign.state_version + 1,
            ..campaign
        };
        if what == Move::Approve {
            let (version, content_hash) = (changed.version, changed.content_hash());
            changed.approvals =
                vec![Approval { by: self.moderator, at, version, content_hash, self_approved: false }];
        }
        let entity = Entity::Campaign(Box::new(changed.clone()));
        let change =
            Change { scope: Scope::Workspace(self.workspace), expect, entity, action: what.action() };
        catalog.apply(vec![change], &principal(self.moderator, "Moderator"), at).await?;
        Ok(changed)
    }

    /// The second person as the one who acts.
    #[must_use]
    pub fn moderator(&self) -> Principal {
        principal(self.moderator, "Moderator")
    }

    /// The pinned sender revision.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The author as the one who acts.
    #[must_use]
    pub fn author(&self) -> Principal {
        principal(self.author, "Author")
    }

    fn new_campaign(
        &self,
        no: crate::model::CampaignNo,
        seed: &CampaignSeed,
        at: Timestamp,
    ) -> Result<Campaign, MessageError> {
        let content = Content {
            text: seed.text.clone(),
            variables: Vec::new(),
            sender_id: self.revision.sender_id,
            revision_id: self.revision.id,
            saddr: self.revision.saddr.clone(),
            ston: self.revision.ston,
            snpi: self.revision.snpi,
            dton: 1,
            dnpi: 1,
            parts: parts_of(&seed.text)?,
            receipts: seed.receipts,
            recipients_digest: seed.recipients_digest.clone(),
            rules: seed.rules.clone(),
        };
        Ok(Campaign {
            id: CampaignId(Uuid::now_v7()),
            workspace_id: self.workspace,
            no,
            name: seed.name.clone(),
            mode: seed.mode,
            status: Status::New,
            hold_reason: None,
            content,
            delivery_policy: seed.delivery_policy,
            version: 1,
            state_version: 1,
            stop_gen: 0,
            weight: 1,
            recipients: seed.recipients,
            approvals: Vec::new(),
            created_by: self.author,
            edited_by: Vec::new(),
            created_at: at,
            started: false,
            finished: false,
            plan: None,
            reason: None,
            ended_at: None,
            charged: Vec::new(),
            counts: None,
            segment_counts: None,
            receipts_over: false,
            filing: crate::model::Filing::default(),
        })
    }
}
