//! Bad input over HTTP: odd recipient files, bodies that are not what they say, fields that nobody may set, octets that
//! are no HTTP. Each gets a clear refusal or a clear account, and what was there before is there afterwards.

use super::people::{self, Address, Team};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::service::{Answer, Client, DEADLINE, Service, Setting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NUMBER: u64 = 491_706_000_000;
/// Part of what is sent, and never of an answer.
const ECHO: &str = "0b5e55ed";

async fn house() -> anyhow::Result<(Service, Client, Team)> {
    let service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let team = people::team(&service, &root, "acme", Address { saddr: "ACME", ston: 5, snpi: 0 }).await?;
    Ok((service, root, team))
}

/// A refusal as the document promises it: a kind, a sentence, what ties it to the log, and nothing of what was sent.
fn refused(what: &str, answer: &Answer, expected: (u16, &str)) {
    assert_eq!((answer.status, answer.code()), expected, "{what}: {}", answer.body);
    is_sound(what, answer);
}

fn is_sound(what: &str, answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(answer.text("request_id"), answer.request_id(), "{what}: {}", answer.body);
    assert!(!answer.text("detail").is_empty(), "{what}: {}", answer.body);
    assert!(!answer.body.to_string().contains(ECHO), "{what} is repeated: {}", answer.body);
}

fn utf16(text: &str, octets: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(octets).collect()
}

/// What is expected of a file: accepted, duplicate, invalid; or a refusal.
type Expected = Result<(u64, u64, u64), (u16, &'static str)>;

fn files() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let two = "number\n+491706000001\n+491706000002\n";
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("nothing", Vec::new(), Ok((0, 0, 0))),
        ("only a header", text("number\n"), Ok((0, 0, 0))),
        ("a mark of byte order", text(&format!("\u{feff}{two}")), Ok((2, 0, 0))),
        ("carriage returns and line feeds", text(&two.replace('\n', "\r\n")), Ok((2, 0, 0))),
        ("carriage returns alone", text(&two.replace('\n', "\r")), Ok((2, 0, 0))),
        ("no end of the last line", text(two.trim_end()), Ok((2, 0, 0))),
        ("UTF-16, little end first", utf16(two, u16::to_le_bytes), Ok((2, 0, 0))),
        ("UTF-16, big end first", utf16(two, u16::to_be_bytes), Ok((2, 0, 0))),
        ("quotes", text("number,name\n\"+491706000001\",\"a, \"\"b\"\"\"\n"), Ok((1, 0, 0))),
        (
            "a line break in quotes",
            text("number,name\n+491706000001,\"a\nb\"\n+491706000002,c\n"),
            Ok((2, 0, 0)),
        ),
        ("all the same", text(&format!("number\n{}", "+491706000001\n".repeat(50))), Ok((1, 49, 0))),
        ("nothing that is a number", text(&format!("number\n{}", "x\n".repeat(50))), Ok((0, 0, 50))),
        ("octets of zero", b"number\n+4917060\x0000001\n+491706000002\n".to_vec(), Ok((1, 0, 1))),
        (
            "no text at all",
            (0..=255_u8).cycle().take(4_096).filter(|o| !b"\r\n".contains(o)).collect(),
            Ok((0, 0, 1)),
        ),
        ("a line of ten megabytes", [two.as_bytes(), &vec![b'7'; 10 << 20], b"\n"].concat(), Ok((2, 0, 1))),
    ]
}

#[tokio::test]
async fn odd_files_are_counted_line_by_line_or_refused_and_never_half_taken() -> anyhow::Result<()> {
    let (_service, _, team) = house().await?;
    let fields = json!({"name": "Odd", "mode": "OnDemand", "text": "Hello", "sender_id": team.sender});
    let draft = team.author.post(&team.path("/drafts"), fields).await?.expect(201)?;
    let draft = team.path(&format!("/drafts/{}", draft.text("id")));
    for (what, file, expected) in files() {
        let before = team.author.get(&draft).await?.expect(200)?.body;
        let answer = team.author.upload(&format!("{draft}/recipients"), file).await?;
        match expected {
            Ok(counts) => {
                let count = |name: &str| answer.body[name].as_u64();
                let found = (count("accepted"), count("duplicate"), count("invalid"));
                let counts = (Some(counts.0), Some(counts.1), Some(counts.2));
                assert_eq!((answer.status, found), (200, counts), "{what}: {}", answer.body);
            }
            Err(expected) => {
                refused(what, &answer, expected);
                assert_eq!(team.author.get(&draft).await?.expect(200)?.body, before, "{what}");
            }
        }
    }
    // A list without anybody is no list to send to.
    team.author.upload(&format!("{draft}/recipients"), "number\nx\n").await?.expect(200)?;
    let submit = team.author.post(&format!("{draft}/submit"), Value::Null).await?;
    refused("nobody", &submit, (422, "no_recipients"));
    Ok(())
}

/// Two files for one draft at the same time: the list is that of one of them, whole.
#[tokio::test]
async fn of_two_files_at_once_the_list_is_one_and_whole() -> anyhow::Result<()> {
    let (_service, _, team) = house().await?;
    let draft = team.author.post(&team.path("/drafts"), json!({"name": "Twice"})).await?.expect(201)?;
    let draft = team.path(&format!("/drafts/{}", draft.text("id")));
    let path = format!("{draft}/recipients");
    let first = team.author.upload(&path, people::file(NUMBER..NUMBER + 3_000));
    let second = team.author.upload(&path, people::file(NUMBER..NUMBER + 5_000));
    let (first, second) = tokio::try_join!(first, second)?;
    let mut taken = Vec::new();
    for answer in [first, second] {
        match answer.status {
            200 => taken.push(answer.body["accepted"].clone()),
            _ => refused("the other file", &answer, (409, answer.code())),
        }
    }
    assert!(!taken.is_empty());
    let kept = team.author.get(&draft).await?.expect(200)?.body["upload"]["accepted"].clone();
    assert!(taken.contains(&kept), "{kept} of {taken:?}");
    Ok(())
}

/// A request that is refused before anything is done.
struct Wrong {
    what: &'static str,
    method: Method,
    path: String,
    media: &'static str,
    body: Vec<u8>,
    expected: (u16, &'static str),
}

impl Wrong {
    fn post(
        what: &'static str,
        path: String,
        body: impl Into<Vec<u8>>,
        expected: (u16, &'static str),
    ) -> Self {
        Self { what, method: Method::POST, path, media: "application/json", body: body.into(), expected }
    }

    fn get(what: &'static str, path: String, expected: (u16, &'static str)) -> Self {
        Self { method: Method::GET, ..Self::post(what, path, Vec::new(), expected) }
    }
}

const MALFORMED: (u16, &str) = (400, "malformed");
const INVALID: (u16, &str) = (422, "invalid");
const PARAMETER: (u16, &str) = (400, "bad_parameter");
const ABSENT: (u16, &str) = (404, "not_found");
const MEDIA: (u16, &str) = (415, "unsupported_media_type");

/// Bodies of drafts that cannot be read, or that say what nobody may say.
fn drafts(team: &Team) -> Vec<Wrong> {
    let nested = format!("{{\"name\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let unreadable: [(&str, Vec<u8>); 9] = [
        ("no JSON", format!("{{{ECHO}").into()),
        ("nothing", Vec::new()),
        ("no UTF-8", b"{\"name\": \"\xff\xfe\"}".to_vec()),
        ("half a surrogate", r#"{"name": "\ud800"}"#.into()),
        ("a name twice", r#"{"name": "a", "name": "b"}"#.into()),
        ("an unknown field", json!({"name": "a", "surplus": ECHO}).to_string().into()),
        ("somebody else's workspace", json!({"workspace_id": ECHO}).to_string().into()),
        ("a status", json!({"status": "Sending"}).to_string().into()),
        ("an approval", json!({"approved_by": ECHO}).to_string().into()),
    ];
    let of_another_shape: [(&str, Vec<u8>); 3] = [
        ("five thousand brackets", nested.into()),
        ("a list", "[1]".into()),
        ("an operator", json!({"name": {"$gt": ECHO}}).to_string().into()),
    ];
    let unreadable = unreadable.into_iter().map(|(what, body)| (what, body, MALFORMED));
    let all = unreadable.chain(of_another_shape.into_iter().map(|(what, body)| (what, body, INVALID)));
    all.map(|(what, body, expected)| Wrong::post(what, team.path("/drafts"), body, expected)).collect()
}

/// Everything else that is not as it should be.
fn others(team: &Team) -> Vec<Wrong> {
    let (drafts, senders, invitations) =
        (team.path("/drafts"), team.path("/senders"), team.path("/invitations"));
    let campaigns = |rest: &str| team.path(&format!("/campaigns{rest}"));
    let invitation = |email: String, role: &str| json!({"email": email, "role": role}).to_string();
    let name = |name: String| json!({"name": name}).to_string();
    let too_much = vec![b' '; (8 << 20) + 1];
    let form = "application/x-www-form-urlencoded";
    let bcc = format!("a@b.example\r\nBcc: {ECHO}@b.example");
    vec![
        Wrong { media: form, ..Wrong::post("a form", drafts.clone(), "name=a", MEDIA) },
        Wrong { media: "text/plain", ..Wrong::post("text", drafts.clone(), name("a".into()), MEDIA) },
        Wrong::post("too much", drafts.clone(), too_much, (413, "too_large")),
        Wrong::post("a line break in an email", invitations.clone(), invitation(bcc, "Author"), INVALID),
        Wrong::post("a role that is none", invitations, invitation("a@b.example".into(), ECHO), INVALID),
        Wrong::post("a line break in a name", senders.clone(), name(format!("a\r\n{ECHO}")), INVALID),
        Wrong::post("an octet of zero", senders, name(format!("a\0{ECHO}")), INVALID),
        Wrong::get("a limit of nothing", campaigns("?limit=0"), PARAMETER),
        Wrong::get("a limit too high", campaigns("?limit=201"), PARAMETER),
        Wrong::get("a limit twice", campaigns("?limit=1&limit=2"), PARAMETER),
        Wrong::get("a cursor of one's own", campaigns(&format!("?cursor={ECHO}")), PARAMETER),
        Wrong::get("an unknown parameter", campaigns(&format!("?surplus={ECHO}")), PARAMETER),
        Wrong::get("an operator in a parameter", campaigns(&format!("?status[$ne]={ECHO}")), PARAMETER),
        Wrong::get("no id", campaigns(&format!("/{ECHO}")), ABSENT),
        Wrong::get("a way up", campaigns("/..%2f..%2f..%2fplatform%2fsettings"), ABSENT),
        Wrong::get("a zero in the path", campaigns("/%00"), ABSENT),
        Wrong::get("no such path", format!("/{ECHO}"), ABSENT),
        Wrong { method: Method::DELETE, ..Wrong::get("no such method", drafts, (405, "method_not_allowed")) },
    ]
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_refused_in_words_and_changes_nothing() -> anyhow::Result<()> {
    let (_service, root, team) = house().await?;
    let state = async || -> anyhow::Result<Vec<Value>> {
        let mut state = Vec::new();
        for path in ["/campaigns", "/senders", "/invitations", "/members", "/settings", "/audit"] {
            state.push(team.admin.get(&team.path(path)).await?.expect(200)?.body);
        }
        state.push(root.get("/workspaces").await?.expect(200)?.body);
        Ok(state)
    };
    let before = state().await?;
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for wrong in drafts(&team).into_iter().chain(others(&team)) {
        let request = team.admin.request(wrong.method, &wrong.path).header("content-type", wrong.media);
        let answer = team.admin.send(request.body(wrong.body)).await?;
        is_sound(wrong.what, &answer);
        found.push((wrong.what, answer.status, answer.code().to_owned()));
        expected.push((wrong.what, wrong.expected.0, wrong.expected.1.to_owned()));
    }
    assert_eq!(found, expected);
    assert_eq!(state().await?, before);
    Ok(())
}

/// The first line that comes back for these octets; empty when the connection is closed without one.
async fn said(service: &Service, octets: &[u8]) -> anyhow::Result<String> {
    let address = service.origin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    // A server that has heard enough may close before everything is written.
    let written = stream.write_all(octets).await.and(stream.shutdown().await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await?;
    if answer.is_empty() && (written.is_err() || read.is_err()) {
        return Ok(String::new());
    }
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn octets_that_are_no_sound_request_reach_nothing_and_leave_the_server_as_it_is() -> anyhow::Result<()>
{
    let (service, root, team) = house().await?;
    let proof = team.author.proof().map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /api/v1{} HTTP/1.1\r\nhost: x\r\n{proof}content-type: application/json\r\n",
        team.path("/drafts")
    );
    let body = r#"{"name": "smuggled"}"#;
    let with = |headers: &str, body: &str| format!("{head}{headers}\r\n{body}").into_bytes();
    let (long, count) = ("x".repeat(80 << 10), body.len());
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("two lengths", with(&format!("content-length: {count}\r\ncontent-length: 5\r\n"), body)),
        ("a length below nothing", with("content-length: -1\r\n", body)),
        ("a length that is none", with("content-length: 0x14\r\n", body)),
        ("an endless length", with("content-length: 99999999999999999999999\r\n", body)),
        ("an unknown coding", with("transfer-encoding: chunked, magic\r\n", body)),
        ("a chunk that is none", with("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        ("an endless chunk", with("transfer-encoding: chunked\r\n", "ffffffffffffffff1\r\n{}\r\n0\r\n\r\n")),
        ("a body that ends early", with("content-length: 500\r\n", body)),
        ("a header without an end", format!("{head}x: {long}").into_bytes()),
        ("a header with a blank in its name", with(&format!("content-length: {count}\r\nx y: z\r\n"), body)),
        ("a header over two lines", with(&format!("content-length: {count}\r\nx: y\r\n z\r\n"), body)),
        ("a version that is none", head.replace("HTTP/1.1", "HTTP/9.9").into_bytes()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("a line of noise", b"\x00\xff\x80 / \r\n\r\n".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, octets) in table {
        let said = said(&service, &octets).await?;
        let closed_or_refused =
            said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.0 4");
        assert!(closed_or_refused, "{what}: {said}");
    }
    // A length beside chunks: the chunks count, and nothing of them is taken for a request of its own.
    let smuggled = format!("GET /api/v1{} HTTP/1.1\r\nhost: x\r\n\r\n", team.path("/drafts"));
    let both = with(
        "content-length: 5\r\ntransfer-encoding: chunked\r\nconnection: close\r\n",
        &format!("0\r\n\r\n{smuggled}"),
    );
    let answer = said(&service, &both).await?;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(team.author.get(&team.path("/campaigns")).await?.expect(200)?.body["workspace_total"], 0);
    let trail = root.get(&format!("/audit?from={}", "2026-01-01T00:00:00Z")).await?.expect(200)?;
    assert!(!trail.body.to_string().contains("smuggled"));
    Ok(())
}

/// A client that sends a byte now and then holds no place for ever: its head has a time.
#[tokio::test]
async fn many_slow_clients_keep_nobody_else_waiting() -> anyhow::Result<()> {
    let (service, root, _) = house().await?;
    let address = service.origin.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"GET /api/v1/me HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
        slow.push(stream);
    }
    let me = tokio::time::timeout(Duration::from_secs(10), root.get("/me")).await??;
    me.expect(200)?;
    Ok(())
}
