//! Mails from the request that makes a link to a server that takes, delays or refuses them.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::Policy;
use super::testing::{DEADLINE, PLAIN, Sink, Tls};
use crate::api::testing::{Client, House, PASSWORD};
use crate::config::Mail;
use engine::model::{AuditEvent, EntityId, User, Workspace};
use engine::store::{Catalog, Entity, Kind, Scope};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// As installations have it, but for the times.
const QUICK: Policy = Policy {
    attempts: 3,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_millis(1),
    drain: Duration::from_secs(30),
    ..Policy::USUAL
};
/// Nothing is tried twice before the end.
const SLOW: Policy =
    Policy { first_delay: Policy::USUAL.longest_delay, longest_delay: Policy::USUAL.longest_delay, ..QUICK };

/// A house with mail, a workspace and its admin.
struct Site {
    house: House,
    here: Workspace,
    admin: Client,
}

impl Site {
    async fn open(mail: Mail, policy: Policy) -> Self {
        let house = House::open_with_mail(mail, policy).await;
        let here = house.workspace("here").await;
        let admin = house.member(&here, "Admin").await;
        Self { house, here, admin }
    }

    /// Invites: the answer.
    async fn invite(&self, email: &str) -> Value {
        let body = json!({"email": email, "role": "Moderator"});
        let (status, made) = self.admin.post("/w/here/invitations", body).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    async fn accept(&self, invitation: &Value) -> u16 {
        let token = invitation["link"].as_str().unwrap().split('#').nth(1).unwrap();
        let body = json!({"token": token, "name": "New One", "password": PASSWORD});
        self.house.nobody().post("/invitations/accept", body).await.0
    }

    /// The events of mails in a log.
    async fn told(&self, scope: Scope) -> Vec<AuditEvent> {
        let events = self.house.store.audit(scope, 0).await.unwrap();
        events.into_iter().filter(|event| event.action.starts_with("mail.")).collect()
    }

    /// Why the workspace's mails failed.
    async fn failures(&self) -> Vec<String> {
        let failed = self.told(self.scope()).await.into_iter().filter(|event| event.action == "mail.failed");
        failed.map(|event| event.after["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// How many mails were sent, failed, were void and were refused.
    fn counts(&self) -> [u64; 4] {
        let counts: Vec<u64> = self.house.api.measures.mails().into_iter().map(|(_, count)| count).collect();
        counts.try_into().unwrap()
    }

    async fn until_given_up(&self, mails: u64) {
        let given_up = async {
            while self.counts()[1] < mails {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, given_up).await.expect("given up in time");
    }

    fn scope(&self) -> Scope {
        Scope::Workspace(self.here.id)
    }
}

#[tokio::test]
async fn an_invitation_is_mailed_with_a_whole_link_that_works() {
    let mut sink = Sink::start(Tls::None, &[]).await;
    let mut site = Site::open(sink.mail(PLAIN), QUICK).await;
    let made = site.invite("new@example.com").await;
    assert_eq!(made["mail"], "queued");
    let link = made["link"].as_str().unwrap();
    assert!(link.starts_with("/invitations/accept#"), "it can be copied as before: {link}");
    let mail = sink.next().await;
    assert_eq!((mail.from.as_str(), mail.to.len()), ("MAIL FROM:<mc@example.com>", 1));
    assert_eq!(mail.to[0], "RCPT TO:<new@example.com>");
    for line in [
        "From: \"Message Center\" <mc@example.com>",
        "To: new@example.com",
        "Subject: Invitation to the workspace \"here\"",
        "Auto-Submitted: auto-generated",
        &format!("Message-ID: <{}@example.com>", made["id"].as_str().unwrap()),
    ] {
        assert!(mail.headers().lines().any(|found| found == line), "{line} is not in\n{}", mail.data);
    }
    assert!(mail.text().lines().any(|line| line == format!("https://mc.example.com{link}")), "{}", mail.data);
    let admin = site.house.store.get(Scope::Platform, Kind::User, site.admin.user.into()).await.unwrap();
    let Entity::User(admin) = admin else { panic!("an account") };
    let expires: jiff::Timestamp = made["expires_at"].as_str().unwrap().parse().unwrap();
    let until = expires.strftime("until %Y-%m-%d %H:%M UTC").to_string();
    for part in [&admin.email, "the workspace \"here\"", "as Moderator", &until] {
        assert!(mail.text().contains(part), "{part} is not in\n{}", mail.data);
    }
    assert_eq!(site.house.end_mail().await, 0);
    let told = site.told(site.scope()).await;
    let event = told.last().unwrap();
    assert_eq!((told.len(), event.action.as_str(), &event.after), (1, "mail.sent", &json!({"attempts": 1})));
    assert_eq!((event.entity_kind.as_str(), event.by.role.as_str()), ("invitation", "Engine"));
    let events = site.house.store.audit(site.scope(), 0).await.unwrap();
    let creation = events.iter().find(|event| event.action == "invitation.create").unwrap();
    assert!(creation.entity_id == event.entity_id && creation.by.request_id == event.by.request_id);
    assert!(!serde_json::to_string(event).unwrap().contains('@'), "no address");
    assert_eq!((site.counts(), site.accept(&made).await), ([1, 0, 0, 0], 200));
    site.house.close().await;
}

#[tokio::test]
async fn links_to_choose_a_password_are_mailed_to_the_owner_of_the_account() {
    let mut sink = Sink::start(Tls::None, &[]).await;
    let mut site = Site::open(sink.mail(PLAIN), QUICK).await;
    let root = site.house.super_admin().await;
    let (_, ann) = root.post("/users", json!({"email": "ann@example.com", "name": "Ann"})).await;
    assert_eq!(ann["mail"], "queued", "{ann}");
    let mail = sink.next().await;
    let url = ann["link"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://mc.example.com/login/password#token="), "{url}");
    assert!(mail.text().lines().any(|line| line == url), "{}", mail.data);
    assert!(mail.to == ["RCPT TO:<ann@example.com>"] && mail.text().contains("has made an account for you"));
    let choice = json!({"token": ann["link"]["token"], "password": PASSWORD});
    assert_eq!(site.house.nobody().post("/password-links/use", choice).await.0, 204);
    let path = format!("/users/{}/reset-link", ann["user"]["id"].as_str().unwrap());
    let (_, reset) = root.post(&path, json!({})).await;
    assert_eq!(reset["mail"], "queued", "{reset}");
    let mail = sink.next().await;
    assert!(mail.text().contains("choose a new password") && mail.to == ["RCPT TO:<ann@example.com>"]);
    assert!(mail.text().lines().any(|line| Some(line) == reset["link"]["url"].as_str()), "{}", mail.data);
    let new = json!({"email": "b@example.com", "name": "B", "password": PASSWORD});
    let (_, bob) = root.post("/users", new).await;
    assert_eq!((&bob["link"], &bob["mail"]), (&Value::Null, &Value::Null), "there is nothing to mail");
    assert_eq!(site.house.end_mail().await, 0);
    let told = site.told(Scope::Platform).await;
    let subject = ann["user"]["id"].as_str().unwrap();
    assert!(told.len() == 2 && told.iter().all(|event| event.action == "mail.sent"));
    assert!(told.iter().all(|event| event.subject.unwrap().to_string() == subject));
    site.house.close().await;
}

#[tokio::test]
async fn a_site_without_mail_says_so_and_gives_the_link_as_ever() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, root) = (house.member(&here, "Admin").await, house.super_admin().await);
    let body = json!({"email": "new@example.com", "role": "Author"});
    let (_, made) = admin.post("/w/here/invitations", body).await;
    let (_, ann) = root.post("/users", json!({"email": "ann@example.com", "name": "Ann"})).await;
    let path = format!("/users/{}/reset-link", ann["user"]["id"].as_str().unwrap());
    let (_, reset) = root.post(&path, json!({})).await;
    for answer in [&made, &ann, &reset] {
        assert!(answer["mail"] == "off" && !answer["link"].is_null(), "{answer}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_tried_again_and_delivered_once() {
    let mut sink = Sink::start(Tls::None, &["450 later", "451 later"]).await;
    let mut site = Site::open(sink.mail(PLAIN), QUICK).await;
    site.invite("new@example.com").await;
    sink.next().await;
    assert_eq!(site.house.end_mail().await, 0);
    let told = site.told(site.scope()).await;
    assert_eq!(
        (told.len(), told[0].action.as_str(), &told[0].after["attempts"]),
        (1, "mail.sent", &json!(3))
    );
    let (rest, heard) = sink.end();
    assert!(rest.is_empty(), "once");
    assert_eq!(heard.iter().filter(|line| line.starts_with("RCPT")).count(), 3);
    site.house.close().await;
}

#[tokio::test]
async fn a_mail_that_is_refused_or_put_off_too_often_is_given_up_and_the_log_says_so() {
    let answers = ["550 no such user new@example.com", "450 a", "450 b", "450 c"];
    let mut sink = Sink::start(Tls::None, &answers).await;
    let mut site = Site::open(sink.mail(PLAIN), QUICK).await;
    let made = site.invite("new@example.com").await;
    assert_eq!(made["mail"], "queued");
    site.invite("late@example.com").await;
    // Behind the last attempt at the second one.
    site.until_given_up(2).await;
    site.invite("third@example.com").await;
    assert_eq!(sink.next().await.to, ["RCPT TO:<third@example.com>"]);
    assert_eq!(site.house.end_mail().await, 0);
    let told = site.told(site.scope()).await;
    let of = |event: &AuditEvent| (event.action.clone(), event.after.clone());
    let refused = json!({"attempts": 1, "reason": "refused", "code": 550});
    assert_eq!(of(&told[0]), ("mail.failed".to_owned(), refused));
    let late = json!({"attempts": 3, "reason": "refused", "code": 450});
    assert_eq!(of(&told[1]), ("mail.failed".to_owned(), late));
    assert_eq!((site.counts(), site.accept(&made).await), ([1, 2, 0, 0], 200), "the link works all the same");
    site.house.close().await;
}

#[tokio::test]
async fn while_the_server_is_down_requests_are_answered_and_links_work() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut site = Site::open(Mail::of(&format!("{PLAIN}port = {port}\n")), SLOW).await;
    let made = site.invite("new@example.com").await;
    assert_eq!((&made["mail"], site.accept(&made).await), (&json!("queued"), 200));
    site.invite("other@example.com").await;
    assert_eq!(site.house.end_mail().await, 1, "the other one is left; the first one's link is used");
    assert_eq!(site.failures().await, ["void", "ended"]);
    site.house.close().await;
}

#[tokio::test]
async fn a_full_queue_is_told_and_costs_the_mail_alone() {
    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let policy = Policy { letters: 2, drain: Duration::from_millis(1), ..QUICK };
    let mut site = Site::open(Mail::of(&format!("{PLAIN}port = {port}\n")), policy).await;
    let first = [site.invite("a@example.com").await, site.invite("b@example.com").await];
    assert!(first.iter().all(|made| made["mail"] == "queued"));
    let made = site.invite("c@example.com").await;
    assert_eq!((&made["mail"], site.accept(&made).await), (&json!("queue_full"), 200));
    assert_eq!((site.house.end_mail().await, site.counts()), (2, [0, 2, 0, 1]), "the drain has its end");
    assert_eq!(site.failures().await, ["ended", "ended"], "also of the one that is under way");
    let late = site.invite("d@example.com").await;
    assert_eq!(late["mail"], "queue_full", "nothing is promised while it ends");
    site.house.close().await;
}

#[tokio::test]
async fn what_was_revoked_before_it_could_be_sent_is_not_sent() {
    let mut sink = Sink::start(Tls::None, &["450 later"]).await;
    let mut site = Site::open(sink.mail(PLAIN), SLOW).await;
    let made = site.invite("new@example.com").await;
    site.invite("other@example.com").await;
    // One mail after the other: the first one waits by now.
    assert_eq!(sink.next().await.to, ["RCPT TO:<other@example.com>"]);
    let path = format!("/w/here/invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(site.admin.delete(&path).await.0, 204);
    assert_eq!((site.house.end_mail().await, site.counts()), (0, [1, 0, 1, 0]));
    assert!(sink.end().0.is_empty());
    let told = site.told(site.scope()).await;
    let event = told.iter().find(|event| event.action == "mail.failed").unwrap();
    assert_eq!((told.len(), &event.after), (2, &json!({"attempts": 1, "reason": "void"})));
    assert_eq!(event.entity_id.to_string(), made["id"].as_str().unwrap());
    site.house.close().await;
}

#[tokio::test]
async fn mail_that_has_broken_down_promises_nothing_and_tells_what_is_left() {
    let sink = Sink::start(Tls::None, &["450 later"]).await;
    // No clock reaches the second attempt: its time cannot be computed.
    let policy = Policy { first_delay: Duration::MAX, longest_delay: Duration::MAX, ..QUICK };
    let mut site = Site::open(sink.mail(PLAIN), policy).await;
    assert_eq!(site.invite("new@example.com").await["mail"], "queued");
    site.until_given_up(1).await;
    let made = site.invite("other@example.com").await;
    assert_eq!((&made["mail"], site.accept(&made).await), (&json!("queue_full"), 200));
    assert_eq!((site.house.end_mail().await, site.counts()), (1, [0, 1, 0, 1]));
    assert_eq!(site.failures().await, ["ended"]);
    site.house.close().await;
}

#[tokio::test]
async fn names_break_no_header_and_bring_no_recipient() {
    let mut sink = Sink::start(Tls::None, &[]).await;
    let site = Site::open(sink.mail(PLAIN), QUICK).await;
    let name = "Bücher\r\nBcc: x@example.com\r\n\r\nhello".to_owned();
    site.house.change(Entity::Workspace(Workspace { name, version: 1, ..site.here.clone() }), 0).await;
    let id: EntityId = site.admin.user.into();
    let Entity::User(user) = site.house.store.get(Scope::Platform, Kind::User, id).await.unwrap() else {
        panic!("an account")
    };
    let name = "Eve\r\n.\r\nRCPT TO:<x@example.com>".to_owned();
    site.house.change(Entity::User(User { name, version: 1, ..user }), 0).await;
    site.invite("new@example.com").await;
    let mail = sink.next().await;
    let headers = mail.headers();
    assert_eq!((mail.to.len(), headers.is_ascii()), (1, true));
    assert!(
        mail.text().contains("the workspace \"Bücher  Bcc: x@example.com    hello\" of"),
        "{}",
        mail.text()
    );
    let names: Vec<&str> = headers
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split_once(": ").expect("a header").0)
        .collect();
    let expected = ["Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From"];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted[..5], expected, "{names:?}");
    assert!(!names.contains(&"Bcc") && headers.contains("Subject: Invitation"), "{headers}");
    site.house.close().await;
    assert!(sink.end().0.is_empty());
}

#[tokio::test]
async fn an_address_that_no_mail_can_have_is_told() {
    let sink = Sink::start(Tls::None, &[]).await;
    let site = Site::open(sink.mail(PLAIN), QUICK).await;
    let made = site.invite("two..dots@example.com").await;
    assert_eq!((&made["mail"], site.counts()), (&json!("bad_address"), [0, 0, 0, 1]));
    assert_eq!(site.accept(&made).await, 200);
    site.house.close().await;
}

/// A certificate for loopback: the server's side, and the file that clients trust.
fn certificate() -> (tokio_rustls::TlsAcceptor, tempfile::NamedTempFile) {
    use tokio_rustls::rustls::{self, pki_types};
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), file)
}

fn protected(tls: &str, trusted: &tempfile::NamedTempFile) -> String {
    let trusted = trusted.path();
    format!("host = \"127.0.0.1\"\ntls = {tls:?}\nca_file = {trusted:?}\nfrom = \"mc@example.com\"\n")
}

#[tokio::test]
async fn behind_tls_it_logs_in_and_nothing_of_the_mail_is_seen_on_the_way() {
    let (acceptor, trusted) = certificate();
    let login = "username = \"mc\"\npassword = \"s3cret\"\n";
    for (kind, tls) in [("starttls", Tls::Asked(acceptor.clone())), ("tls", Tls::First(acceptor))] {
        let mut sink = Sink::start(tls, &[]).await;
        let section = format!("{}{login}", protected(kind, &trusted));
        let site = Site::open(sink.mail(&section), QUICK).await;
        site.invite("new@example.com").await;
        let mail = sink.next().await;
        assert!(mail.is_encrypted && mail.to == ["RCPT TO:<new@example.com>"]);
        // NUL, mc, NUL, s3cret in base64 (RFC 4616).
        assert_eq!(mail.login.as_deref(), Some("AG1jAHMzY3JldA=="));
        site.house.close().await;
        let (_, heard) = sink.end();
        let expected: &[&str] = if kind == "tls" { &[] } else { &["EHLO mc.example.com", "STARTTLS"] };
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_has_no_tls_gets_nothing() {
    let (acceptor, _) = certificate();
    let (_, other) = certificate();
    for (tls, reason) in [(Tls::Asked(acceptor), "connection"), (Tls::None, "unsupported")] {
        let sink = Sink::start(tls, &[]).await;
        let mut site = Site::open(sink.mail(&protected("starttls", &other)), QUICK).await;
        let made = site.invite("new@example.com").await;
        assert_eq!(made["mail"], "queued");
        site.until_given_up(1).await;
        assert_eq!(site.house.end_mail().await, 0);
        let told = site.told(site.scope()).await;
        assert_eq!((told.len(), told[0].action.as_str()), (1, "mail.failed"));
        assert_eq!(told[0].after["reason"], reason, "{}", told[0].after);
        site.house.close().await;
        let (mails, heard) = sink.end();
        assert!(mails.is_empty() && !heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
    }
}
