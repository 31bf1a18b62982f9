//! Progress as a stream: it follows the counts, ends, and is bounded.

use super::*;
use crate::api::testing::read;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_campaign_is_followed_to_its_end() {
    let stage = Stage::open().await;
    let id = stage.pending(Like::of(Mode::OnDemand, 20)).await;
    let mut response = stage.author.request(Method::GET, &path(id, "/progress")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let first = String::from_utf8(response.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.starts_with("event: progress\ndata: {\"status\":\"Pending\""), "{first}");
    assert_eq!(stage.author.post(&path(id, "/start"), json!({})).await.0, 200);
    let rest = response.text().await.unwrap();
    let last = rest.trim().rsplit("data: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((last["status"].as_str(), last["counts"]["total"].as_u64()), (Some("Done"), Some(20)));
    stage.house.close().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_membership_and_there_are_only_so_many() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    let mut open = Vec::new();
    let refused = loop {
        let response = stage.author.request(Method::GET, &path(id, "/progress")).send().await.unwrap();
        if response.status() != 200 {
            break response;
        }
        open.push(response);
    };
    let (status, body) = read(refused).await;
    assert_eq!((status, body["title"].is_string(), open.len()), (429, true, 8));
    stage.remove(&stage.author).await;
    for response in open {
        let text = response.text().await.unwrap();
        assert!(text.matches("event: progress").count() <= 1, "{text}");
    }
    stage.house.close().await;
}
