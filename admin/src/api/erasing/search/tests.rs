//! Lists that change hands, stay or fail beside a look for a number.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::api::erasing::{Worker, round};
use crate::api::testing::House;
use engine::intake::CHUNK_RECIPIENTS;
use engine::model::{Counts, DeliveryPolicy, Mode, SendingRules, Status, UserId};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Journal};
use std::path::PathBuf;

const NUMBER: Number = Number(4_915_112_345_678);

/// An installation with one workspace that has sent something before.
struct Ground {
    house: House,
    seed: Seed,
}

impl Ground {
    async fn open() -> Self {
        let house = House::open().await;
        let seed = Seed::create(&*house.store, "north", "shop", Timestamp::now()).await.unwrap();
        Self { house, seed }
    }

    /// A list with the number and a value of it, in a file of its own when it is `large`.
    async fn list(&self, large: bool) -> CampaignNo {
        let no = self.house.store.next_campaign_no().await.unwrap();
        let expected = if large { 2 * CHUNK_RECIPIENTS as u64 } else { 1 };
        let mut writer = self.house.store.write_recipients(no, expected).unwrap();
        writer.chunk(&[NUMBER.0], &[1, 0, b'x']).unwrap();
        writer.finish().unwrap();
        no
    }

    /// A new campaign with this list.
    async fn campaign(&self, no: CampaignNo) -> Campaign {
        let seed = CampaignSeed {
            name: "Winter".to_owned(),
            mode: Mode::OnDemand,
            rules: SendingRules::default(),
            text: "Hello".to_owned(),
            receipts: true,
            delivery_policy: DeliveryPolicy::AtMostOnce,
            recipients: 1,
            recipients_digest: String::new(),
        };
        self.seed.submit(&*self.house.store, no, seed, Timestamp::now()).await.unwrap()
    }

    /// Stores the next state of a campaign.
    async fn change(&self, changed: Campaign) -> Campaign {
        let changed = Campaign { state_version: changed.state_version + 1, ..changed };
        self.house.change(Entity::Campaign(Box::new(changed.clone())), changed.state_version - 1).await;
        changed
    }

    /// The same once nothing needs it any more, with so many variables.
    async fn over(&self, campaign: Campaign, variables: &[&str]) -> Campaign {
        let mut over = Campaign {
            status: Status::Done,
            counts: Some(Counts::default()),
            receipts_over: true,
            ended_at: Some(Timestamp::now()),
            ..campaign
        };
        let named = |name: &&str| engine::model::Variable { name: (*name).to_owned(), max_chars: 1 };
        over.content.variables = variables.iter().map(named).collect();
        self.change(over).await
    }

    /// A request that has looked through all drafts.
    async fn ask(&self) -> Erasure {
        let request = Erasure {
            id: Uuid::now_v7(),
            ctn_hash: self.house.api.ctn.hash(NUMBER),
            status: ErasureStatus::Running,
            drafts_passed: true,
            passed: None,
            all_passed: false,
            step: None,
            draft_step: None,
            waiting: Vec::new(),
            unscrubbed: Vec::new(),
            campaigns: 0,
            recipients: 0,
            drafts: 0,
            exports: 0,
            created_by: UserId(Uuid::nil()),
            created_at: Timestamp::now(),
            done_at: None,
            version: 0,
        };
        self.house.put(Entity::Erasure(request.clone())).await;
        request
    }

    async fn now(&self, request: &Erasure) -> Erasure {
        let found = self.house.store.get(Scope::Platform, Kind::Erasure, EntityId(request.id)).await;
        match found.unwrap() {
            Entity::Erasure(request) => request,
            other => panic!("{other:?}"),
        }
    }

    /// Makes the file of a list one that cannot be removed: a directory.
    fn wedge(&self, no: CampaignNo) -> PathBuf {
        let exports = self.house.api.exports.path(Uuid::nil());
        let store = exports.parent().unwrap().parent().unwrap();
        let file = store.join(format!("campaign-{}.db", no.0));
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        file
    }
}

#[tokio::test]
async fn a_campaign_that_got_another_list_since_it_was_listed_is_looked_through_as_it_is() {
    let ground = Ground::open().await;
    let listed = ground.campaign(ground.list(false).await).await;
    let request = ground.ask().await;
    // An author edits it: the list was copied under another number, and is removed.
    let no = ground.list(false).await;
    ground.change(Campaign { no, ..listed.clone() }).await;
    discard(&ground.house.api, listed.no).await;
    let held = BTreeSet::new();
    let mut search = Search {
        api: &ground.house.api,
        held: &held,
        now: Timestamp::now(),
        number: Some(NUMBER),
        stored: request.clone(),
        request,
    };
    search.visit(&listed).await.unwrap();
    assert_eq!(search.request.waiting, [(listed.workspace_id, listed.id)]);
    ground.house.close().await;
}

/// Goal: what is in the log of every step does not grow with what the request still has to do.
#[tokio::test]
async fn the_log_tells_how_many_campaigns_are_waited_for_and_not_which() {
    let ground = Ground::open().await;
    ground.campaign(ground.list(false).await).await;
    ground.campaign(ground.list(false).await).await;
    let request = ground.ask().await;
    round(&ground.house.api, Timestamp::now()).await.unwrap();
    assert_eq!(ground.now(&request).await.waiting.len(), 2);
    let events = ground.house.store.audit(Scope::Platform, 0).await.unwrap();
    let event = events.iter().rev().find(|event| event.entity_id == EntityId(request.id)).unwrap();
    assert_eq!((&event.after["waiting"], &event.after["unscrubbed"]), (&json!(2), &json!(0)));
    ground.house.close().await;
}

#[tokio::test]
async fn nothing_is_done_while_a_list_that_nobody_owns_cannot_be_removed() {
    let ground = Ground::open().await;
    let no = ground.list(true).await;
    let wedged = ground.wedge(no);
    discard(&ground.house.api, no).await;
    let request = ground.ask().await;
    let told = round(&ground.house.api, Timestamp::now()).await.unwrap_err().to_string();
    assert!(told.contains("1 recipient lists that nobody owns"), "{told}");
    assert_eq!(ground.now(&request).await.status, ErasureStatus::Running);
    std::fs::remove_dir(wedged).unwrap();
    round(&ground.house.api, Timestamp::now()).await.unwrap();
    assert_eq!(ground.now(&request).await.status, ErasureStatus::Done);
    ground.house.close().await;
}

#[tokio::test]
async fn a_list_that_has_got_an_owner_after_all_stays() {
    let ground = Ground::open().await;
    let no = ground.list(true).await;
    // Whoever stored the campaign was told of a failure.
    ground.campaign(no).await;
    ground.house.api.erasing.unowned.later(no);
    round(&ground.house.api, Timestamp::now()).await.unwrap();
    assert_eq!(ground.house.store.header(no).await.unwrap().recipients, 1);
    ground.house.close().await;
}

#[tokio::test]
async fn a_list_that_can_be_read_and_not_be_erased_keeps_no_other_from_it() {
    let ground = Ground::open().await;
    let erased = ground.campaign(ground.list(false).await).await;
    // The newest is looked at first: its values are not those of its variables.
    let damaged = ground.campaign(ground.list(false).await).await;
    let (erased, damaged) = (ground.over(erased, &["a"]).await, ground.over(damaged, &["a", "b"]).await);
    let request = ground.ask().await;
    for _ in 0..2 {
        round(&ground.house.api, Timestamp::now()).await.unwrap();
        let now = ground.now(&request).await;
        assert_eq!((now.status, now.campaigns, now.step), (ErasureStatus::Waiting, 1, None));
        assert_eq!(now.waiting, [(damaged.workspace_id, damaged.id)]);
    }
    assert_eq!(ground.house.store.recipients(erased.no, 0).await.unwrap().erased.len(), 1);
    ground.house.close().await;
}

#[tokio::test]
async fn what_earlier_runs_left_to_nobody_is_gone_before_anything_is_called_erased() {
    let ground = Ground::open().await;
    let (left, wedged) = (ground.list(false).await, ground.list(true).await);
    let wedge = ground.wedge(wedged);
    let request = ground.ask().await;
    let first = ground.house.store.next_campaign_no().await.unwrap();
    let worker = Worker::start(std::sync::Arc::clone(&ground.house.api), first).unwrap();
    while ground.house.store.header(left).await.is_ok() {
        tokio::task::yield_now().await;
    }
    worker.end().join();
    assert_ne!(ground.now(&request).await.status, ErasureStatus::Done, "one could not be removed");
    std::fs::remove_dir(wedge).unwrap();
    let worker = Worker::start(std::sync::Arc::clone(&ground.house.api), first).unwrap();
    while ground.now(&request).await.status != ErasureStatus::Done {
        tokio::task::yield_now().await;
    }
    worker.end().join();
    ground.house.close().await;
}

#[test]
fn a_draft_and_its_campaign_are_noted_apart() {
    let (request, entity) = (Uuid::now_v7(), EntityId(Uuid::now_v7()));
    let of = |kind| note_id(request, (kind, entity));
    assert_eq!(of(Kind::Draft), of(Kind::Draft));
    assert_ne!(of(Kind::Draft), of(Kind::Campaign));
}
