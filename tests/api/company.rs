//! Departments of one company in one installation: at the same time, each for itself, nobody as somebody else.

use super::people::{self, Address, Team};
use super::trail::Trail;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::service::{Client, Service, Setting};

const SLUGS: [&str; 4] = ["hr", "it", "finance", "corporate"];
const NAMES: [&str; 4] = ["HRTeam", "CorpIT", "Finance", "TheCompany"];
const FIRST_NUMBER: u64 = 491_703_000_000;
const EMPLOYEES: u64 = 400;

fn numbers(department: usize) -> BTreeSet<u64> {
    let first = FIRST_NUMBER + 10_000 * department as u64;
    (first..first + EMPLOYEES).collect()
}

async fn company(service: &Service, root: &Client) -> anyhow::Result<Vec<Team>> {
    let mut teams = Vec::new();
    for (slug, saddr) in SLUGS.into_iter().zip(NAMES) {
        teams.push(people::team(service, root, slug, Address { saddr, ston: 5, snpi: 0 }).await?);
    }
    Ok(teams)
}

/// Two departments send at the same time; each message has its own department's name.
async fn both_send(service: &Service, teams: &[Team]) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for (department, team) in teams.iter().enumerate().take(2) {
        let fields = json!({"name": team.slug, "mode": "OnDemand", "text": "To all of us"});
        let campaign = people::submitted(team, &team.author, fields, numbers(department)).await?;
        people::approve(team, &team.moderator, &campaign).await?.expect(200)?;
        paths.push(team.path(&format!("/campaigns/{}", people::id(&campaign))));
    }
    for (department, team) in teams.iter().enumerate().take(2) {
        team.author.until(&paths[department], |it| it["status"] == "Done").await?;
        assert_eq!(people::accepted_from(service, team.address), numbers(department));
    }
    Ok(paths)
}

/// Nobody sees, edits or approves what is another department's, and each list tells of its own alone.
async fn each_sees_its_own(teams: &[Team], paths: &[String]) -> anyhow::Result<()> {
    let (hr, it) = (&teams[0], &teams[1]);
    for stranger in [&it.admin, &it.author, &it.moderator] {
        assert_eq!(stranger.get(&paths[0]).await?.status, 404);
        assert_eq!(stranger.get(&hr.path("/campaigns")).await?.status, 404);
        assert_eq!(stranger.post(&format!("{}/cancel", paths[0]), Value::Null).await?.status, 404);
    }
    for team in teams {
        let me = team.author.get("/me").await?.expect(200)?;
        let slugs: Vec<&Value> =
            me.body["memberships"].as_array().into_iter().flatten().map(|it| &it["slug"]).collect();
        assert_eq!(slugs, [team.slug], "{}", me.body);
        let list = team.admin.get(&team.path("/campaigns")).await?.expect(200)?;
        let expected = u64::from(team.slug == "hr" || team.slug == "it");
        assert_eq!(list.body["workspace_total"], expected, "{}", list.body);
    }
    Ok(())
}

/// A department can neither use nor register the name of another one.
async fn nobody_poses_as_another(teams: &[Team]) -> anyhow::Result<()> {
    let (hr, it) = (&teams[0], &teams[1]);
    let fields = json!({
        "name": "Payroll", "mode": "OnDemand", "text": "Payroll", "sender_id": hr.sender,
        "recipients": [{"number": "+491703999999"}],
    });
    let foreign = it.author.post(&it.path("/campaigns"), fields).await?;
    assert!(matches!(foreign.status, 404 | 422), "{}", foreign.body);
    let sender = it.admin.post(&it.path("/senders"), json!({"name": "Payroll"})).await?.expect(201)?;
    let path = it.path(&format!("/senders/{}", sender.text("id")));
    let revision = json!({"saddr": "HRTeam", "ston": 5, "snpi": 0, "submit": true});
    let revision = it.admin.post(&format!("{path}/revisions"), revision).await?;
    if revision.status == 201 {
        let approved = it.moderator.post(&format!("{path}/revisions/1/approve"), Value::Null).await?;
        assert_eq!((approved.status, approved.code()), (409, "sender_reserved"), "{}", approved.body);
    } else {
        assert_eq!((revision.status, revision.code()), (409, "sender_reserved"), "{}", revision.body);
    }
    Ok(())
}

/// Two authors of one department are told apart, campaign by campaign.
async fn authors_are_told_apart(service: &Service, root: &Client, team: &Team) -> anyhow::Result<()> {
    let second = people::invite(service, &team.admin, team.slug, ("second@it.example.com", "Author")).await?;
    let fields = |name: &str| json!({"name": name, "mode": "OnDemand", "text": "Hello"});
    let first = people::submitted(team, &team.author, fields("one"), [FIRST_NUMBER + 90_001]).await?;
    let other = people::submitted(team, &second, fields("two"), [FIRST_NUMBER + 90_002]).await?;
    let trail = Trail::read(root, team.slug).await?;
    let by =
        |campaign: &Value| trail.about(people::id(campaign), "campaign.create")["actor"]["email"].clone();
    assert_eq!((by(&first), by(&other)), (team.email("author").into(), "second@it.example.com".into()));
    let path = team.path(&format!("/audit?actor={}", second.id));
    let events = team.admin.all(&path).await?;
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event["actor"]["user_id"] == second.id), "{events:?}");
    let theirs =
        second.post(&team.path(&format!("/campaigns/{}/cancel", people::id(&first))), Value::Null).await?;
    assert!(matches!(theirs.status, 403 | 404), "{}", theirs.body);
    Ok(())
}

/// The provider finds any campaign by its id in one search, and changes nothing there.
async fn the_platform_finds_everything(root: &Client, paths: &[String]) -> anyhow::Result<()> {
    for path in paths {
        let id = path.rsplit('/').next().unwrap_or_default();
        let found = root.get(&format!("/w/master/campaigns?q={id}")).await?.expect(200)?;
        assert_eq!(found.body["filtered_total"], 1, "{}", found.body);
        assert_eq!(found.body["items"][0]["id"], id, "{}", found.body);
    }
    Ok(())
}

/// What a department's settings and its audit log are, for a comparison.
async fn standing(team: &Team) -> anyhow::Result<(Value, usize)> {
    let settings = team.admin.get(&team.path("/settings")).await?.expect(200)?.body;
    Ok((settings, team.admin.all(&team.path("/audit")).await?.len()))
}

/// Who reviews, and how many must, is each department's own matter, also for somebody who reviews in two.
async fn reviewers_are_each_departments_own(service: &Service, teams: &[Team]) -> anyhow::Result<()> {
    let (hr, it) = (&teams[0], &teams[1]);
    let email = "reviewer@corporate.example.com";
    let reviewer = people::invite(service, &hr.admin, hr.slug, (email, "Moderator")).await?;
    let invitation = json!({"email": email, "role": "Moderator"});
    let invitation = it.admin.post(&it.path("/invitations"), invitation).await?.expect(201)?;
    let (_, token) = invitation.text("link").split_once('#').unwrap_or_default();
    reviewer.post("/invitations/accept", json!({"token": token})).await?.expect(200)?;

    let before = standing(it).await?;
    let role = json!({"role": "Author"});
    hr.admin.patch(&hr.path(&format!("/members/{}", reviewer.id)), role).await?.expect(200)?;
    let policies = json!({"policies": {"approvals_required": 2}});
    hr.admin.patch(&hr.path("/settings"), policies).await?.expect(200)?;
    assert_eq!(standing(it).await?, before);

    let fields = json!({"name": "Review", "mode": "OnDemand", "text": "Hello", "auto_start": false});
    for (team, place, expected) in [(hr, 2, 403), (it, 3, 200)] {
        let numbers = [FIRST_NUMBER + 90_000 + place];
        let campaign = people::submitted(team, &team.author, fields.clone(), numbers).await?;
        let decided = people::approve(team, &reviewer, &campaign).await?;
        assert_eq!(decided.status, expected, "{}: {}", team.slug, decided.body);
        let queue = reviewer.get(&team.path("/moderation/campaigns")).await?;
        assert_eq!(queue.status, expected, "{}: {}", team.slug, queue.body);
    }
    Ok(())
}

#[tokio::test]
async fn departments_share_an_installation_and_nothing_else() -> anyhow::Result<()> {
    let service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let teams = company(&service, &root).await?;
    let paths = both_send(&service, &teams).await?;
    each_sees_its_own(&teams, &paths).await?;
    nobody_poses_as_another(&teams).await?;
    authors_are_told_apart(&service, &root, &teams[1]).await?;
    the_platform_finds_everything(&root, &paths).await?;
    reviewers_are_each_departments_own(&service, &teams).await
}
