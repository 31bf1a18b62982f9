//! A workspace with its people and campaigns in every state, for the tests beside.

#![expect(clippy::unwrap_used, reason = "tests")]

mod erasing;
mod exports;
mod filing;
mod lists;
mod numbers;
mod outage;
mod progress;
mod recipients;
mod verbs;

use crate::api::testing::{Client, House};
use engine::intake::ListHasher;
use engine::model::{
    Approval, AuditEvent, Campaign, CampaignId, CampaignNo, Content, DeliveryPolicy, Filing, Mode, Principal,
    Revision, RevisionStatus, Schedule, Sender, SenderId, SendingRules, Status, UserId, Variable, Workspace,
};
use engine::store::{AuditQuery, Catalog, Change, Entity, Expect, Journal, Kind, Scope};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

/// The first of the generated numbers.
pub(super) const FIRST: u64 = 4_915_100_000_000;

/// A workspace and the people in it.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) workspace: Workspace,
    pub(super) author: Client,
    pub(super) other: Client,
    pub(super) moderator: Client,
    pub(super) admin: Client,
    /// Admin of another workspace, `foreign`.
    pub(super) stranger: Client,
    sender: SenderId,
    revision: Revision,
}

/// What a campaign is like.
pub(super) struct Like {
    pub(super) mode: Mode,
    pub(super) recipients: u64,
    pub(super) variables: Vec<Variable>,
    pub(super) starts_in: Option<SignedDuration>,
}

impl Like {
    pub(super) fn of(mode: Mode, recipients: u64) -> Self {
        Self { mode, recipients, variables: Vec::new(), starts_in: None }
    }
}

impl Stage {
    pub(super) async fn open() -> Self {
        Self::within(House::open().await).await
    }

    pub(super) async fn within(house: House) -> Self {
        let workspace = house.workspace("mine").await;
        let foreign = house.workspace("foreign").await;
        let (sender, now) = (SenderId(Uuid::now_v7()), Timestamp::now());
        let revision = Revision {
            id: Uuid::now_v7(),
            sender_id: sender,
            workspace_id: workspace.id,
            n: 1,
            saddr: "Shop".to_owned(),
            ston: 5,
            snpi: 0,
            status: RevisionStatus::Approved,
            version: 0,
            created_by: UserId(Uuid::from_u128(1)),
            submitted_by: None,
            decided_by: Some(UserId(Uuid::from_u128(2))),
            self_approved: false,
            registration_ref: None,
            note: None,
            created_at: now,
            decided_at: Some(now),
            archived_at: None,
        };
        house
            .put(Entity::Sender(Sender {
                id: sender,
                workspace_id: workspace.id,
                name: "Winter shop".to_owned(),
                rate_per_s: 0,
                version: 0,
                created_at: now,
                archived_at: None,
                active: Some(revision.id),
            }))
            .await;
        house.put(Entity::Revision(revision.clone())).await;
        let author = house.member(&workspace, "Author").await;
        let other = house.member(&workspace, "Author").await;
        let moderator = house.member(&workspace, "Moderator").await;
        let admin = house.member(&workspace, "Admin").await;
        let stranger = house.member(&foreign, "Admin").await;
        Self { house, workspace, author, other, moderator, admin, stranger, sender, revision }
    }

    /// A campaign of the author that waits for moderation.
    pub(super) async fn draft(&self, like: Like) -> Campaign {
        let store = &self.house.store;
        let no = store.next_campaign_no().await.unwrap();
        let count = if like.mode == Mode::Trigger { 0 } else { like.recipients };
        let mut writer = store.write_recipients(no, count).unwrap();
        let mut hasher = ListHasher::new();
        let numbers: Vec<u64> = (FIRST..FIRST + count).collect();
        for chunk in numbers.chunks(engine::model::CHUNK_RECIPIENTS) {
            writer.chunk(chunk, &[]).unwrap();
            hasher.chunk(chunk, &[]);
        }
        writer.finish().unwrap();
        let digest = if like.mode == Mode::Trigger { "open".to_owned() } else { hasher.finish().to_string() };
        self.campaign(no, like, digest)
    }

    fn campaign(&self, no: CampaignNo, like: Like, recipients_digest: String) -> Campaign {
        let start_at = like
            .starts_in
            .map(|after| (Timestamp::now() + after).to_zoned(jiff::tz::TimeZone::UTC).datetime());
        let schedule = Schedule { start_at, window: None, time_zone: "UTC".to_owned() };
        let text = match like.variables.as_slice() {
            [] => "Hello".to_owned(),
            variables => variables.iter().map(|v| format!("Your {{{}}} ", v.name)).collect(),
        };
        let content = Content {
            text,
            variables: like.variables,
            sender_id: self.sender,
            revision_id: self.revision.id,
            saddr: "Shop".to_owned(),
            ston: 5,
            snpi: 0,
            dton: 1,
            dnpi: 1,
            parts: 1,
            receipts: true,
            recipients_digest,
            rules: SendingRules { schedule, ..SendingRules::default() },
        };
        Campaign {
            id: CampaignId(Uuid::now_v7()),
            workspace_id: self.workspace.id,
            no,
            name: "Winter".to_owned(),
            mode: like.mode,
            status: Status::New,
            hold_reason: None,
            content,
            delivery_policy: DeliveryPolicy::AtMostOnce,
            version: 1,
            state_version: 1,
            stop_gen: 0,
            weight: 1,
            recipients: if like.mode == Mode::Trigger { 0 } else { like.recipients },
            approvals: Vec::new(),
            created_by: self.author.user,
            edited_by: Vec::new(),
            created_at: Timestamp::now(),
            started: false,
            finished: false,
            plan: None,
            reason: None,
            ended_at: None,
            charged: Vec::new(),
            counts: None,
            segment_counts: None,
            receipts_over: false,
            filing: Filing::default(),
        }
    }

    /// The author's campaign, waiting for moderation.
    pub(super) async fn new_one(&self, like: Like) -> CampaignId {
        let campaign = self.draft(like).await;
        let id = campaign.id;
        self.house.put(Entity::Campaign(Box::new(campaign))).await;
        id
    }

    /// The author's campaign, approved and built.
    pub(super) async fn pending(&self, like: Like) -> CampaignId {
        let mut campaign = Campaign { status: Status::Building, ..self.draft(like).await };
        let (by, at, content_hash) = (self.moderator.user, Timestamp::now(), campaign.content_hash());
        campaign.approvals = vec![Approval { by, at, version: 1, content_hash, self_approved: false }];
        let id = campaign.id;
        self.house.put(Entity::Campaign(Box::new(campaign))).await;
        self.house.api.engine.build(self.workspace.id, id, &Principal::engine()).await.unwrap();
        id
    }

    /// The author's campaign, sent to its end with every receipt.
    pub(super) async fn done(&self, recipients: u64) -> CampaignId {
        let id = self.pending(Like::of(Mode::OnDemand, recipients)).await;
        assert_eq!(self.author.post(&path(id, "/start"), Value::Null).await.0, 200);
        self.until(id, |c| c["counts"]["delivered"] == recipients && c["status"] == "Done").await;
        id
    }

    /// Asks until the campaign is so.
    pub(super) async fn until(&self, id: CampaignId, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..100_000 {
            let (status, body) = self.admin.get(&path(id, "")).await;
            assert_eq!(status, 200, "{body}");
            if is_so(&body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
        panic!("the campaign never came there");
    }

    pub(super) async fn stored(&self, id: CampaignId) -> Campaign {
        let scope = Scope::Workspace(self.workspace.id);
        match self.house.store.get(scope, Kind::Campaign, id.into()).await.unwrap() {
            Entity::Campaign(campaign) => *campaign,
            other => panic!("{other:?}"),
        }
    }

    /// What the audit log holds about an entity, the oldest first.
    pub(super) async fn events(&self, id: impl Into<engine::model::EntityId>) -> Vec<AuditEvent> {
        let query = AuditQuery { entities: Some(vec![id.into()]), limit: 200, ..AuditQuery::default() };
        let scope = Scope::Workspace(self.workspace.id);
        let mut events = self.house.store.audit_events(scope, query).await.unwrap().items;
        events.reverse();
        events
    }

    pub(super) async fn actions(&self, id: impl Into<engine::model::EntityId>) -> Vec<String> {
        self.events(id).await.into_iter().map(|event| event.action).collect()
    }

    /// Changes an entity behind the API's back.
    pub(super) async fn change(&self, entity: Entity) {
        let scope = entity.workspace().map_or(Scope::Platform, Scope::Workspace);
        let expect = Expect::Version(entity.state_version() - 1);
        let change = Change { scope, expect, entity, action: "test.change" };
        self.house.store.apply(vec![change], &Principal::engine(), Timestamp::now()).await.unwrap();
    }

    /// Hides the campaigns of others from authors.
    pub(super) async fn hide_others(&self) {
        let mut workspace = self.workspace.clone();
        workspace.version += 1;
        workspace.policies.authors_see_all = false;
        self.change(Entity::Workspace(workspace)).await;
    }

    /// Takes an account's membership away.
    pub(super) async fn remove(&self, client: &Client) {
        let key = format!("{}/{}", self.workspace.id, client.user);
        let scope = Scope::Workspace(self.workspace.id);
        let found = self.house.store.find(scope, Kind::Membership, key).await.unwrap();
        let Entity::Membership(mut membership) = found else { panic!("{found:?}") };
        membership.version += 1;
        membership.removed_at = Some(Timestamp::now());
        self.change(Entity::Membership(membership)).await;
    }
}

/// A path below a campaign.
pub(super) fn path(id: CampaignId, rest: &str) -> String {
    format!("/w/mine/campaigns/{id}{rest}")
}
