//! The sender registry over the store: what is read for a change of it, and what an approval changes besides.
//!
//! Whatever approves a revision, or takes the active one away, bumps its sender's version in the same transaction, so
//! that of two such changes at once one is made anew. An address is claimed for the installation by a unique key.
//! Invariant: of one sender at most one revision is `Approved`, and of one skeleton there is at most one claim.

use super::deciding::revision;
use super::problem::{Code, Problem};
use super::state::Api;
use engine::model::{
    Claim, EntityId, Principal, Revision, RevisionMove, RevisionStatus, Sender, SenderId, WorkspaceId,
    skeleton,
};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use uuid::Uuid;

/// Most revisions of one sender: one page shows them all.
pub(super) const MAX_REVISIONS: usize = MAX_PAGE;
/// Most revisions of one workspace that wait for a decision: five pages, which every look at the queue reads.
pub(super) const MAX_PENDING: usize = 5 * MAX_PAGE;
/// The name that the store gives to a claim's key in a refusal.
const CLAIM_KEY: &str = "sender address";

/// The senders of one workspace.
#[derive(Clone, Copy)]
pub(super) struct Registry<'a> {
    api: &'a Api,
    workspace: WorkspaceId,
}

impl<'a> Registry<'a> {
    pub(super) fn new(api: &'a Api, workspace: WorkspaceId) -> Self {
        Self { api, workspace }
    }

    fn scope(&self) -> Scope {
        Scope::Workspace(self.workspace)
    }

    /// A sender.
    ///
    /// # Errors
    /// `not_found`, the store's.
    pub(super) async fn sender(&self, id: Uuid) -> Result<Sender, Problem> {
        match self.api.catalog.get(self.scope(), Kind::Sender, EntityId(id)).await? {
            Entity::Sender(sender) => Ok(sender),
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    /// A sender that can still get revisions.
    ///
    /// # Errors
    /// `state_conflict` for an archived one; as for [`Self::sender`].
    pub(super) async fn open_sender(&self, id: Uuid) -> Result<Sender, Problem> {
        let sender = self.sender(id).await?;
        if sender.archived_at.is_none() {
            return Ok(sender);
        }
        Err(Problem::because(Code::StateConflict, "The sender is archived.")
            .with("present_status", "Archived"))
    }

    /// A revision by the number that it has in its sender.
    ///
    /// # Errors
    /// `not_found`, the store's.
    pub(super) async fn revision(&self, sender: SenderId, n: u32) -> Result<Revision, Problem> {
        let key = format!("{sender}/{n}");
        match self.api.catalog.find(self.scope(), Kind::Revision, key).await? {
            Entity::Revision(revision) => Ok(revision),
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    /// A revision by its id, if the workspace has it.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn revision_by_id(&self, id: Uuid) -> Result<Option<Revision>, Problem> {
        match self.api.catalog.get(self.scope(), Kind::Revision, EntityId(id)).await {
            Ok(Entity::Revision(revision)) => Ok(Some(revision)),
            Ok(_) | Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Every revision of a sender, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn revisions(&self, sender: SenderId) -> Result<Vec<Revision>, Problem> {
        let (parent, limit) = (Some(sender.into()), MAX_REVISIONS);
        let query = Query { kind: Kind::Revision, statuses: Vec::new(), parent, after: None, limit };
        let page = self.api.catalog.list(self.scope(), query).await?;
        Ok(page.items.into_iter().filter_map(into_revision).collect())
    }

    /// Every revision of the workspace that waits for a decision, the oldest first; at most [`MAX_PENDING`].
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn pending(&self) -> Result<Vec<Revision>, Problem> {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < MAX_PENDING {
            let statuses = vec![format!("{:?}", RevisionStatus::PendingApproval)];
            let query = Query { kind: Kind::Revision, statuses, parent: None, after, limit: MAX_PAGE };
            let page = self.api.catalog.list(self.scope(), query).await?;
            found.extend(page.items.into_iter().filter_map(into_revision));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Refuses one more revision that waits for a decision where too many do.
    ///
    /// # Errors
    /// `state_conflict`, the store's.
    pub(super) async fn has_room_to_wait(&self) -> Result<(), Problem> {
        if self.pending().await?.len() < MAX_PENDING {
            return Ok(());
        }
        let told = format!("{MAX_PENDING} revisions wait for a decision; more are not taken.");
        Err(Problem::because(Code::StateConflict, told))
    }

    /// One change of an entity of the workspace.
    pub(super) fn change(&self, expect: Expect, entity: Entity, action: &'static str) -> Change {
        Change { scope: self.scope(), expect, entity, action }
    }

    /// A move of a revision, as it was `before`.
    pub(super) fn moved(&self, before: &Revision, next: Revision, what: RevisionMove) -> Change {
        self.change(Expect::Version(before.version), Entity::Revision(next), what.action())
    }

    /// What the approval of a revision changes besides: its sender has it as the active one, the one before is
    /// archived, the address is claimed.
    ///
    /// # Errors
    /// `sender_reserved`, the store's.
    pub(super) async fn activation(
        &self,
        (sender, expect): (Sender, Expect),
        approved: &Revision,
        now: jiff::Timestamp,
    ) -> Result<Vec<Change>, Problem> {
        let mut changes = self.archiving(sender.id, now).await?;
        let version = if expect == Expect::Absent { sender.version } else { sender.version + 1 };
        let sender = Sender { active: Some(approved.id), version, ..sender };
        let action = if expect == Expect::Absent { "sender.create" } else { "sender.activate" };
        changes.push(self.change(expect, Entity::Sender(sender), action));
        changes.extend(self.claiming(&approved.saddr, now).await?);
        Ok(changes)
    }

    /// Archives what is approved of a sender.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn archiving(
        &self,
        sender: SenderId,
        now: jiff::Timestamp,
    ) -> Result<Vec<Change>, Problem> {
        let approved = self.revisions(sender).await?;
        let approved = approved.into_iter().filter(|revision| revision.status == RevisionStatus::Approved);
        approved
            .map(|former| Ok(self.moved(&former, revision::archive(&former, now)?, RevisionMove::Archive)))
            .collect()
    }

    /// Claims an address for the workspace, unless it may use it anyway.
    async fn claiming(&self, saddr: &str, now: jiff::Timestamp) -> Result<Option<Change>, Problem> {
        match claim(self.api, saddr).await? {
            Some(claim) if claim.admits(self.workspace) => Ok(None),
            Some(_) => Err(Problem::new(Code::SenderReserved)),
            None => {
                let claim = Claim {
                    id: Uuid::now_v7(),
                    skeleton: skeleton(saddr),
                    saddr: saddr.to_owned(),
                    owner: self.workspace,
                    grants: Vec::new(),
                    version: 0,
                    created_at: now,
                };
                let (scope, expect, entity) = (Scope::Platform, Expect::Absent, Entity::Claim(claim));
                Ok(Some(Change { scope, expect, entity, action: "sender_claim.take" }))
            }
        }
    }

    /// Applies changes; `false` when somebody was faster and they have to be made anew.
    ///
    /// # Errors
    /// The store's others.
    pub(super) async fn apply(
        &self,
        changes: Vec<Change>,
        by: &Principal,
        now: jiff::Timestamp,
    ) -> Result<bool, Problem> {
        apply(self.api, changes, by, now).await
    }
}

/// As for [`Registry::apply`].
///
/// # Errors
/// The store's others.
pub(super) async fn apply(
    api: &Api,
    changes: Vec<Change>,
    by: &Principal,
    now: jiff::Timestamp,
) -> Result<bool, Problem> {
    match api.catalog.apply(changes, by, now).await {
        Ok(()) => Ok(true),
        Err(
            StoreError::Conflict { .. } | StoreError::Taken(CLAIM_KEY | "revision number" | "version number"),
        ) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Who holds an address, or one that looks like it.
///
/// # Errors
/// The store's.
pub(super) async fn claim(api: &Api, saddr: &str) -> Result<Option<Claim>, Problem> {
    match api.catalog.find(Scope::Platform, Kind::Claim, skeleton(saddr)).await {
        Ok(Entity::Claim(claim)) => Ok(Some(claim)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn into_revision(entity: Entity) -> Option<Revision> {
    match entity {
        Entity::Revision(revision) => Some(revision),
        _ => None,
    }
}
