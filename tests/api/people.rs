//! Workspaces with people, senders and campaigns, made through the API as their users make them.

use anyhow::Context;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::service::{Answer, Client, PASSWORD, Service};

/// An address that a sender sends from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    /// What handsets show.
    pub(super) saddr: &'static str,
    /// Type of number.
    pub(super) ston: u8,
    /// Numbering plan.
    pub(super) snpi: u8,
}

/// A workspace with everybody that a campaign needs.
pub(super) struct Team {
    /// Its slug.
    pub(super) slug: &'static str,
    /// Its first admin, made by the provider.
    pub(super) admin: Client,
    /// Invited by the admin.
    pub(super) author: Client,
    /// Invited by the admin.
    pub(super) moderator: Client,
    /// The id of its approved sender.
    pub(super) sender: String,
    /// Where the sender sends from.
    pub(super) address: Address,
}

impl Team {
    /// A path inside the workspace.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/w/{}{rest}", self.slug)
    }

    /// The email of somebody here.
    pub(super) fn email(&self, name: &str) -> String {
        format!("{name}@{}.example.com", self.slug)
    }
}

/// A workspace with admin, author, moderator and an approved sender.
pub(super) async fn team(
    service: &Service,
    root: &Client,
    slug: &'static str,
    address: Address,
) -> anyhow::Result<Team> {
    root.post("/workspaces", json!({"slug": slug, "name": slug})).await?.expect(201)?;
    let email = |name: &str| format!("{name}@{slug}.example.com");
    let account = json!({
        "email": email("admin"), "name": "Adele Admin", "password": PASSWORD,
        "memberships": [{"slug": slug, "role": "Admin"}],
    });
    root.post("/users", account).await?.expect(201)?;
    let admin = service.login(&email("admin")).await?;
    let author = invite(service, &admin, slug, (&email("author"), "Author")).await?;
    let moderator = invite(service, &admin, slug, (&email("moderator"), "Moderator")).await?;
    let sender = provision(root, slug, address).await?.text("id").to_owned();
    Ok(Team { slug, admin, author, moderator, sender, address })
}

/// Somebody who is invited and accepts with a new account.
pub(super) async fn invite(
    service: &Service,
    admin: &Client,
    slug: &str,
    (email, role): (&str, &str),
) -> anyhow::Result<Client> {
    let invitation =
        admin.post(&format!("/w/{slug}/invitations"), json!({"email": email, "role": role})).await?;
    let invitation = invitation.expect(201)?;
    accept(service, &invitation, email).await?;
    service.login(email).await
}

/// The answer to whoever accepts an invitation with a new account.
pub(super) async fn accept(service: &Service, invitation: &Answer, name: &str) -> anyhow::Result<Answer> {
    let (_, token) = invitation.text("link").split_once('#').context("a token in the link")?;
    let body = json!({"token": token, "name": name, "password": PASSWORD});
    service.nobody().post("/invitations/accept", body).await?.expect(200)
}

/// A sender that the provider puts into a workspace.
pub(super) async fn provision(root: &Client, slug: &str, address: Address) -> anyhow::Result<Answer> {
    let Address { saddr, ston, snpi } = address;
    let body = json!({
        "name": saddr, "saddr": saddr, "ston": ston, "snpi": snpi, "registration_ref": format!("registered {saddr}"),
    });
    root.post(&format!("/workspaces/{slug}/senders/provision"), body).await?.expect(201)
}

/// A recipient file: a header and these numbers.
pub(super) fn file(numbers: impl IntoIterator<Item = u64>) -> String {
    let lines = numbers.into_iter().map(|number| format!("+{number}\r\n"));
    std::iter::once("number\r\n".to_owned()).chain(lines).collect()
}

/// A campaign by the wizard, submitted: it waits for its approval.
pub(super) async fn submitted(
    team: &Team,
    author: &Client,
    fields: Value,
    numbers: impl IntoIterator<Item = u64>,
) -> anyhow::Result<Value> {
    let mut all = json!({"sender_id": team.sender, "auto_start": true});
    merge(&mut all, fields);
    let draft = author.post(&team.path("/drafts"), all).await?.expect(201)?;
    let path = team.path(&format!("/drafts/{}", draft.text("id")));
    author.upload(&format!("{path}/recipients"), file(numbers)).await?.expect(200)?;
    Ok(author.post(&format!("{path}/submit"), Value::Null).await?.expect(201)?.body)
}

fn merge(into: &mut Value, fields: Value) {
    if let (Value::Object(into), Value::Object(fields)) = (into, fields) {
        into.extend(fields);
    }
}

/// Approves a campaign as it stands in `campaign`.
pub(super) async fn approve(team: &Team, moderator: &Client, campaign: &Value) -> anyhow::Result<Answer> {
    let path = team.path(&format!("/campaigns/{}/approve", id(campaign)));
    moderator.post(&path, json!({"version": campaign["version"]})).await
}

/// The id of something.
pub(super) fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap_or_default()
}

/// What the SMSC accepted from a source address: destinations, each once.
pub(super) fn accepted_from(service: &Service, address: Address) -> BTreeSet<u64> {
    let mut found = BTreeMap::new();
    service.smsc.with_ledger(|ledger| {
        for submit in ledger.accepted() {
            let source = ledger.source(submit);
            if (source.addr.as_slice(), source.ton, source.npi)
                == (address.saddr.as_bytes(), address.ston, address.snpi)
            {
                *found.entry(submit.destination).or_insert(0) += 1;
            }
        }
    });
    assert!(found.values().all(|count| *count == 1), "a message came twice");
    found.into_keys().collect()
}

/// Everything that an audit log holds, the oldest first.
pub(super) async fn audit(client: &Client, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut events = client.all(path).await?;
    events.sort_by_key(|event| event["seq"].as_u64());
    Ok(events)
}

/// A figure of a long run, for whoever reads along.
pub(super) fn show(line: &str) {
    // Written to the stream itself: the harness hides what the print macros write of a passed test.
    let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), format!("\n{line}\n").as_bytes());
}
