//! The OpenAPI document against the program: schemathesis sends what the document allows and what it does not, and
//! every answer must be one that the document promises.
//!
//! The suite lets one Admin send a few requests to each operation; `MC_CONTRACT=n` lets every role send n. Ids in paths
//! are those of things that are there, so that requests reach the handlers.

use super::people::{self, Address, Team};
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::service::{Client, PASSWORD, Service, Setting};
use tests::{Child, schemathesis, skip};

/// Requests to each operation in the suite, beside the examples of the document.
const REQUESTS: &str = "5";
/// Longest run in `make long`.
const DEADLINE: Duration = Duration::from_secs(3_600);
/// Operations that are left out, each with its reason.
const EXCLUDED: [(&str, &str); 6] = [
    ("/api/v1/w/{slug}/live", "a stream that never ends"),
    ("/api/v1/w/{slug}/campaigns/{id}/progress", "a stream that never ends"),
    ("/api/v1/logout", "ends the login that the run works with"),
    ("/api/v1/me/logins", "ends the login that the run works with"),
    ("/api/v1/me/logins/{id}", "ends the login that the run works with"),
    ("/api/v1/me/password", "ends the login that the run works with"),
];
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// For schemathesis: a list or an object in a path is written without escaping its `#`, which cuts the path off, so that
/// the request is one to another operation.
const HOOKS: &str = "import schemathesis

@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    return all(isinstance(value, (str, int)) for value in (path_parameters or {}).values())
";

/// Ids of things that are there, by the segment in front of them in a path.
type Things = BTreeMap<&'static str, Vec<Value>>;

/// One thing of each kind, made by those who may.
async fn things(root: &Client, service: &Service, team: &Team) -> anyhow::Result<Things> {
    let numbers = || 491_704_000_000..491_704_000_003;
    let fields = json!({"name": "Waiting", "mode": "OnDemand", "text": "Hello"});
    let waiting = people::submitted(team, &team.author, fields.clone(), numbers()).await?;
    let sent = people::submitted(team, &team.author, fields, numbers()).await?;
    people::approve(team, &team.moderator, &sent).await?.expect(200)?;
    let path = team.path(&format!("/campaigns/{}", people::id(&sent)));
    team.author.until(&path, |it| it["status"] == "Done").await?;
    let made = async |path: &str, body: Value, status: u16| -> anyhow::Result<Value> {
        Ok(team.admin.post(&team.path(path), body).await?.expect(status)?.body["id"].clone())
    };
    let export =
        made(&format!("/campaigns/{}/exports", people::id(&sent)), json!({"format": "csv"}), 202).await?;
    let draft = made("/drafts", json!({"name": "Open"}), 201).await?;
    let sender = made("/senders", json!({"name": "Second"}), 201).await?;
    let revision = json!({"saddr": "Second", "ston": 5, "snpi": 0, "submit": true});
    let path = team.path(&format!("/senders/{}/revisions", sender.as_str().unwrap_or_default()));
    team.admin.post(&path, revision).await?.expect(201)?;
    let template = made("/templates", json!({"name": "Code"}), 201).await?;
    let version = json!({"text": "Your code is {code}.", "submit": true});
    made(&format!("/templates/{}/versions", template.as_str().unwrap_or_default()), version, 201).await?;
    let invitation = json!({"email": "somebody@example.com", "role": "Author"});
    let invitation = made("/invitations", invitation, 201).await?;
    let key = json!({"name": "program", "scopes": ["campaigns:read"]});
    let key = made("/api-keys", key, 201).await?;
    let suppressed = json!({"numbers": ["+491704999999"], "reason": "asked for it"});
    team.admin.post(&team.path("/suppressions"), suppressed).await?;
    let stranger = json!({"email": "stranger@example.com", "name": "Stranger", "password": PASSWORD});
    root.post("/users", stranger).await?.expect(201)?;
    let stranger = service.login("stranger@example.com").await?;
    let wish = stranger.post("/join-requests", json!({"slug": team.slug})).await?;
    Ok(Things::from([
        ("campaigns", vec![waiting["id"].clone(), sent["id"].clone()]),
        ("exports", vec![export]),
        ("drafts", vec![draft]),
        ("senders", vec![sender, team.sender.clone().into()]),
        ("revisions", vec![json!(1)]),
        ("templates", vec![template]),
        ("versions", vec![json!(1)]),
        ("invitations", vec![invitation]),
        ("api-keys", vec![key]),
        ("join-requests", vec![wish.body["id"].clone()]),
        // Nobody whom the run needs.
        ("members", vec![stranger.id.clone().into()]),
        ("users", vec![stranger.id.into()]),
        ("sender-claims", vec!["Second".into()]),
        ("w", vec![team.slug.into()]),
        ("workspaces", vec![team.slug.into()]),
    ]))
}

/// The document for a run: ids that are there, no schemes of logging in, nothing that is left out.
fn prepared(mut document: Value, things: &Things) -> Value {
    let paths = document["paths"].as_object_mut().expect("paths");
    for (excluded, _) in EXCLUDED {
        paths.remove(excluded);
    }
    for (path, item) in paths {
        let segments: Vec<&str> = path.split('/').collect();
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            let Some(operation) = operation.as_object_mut() else { continue };
            operation.remove("security");
            for parameter in
                operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
            {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
                let place = segments.iter().position(|segment| *segment == name);
                let known = place.and_then(|place| things.get(segments[place - 1]));
                if let Some(known) = known.filter(|_| parameter["in"] == "path") {
                    parameter["schema"] = json!({"enum": known});
                }
            }
        }
    }
    if let Some(components) = document["components"].as_object_mut() {
        components.remove("securitySchemes");
    }
    document
}

/// Lets one role send `requests` to each operation; what was wrong is printed by the test's own panic.
fn judge(
    service: &Service,
    (role, client): (&str, &Client),
    document: &Path,
    requests: &str,
) -> Result<(), String> {
    let Some(mut command) = schemathesis() else { return Err("schemathesis is not installed".to_owned()) };
    let phases = if requests == REQUESTS { "examples,fuzzing" } else { "examples,coverage,fuzzing" };
    command.arg("run").arg(document).args(["--url", &service.origin, "--checks", CHECKS, "--phases", phases]);
    command.args(["--max-examples", requests, "--seed", "1", "--request-timeout", "20", "--no-shrink"]);
    // One worker: Python builds syntax trees with a depth that its threads share, and fails when two do so at once.
    command.args(["--continue-on-failure", "--workers", "1", "--warnings", "off"]);
    command.args(["--suppress-health-check", "all"]).current_dir(service.folder());
    command.env("SCHEMATHESIS_HOOKS", service.folder().join("hooks.py"));
    if let Some((name, value)) = client.proof() {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let mut run = Child::start(&mut command).map_err(|error| error.to_string())?;
    let (mut said, end) = (Vec::new(), Instant::now() + DEADLINE);
    while let Ok(line) = run.wait_for_line(end.saturating_duration_since(Instant::now()), |_| true) {
        said.push(line);
    }
    let status = run.wait_for_end(DEADLINE).map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("as {role}:\n{}", said.join("\n"))) }
}

#[tokio::test]
async fn every_answer_is_one_that_the_document_promises() {
    if schemathesis().is_none() {
        skip!("schemathesis is not installed");
    }
    let found = judged().await.expect("an installation with something of each kind");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What was wrong, role by role.
async fn judged() -> anyhow::Result<Vec<String>> {
    let service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let team = people::team(&service, &root, "acme", Address { saddr: "ACME", ston: 5, snpi: 0 }).await?;
    let things = things(&root, &service, &team).await?;
    let document = service.nobody().get("/openapi.json").await?.expect(200)?.body;
    let path = service.folder().join("openapi.json");
    std::fs::write(&path, prepared(document, &things).to_string()).context("the document")?;
    std::fs::write(service.folder().join("hooks.py"), HOOKS).context("the hooks")?;
    let long = std::env::var("MC_CONTRACT").ok();
    let nobody = service.nobody();
    let mut roles = vec![("Admin", &team.admin)];
    if long.is_some() {
        roles = vec![
            ("Author", &team.author),
            ("Moderator", &team.moderator),
            ("Admin", &team.admin),
            ("super admin", &root),
            ("nobody", &nobody),
        ];
    }
    let requests = long.as_deref().unwrap_or(REQUESTS);
    let mut found = Vec::new();
    for role in roles {
        let begun = Instant::now();
        let verdict = judge(&service, role, &path, requests);
        if long.is_some() {
            let word = verdict.as_ref().err().map_or("kept its promises", String::as_str);
            people::show(&format!(
                "{requests} requests to each operation as {}: {word}, {:.0?}",
                role.0,
                begun.elapsed()
            ));
        }
        found.extend(verdict.err());
    }
    Ok(found)
}

#[test]
fn ids_of_things_that_are_there_take_the_place_of_path_parameters() {
    let operation = |name: &str| json!({"get": {"security": [], "parameters": [{"in": "path", "name": name, "schema": {}}]}});
    let document = json!({"paths": {
        "/api/v1/w/{slug}": operation("slug"), "/api/v1/logout": operation("id"), "/api/v1/x/{id}": operation("id"),
    }});
    let prepared = prepared(document, &Things::from([("w", vec!["acme".into()])]));
    let parameter = |path: &str| prepared["paths"][path]["get"]["parameters"][0]["schema"].clone();
    assert_eq!(parameter("/api/v1/w/{slug}"), json!({"enum": ["acme"]}));
    assert_eq!(parameter("/api/v1/x/{id}"), json!({}));
    assert!(prepared["paths"].get("/api/v1/logout").is_none());
}
