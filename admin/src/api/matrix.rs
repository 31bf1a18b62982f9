//! The authorisation matrix: every route x every principal x own, foreign and unknown workspace.
//!
//! What must come out is read from the table of permissions, so a route is in the matrix as soon as it is registered.
//! A path parameter that the matrix does not know makes it fail: no route escapes it. Where something is allowed, the
//! request gets past the guard and may then be refused for what it asks, never with 401, 403 or 404.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::guard::Access;
use super::permission::{Grant, Standing};
use super::routes;
use super::sealed::Seal;
use super::testing::{Client, House, code, read};
use crate::accounts::Secret;
use engine::model::{
    Admission, ApiKey, Campaign, CampaignId, CampaignNo, Content, DeliveryPolicy, Draft, DraftStatus, Export,
    ExportFormat, ExportStatus, Filing, Invitation, JoinRequest, KeyScope, MessageTemplate, Mode, Principal,
    Revision, RevisionStatus, Role, Sender, SenderId, SendingRules, Status, Suppression, SuppressionKind,
    TemplateId, TemplateVersion, UserId, Workspace, WorkspaceId,
};
use engine::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const PRINCIPALS: [Option<Standing>; 6] = [
    None,
    Some(Standing::Author),
    Some(Standing::FlaggedAuthor),
    Some(Standing::Moderator),
    Some(Standing::Admin),
    Some(Standing::SuperAdmin),
];

/// A workspace with one thing of every kind, all made by the same account.
pub(super) struct Furnished {
    pub(super) workspace: Workspace,
    /// By the path segment in front of the parameter.
    pub(super) ids: BTreeMap<&'static str, String>,
}

/// A client of the principal, a member where it is one.
async fn client(house: &House, workspace: &Workspace, principal: Option<Standing>, root: &Client) -> Client {
    match principal {
        None => house.nobody(),
        Some(Standing::Author) => house.member(workspace, "Author").await,
        Some(Standing::FlaggedAuthor) => house.member(workspace, "Author+").await,
        Some(Standing::Moderator) => house.member(workspace, "Moderator").await,
        Some(Standing::Admin) => house.member(workspace, "Admin").await,
        Some(Standing::SuperAdmin) => root.clone(),
    }
}

/// What the table says about a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Allowed,
    Unauthenticated,
    Forbidden,
    NotFound,
}

fn expected(access: Access, principal: Option<Standing>, is_own: bool) -> Expected {
    let Some(standing) = principal else {
        return if access == Access::Public { Expected::Allowed } else { Expected::Unauthenticated };
    };
    match access {
        Access::Public | Access::Login => Expected::Allowed,
        Access::SuperAdmin if standing == Standing::SuperAdmin => Expected::Allowed,
        Access::SuperAdmin => Expected::Forbidden,
        Access::Workspace(_) if !is_own && standing != Standing::SuperAdmin => Expected::NotFound,
        // Without any policy set, what is left to policies is not granted.
        Access::Workspace(action) => match action.grant(standing) {
            Grant::No | Grant::ByPolicy => Expected::Forbidden,
            Grant::Own | Grant::BeforeStart | Grant::Yes => Expected::Allowed,
        },
    }
}

/// The path with its parameters filled in.
pub(super) fn path(route: &str, slug: &str, ids: &BTreeMap<&'static str, String>) -> String {
    let mut before = "";
    let mut filled = String::new();
    for segment in route.split('/').skip(1) {
        let value = match segment.strip_prefix('{') {
            Some("slug}") => slug.to_owned(),
            Some(_) => {
                ids.get(before).unwrap_or_else(|| panic!("{route}: teach the matrix {segment}")).clone()
            }
            None => segment.to_owned(),
        };
        filled = format!("{filled}/{value}");
        before = segment;
    }
    filled
}

async fn call(client: &Client, method: &str, path: &str) -> reqwest::Response {
    let method: Method = method.parse().unwrap();
    let request = client.request(method.clone(), &format!("/{path}"));
    let request = if method == Method::GET { request } else { request.json(&json!({})) };
    request.send().await.unwrap()
}

/// The status, and the body without what differs from request to request.
async fn refusal(client: &Client, method: &str, path: &str) -> (u16, Value) {
    let response = call(client, method, path).await;
    if response.headers().get("content-type").is_some_and(|media| media == "text/event-stream") {
        // It goes on for as long as there is something to follow.
        return (response.status().as_u16(), Value::Null);
    }
    let (status, mut body) = read(response).await;
    if let Some(id) = body.get_mut("request_id") {
        *id = Value::Null;
    }
    (status, body)
}

#[tokio::test]
async fn every_route_is_open_to_exactly_those_that_the_table_names() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let (mine, other) = (furnish(&house, "mine", 1).await, furnish(&house, "other", 2).await);
    let mut cast = BTreeMap::new();
    for principal in PRINCIPALS {
        cast.insert(principal, client(&house, &mine.workspace, principal, &root).await);
    }
    let before = tenant(&house, &other.workspace).await;
    let mut cells = 0;
    for ((method, route), access) in routes::all().access {
        let paths = [("mine", &mine), ("other", &other)].map(|(slug, place)| path(&route, slug, &place.ids));
        let unknown = path(&route, "nowhere", &other.ids);
        for principal in PRINCIPALS {
            let client = &cast[&principal];
            let told = format!("{method} {route} by {principal:?}");
            let [own, foreign] = &paths;
            match expected(access, principal, true) {
                // Who is no super admin is not told that there is such a scope.
                Expected::Forbidden if route.contains("/w/master/") => {
                    assert_denied(&refusal(client, &method, own).await, Expected::NotFound, &told);
                }
                Expected::Allowed => allowed(&house, (&method, &route, access), principal, &root).await,
                denied => assert_denied(&refusal(client, &method, own).await, denied, &told),
            }
            cells += 1;
            if !route.contains("{slug}") || !matches!(access, Access::Workspace(_)) {
                continue;
            }
            let found = refusal(client, &method, foreign).await;
            match expected(access, principal, false) {
                // A super admin reads everywhere; whatever it may not change is refused without a look.
                Expected::Allowed => assert!(![401, 403].contains(&found.0), "{told}, foreign: {found:?}"),
                denied => assert_denied(&found, denied, &format!("{told}, foreign")),
            }
            let nowhere = refusal(client, &method, &unknown).await;
            if principal == Some(Standing::SuperAdmin) {
                assert_eq!(nowhere.0, 404, "{told}, unknown: {nowhere:?}");
            } else {
                assert_eq!(found, nowhere, "{told}: foreign and unknown must not be told apart");
            }
            cells += 2;
        }
    }
    assert_eq!(tenant(&house, &other.workspace).await, before, "the other tenant has changed");
    assert!(cells >= 6 * routes::all().access.len(), "{cells} cells");
    house.close().await;
}

/// In a workspace of its own, so that one cell does not use up what another needs.
async fn allowed(
    house: &House,
    (method, route, access): (&str, &str, Access),
    principal: Option<Standing>,
    root: &Client,
) {
    let slug = format!("cell-{}", Uuid::now_v7().simple());
    let workspace = house.workspace(&slug).await;
    let client = match principal {
        // Of its own: some routes end the login that they are called with.
        Some(Standing::SuperAdmin) => house.another_super_admin().await,
        _ => client(house, &workspace, principal, root).await,
    };
    let creator = if principal.is_none() { root.user } else { client.user };
    let things = fill(house, workspace, creator).await;
    let path = path(route, &slug, &things.ids);
    let response = call(&client, method, &path).await;
    let status = response.status().as_u16();
    let told = format!("{method} {route} by {principal:?} where it is allowed");
    if matches!(access, Access::Workspace(_)) {
        let refused = [401, 403, 404, 405, 500];
        assert!(!refused.contains(&status), "{told}: {status} {:?}", read(response).await);
    } else {
        // Outside of workspaces an empty request may well be unauthenticated or name nothing.
        assert!(![405, 500].contains(&status), "{told}: {status}");
    }
}

fn assert_denied((status, body): &(u16, Value), expected: Expected, told: &str) {
    let (wanted, codes): (u16, &[&str]) = match expected {
        Expected::Unauthenticated => (401, &["unauthenticated"]),
        Expected::Forbidden => (403, &["forbidden"]),
        Expected::NotFound => (404, &["not_found"]),
        Expected::Allowed => unreachable!("only for what is denied"),
    };
    assert_eq!(*status, wanted, "{told}: {body}");
    assert!(codes.contains(&code(body)), "{told}: {body}");
}

/// Everything that a workspace owns, and how long its audit log is.
pub(super) async fn tenant(house: &House, workspace: &Workspace) -> (Vec<Entity>, Vec<Suppression>, usize) {
    let scope = Scope::Workspace(workspace.id);
    let kinds = [
        Kind::Sender,
        Kind::Revision,
        Kind::Template,
        Kind::TemplateVersion,
        Kind::Campaign,
        Kind::Membership,
        Kind::Invitation,
        Kind::JoinRequest,
        Kind::ApiKey,
        Kind::Draft,
        Kind::Export,
        Kind::Share,
    ];
    let mut all = Vec::new();
    for kind in kinds {
        let query = Query { kind, statuses: Vec::new(), parent: None, after: None, limit: MAX_PAGE };
        all.extend(house.store.list(scope, query).await.unwrap().items);
    }
    let suppressed = house.store.suppressions(scope, None, MAX_PAGE).await.unwrap();
    (all, suppressed, house.store.audit(scope, 0).await.unwrap().len())
}

/// A workspace with things of somebody who is no member.
pub(super) async fn furnish(house: &House, slug: &str, of: u128) -> Furnished {
    let workspace = house.workspace(slug).await;
    fill(house, workspace, UserId(Uuid::from_u128(of))).await
}

async fn fill(house: &House, workspace: Workspace, creator: UserId) -> Furnished {
    let member = house.member(&workspace, "Author").await;
    let stranger = house.user(&format!("stranger-{}@example.com", Uuid::now_v7())).await;
    let numbers =
        [house.store.next_campaign_no().await.unwrap(), house.store.next_campaign_no().await.unwrap()];
    let mut ids = BTreeMap::from([
        ("members", member.user.to_string()),
        ("revisions", "1".to_owned()),
        ("versions", "1".to_owned()),
        ("users", member.user.to_string()),
        ("logins", Uuid::now_v7().to_string()),
        ("sender-claims", "Shop".to_owned()),
        ("erasures", Uuid::now_v7().to_string()),
    ]);
    let mut entities = campaigns(&workspace, creator, numbers);
    entities.extend(templates(&workspace, creator));
    entities.extend(people(&workspace, creator, stranger.user));
    for entity in entities {
        let segment = match &entity {
            Entity::Sender(_) => Some("senders"),
            Entity::Template(_) => Some("templates"),
            Entity::Campaign(_) => Some("campaigns"),
            Entity::Draft(_) => Some("drafts"),
            Entity::Export(_) => Some("exports"),
            Entity::Invitation(_) => Some("invitations"),
            Entity::JoinRequest(_) => Some("join-requests"),
            Entity::ApiKey(_) => Some("api-keys"),
            _ => None,
        };
        ids.extend(segment.map(|segment| (segment, entity.id().to_string())));
        house.put(entity).await;
    }
    ids.insert("suppressions", suppressed(house, &workspace).await);
    Furnished { workspace, ids }
}

/// The id of a number that nobody in this workspace writes to.
async fn suppressed(house: &House, workspace: &Workspace) -> String {
    let (scope, entry) = (Scope::Workspace(workspace.id), (4_915_112_345_678, SuppressionKind::Block));
    let by = Principal::engine();
    house.api.engine.suppress(scope, vec![entry.0], (entry.1, "a test"), &by).await.unwrap();
    Seal::of(&house.api, scope).await.unwrap().close(entry)
}

/// A sender with a revision that waits, a campaign of it, a draft and an export.
fn campaigns(workspace: &Workspace, creator: UserId, [no, draft_no]: [CampaignNo; 2]) -> Vec<Entity> {
    let (workspace_id, now) = (workspace.id, Timestamp::now());
    let (sender_id, revision_id) = (SenderId(Uuid::now_v7()), Uuid::now_v7());
    let campaign_id = CampaignId(Uuid::now_v7());
    let sender = Sender {
        id: sender_id,
        workspace_id,
        name: "Shop".to_owned(),
        rate_per_s: 0,
        version: 0,
        created_at: now,
        archived_at: None,
        active: None,
    };
    let revision = Revision {
        id: revision_id,
        sender_id,
        workspace_id,
        n: 1,
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        status: RevisionStatus::PendingApproval,
        version: 0,
        created_by: UserId(Uuid::from_u128(3)),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        registration_ref: None,
        note: None,
        created_at: now,
        decided_at: None,
        archived_at: None,
    };
    let export = Export {
        id: Uuid::now_v7(),
        workspace_id,
        campaign_id,
        format: ExportFormat::Csv,
        statuses: Vec::new(),
        full_numbers: false,
        status: ExportStatus::Failed,
        rows: 0,
        bytes: 0,
        reason: Some("a test".to_owned()),
        created_by: creator,
        version: 0,
        created_at: now,
        expires_at: None,
    };
    let campaign = campaign((campaign_id, no), (workspace, creator), (sender_id, revision_id));
    vec![
        Entity::Sender(sender),
        Entity::Revision(revision),
        Entity::Campaign(Box::new(campaign)),
        Entity::Draft(draft(workspace_id, creator, draft_no)),
        Entity::Export(export),
    ]
}

fn draft(workspace_id: WorkspaceId, created_by: UserId, no: CampaignNo) -> Draft {
    let now = Timestamp::now();
    Draft {
        id: CampaignId(Uuid::now_v7()),
        workspace_id,
        no,
        fields: BTreeMap::new(),
        upload: None,
        status: DraftStatus::Open,
        created_by,
        edited_by: Vec::new(),
        version: 0,
        created_at: now,
        updated_at: now,
    }
}

/// A template with a version that waits.
fn templates(workspace: &Workspace, created_by: UserId) -> [Entity; 2] {
    let (template_id, workspace_id, created_at) =
        (TemplateId(Uuid::now_v7()), workspace.id, Timestamp::now());
    let template = MessageTemplate {
        id: template_id,
        workspace_id,
        name: "Code".to_owned(),
        created_by,
        version: 0,
        created_at,
        archived_at: None,
        active: None,
    };
    let version = TemplateVersion {
        id: Uuid::now_v7(),
        template_id,
        workspace_id,
        n: 1,
        text: "Your code is {code}.".to_owned(),
        status: RevisionStatus::PendingApproval,
        state_version: 0,
        created_by: UserId(Uuid::from_u128(3)),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        note: None,
        created_at,
        decided_at: None,
        archived_at: None,
    };
    [Entity::Template(template), Entity::TemplateVersion(version)]
}

/// An invitation, a request to join and a key.
fn people(workspace: &Workspace, creator: UserId, stranger: UserId) -> Vec<Entity> {
    let (workspace_id, now) = (workspace.id, Timestamp::now());
    let invitation = Invitation {
        id: Uuid::now_v7(),
        workspace_id,
        email: "new@example.com".to_owned(),
        role: Role::Author,
        credential: Secret::new().credential(),
        status: Admission::Pending,
        invited_by: creator,
        version: 0,
        created_at: now,
        expires_at: now + jiff::SignedDuration::from_hours(1),
    };
    let request = JoinRequest {
        id: Uuid::now_v7(),
        workspace_id,
        user_id: stranger,
        status: Admission::Pending,
        version: 0,
        created_at: now,
    };
    let key = ApiKey {
        id: Uuid::now_v7(),
        workspace_id,
        user_id: creator,
        name: "program".to_owned(),
        scopes: vec![KeyScope::CampaignsRead],
        credential: Secret::new().credential(),
        version: 0,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    vec![Entity::Invitation(invitation), Entity::JoinRequest(request), Entity::ApiKey(key)]
}

fn campaign(
    (id, no): (CampaignId, CampaignNo),
    (workspace, created_by): (&Workspace, UserId),
    (sender_id, revision_id): (SenderId, Uuid),
) -> Campaign {
    let content = Content {
        text: "Hello".to_owned(),
        variables: Vec::new(),
        sender_id,
        revision_id,
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        dton: 1,
        dnpi: 1,
        parts: 1,
        receipts: true,
        recipients_digest: "none".to_owned(),
        rules: SendingRules::default(),
    };
    Campaign {
        id,
        workspace_id: workspace.id,
        no,
        name: "Winter".to_owned(),
        mode: Mode::OnDemand,
        status: Status::New,
        hold_reason: None,
        content,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 1,
        state_version: 0,
        stop_gen: 0,
        weight: 1,
        recipients: 0,
        approvals: Vec::new(),
        created_by,
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
