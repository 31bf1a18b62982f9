//! Numbers that are erased: by time, one by one, and what is left of them everywhere.

use super::*;
use crate::api::erasing::round;
use crate::api::testing::code;
use engine::model::{Erasure, ErasureStatus, ErasureStep, Number};
use serde_json::json;
use std::path::Path;

const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Stage {
    /// The campaign once nothing needs its recipients any more.
    async fn over(&self, id: CampaignId) -> Campaign {
        for _ in 0..100_000 {
            let campaign = self.stored(id).await;
            if campaign.is_over() {
                return campaign;
            }
            self.admin.get("/me").await;
        }
        panic!("the campaign is never over");
    }

    async fn look(&self, now: Timestamp) {
        round(&self.house.api, now).await.unwrap();
    }

    fn hash(&self, number: u64) -> String {
        self.house.api.ctn.hash(Number(number)).to_string()
    }

    /// The files of the installation that hold these octets.
    fn holding(&self, octets: &[u8]) -> Vec<String> {
        let exports = self.house.api.exports.path(Uuid::nil());
        let mut found = Vec::new();
        search(exports.parent().unwrap().parent().unwrap(), octets, &mut found);
        found
    }

    /// The files that hold the number as it is stored, or as it is written.
    fn holding_number(&self, number: u64) -> Vec<String> {
        [self.holding(&number.to_le_bytes()), self.holding(number.to_string().as_bytes())].concat()
    }

    /// A request that only its hash is known of, as after a restart.
    fn request(&self, root: &Client, number: u64) -> Erasure {
        Erasure {
            id: Uuid::now_v7(),
            ctn_hash: self.house.api.ctn.hash(Number(number)),
            status: ErasureStatus::Running,
            drafts_passed: false,
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
            created_by: root.user,
            created_at: Timestamp::now(),
            done_at: None,
            version: 0,
        }
    }

    /// Stores it; where it is looked at.
    async fn ask(&self, request: Erasure) -> String {
        let at = format!("/privacy/erasures/{}", request.id);
        self.house.put(Entity::Erasure(request)).await;
        at
    }
}

fn search(directory: &Path, octets: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, octets, found);
        } else if std::fs::read(&path).unwrap().windows(octets.len()).any(|window| window == octets) {
            found.push(path.display().to_string());
        }
    }
}

fn told(erasure: &Value) -> [u64; 5] {
    ["campaigns", "recipients", "drafts", "exports", "pending"].map(|name| erasure[name].as_u64().unwrap())
}

#[tokio::test]
async fn numbers_are_erased_when_they_were_kept_long_enough() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let id = stage.done(300).await;
    let ended = stage.over(id).await.ended_at.unwrap();
    let full = stage.export(&stage.admin, id, json!({"format": "csv", "full_numbers": true})).await;
    stage.until_export(&full, "ready").await;
    stage.look(ended + DAY * 1_000).await;
    assert_eq!(stage.stored(id).await.filing.numbers_erased_at, None, "nobody has set a time");
    assert_eq!(root.patch("/platform/settings", json!({"number_retention_days": 30})).await.0, 200);
    stage.look(ended + DAY * 30 - SignedDuration::from_secs(1)).await;
    assert_eq!(stage.stored(id).await.filing.numbers_erased_at, None);
    assert!(!stage.holding_number(FIRST + 5).is_empty());
    let due = ended + DAY * 30;
    stage.look(due).await;
    stage.look(due + DAY).await;
    assert_eq!(stage.stored(id).await.filing.numbers_erased_at, Some(due));
    let (_, shown) = stage.author.get(&path(id, "")).await;
    assert_eq!(shown["numbers_erased_at"], format!("{due:.3}"));
    assert_eq!(shown["counts"]["delivered"], 300);
    for number in [FIRST, FIRST + 5, FIRST + 299] {
        assert_eq!(stage.holding_number(number), [""; 0]);
    }
    let (_, page) = stage.author.get(&path(id, "/recipients?limit=200")).await;
    let first = &page["items"][0];
    assert_eq!((&first["number"], &first["ctn_hash"]), (&Value::Null, &json!(stage.hash(FIRST))));
    assert_eq!((first["status"].as_str(), first["final_at"].is_string()), (Some("delivered"), true));
    let by_number = json!({"number": (FIRST + 7).to_string()});
    let (_, found) = stage.author.post(&path(id, "/recipients/search"), by_number).await;
    assert_eq!(found["items"][0]["ctn_hash"], stage.hash(FIRST + 7));
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["number"]), (1, &Value::Null));
    let by_hash = format!("/recipients?ctn_hash={}", stage.hash(FIRST + 7));
    assert_eq!(stage.author.get(&path(id, &by_hash)).await.1["items"], found["items"]);
    // What needs numbers says that there are none.
    for (at, body) in [
        ("/recipients/reveal", json!({})),
        ("/exports", json!({"format": "csv", "full_numbers": true})),
        ("/resend", json!({"status": ["unknown"]})),
    ] {
        let (status, refused) = stage.admin.post(&path(id, at), body).await;
        assert_eq!((status, code(&refused)), (409, "state_conflict"), "{at}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains("were erased at"), "{refused}");
    }
    // Out of the archive it comes as it is, and nowhere else.
    let third = stage.house.workspace("third").await;
    stage.house.join(&third, &stage.admin, "Admin").await;
    assert_eq!(stage.admin.post(&path(id, "/archive"), json!({})).await.0, 200);
    let (status, refused) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "third"})).await;
    assert_eq!((status, code(&refused)), (409, "state_conflict"), "{refused}");
    assert_eq!(stage.admin.post(&path(id, "/restore"), json!({})).await.0, 200);
    let (_, former) = stage.admin.get(&format!("/w/mine/exports/{full}")).await;
    assert_eq!(former["status"], "expired");
    assert_eq!(stage.admin.get(&format!("/w/mine/exports/{full}/file")).await.0, 410);
    let csv = stage.export(&stage.author, id, json!({"format": "csv"})).await;
    stage.until_export(&csv, "ready").await;
    let (_, text) = stage.fetch(&stage.author, &csv).await;
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 301);
    assert!(lines[1].contains(&format!(",{},,delivered,", stage.hash(FIRST))), "{}", lines[1]);
    let txt = stage.export(&stage.author, id, json!({"format": "txt"})).await;
    assert_eq!(stage.until_export(&txt, "ready").await["rows"], 0);
    let events = stage.events(id).await;
    let erased: Vec<_> = events.iter().filter(|event| event.action == "campaign.erase_numbers").collect();
    assert_eq!((erased.len(), &erased[0].after["recipients"], erased[0].by.user_id), (1, &json!(300), None));
    stage.house.close().await;
}

#[tokio::test]
async fn a_campaign_that_is_not_over_keeps_its_numbers_however_old_it_is() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let (new, waiting) =
        (stage.new_one(Like::of(Mode::OnDemand, 3)).await, stage.pending(Like::of(Mode::OnDemand, 3)).await);
    let done = stage.done(3).await;
    let mut unsettled = Campaign { receipts_over: false, ..stage.over(done).await };
    unsettled.state_version += 1;
    stage.change(Entity::Campaign(Box::new(unsettled))).await;
    assert_eq!(root.patch("/platform/settings", json!({"number_retention_days": 1})).await.0, 200);
    stage.look(Timestamp::now() + DAY * 400).await;
    for id in [new, waiting, done] {
        let (_, page) = stage.author.get(&path(id, "/recipients")).await;
        assert_eq!(page["items"][0]["number"], "••••••0000");
        let refused = stage.house.api.engine.erase_numbers(&stage.stored(id).await, |_| None).await;
        assert!(refused.unwrap_err().to_string().contains("still needs its recipients"));
    }
    stage.house.close().await;
}

#[tokio::test]
async fn one_number_leaves_every_list_as_soon_as_nothing_needs_it() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let done = stage.done(300).await;
    stage.over(done).await;
    let waiting = stage.pending(Like::of(Mode::OnDemand, 200)).await;
    let full = stage.export(&stage.admin, done, json!({"format": "txt", "full_numbers": true})).await;
    stage.until_export(&full, "ready").await;
    let (_, draft) = stage.author.post("/w/mine/drafts", json!({})).await;
    let at = format!("/w/mine/drafts/{}", draft["id"].as_str().unwrap());
    let file = format!("{FIRST}\n{}\n", FIRST + 1);
    let upload = stage.author.request(reqwest::Method::PUT, &format!("{at}/recipients"));
    let upload = upload.header("content-type", "text/plain").body(file).send().await.unwrap();
    assert_eq!(upload.status(), 200);
    let (_, asked) = root.post("/privacy/erase", json!({"number": format!("+{FIRST}")})).await;
    let request = format!("/privacy/erasures/{}", asked["request_id"].as_str().unwrap());
    stage.look(Timestamp::now()).await;
    let (_, shown) = root.get(&request).await;
    assert_eq!((&shown["status"], told(&shown)), (&json!("waiting"), [1, 1, 1, 1, 1]), "{shown}");
    let (_, page) = stage.author.get(&path(done, "/recipients?limit=2")).await;
    assert_eq!(
        (&page["items"][0]["number"], &page["items"][1]["number"]),
        (&Value::Null, &json!("••••••0001"))
    );
    assert_eq!(page["items"][0]["ctn_hash"], stage.hash(FIRST));
    let (_, page) = stage.author.get(&path(waiting, "/recipients?limit=1")).await;
    assert_eq!(page["items"][0]["number"], "••••••0000", "it may still be sent");
    let (_, shown) = stage.author.get(&at).await;
    assert_eq!(shown["upload"]["accepted"], 1, "{shown}");
    assert_eq!(stage.admin.get(&format!("/w/mine/exports/{full}")).await.1["status"], "expired");
    // A number is still there, so that full ones can be seen and exported.
    assert_eq!(stage.admin.post(&path(done, "/recipients/reveal"), json!({})).await.0, 200);
    stage.look(Timestamp::now()).await;
    assert_eq!(told(&root.get(&request).await.1), [1, 1, 1, 1, 1], "looking again counts nothing twice");
    assert_eq!(stage.author.post(&path(waiting, "/cancel"), json!({})).await.0, 200);
    stage.over(waiting).await;
    stage.look(Timestamp::now()).await;
    let (_, shown) = root.get(&request).await;
    assert_eq!((&shown["status"], told(&shown)), (&json!("done"), [2, 2, 1, 1, 0]), "{shown}");
    assert_eq!(stage.holding_number(FIRST), [""; 0]);
    assert!(!stage.holding_number(FIRST + 1).is_empty(), "others stay");
    for id in [done, waiting] {
        let events = stage.events(id).await;
        let event = events.iter().find(|event| event.action == "privacy.erase_number").unwrap();
        assert_eq!(
            (event.by.user_id, &event.after["ctn_hash"]),
            (Some(root.user), &json!(stage.hash(FIRST)))
        );
        assert_eq!(event.after["recipients"], 1);
    }
    assert!(
        stage.actions(waiting).await.iter().filter(|action| *action == "privacy.erase_number").count() == 1
    );
    stage.house.close().await;
}

#[tokio::test]
async fn what_programs_handed_in_is_erased_with_its_values_and_from_the_journal() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let variables = vec![Variable { name: "code".to_owned(), max_chars: 40 }];
    let id = stage.pending(Like { variables, ..Like::of(Mode::Trigger, 0) }).await;
    stage.author.post(&path(id, "/start"), json!({})).await;
    let secret = "known to one person alone";
    let item = |number: u64, code: &str| json!({"number": number.to_string(), "variables": {"code": code}});
    let items = json!([item(FIRST, secret), item(FIRST + 1, "other"), item(FIRST, secret)]);
    assert_eq!(stage.author.post(&path(id, "/numbers"), json!({"items": items})).await.0, 202);
    stage.until(id, |campaign| campaign["counts"]["delivered"] == 3).await;
    assert!(!stage.holding(secret.as_bytes()).is_empty());
    let request = stage.ask(stage.request(&root, FIRST)).await;
    stage.look(Timestamp::now()).await;
    assert_eq!(told(&root.get(&request).await.1), [0, 0, 0, 0, 1]);
    assert_eq!(stage.author.post(&path(id, "/finish"), json!({})).await.0, 200);
    stage.over(id).await;
    stage.look(Timestamp::now()).await;
    let (_, shown) = root.get(&request).await;
    assert_eq!((&shown["status"], told(&shown)), (&json!("done"), [1, 2, 0, 0, 0]), "{shown}");
    assert_eq!((stage.holding_number(FIRST), stage.holding(secret.as_bytes())), (Vec::new(), Vec::new()));
    let (_, page) = stage.author.get(&path(id, "/recipients")).await;
    let numbers: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["number"]).collect();
    assert_eq!(numbers, [&Value::Null, &json!("••••••0001"), &Value::Null]);
    stage.house.close().await;
}

#[tokio::test]
async fn what_was_sent_again_is_found_and_who_is_erased_is_never_sent_again() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let first = stage.pending(Like::of(Mode::OnDemand, 3)).await;
    let numbers: Vec<String> = (FIRST..FIRST + 3).map(|number| format!("+{number}")).collect();
    let body = json!({"numbers": numbers, "reason": "a test"});
    assert_eq!(stage.admin.post("/w/mine/suppressions", body).await.0, 201);
    assert_eq!(stage.author.post(&path(first, "/start"), json!({})).await.0, 200);
    stage.over(first).await;
    let request = stage.ask(stage.request(&root, FIRST + 1)).await;
    let again = json!({"status": ["skipped"]});
    let (status, copy) = stage.author.post(&path(first, "/resend"), again.clone()).await;
    assert_eq!((status, &copy["counts"]["total"]), (201, &json!(3)), "{copy}");
    stage.look(Timestamp::now()).await;
    let (_, shown) = root.get(&request).await;
    assert_eq!((&shown["status"], told(&shown)), (&json!("waiting"), [1, 1, 0, 0, 1]), "{shown}");
    let (status, copy) = stage.author.post(&path(first, "/resend"), again).await;
    assert_eq!((status, &copy["counts"]["total"]), (201, &json!(2)), "{copy}");
    stage.house.close().await;
}

#[tokio::test]
async fn a_restart_goes_on_with_the_step_that_was_begun_and_counts_it_once() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let id = stage.done(3).await;
    let campaign = stage.over(id).await;
    // The process that stored the step has erased the number and gone no further.
    let hash = stage.house.api.ctn.hash(Number(FIRST));
    let is_first = |number: Number| (number.0 == FIRST).then_some(hash);
    assert_eq!(stage.house.api.engine.erase_numbers(&campaign, is_first).await.unwrap(), 1);
    assert!(!stage.holding(&FIRST.to_le_bytes()).is_empty(), "nobody has made the files anew");
    let step = ErasureStep { workspace_id: stage.workspace.id, campaign_id: id, recipients: 1 };
    let begun = Erasure { step: Some(step), unscrubbed: vec![campaign.no], ..stage.request(&root, FIRST) };
    let request = stage.ask(begun).await;
    stage.look(Timestamp::now()).await;
    let (_, shown) = root.get(&request).await;
    assert_eq!((&shown["status"], told(&shown)), (&json!("done"), [1, 1, 0, 0, 0]), "{shown}");
    assert_eq!(stage.holding_number(FIRST), [""; 0]);
    let notes = stage.actions(id).await;
    assert_eq!(notes.iter().filter(|action| *action == "privacy.erase_number").count(), 1);
    stage.house.close().await;
}

#[tokio::test]
async fn who_opted_out_stays_on_the_list_that_says_so() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let number = format!("+{}", FIRST + 9);
    let body = json!({"numbers": [number], "reason": "asked for it"});
    assert_eq!(stage.admin.post("/w/mine/suppressions", body).await.0, 201);
    assert_eq!(root.post("/privacy/erase", json!({"number": number})).await.0, 202);
    stage.look(Timestamp::now()).await;
    let (_, listed) = stage.admin.get("/w/mine/suppressions").await;
    assert_eq!(
        (listed["items"].as_array().unwrap().len(), &listed["items"][0]["number"]),
        (1, &json!("••••••0009"))
    );
    stage.house.close().await;
}

/// Goal: what is erased by time has files made anew that many write into, and comes in no hurry.
#[tokio::test]
async fn numbers_whose_time_is_over_are_erased_once_a_day() {
    let stage = Stage::open().await;
    let root = stage.house.super_admin().await;
    let (first, second) = (stage.done(3).await, stage.done(3).await);
    let ended = stage.over(first).await.ended_at.unwrap().max(stage.over(second).await.ended_at.unwrap());
    let mut later = stage.stored(second).await;
    later.ended_at = Some(ended + SignedDuration::from_secs(1));
    later.state_version += 1;
    stage.change(Entity::Campaign(Box::new(later))).await;
    assert_eq!(root.patch("/platform/settings", json!({"number_retention_days": 1})).await.0, 200);
    let due = ended + DAY;
    stage.look(due).await;
    stage.look(due + DAY - SignedDuration::from_secs(1)).await;
    let erased = async |id| stage.stored(id).await.filing.numbers_erased_at;
    assert_eq!((erased(first).await, erased(second).await), (Some(due), None));
    stage.look(due + DAY).await;
    assert_eq!(erased(second).await, Some(due + DAY));
    stage.house.close().await;
}
