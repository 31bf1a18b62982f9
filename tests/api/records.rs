//! Every request that changes something leaves exactly its record: each operation of the document that is no `GET` is
//! done once, by somebody who may, and the audit logs are asked for what its request has left.
//!
//! An operation that is added and not done here fails the test, and so does one whose record is missing or comes twice.

use super::people;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::service::{Answer, Client, PASSWORD, Service, Setting};

/// Where everything is done; what two workspaces share is shared with the other one.
const SLUGS: [&str; 2] = ["shop", "other"];
const NUMBER: u64 = 491_707_000_000;
const TEXT: &str = "Hello";

/// What each leaves: one record, in one log.
const ONE: &[(&str, &str)] = &[
    ("POST /login", "login.open"),
    ("POST /logout", "login.end"),
    ("DELETE /me/logins", "login.end"),
    ("DELETE /me/logins/{id}", "login.end"),
    ("PATCH /me/preferences", "user.change_preferences"),
    ("POST /users", "user.create"),
    ("PATCH /users/{id}", "user.change"),
    ("POST /users/{id}/reset-link", "password_link.create"),
    ("PATCH /platform/settings", "settings.change"),
    ("PUT /workspaces/{slug}/members/{user_id}", "member.add"),
    ("POST /suppressions", "suppression.add"),
    ("DELETE /suppressions/{id}", "suppression.remove"),
    ("POST /privacy/erase", "privacy.erase"),
    ("POST /join-requests", "join_request.create"),
    ("POST /w/{slug}/join-requests/{id}/reject", "join_request.reject"),
    ("PATCH /w/{slug}/members/{user_id}", "member.change"),
    ("DELETE /w/{slug}/members/{user_id}", "member.remove"),
    ("POST /w/{slug}/invitations", "invitation.create"),
    ("DELETE /w/{slug}/invitations/{id}", "invitation.revoke"),
    ("PATCH /w/{slug}/settings", "workspace.settings"),
    ("POST /w/{slug}/api-keys", "api_key.create"),
    ("DELETE /w/{slug}/api-keys/{id}", "api_key.revoke"),
    ("POST /w/{slug}/suppressions", "suppression.add"),
    ("DELETE /w/{slug}/suppressions/{id}", "suppression.remove"),
    ("POST /w/{slug}/senders", "sender.create"),
    ("POST /w/{slug}/senders/{id}/archive", "sender.archive"),
    ("POST /w/{slug}/senders/{id}/revisions", "sender_revision.create"),
    ("POST /w/{slug}/senders/{id}/revisions/{n}/submit", "sender_revision.submit"),
    ("POST /w/{slug}/senders/{id}/revisions/{n}/reject", "sender_revision.reject"),
    ("POST /w/{slug}/templates", "template.create"),
    ("POST /w/{slug}/templates/{id}/versions", "template_version.create"),
    ("POST /w/{slug}/templates/{id}/versions/{n}/submit", "template_version.submit"),
    ("POST /w/{slug}/templates/{id}/versions/{n}/reject", "template_version.reject"),
    ("POST /w/{slug}/drafts", "draft.create"),
    ("PATCH /w/{slug}/drafts/{id}", "draft.update"),
    ("DELETE /w/{slug}/drafts/{id}", "draft.delete"),
    ("PUT /w/{slug}/drafts/{id}/recipients", "recipients.upload"),
    ("DELETE /w/{slug}/drafts/{id}/recipients", "recipients.remove"),
    ("POST /w/{slug}/campaigns", "campaign.create"),
    ("PATCH /w/{slug}/campaigns/{id}", "campaign.update"),
    ("PUT /w/{slug}/campaigns/{id}/recipients", "recipients.upload"),
    ("POST /w/{slug}/campaigns/{id}/approve", "campaign.approve"),
    ("POST /w/{slug}/campaigns/{id}/reject", "campaign.reject"),
    ("POST /w/{slug}/campaigns/{id}/start", "campaign.start"),
    ("POST /w/{slug}/campaigns/{id}/pause", "campaign.pause"),
    ("POST /w/{slug}/campaigns/{id}/resume", "campaign.resume"),
    ("POST /w/{slug}/campaigns/{id}/finish", "campaign.finish"),
    ("POST /w/{slug}/campaigns/{id}/cancel", "campaign.cancel"),
    ("POST /w/{slug}/campaigns/{id}/archive", "campaign.archive"),
    ("POST /w/{slug}/campaigns/{id}/restore", "campaign.restore"),
    ("POST /w/{slug}/campaigns/{id}/resend", "campaign.resend"),
    ("POST /w/{slug}/campaigns/{id}/numbers", "numbers.push"),
    ("POST /w/{slug}/campaigns/{id}/recipients/reveal", "recipients.reveal"),
    ("POST /w/{slug}/campaigns/{id}/exports", "export.create"),
];

/// Those that leave none or several, sorted by their names, each with its reason. No log has two of one name.
const OTHERS: &[(&str, &[&str], &str)] = &[
    ("POST /setup", &["login.open", "user.setup"], "an account, and its first login"),
    (
        "POST /me/password",
        &["login.end", "login.open", "user.change_password"],
        "the present login becomes another one",
    ),
    (
        "POST /password-links/use",
        &["login.end", "password_link.use", "user.reset_password"],
        "the link is used up and the login ends",
    ),
    (
        "POST /workspaces",
        &["workspace.create", "workspace.create"],
        "in the platform's log and as the first record of its own",
    ),
    (
        "PATCH /workspaces/{slug}",
        &["workspace.limits", "workspace.limits"],
        "in the platform's log and in the workspace's",
    ),
    (
        "POST /workspaces/{slug}/senders/provision",
        &["sender.create", "sender_claim.take", "sender_revision.provision"],
        "a sender, its address, and the claim of the address",
    ),
    (
        "POST /sender-claims/{saddr}/grants",
        &["sender_claim.grant", "sender_claim.grant", "sender_claim.grant"],
        "in the platform's log and in those of both workspaces",
    ),
    (
        "DELETE /sender-claims/{saddr}/grants",
        &["sender_claim.revoke", "sender_claim.revoke", "sender_claim.revoke"],
        "in the platform's log and in those of both workspaces",
    ),
    (
        "POST /w/{slug}/join-requests/{id}/approve",
        &["join_request.approve", "member.add"],
        "the request ends, the membership begins",
    ),
    (
        "POST /invitations/accept",
        &["invitation.accept", "member.add", "user.create"],
        "the invitation ends, account and membership begin",
    ),
    (
        "POST /w/{slug}/senders/{id}/revisions/{n}/approve",
        &["sender.activate", "sender_claim.take", "sender_revision.approve"],
        "the revision, the sender that has it now, and the claim of the address",
    ),
    (
        "POST /w/{slug}/senders/{id}/revisions/{n}/withdraw",
        &["sender.deactivate", "sender_revision.withdraw"],
        "the revision, and the sender that has none now",
    ),
    (
        "POST /w/{slug}/templates/{id}/versions/{n}/approve",
        &["template.activate", "template_version.approve"],
        "the version, and the template that has it now",
    ),
    (
        "POST /w/{slug}/templates/{id}/archive",
        &["template.archive", "template_version.archive"],
        "the template and its approved version",
    ),
    (
        "POST /w/{slug}/drafts/{id}/submit",
        &["campaign.create", "draft.submit"],
        "the draft ends, the campaign begins",
    ),
    (
        "POST /w/{slug}/campaigns/{id}/cancel-and-archive",
        &["campaign.archive", "campaign.cancel"],
        "two moves in one request",
    ),
    ("POST /w/{slug}/drafts/{id}/preview", &[], "shows, and changes nothing"),
    (
        "POST /w/{slug}/campaigns/{id}/recipients/search",
        &[],
        "shows, and changes nothing; a POST because numbers are never in a URL",
    ),
];

/// A request that was done.
struct Deed {
    route: &'static str,
    request: String,
    /// The account; empty for nobody's.
    by: String,
}

/// The installation and what was done in it.
struct Walk {
    service: Service,
    root: Client,
    admin: Client,
    author: Client,
    moderator: Client,
    deeds: Vec<Deed>,
}

/// The path of a route with its parameters filled in, in their order.
fn filled(template: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let segments = template.split('/').map(|segment| match segment.starts_with('{') {
        true => values.next().copied().unwrap_or_default(),
        false => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

impl Walk {
    /// Does it; a text is sent as a recipient file, `null` as nothing.
    async fn by(
        &mut self,
        client: &Client,
        route: &'static str,
        values: &[&str],
        body: Value,
    ) -> anyhow::Result<Answer> {
        let (method, template) = route.split_once(' ').context("a method and a path")?;
        let request = client.request(method.parse::<Method>()?, &filled(template, values));
        let request = match body {
            Value::Null => request,
            Value::String(file) => request.header("content-type", "text/csv").body(file),
            body => request.json(&body),
        };
        let answer = client.send(request).await?;
        anyhow::ensure!((200..300).contains(&answer.status), "{route}: {} {}", answer.status, answer.body);
        let (request, by) = (answer.request_id().to_owned(), client.id.clone());
        self.deeds.push(Deed { route, request, by });
        Ok(answer)
    }

    /// In the workspace, by its admin.
    async fn inside(&mut self, route: &'static str, values: &[&str], body: Value) -> anyhow::Result<Answer> {
        let values: Vec<&str> = [SLUGS[0]].into_iter().chain(values.iter().copied()).collect();
        let admin = self.admin.clone();
        self.by(&admin, route, &values, body).await
    }

    async fn begin() -> anyhow::Result<Self> {
        let service = Service::start(Setting::default()).await?;
        let nobody = service.nobody();
        let mut walk = Self {
            root: nobody.clone(),
            admin: nobody.clone(),
            author: nobody.clone(),
            moderator: nobody.clone(),
            deeds: Vec::new(),
            service,
        };
        let token = walk.service.token.clone().context("a setup token")?;
        let first =
            json!({"token": token, "email": "root@example.com", "name": "Ruth", "password": PASSWORD});
        walk.by(&nobody, "POST /setup", &[], first).await?;
        let credentials = json!({"email": "root@example.com", "password": PASSWORD});
        walk.by(&nobody, "POST /login", &[], credentials).await?;
        walk.root = walk.service.login("root@example.com").await?;
        Ok(walk)
    }

    /// Somebody with an account and nothing else.
    async fn account(&mut self, name: &str) -> anyhow::Result<Client> {
        let root = self.root.clone();
        let email = format!("{name}@example.com");
        let account = json!({"email": email, "name": name, "password": PASSWORD});
        self.by(&root, "POST /users", &[], account).await?;
        self.service.login(&email).await
    }

    /// What the provider does.
    async fn platform(&mut self) -> anyhow::Result<()> {
        let root = self.root.clone();
        for slug in SLUGS {
            self.by(&root, "POST /workspaces", &[], json!({"slug": slug, "name": slug})).await?;
        }
        let limits = json!({"rate_per_s": 1_000});
        self.by(&root, "PATCH /workspaces/{slug}", &[SLUGS[0]], limits).await?;
        self.by(&root, "PATCH /platform/settings", &[], json!({"number_retention_days": 30})).await?;
        let provision = "POST /workspaces/{slug}/senders/provision";
        let sender =
            json!({"name": "Shop", "saddr": "Shop", "ston": 5, "snpi": 0, "registration_ref": "registered"});
        self.by(&root, provision, &[SLUGS[0]], sender).await?;
        let other = json!({"slug": SLUGS[1]});
        self.by(&root, "POST /sender-claims/{saddr}/grants", &["Shop"], other.clone()).await?;
        self.by(&root, "DELETE /sender-claims/{saddr}/grants", &["Shop"], other).await?;
        let numbers = json!({"numbers": [format!("+{NUMBER}")], "reason": "asked for it"});
        self.by(&root, "POST /suppressions", &[], numbers).await?;
        let entry = root.all("/suppressions").await?;
        self.by(&root, "DELETE /suppressions/{id}", &[people::id(&entry[0])], Value::Null).await?;
        let number = json!({"number": format!("+{NUMBER}")});
        self.by(&root, "POST /privacy/erase", &[], number).await?;
        Ok(())
    }

    /// Accounts and what their owners do with them.
    async fn accounts(&mut self) -> anyhow::Result<()> {
        let (root, nobody) = (self.root.clone(), self.service.nobody());
        let ann = self.account("ann").await?;
        self.by(&root, "PATCH /users/{id}", &[&ann.id], json!({"name": "Ann Author"})).await?;
        let preferences = json!({"language": "en-GB"});
        self.by(&ann, "PATCH /me/preferences", &[], preferences).await?;
        self.service.login("ann@example.com").await?;
        self.by(&ann, "DELETE /me/logins", &[], Value::Null).await?;
        self.service.login("ann@example.com").await?;
        let logins = ann.all("/me/logins").await?;
        let other = logins.iter().find(|login| login["is_current"] == false).context("the other login")?;
        self.by(&ann, "DELETE /me/logins/{id}", &[people::id(other)], Value::Null).await?;
        let change = json!({"old": PASSWORD, "new": format!("{PASSWORD} again")});
        self.by(&ann, "POST /me/password", &[], change).await?;
        let link = self.by(&root, "POST /users/{id}/reset-link", &[&ann.id], Value::Null).await?;
        let choice = json!({"token": link.body["link"]["token"], "password": PASSWORD});
        self.by(&nobody, "POST /password-links/use", &[], choice).await?;
        let ann = self.service.login("ann@example.com").await?;
        self.by(&ann, "POST /logout", &[], Value::Null).await?;
        Ok(())
    }

    /// How people come into the workspace and leave it.
    async fn members(&mut self) -> anyhow::Result<()> {
        let (root, place) = (self.root.clone(), "PUT /workspaces/{slug}/members/{user_id}");
        for (name, role) in [("admin", "Admin"), ("author", "Author"), ("moderator", "Moderator")] {
            let somebody = self.account(name).await?;
            self.by(&root, place, &[SLUGS[0], &somebody.id], json!({"role": role})).await?;
            match name {
                "admin" => self.admin = somebody,
                "author" => self.author = somebody,
                _ => self.moderator = somebody,
            }
        }
        let (first, second) = (self.account("first").await?, self.account("second").await?);
        for stranger in [&first, &second] {
            self.by(stranger, "POST /join-requests", &[], json!({"slug": SLUGS[0]})).await?;
        }
        let waiting = self.admin.all(&format!("/w/{}/join-requests", SLUGS[0])).await?;
        let of = |stranger: &Client| waiting.iter().find(|it| it["user_id"] == stranger.id).map(people::id);
        let (one, two) = (of(&first).context("a request")?, of(&second).context("a request")?);
        let role = json!({"role": "Author"});
        self.inside("POST /w/{slug}/join-requests/{id}/approve", &[one], role).await?;
        self.inside("POST /w/{slug}/join-requests/{id}/reject", &[two], Value::Null).await?;
        let flag = json!({"is_moderator": true});
        self.inside("PATCH /w/{slug}/members/{user_id}", &[&first.id], flag).await?;
        self.inside("DELETE /w/{slug}/members/{user_id}", &[&first.id], Value::Null).await?;
        for email in ["new@example.com", "never@example.com"] {
            let invitation = json!({"email": email, "role": "Author"});
            let made = self.inside("POST /w/{slug}/invitations", &[], invitation).await?;
            if email.starts_with("never") {
                let id = made.text("id");
                self.inside("DELETE /w/{slug}/invitations/{id}", &[id], Value::Null).await?;
                continue;
            }
            let (_, token) = made.text("link").split_once('#').context("a token")?;
            let accept = json!({"token": token, "name": "New", "password": PASSWORD});
            let nobody = self.service.nobody();
            self.by(&nobody, "POST /invitations/accept", &[], accept).await?;
        }
        Ok(())
    }

    /// What an admin keeps in order.
    async fn affairs(&mut self) -> anyhow::Result<()> {
        let settings = json!({"name": "The shop"});
        self.inside("PATCH /w/{slug}/settings", &[], settings).await?;
        let key = json!({"name": "program", "scopes": ["campaigns:read"]});
        let key = self.inside("POST /w/{slug}/api-keys", &[], key).await?;
        self.inside("DELETE /w/{slug}/api-keys/{id}", &[key.text("id")], Value::Null).await?;
        let numbers = json!({"numbers": ["+491707999999"], "reason": "asked for it"});
        self.inside("POST /w/{slug}/suppressions", &[], numbers).await?;
        let entry = self.admin.all(&format!("/w/{}/suppressions", SLUGS[0])).await?;
        self.inside("DELETE /w/{slug}/suppressions/{id}", &[people::id(&entry[0])], Value::Null).await?;
        Ok(())
    }

    /// Senders and message templates: three of each that end in their own ways.
    async fn registry(&mut self) -> anyhow::Result<()> {
        let (moderator, note) = (self.moderator.clone(), json!({"note": "not like this"}));
        let sender = self.inside("POST /w/{slug}/senders", &[], json!({"name": "Second"})).await?;
        let sender = sender.text("id");
        for n in ["1", "2"] {
            let revision = json!({"saddr": "Second", "ston": 5, "snpi": 0, "submit": false});
            self.inside("POST /w/{slug}/senders/{id}/revisions", &[sender], revision).await?;
            let submit = "POST /w/{slug}/senders/{id}/revisions/{n}/submit";
            self.inside(submit, &[sender, n], Value::Null).await?;
            let (place, note) = ([SLUGS[0], sender, n], note.clone());
            if n == "1" {
                let reject = "POST /w/{slug}/senders/{id}/revisions/{n}/reject";
                self.by(&moderator, reject, &place, note).await?;
            } else {
                let approve = "POST /w/{slug}/senders/{id}/revisions/{n}/approve";
                self.by(&moderator, approve, &place, Value::Null).await?;
                let withdraw = "POST /w/{slug}/senders/{id}/revisions/{n}/withdraw";
                self.by(&moderator, withdraw, &place, note).await?;
            }
        }
        self.inside("POST /w/{slug}/senders/{id}/archive", &[sender], Value::Null).await?;
        let template = self.inside("POST /w/{slug}/templates", &[], json!({"name": "Code"})).await?;
        let template = template.text("id");
        for n in ["1", "2"] {
            let text = json!({"text": "Your code is {code}."});
            self.inside("POST /w/{slug}/templates/{id}/versions", &[template], text).await?;
            let submit = "POST /w/{slug}/templates/{id}/versions/{n}/submit";
            self.inside(submit, &[template, n], Value::Null).await?;
            let place = [SLUGS[0], template, n];
            if n == "1" {
                let reject = "POST /w/{slug}/templates/{id}/versions/{n}/reject";
                self.by(&moderator, reject, &place, note.clone()).await?;
            } else {
                let approve = "POST /w/{slug}/templates/{id}/versions/{n}/approve";
                self.by(&moderator, approve, &place, Value::Null).await?;
            }
        }
        self.inside("POST /w/{slug}/templates/{id}/archive", &[template], Value::Null).await?;
        Ok(())
    }

    /// A campaign by the wizard, and a draft that is thrown away.
    async fn drafts(&mut self, sender: &str) -> anyhow::Result<()> {
        let fields = json!({"name": "Wizard", "mode": "OnDemand", "sender_id": sender});
        let draft = self.inside("POST /w/{slug}/drafts", &[], fields).await?;
        let draft = draft.text("id");
        self.inside("PATCH /w/{slug}/drafts/{id}", &[draft], json!({"text": TEXT})).await?;
        let (put, file) = ("PUT /w/{slug}/drafts/{id}/recipients", people::file([NUMBER + 1]));
        self.inside(put, &[draft], file.clone().into()).await?;
        self.inside("DELETE /w/{slug}/drafts/{id}/recipients", &[draft], Value::Null).await?;
        self.inside(put, &[draft], file.into()).await?;
        self.inside("POST /w/{slug}/drafts/{id}/preview", &[draft], Value::Null).await?;
        self.inside("POST /w/{slug}/drafts/{id}/submit", &[draft], Value::Null).await?;
        let away = self.inside("POST /w/{slug}/drafts", &[], json!({"name": "Away"})).await?;
        self.inside("DELETE /w/{slug}/drafts/{id}", &[away.text("id")], Value::Null).await?;
        Ok(())
    }

    /// A campaign of the admin's that waits for its approval: its id.
    async fn campaign(&mut self, sender: &str, mode: &str) -> anyhow::Result<String> {
        let mut fields = json!({
            "name": mode, "mode": mode, "text": TEXT, "sender_id": sender, "auto_start": false,
        });
        if mode != "Trigger" {
            fields["recipients"] = json!([{"number": format!("+{}", NUMBER + 2)}]);
        }
        let made = self.inside("POST /w/{slug}/campaigns", &[], fields).await?;
        Ok(made.text("id").to_owned())
    }

    async fn approved(&mut self, id: &str, version: &Value) -> anyhow::Result<()> {
        let (moderator, approve) = (self.moderator.clone(), "POST /w/{slug}/campaigns/{id}/approve");
        self.by(&moderator, approve, &[SLUGS[0], id], json!({"version": version})).await?;
        self.until(id, "Pending").await
    }

    async fn until(&self, id: &str, status: &str) -> anyhow::Result<()> {
        let path = format!("/w/{}/campaigns/{id}", SLUGS[0]);
        self.admin.until(&path, |it| it["status"] == status).await.map(drop)
    }

    /// Campaigns that end in their own ways before anything was sent, and what is made of them afterwards.
    async fn endings(&mut self, sender: &str) -> anyhow::Result<()> {
        let moderator = self.moderator.clone();
        let refused = self.campaign(sender, "OnDemand").await?;
        let edit = json!({"version": 1, "text": "Hello again"});
        self.inside("PATCH /w/{slug}/campaigns/{id}", &[&refused], edit).await?;
        let put = "PUT /w/{slug}/campaigns/{id}/recipients";
        self.inside(put, &[&refused], people::file([NUMBER + 3]).into()).await?;
        let edited = self.admin.get(&format!("/w/{}/campaigns/{refused}", SLUGS[0])).await?.expect(200)?;
        let reject = json!({"version": edited.body["version"], "note": "not like this"});
        let route = "POST /w/{slug}/campaigns/{id}/reject";
        self.by(&moderator, route, &[SLUGS[0], &refused], reject).await?;
        let cancelled = self.campaign(sender, "OnDemand").await?;
        self.approved(&cancelled, &json!(1)).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/cancel", &[&cancelled], Value::Null).await?;
        let again = json!({"status": ["cancelled"]});
        self.inside("POST /w/{slug}/campaigns/{id}/resend", &[&cancelled], again).await?;
        let filed = self.campaign(sender, "OnDemand").await?;
        self.approved(&filed, &json!(1)).await?;
        let route = "POST /w/{slug}/campaigns/{id}/cancel-and-archive";
        self.inside(route, &[&filed], Value::Null).await?;
        Ok(())
    }

    /// A campaign that sends, from its start into the archive and out of it.
    async fn running(&mut self, sender: &str) -> anyhow::Result<()> {
        let id = self.campaign(sender, "Trigger").await?;
        self.approved(&id, &json!(1)).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/start", &[&id], Value::Null).await?;
        let items = json!({"items": [{"number": format!("+{}", NUMBER + 4)}]});
        self.inside("POST /w/{slug}/campaigns/{id}/numbers", &[&id], items).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/pause", &[&id], Value::Null).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/resume", &[&id], Value::Null).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/finish", &[&id], Value::Null).await?;
        self.until(&id, "Done").await?;
        let number = json!({"number": format!("+{}", NUMBER + 4)});
        self.inside("POST /w/{slug}/campaigns/{id}/recipients/search", &[&id], number).await?;
        let reveal = "POST /w/{slug}/campaigns/{id}/recipients/reveal";
        self.inside(reveal, &[&id], Value::Null).await?;
        let export = "POST /w/{slug}/campaigns/{id}/exports";
        self.inside(export, &[&id], json!({"format": "csv"})).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/archive", &[&id], Value::Null).await?;
        self.inside("POST /w/{slug}/campaigns/{id}/restore", &[&id], Value::Null).await?;
        Ok(())
    }

    /// What the logs hold of each request: in whose log, by whom, what.
    async fn left(&self) -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
        let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let logs = SLUGS.map(|slug| format!("/w/{slug}/audit"));
        for path in logs.into_iter().chain(["/audit".to_owned()]) {
            for event in people::audit(&self.root, &path).await? {
                let request = event["request_id"].as_str().unwrap_or_default().to_owned();
                all.entry(request).or_default().push(event);
            }
        }
        Ok(all)
    }

    /// Every operation that is no `GET`, as the document lists them.
    async fn operations(&self) -> anyhow::Result<BTreeSet<String>> {
        let document = self.root.get("/openapi.json").await?.expect(200)?.body;
        let mut all = BTreeSet::new();
        for (path, item) in document["paths"].as_object().context("paths")? {
            let methods = item.as_object().into_iter().flat_map(|item| item.keys());
            let changing = ["post", "put", "patch", "delete"];
            for method in methods.filter(|method| changing.contains(&method.as_str())) {
                let path = path.strip_prefix("/api/v1").unwrap_or(path);
                all.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        Ok(all)
    }
}

/// What a route leaves, as the tables say.
fn expected(route: &str) -> Option<Vec<&'static str>> {
    let one = ONE.iter().find(|(of, _)| *of == route).map(|(_, action)| vec![*action]);
    one.or_else(|| OTHERS.iter().find(|(of, _, _)| *of == route).map(|(_, actions, _)| actions.to_vec()))
}

#[tokio::test]
async fn every_change_leaves_exactly_its_record() -> anyhow::Result<()> {
    let mut walk = Walk::begin().await?;
    walk.platform().await?;
    walk.accounts().await?;
    walk.members().await?;
    walk.affairs().await?;
    walk.registry().await?;
    let senders = walk.admin.all(&format!("/w/{}/senders", SLUGS[0])).await?;
    let sender = senders.iter().find(|it| it["name"] == "Shop").map(people::id).context("a sender")?;
    walk.drafts(sender).await?;
    walk.endings(sender).await?;
    walk.running(sender).await?;

    let left = walk.left().await?;
    let workspace =
        walk.root.get(&format!("/workspaces/{}", SLUGS[0])).await?.expect(200)?.body["id"].clone();
    let mut wrong = Vec::new();
    for Deed { route, request, by } in &walk.deeds {
        let events = left.get(request).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<&str> = events.iter().filter_map(|event| event["action"].as_str()).collect();
        found.sort_unstable();
        if expected(route).as_deref() != Some(&found) {
            wrong.push(format!("{route}: {found:?}"));
        }
        let logs: BTreeSet<(&str, String)> = events
            .iter()
            .map(|event| (event["action"].as_str().unwrap_or_default(), event["workspace_id"].to_string()))
            .collect();
        assert_eq!(logs.len(), events.len(), "{route}: one log has two of a name: {events:?}");
        for event in events {
            let is_by = by.is_empty() || event["actor"]["user_id"] == *by;
            // Addresses are claimed for the whole installation: in the platform's log.
            let is_claim = event["entity_kind"] == "claim";
            let is_here = !route.contains("/w/{slug}/") || is_claim || event["workspace_id"] == workspace;
            assert!(is_by && is_here, "{route}: {event}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let done: BTreeSet<String> = walk.deeds.iter().map(|deed| deed.route.to_owned()).collect();
    assert_eq!(done, walk.operations().await?, "each is done here, and there is no other");
    assert!(OTHERS.iter().all(|(_, actions, why)| actions.len() != 1 && !why.is_empty()));
    Ok(())
}
