//! A client is onboarded, sends its first campaign and is billed: steps 1 to 8 of the content provider's document, each
//! with exactly its records in the audit log.

use super::people::{self, Address, Team};
use super::trail::Trail;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::service::{Answer, Client, PASSWORD, Service, Setting};

const SLUG: &str = "acme-corp";
const ADDRESS: Address = Address { saddr: "ACME", ston: 5, snpi: 0 };
const ROOT: (&str, &str) = ("root@example.com", "SuperAdmin");
const FIRST_NUMBER: u64 = 491_701_000_000;
const RECIPIENTS: u64 = 500;

fn email(name: &str) -> String {
    format!("{name}@{SLUG}.example.com")
}

/// Steps 1 to 3: the provider makes the workspace, its admin and its sender.
async fn provided(service: &Service, root: &Client) -> anyhow::Result<(Client, String)> {
    let workspace =
        root.post("/workspaces", json!({"slug": SLUG, "name": "Acme Corporation"})).await?.expect(201)?;
    let account = json!({
        "email": email("admin"), "name": "Adele Admin", "password": PASSWORD,
        "memberships": [{"slug": SLUG, "role": "Admin"}],
    });
    let account = root.post("/users", account).await?.expect(201)?;
    let sender = people::provision(root, SLUG, ADDRESS).await?;
    assert_eq!((sender.text("name"), sender.text("status")), ("ACME", "Approved"));
    let trail = Trail::read(root, SLUG).await?;
    // In the platform's log and in the workspace's own.
    trail.assert_left(&workspace, ROOT, &["workspace.create", "workspace.create"]);
    trail.assert_left(&account, ROOT, &["user.create", "member.add"]);
    let provisioned = trail.one(&sender, "sender_revision.provision");
    assert_eq!((&provisioned["before"], &provisioned["after"]["saddr"]), (&Value::Null, &"ACME".into()));
    Ok((service.login(&email("admin")).await?, sender.text("id").to_owned()))
}

/// Step 4: the client's admin invites the others.
async fn invited(service: &Service, root: &Client, admin: &Client, role: &str) -> anyhow::Result<Client> {
    let email = email(&role.to_lowercase());
    let path = format!("/w/{SLUG}/invitations");
    let invitation = admin.post(&path, json!({"email": email, "role": role})).await?.expect(201)?;
    let accepted = people::accept(service, &invitation, role).await?;
    let trail = Trail::read(root, SLUG).await?;
    trail.assert_left(&invitation, (&self::email("admin"), "Admin"), &["invitation.create"]);
    trail.assert_left(&accepted, (&email, "User"), &["invitation.accept", "user.create", "member.add"]);
    service.login(&email).await
}

/// Step 5: the author fills the wizard in and submits.
async fn written(team: &Team, root: &Client) -> anyhow::Result<Answer> {
    let (author, by) = (&team.author, (team.email("author"), "Author"));
    let by = (by.0.as_str(), by.1);
    let draft = author.post(&team.path("/drafts"), json!({"name": "Welcome"})).await?.expect(201)?;
    let path = team.path(&format!("/drafts/{}", draft.text("id")));
    let fields = json!({
        "mode": "OnDemand", "text": "Welcome to Acme", "sender_id": team.sender, "auto_start": false,
    });
    let changed = author.patch(&path, fields).await?.expect(200)?;
    let mut file = people::file(FIRST_NUMBER..FIRST_NUMBER + RECIPIENTS);
    file.push_str(&format!("+{FIRST_NUMBER}\r\nnobody\r\n"));
    let octets = file.len();
    let upload = author.upload(&format!("{path}/recipients"), file).await?.expect(200)?;
    let count = |name: &str| upload.body[name].as_u64();
    assert_eq!(
        ["accepted", "duplicate", "invalid", "lines", "bytes"].map(count),
        [RECIPIENTS, 1, 1, RECIPIENTS + 3, octets as u64].map(Some),
        "{}",
        upload.body
    );
    let preview = author.post(&format!("{path}/preview"), Value::Null).await?.expect(200)?;
    assert_eq!((&preview.body["encoding"], &preview.body["refusal"]), (&"gsm7".into(), &Value::Null));
    let campaign = author.post(&format!("{path}/submit"), Value::Null).await?.expect(201)?;
    assert_eq!((campaign.text("status"), campaign.text("id")), ("New", draft.text("id")));

    let trail = Trail::read(root, SLUG).await?;
    trail.assert_left(&draft, by, &["draft.create"]);
    trail.assert_left(&changed, by, &["draft.update"]);
    trail.assert_left(&upload, by, &["recipients.upload"]);
    trail.assert_left(&preview, by, &[]);
    trail.assert_left(&campaign, by, &["draft.submit", "campaign.create"]);
    let change = trail.one(&changed, "draft.update");
    assert_eq!(change["after"]["fields"]["text"], "Welcome to Acme", "{change}");
    Ok(campaign)
}

/// Step 6: the moderator approves, the author starts, every message arrives from the client's own address.
async fn sent(service: &Service, root: &Client, team: &Team, campaign: &Answer) -> anyhow::Result<Value> {
    let path = team.path(&format!("/campaigns/{}", campaign.text("id")));
    let queue = team.moderator.get(&team.path("/moderation/campaigns")).await?.expect(200)?;
    assert_eq!(queue.body["items"][0]["id"], campaign.body["id"], "{}", queue.body);
    let own = people::approve(team, &team.author, &campaign.body).await?;
    assert_eq!(own.status, 403, "{}", own.body);
    let approved = people::approve(team, &team.moderator, &campaign.body).await?.expect(200)?;
    team.author.until(&path, |it| it["status"] == "Pending").await?;
    assert_eq!(service.smsc.with_ledger(|ledger| ledger.submits().len()), 0, "nobody has started it");
    let started = team.author.post(&format!("{path}/start"), Value::Null).await?.expect(200)?;
    let done = |it: &Value| it["status"] == "Done" && it["counts"]["delivered"] == RECIPIENTS;
    let done = team.author.until(&path, done).await?;
    let expected: BTreeSet<u64> = (FIRST_NUMBER..FIRST_NUMBER + RECIPIENTS).collect();
    assert_eq!(people::accepted_from(service, ADDRESS), expected);
    assert_eq!(service.smsc.with_ledger(|ledger| ledger.submits().len()) as u64, RECIPIENTS);

    let trail = Trail::read(root, SLUG).await?;
    trail.assert_left(&own, (&team.email("author"), "Author"), &[]);
    trail.assert_left(&approved, (&team.email("moderator"), "Moderator"), &["campaign.approve"]);
    let approval = trail.one(&approved, "campaign.approve");
    assert_eq!(approval["before"]["status"], "New", "{approval}");
    trail.assert_left(&started, (&team.email("author"), "Author"), &["campaign.start"]);
    trail.about(campaign.text("id"), "campaign.built");
    trail.about(campaign.text("id"), "campaign.complete");
    Ok(done)
}

/// Steps 7 and 8: the provider looks, and the month is billed from exports, usage and audit.
async fn billed(root: &Client, team: &Team, campaign: &Value) -> anyhow::Result<()> {
    let id = people::id(campaign);
    let seen = root.get(&format!("/w/master/campaigns?q={id}")).await?.expect(200)?;
    assert_eq!((&seen.body["scope"], &seen.body["items"][0]["id"]), (&"master".into(), &id.into()));
    let hidden = team.admin.get("/w/master/campaigns").await?;
    assert_eq!(hidden.status, 404, "{}", hidden.body);
    let write = root.post(&format!("/w/master/campaigns/{id}/pause"), Value::Null).await?;
    assert_eq!((write.status, write.code()), (403, "read_only_scope"), "{}", write.body);

    let asked =
        team.admin.post(&team.path(&format!("/campaigns/{id}/exports")), json!({"format": "csv"})).await?;
    let export = team.path(&format!("/exports/{}", asked.expect(202)?.text("id")));
    let ready = team.admin.until(&export, |it| it["status"] == "ready").await?;
    let csv = team.admin.get(&format!("{export}/file")).await?.expect(200)?;
    let csv = csv.body.as_str().unwrap_or_default().to_owned();
    assert_eq!(csv.lines().count() as u64, RECIPIENTS + 1, "a header and a line for each");
    assert_eq!(ready["rows"], RECIPIENTS);
    assert_eq!(csv.matches("delivered").count() as u64, RECIPIENTS);
    assert!(!csv.contains(&FIRST_NUMBER.to_string()), "numbers are masked");

    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    let usage = team.admin.get(&team.path(&format!("/usage?month={month}"))).await?.expect(200)?;
    let billed = |name: &str| usage.body["total"][name]["messages"].as_u64();
    assert_eq!([billed("sent_total"), billed("delivered")], [Some(RECIPIENTS); 2], "{}", usage.body);
    let list = team.admin.get(&team.path("/campaigns")).await?.expect(200)?;
    assert_eq!(list.body["workspace_total"], 1, "{}", list.body);
    let recipients = team.admin.all(&team.path(&format!("/campaigns/{id}/recipients"))).await?;
    let delivered = recipients.iter().filter(|it| it["status"] == "delivered" && it["final_at"].is_string());
    assert_eq!((recipients.len() as u64, delivered.count() as u64), (RECIPIENTS, RECIPIENTS));
    Ok(())
}

#[tokio::test]
async fn a_client_is_onboarded_sends_and_is_billed_through_the_api_alone() -> anyhow::Result<()> {
    let receipts = Some(bench::smsc::ReceiptConfig::default());
    let smsc = bench::smsc::Config { receipts, ..bench::smsc::Config::default() };
    let service = Service::start(Setting { smsc, ..Setting::default() }).await?;
    let root = service.set_up().await?;
    let (admin, sender) = provided(&service, &root).await?;
    let author = invited(&service, &root, &admin, "Author").await?;
    let moderator = invited(&service, &root, &admin, "Moderator").await?;
    let team = Team { slug: SLUG, admin, author, moderator, sender, address: ADDRESS };
    let campaign = written(&team, &root).await?;
    let done = sent(&service, &root, &team, &campaign).await?;
    billed(&root, &team, &done).await
}
