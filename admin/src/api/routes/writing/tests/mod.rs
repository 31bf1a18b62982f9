//! Writing campaigns without the wizard, over real HTTP: what programs and the console rely on.

#![expect(clippy::unwrap_used, reason = "tests")]

mod create;
mod edits;
mod large;
mod limits;
mod lists;
mod looks;
mod resend;
mod senders;

use crate::api::routes::drafts::tests::sender;
use crate::api::testing::{Client, House};
use engine::model::{
    AuditEvent, Campaign, CampaignId, EntityId, Policies, RevisionStatus, SenderId, Terms, Workspace,
};
use engine::store::{AuditQuery, Catalog, Change, Entity, Expect, Journal, Kind, Scope};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Two numbers that are not the same.
pub(super) const NUMBERS: [&str; 2] = ["+49 151 1234567", "+49 151 1234568"];

/// A workspace `shop` with an approved sender and the people in it.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) workspace: Workspace,
    pub(super) author: Client,
    pub(super) moderator: Client,
    pub(super) admin: Client,
    /// Admin of another workspace, `other`.
    pub(super) stranger: Client,
    pub(super) sender: SenderId,
}

impl Stage {
    pub(super) async fn open() -> Self {
        let house = House::open().await;
        let (workspace, other) = (house.workspace("shop").await, house.workspace("other").await);
        let author = house.member(&workspace, "Author").await;
        let moderator = house.member(&workspace, "Moderator").await;
        let admin = house.member(&workspace, "Admin").await;
        let stranger = house.member(&other, "Admin").await;
        let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
        Self { house, workspace, author, moderator, admin, stranger, sender }
    }

    /// A body that makes an OnDemand campaign to two people, with these members in place of its own; `null` leaves out.
    pub(super) fn body(&self, change: Value) -> Value {
        let recipients = NUMBERS.map(|number| json!({"number": number}));
        let mut body = json!({
            "name": "Sale", "mode": "OnDemand", "text": "Hello", "sender_id": self.sender, "recipients": recipients,
        });
        let members = body.as_object_mut().unwrap();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        body
    }

    /// What the author gets for this body.
    pub(super) async fn send(&self, change: Value) -> (u16, Value) {
        self.author.post("/w/shop/campaigns", self.body(change)).await
    }

    /// The author's campaign from this body.
    pub(super) async fn create(&self, change: Value) -> CampaignId {
        let (status, body) = self.send(change.clone()).await;
        assert_eq!(status, 201, "{change}: {body}");
        id_of(&body)
    }

    pub(super) async fn stored(&self, id: CampaignId) -> Campaign {
        match self.house.store.get(self.scope(), Kind::Campaign, id.into()).await.unwrap() {
            Entity::Campaign(campaign) => *campaign,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::Workspace(self.workspace.id)
    }

    /// The numbers of a campaign's list in their order.
    pub(super) async fn numbers(&self, id: CampaignId) -> Vec<u64> {
        let no = self.stored(id).await.no;
        self.house.store.recipients(no, 0).await.unwrap().numbers
    }

    /// Another version of a campaign, put there behind the API's back.
    pub(super) async fn set(&self, change: impl FnOnce(&mut Campaign), id: CampaignId) {
        let mut campaign = self.stored(id).await;
        let expect = Expect::Version(campaign.state_version);
        change(&mut campaign);
        campaign.state_version += 1;
        let entity = Entity::Campaign(Box::new(campaign));
        let change = Change { scope: self.scope(), expect, entity, action: "test.change" };
        let by = engine::model::Principal::engine();
        self.house.store.apply(vec![change], &by, Timestamp::now()).await.unwrap();
    }

    /// Other policies and terms, once a test.
    pub(super) async fn govern(&self, policies: Policies, terms: Terms) {
        crate::api::routes::drafts::tests::set_workspace(&self.house, &self.workspace, policies, terms).await;
    }

    /// What the audit log holds about a campaign, the oldest first.
    pub(super) async fn events(&self, id: CampaignId) -> Vec<AuditEvent> {
        let query = AuditQuery { entities: Some(vec![EntityId(id.0)]), limit: 200, ..AuditQuery::default() };
        let mut events = self.house.store.audit_events(self.scope(), query).await.unwrap().items;
        events.reverse();
        events
    }

    /// Asks until the campaign is so.
    pub(super) async fn until(&self, id: CampaignId, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until_at(&path(id, ""), is_so).await
    }

    /// Asks for what is at this path until it is so.
    pub(super) async fn until_at(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..100_000 {
            let (status, body) = self.admin.get(path).await;
            assert_eq!(status, 200, "{body}");
            if is_so(&body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} never came there");
    }

    /// The answer to the moderator's approval of this version.
    pub(super) async fn approve(&self, id: CampaignId, version: u32) -> (u16, Value) {
        self.moderator.post(&path(id, "/approve"), json!({"version": version})).await
    }

    /// Starts an approved campaign, once it is built.
    pub(super) async fn run(&self, id: CampaignId) {
        assert_eq!(self.approve(id, 1).await.0, 200);
        self.until(id, |campaign| campaign["status"] == "Pending").await;
        let (status, body) = self.author.post(&path(id, "/start"), json!({})).await;
        assert_eq!(status, 200, "{body}");
    }
}

pub(super) fn id_of(body: &Value) -> CampaignId {
    CampaignId(body["id"].as_str().unwrap().parse().unwrap())
}

/// A path below a campaign.
pub(super) fn path(id: CampaignId, rest: &str) -> String {
    format!("/w/shop/campaigns/{id}{rest}")
}

/// The fields that a refusal names, with the codes of what is wrong with them.
pub(super) fn wrong(body: &Value) -> Vec<(&str, &str)> {
    let errors = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    errors.iter().map(|e| (e["field"].as_str().unwrap(), e["code"].as_str().unwrap())).collect()
}
