//! The API about itself: its document for programs and its reference for people.
//!
//! Neither tells anything about an installation, so both are open to everybody. Both are made once, at first use.

use super::Routes;
use crate::api::guard::Access;
use crate::api::{document, reference};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use std::sync::LazyLock;
use utoipa_axum::routes;

/// Only its own stylesheet, and no script at all.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document::document().to_string());
static PAGE: LazyLock<String> =
    LazyLock::new(|| reference::page(&document::document(), "reference.css", "openapi.json"));

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Public, routes!(openapi))
        .with(Access::Public, routes!(page))
        .with(Access::Public, routes!(stylesheet))
}

fn typed(media_type: &'static str, body: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, media_type)], body)
}

/// The API as an OpenAPI 3.1 document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "Reference",
    responses((status = 200, content_type = "application/json", body = Object))
)]
async fn openapi() -> impl IntoResponse {
    typed("application/json", &DOCUMENT)
}

/// The API as a page to read: every route, who may call it, parameters, bodies, answers, problems.
#[utoipa::path(
    get, path = "/reference", tag = "Reference",
    responses((status = 200, content_type = "text/html", body = String, example = "<!doctype html>"))
)]
async fn page() -> impl IntoResponse {
    let policy = (HeaderName::from_static("content-security-policy"), POLICY);
    ([policy], typed("text/html; charset=utf-8", &PAGE))
}

/// How the page of the reference looks.
#[utoipa::path(
    get, path = "/reference.css", tag = "Reference",
    responses((status = 200, content_type = "text/css", body = String, example = "body { margin: 0 }"))
)]
async fn stylesheet() -> impl IntoResponse {
    typed("text/css; charset=utf-8", reference::STYLE)
}

#[cfg(test)]
mod tests {
    use crate::api::testing::House;
    use reqwest::Method;

    #[tokio::test]
    async fn everybody_reads_the_document_and_the_page_made_from_it() {
        let house = House::open().await;
        let nobody = house.nobody();
        let (status, document) = nobody.get("/openapi.json").await;
        assert_eq!((status, document["info"]["title"].as_str()), (200, Some("Message Center")));
        assert!(document["paths"]["/api/v1/openapi.json"]["get"].is_object(), "it tells of itself too");
        let page = nobody.request(Method::GET, "/reference").send().await.expect("answered");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.headers()["content-security-policy"].to_str().is_ok_and(|it| it.contains("'none'")));
        let page = page.text().await.expect("text");
        assert!(page.contains("GET /api/v1/openapi.json") && page.contains("href=\"reference.css\""));
        let style = nobody.request(Method::GET, "/reference.css").send().await.expect("answered");
        assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
        house.close().await;
    }
}
