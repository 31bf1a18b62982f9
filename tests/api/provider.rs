//! A content provider with three clients and a workspace of its own in one installation, as its document draws them:
//! each client has its own people, sender, reviewers, limits and bill, and the provider sees all of it without being
//! anywhere a member.

use super::people::{self, Address, Team};
use super::trail::Trail;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::service::{Answer, Client, PASSWORD, Service, Setting};

const ROOT: (&str, &str) = ("root@example.com", "SuperAdmin");
/// Client A has reviewers of its own and wants two of them; B and C leave it to the provider's.
const SLUGS: [&str; 4] = ["acme-corp", "beta-media", "gamma-shop", "platform"];
const NAMES: [&str; 4] = ["ACME", "BetaMedia", "GammaShop", "Provider"];
const FIRST_NUMBER: u64 = 491_706_000_000;
/// What client B may send on a day beyond its first campaign.
const LEFT: u64 = 3;

/// Of other sizes and to other handsets for each client, so that no mixture looks right.
fn numbers(client: usize) -> BTreeSet<u64> {
    let first = FIRST_NUMBER + 10_000 * client as u64;
    (first..first + 30 + 10 * client as u64).collect()
}

fn size(client: usize) -> u64 {
    numbers(client).len() as u64
}

/// The provider's people who work for clients, and what they all have.
struct Installation {
    service: Service,
    root: Client,
    /// A, B, C, and the provider's own.
    teams: Vec<Team>,
    /// Reviews for B and C, each membership by itself.
    reviewer: Client,
    /// Runs B and C as their admin.
    manager: Client,
}

/// A zone in which it is about noon: what counts per day is counted on one day.
fn noon() -> String {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    // The sign of these zones is that of their way to UTC.
    format!("Etc/GMT{:+}", hour - 12)
}

async fn installation() -> anyhow::Result<Installation> {
    let receipts = Some(bench::smsc::ReceiptConfig::default());
    let smsc = bench::smsc::Config { receipts, ..bench::smsc::Config::default() };
    let service = Service::start(Setting { smsc, ..Setting::default() }).await?;
    let root = service.set_up().await?;
    let mut teams = Vec::new();
    for (slug, saddr) in SLUGS.into_iter().zip(NAMES) {
        let team = people::team(&service, &root, slug, Address { saddr, ston: 5, snpi: 0 }).await?;
        team.admin.patch(&team.path("/settings"), json!({"time_zone": noon()})).await?.expect(200)?;
        teams.push(team);
    }
    let policies = json!({"policies": {"approvals_required": 2}});
    teams[0].admin.patch(&teams[0].path("/settings"), policies).await?.expect(200)?;
    let reviewer = staff(&service, &root, "reviewer", "Moderator").await?;
    let manager = staff(&service, &root, "manager", "Admin").await?;
    for team in &mut teams[1..3] {
        // A client without reviewers of its own.
        let former = team.path(&format!("/members/{}", team.moderator.id));
        team.admin.delete(&former).await?.expect(204)?;
        team.moderator = reviewer.clone();
    }
    Ok(Installation { service, root, teams, reviewer, manager })
}

/// Somebody of the provider's who is in B and in C.
async fn staff(service: &Service, root: &Client, name: &str, role: &str) -> anyhow::Result<Client> {
    let email = format!("{name}@provider.example.com");
    let memberships = [1, 2].map(|client| json!({"slug": SLUGS[client], "role": role}));
    let account = json!({"email": email, "name": name, "password": PASSWORD, "memberships": memberships});
    let account = root.post("/users", account).await?.expect(201)?;
    for client in [1, 2] {
        let trail = Trail::read(root, SLUGS[client]).await?;
        let added = trail.of(&account).into_iter().filter(|event| event["action"] == "member.add");
        let places: Vec<&Value> = added.map(|event| &event["actor"]["email"]).collect();
        assert_eq!(places, [ROOT.0], "the client's own log names who came and by whom");
    }
    service.login(&email).await
}

/// All four send at once, each by its own rules of review and from its own name; the paths of their campaigns.
async fn all_send(all: &Installation) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for (client, team) in all.teams.iter().enumerate() {
        let fields = json!({"name": team.slug, "mode": "OnDemand", "text": format!("News of {}", team.slug)});
        let campaign = people::submitted(team, &team.author, fields, numbers(client)).await?;
        let first = people::approve(team, &team.moderator, &campaign).await?.expect(200)?;
        if client == 0 {
            assert_eq!(first.text("status"), "New", "one of two: {}", first.body);
            people::approve(team, &team.admin, &first.body).await?.expect(200)?;
        }
        paths.push(team.path(&format!("/campaigns/{}", people::id(&campaign))));
    }
    for (client, team) in all.teams.iter().enumerate() {
        let done = |it: &Value| it["status"] == "Done" && it["counts"]["delivered"] == size(client);
        team.author.until(&paths[client], done).await?;
        assert_eq!(people::accepted_from(&all.service, team.address), numbers(client), "{}", team.slug);
    }
    Ok(paths)
}

/// A refusal without what differs from request to request.
fn told(answer: Answer) -> (u16, Value) {
    let mut body = answer.body;
    body["request_id"] = Value::Null;
    (answer.status, body)
}

/// Everybody of one workspace, at everything of another: the answer is that for a workspace which does not exist.
async fn nobody_sees_another(all: &Installation, paths: &[String]) -> anyhow::Result<()> {
    for (mine, team) in all.teams.iter().enumerate() {
        let key = json!({"name": "billing", "scopes": ["campaigns:read", "audit:read", "exports:read"]});
        let key = team.admin.post(&team.path("/api-keys"), key).await?.expect(201)?;
        let program = all.service.program(key.text("key"));
        program.get(&paths[mine]).await?.expect(200)?;
        for (theirs, other) in all.teams.iter().enumerate().filter(|(theirs, _)| *theirs != mine) {
            let (_, id) = paths[theirs].rsplit_once('/').unwrap_or_default();
            for stranger in [&team.admin, &team.author, &program] {
                let unknown = told(stranger.get("/w/nowhere/campaigns").await?);
                assert_eq!(unknown.0, 404);
                let parts =
                    ["/recipients", "/audit", "/errors/message"].map(|it| format!("{}{it}", paths[theirs]));
                let lists =
                    ["campaigns", "senders", "members", "audit", "settings", "monitoring", "overview"];
                let lists = lists.map(|it| other.path(&format!("/{it}")));
                for path in parts.into_iter().chain(lists).chain([paths[theirs].clone()]) {
                    assert_eq!(told(stranger.get(&path).await?), unknown, "{} at {path}", team.slug);
                }
                let cancel = stranger.post(&format!("{}/cancel", paths[theirs]), Value::Null).await?;
                assert_eq!(told(cancel), unknown, "{} at {}", team.slug, paths[theirs]);
                // Nor by the other's id in one's own workspace.
                let inside = stranger.get(&team.path(&format!("/campaigns/{id}"))).await?;
                assert_eq!(told(inside), unknown, "{} at {id}", team.slug);
            }
            let fields = json!({
                "name": "Posing", "mode": "OnDemand", "text": "Posing", "sender_id": other.sender,
                "recipients": [{"number": "+491706999999"}],
            });
            let posing = team.author.post(&team.path("/campaigns"), fields).await?;
            assert!(matches!(posing.status, 404 | 422), "{}", posing.body);
        }
        let senders = team.admin.all(&team.path("/senders")).await?;
        let names: Vec<&Value> = senders.iter().map(|it| &it["name"]).collect();
        assert_eq!(names, [NAMES[mine]]);
        let campaigns = team.admin.all(&team.path("/campaigns")).await?;
        let ids: Vec<String> =
            campaigns.iter().map(|it| team.path(&format!("/campaigns/{}", people::id(it)))).collect();
        assert_eq!(ids, [paths[mine].clone()]);
        assert_eq!(team.admin.get("/w/master/campaigns").await?.status, 404);
    }
    Ok(())
}

/// The provider's people are in the clients that they work for, in each as what they are there, and nowhere else.
async fn staff_is_where_it_was_put(all: &Installation, paths: &[String]) -> anyhow::Result<()> {
    for (somebody, settings) in [(&all.reviewer, 403), (&all.manager, 200)] {
        let me = somebody.get("/me").await?.expect(200)?;
        let slugs: BTreeSet<&str> = me.body["memberships"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["slug"].as_str())
            .collect();
        assert_eq!(slugs, [SLUGS[1], SLUGS[2]].into(), "{}", me.body);
        for (client, expected) in [(0, 404), (1, 200), (2, 200), (3, 404)] {
            assert_eq!(somebody.get(&paths[client]).await?.status, expected, "{}", paths[client]);
            let path = all.teams[client].path("/settings");
            let expected = if expected == 404 { 404 } else { settings };
            assert_eq!(somebody.get(&path).await?.status, expected, "{path}");
        }
        assert_eq!(somebody.get("/w/master/campaigns").await?.status, 404);
        assert_eq!(somebody.get("/workspaces").await?.status, 403);
    }
    Ok(())
}

/// The super admin sees every client's campaigns and what became of them, in a scope in which nothing is changed.
async fn the_provider_oversees(all: &Installation, paths: &[String]) -> anyhow::Result<()> {
    let root = &all.root;
    let seen = root.all("/w/master/campaigns").await?;
    let seen: BTreeSet<String> = seen
        .iter()
        .map(|it| format!("/w/{}/campaigns/{}", it["workspace"].as_str().unwrap_or_default(), people::id(it)))
        .collect();
    assert_eq!(seen, paths.iter().cloned().collect());
    for (client, team) in all.teams.iter().enumerate() {
        let campaign = root.get(&paths[client]).await?.expect(200)?;
        assert_eq!(campaign.body["counts"]["delivered"], size(client), "{}", campaign.body);
        let recipients = root.all(&format!("{}/recipients", paths[client])).await?;
        assert_eq!(recipients.len() as u64, size(client));
        let full: Vec<String> = numbers(client).iter().map(u64::to_string).collect();
        let shown = |it: &Value| full.iter().any(|full| it.to_string().contains(full));
        assert!(!recipients.iter().any(shown), "numbers are masked");

        let members = root.all(&team.path("/members")).await?;
        assert!(members.iter().all(|it| it["email"] != ROOT.0), "no member: {members:?}");
        let change = root.post(&format!("{}/archive", paths[client]), Value::Null).await?;
        assert_eq!((change.status, change.code()), (403, "forbidden"), "{}", change.body);
        let (_, id) = paths[client].rsplit_once('/').unwrap_or_default();
        let change = root.post(&format!("/w/master/campaigns/{id}/archive"), Value::Null).await?;
        assert_eq!((change.status, change.code()), (403, "read_only_scope"), "{}", change.body);
    }
    Ok(())
}

/// Each client's evidence for its bill is about itself: usage, number of campaigns, who wrote, who approved, the file.
async fn each_is_billed_for_itself(all: &Installation, paths: &[String]) -> anyhow::Result<()> {
    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    for (client, team) in all.teams.iter().enumerate() {
        let usage = all.root.get(&team.path(&format!("/usage?month={month}"))).await?.expect(200)?;
        let total = |name: &str| usage.body["total"][name]["messages"].as_u64();
        assert_eq!([total("sent_total"), total("delivered")], [Some(size(client)); 2], "{}", usage.body);
        let list = team.admin.get(&team.path("/campaigns")).await?.expect(200)?;
        assert_eq!((&usage.body["campaigns"], &list.body["workspace_total"]), (&1.into(), &1.into()));

        let (_, id) = paths[client].rsplit_once('/').unwrap_or_default();
        let trail = Trail::read(&all.root, team.slug).await?;
        assert_eq!(trail.about(id, "campaign.create")["actor"]["email"], team.email("author"));
        let upload = trail.about(id, "recipients.upload");
        let (bytes, lines) = (people::file(numbers(client)).len(), size(client) + 1);
        let file = &upload["after"]["upload"];
        assert_eq!((&file["bytes"], &file["lines"]), (&bytes.into(), &lines.into()), "{upload}");
        let events = people::audit(&team.admin, &team.path(&format!("/audit?entity={id}"))).await?;
        let approvals = events.iter().filter(|event| event["action"] == "campaign.approve");
        let approvers: Vec<&str> = approvals.filter_map(|event| event["actor"]["email"].as_str()).collect();
        let reviewer = "reviewer@provider.example.com".to_owned();
        let expected = match client {
            0 => vec![team.email("moderator"), team.email("admin")],
            1 | 2 => vec![reviewer],
            _ => vec![team.email("moderator")],
        };
        assert_eq!(approvers, expected, "{}", team.slug);

        // Nothing of another client stands in its log.
        let whole = json!(people::audit(&team.admin, &team.path("/audit")).await?).to_string();
        for other in SLUGS.into_iter().filter(|other| *other != team.slug) {
            assert!(!whole.contains(&format!("@{other}.example.com")), "{other} in the log of {}", team.slug);
        }
    }
    Ok(())
}

/// What the provider limits of one client holds for that client alone, and is not the client's to change.
async fn limits_are_each_clients_own(all: &Installation) -> anyhow::Result<()> {
    let (limited, other) = (&all.teams[1], &all.teams[2]);
    let limits = json!({"rate_per_s": 500, "daily_limit": size(1) + LEFT, "storage_quota_bytes": 5_000});
    let path = format!("/workspaces/{}", limited.slug);
    let answer = all.root.patch(&path, limits.clone()).await?.expect(200)?;
    let trail = Trail::read(&all.root, limited.slug).await?;
    // In the platform's log and in the client's own.
    trail.assert_left(&answer, ROOT, &["workspace.limits", "workspace.limits"]);
    assert_eq!(limited.admin.patch(&path, limits).await?.status, 403);
    let raise = json!({"daily_limit": null});
    assert_eq!(limited.admin.patch(&limited.path("/settings"), raise).await?.status, 400);
    for (team, expected) in [(limited, Some(size(1) + LEFT)), (other, None)] {
        let settings = team.admin.get(&team.path("/settings")).await?.expect(200)?;
        assert_eq!(settings.body["terms"]["daily_limit"], json!(expected), "{}", settings.body);
    }

    let fields = json!({"name": "More", "mode": "OnDemand", "text": "More"});
    let more = FIRST_NUMBER + 90_000..FIRST_NUMBER + 90_000 + 2 * LEFT;
    let mut paths = Vec::new();
    for team in [limited, other] {
        let campaign = people::submitted(team, &team.author, fields.clone(), more.clone()).await?;
        people::approve(team, &team.moderator, &campaign).await?.expect(200)?;
        paths.push(team.path(&format!("/campaigns/{}", people::id(&campaign))));
    }
    let held = |it: &Value| it["hold_reason"] == "daily_limit" && it["counts"]["delivered"] == LEFT;
    limited.author.until(&paths[0], held).await?;
    other.author.until(&paths[1], |it| it["status"] == "Done").await?;
    assert_eq!(people::accepted_from(&all.service, limited.address).len() as u64, size(1) + LEFT);
    assert_eq!(people::accepted_from(&all.service, other.address).len() as u64, size(2) + 2 * LEFT);

    // Files of the same size: one client has no room for it, another has.
    let file = people::file(FIRST_NUMBER + 100_000..FIRST_NUMBER + 100_400);
    for (team, expected) in [(limited, 413), (other, 200)] {
        let draft = team.author.post(&team.path("/drafts"), json!({"name": "Large"})).await?.expect(201)?;
        let list = team.path(&format!("/drafts/{}/recipients", draft.text("id")));
        let upload = team.author.upload(&list, file.clone()).await?;
        assert_eq!(upload.status, expected, "{}: {}", team.slug, upload.body);
        if expected == 413 {
            assert_eq!(upload.code(), "quota_exceeded", "{}", upload.body);
        }
    }
    Ok(())
}

/// A client whose reviewers are away gets one on loan: on its record, for that client alone, and until it takes it back.
async fn a_reviewer_is_lent(all: &Installation) -> anyhow::Result<()> {
    let (team, root) = (&all.teams[0], &all.root);
    let policies = json!({"policies": {"approvals_required": 1}});
    team.admin.patch(&team.path("/settings"), policies).await?.expect(200)?;
    let fields = json!({"name": "Urgent", "mode": "OnDemand", "text": "Urgent", "auto_start": false});
    let campaign = people::submitted(team, &team.author, fields, [FIRST_NUMBER + 80_000]).await?;
    assert_eq!(people::approve(team, &all.reviewer, &campaign).await?.status, 404);
    assert_eq!(people::approve(team, root, &campaign).await?.status, 403, "reads, and no more");

    let place = format!("/workspaces/{}/members/{}", team.slug, all.reviewer.id);
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let loan = json!({"role": "Moderator", "expires_at": until.to_string()});
    let lent = root.put(&place, loan).await?.expect(201)?;
    let approved = people::approve(team, &all.reviewer, &campaign).await?.expect(200)?;
    assert_eq!(all.reviewer.get(&all.teams[3].path("/campaigns")).await?.status, 404);
    let back = team.path(&format!("/members/{}", all.reviewer.id));
    let back = team.admin.delete(&back).await?.expect(204)?;
    assert_eq!(all.reviewer.get(&team.path("/campaigns")).await?.status, 404);

    let trail = Trail::read(root, team.slug).await?;
    trail.assert_left(&lent, ROOT, &["member.add"]);
    trail.assert_left(&approved, ("reviewer@provider.example.com", "Moderator"), &["campaign.approve"]);
    trail.assert_left(&back, (&team.email("admin"), "Admin"), &["member.remove"]);
    Ok(())
}

#[tokio::test]
async fn clients_of_a_provider_share_its_installation_and_nothing_else() -> anyhow::Result<()> {
    let all = installation().await?;
    let paths = all_send(&all).await?;
    nobody_sees_another(&all, &paths).await?;
    staff_is_where_it_was_put(&all, &paths).await?;
    the_provider_oversees(&all, &paths).await?;
    each_is_billed_for_itself(&all, &paths).await?;
    limits_are_each_clients_own(&all).await?;
    a_reviewer_is_lent(&all).await
}
