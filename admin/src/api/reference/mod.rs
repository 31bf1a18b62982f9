//! The API's reference as one page for people, made from the OpenAPI document: nothing in it is written twice.
//!
//! The page brings no script and asks no other host for anything, so that it works in an installation without internet.

mod example;
mod html;
mod schema;

use html::{Html, anchor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How the page looks; served beside it.
pub(crate) const STYLE: &str = include_str!("style.css");
/// What an operation without a tag is listed under.
const UNTAGGED: &str = "Others";
/// The methods of a path in the order in which they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

struct Route<'a> {
    method: &'static str,
    path: &'a str,
    operation: &'a Value,
}

/// The page of a document.
pub(crate) fn page(document: &Value, stylesheet: &str, download: &str) -> String {
    let mut html = Html::begin(text(&document["info"]["title"]), stylesheet);
    let tags = by_tag(document);
    contents(&mut html, &tags);
    html.open("main");
    html.element("h1", &format!("{} API", text(&document["info"]["title"])));
    html.element("p", text(&document["info"]["description"]));
    html.open("p").text("The same as a document for programs: ").link(download, "openapi.json").close("p");
    logins(&mut html, document);
    problems(&mut html, document);
    permissions(&mut html, document);
    for (tag, routes) in &tags {
        html.heading("h2", &anchor("tag", tag), tag);
        for route in routes {
            operation(&mut html, document, route);
        }
    }
    schemas(&mut html, document);
    html.close("main");
    html.end()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn by_tag(document: &Value) -> BTreeMap<&str, Vec<Route<'_>>> {
    let mut tags: BTreeMap<&str, Vec<Route<'_>>> = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let tag = operation["tags"][0].as_str().unwrap_or(UNTAGGED);
            tags.entry(tag).or_default().push(Route { method, path, operation });
        }
    }
    tags
}

fn contents(html: &mut Html, tags: &BTreeMap<&str, Vec<Route<'_>>>) {
    html.open("nav");
    for (link, name) in [("login", "Logging in"), ("problems", "Problems"), ("permissions", "Permissions")] {
        html.open("p").link(&format!("#{link}"), name).close("p");
    }
    for (tag, routes) in tags {
        html.open("p").link(&format!("#{}", anchor("tag", tag)), tag).close("p");
        html.open("ul");
        for route in routes {
            let name = format!("{} {}", route.method.to_uppercase(), route.path);
            html.open("li").link(&format!("#{}", anchor(route.method, route.path)), &name).close("li");
        }
        html.close("ul");
    }
    html.open("p").link("#schemas", "Schemas").close("p");
    html.close("nav");
}

fn logins(html: &mut Html, document: &Value) {
    html.heading("h2", "login", "Logging in");
    html.table(&["name", "how", "where"]);
    for (name, scheme) in members(&document["components"]["securitySchemes"]) {
        let how = format!("{} {}", text(&scheme["type"]), text(&scheme["scheme"]));
        let place = match (text(&scheme["in"]), text(&scheme["bearerFormat"])) {
            ("", format) => format!("Authorization: Bearer {format}"),
            (place, _) => format!("{place} {}", text(&scheme["name"])),
        };
        html.row(&[name, how.trim(), &place]);
    }
    html.close("tbody").close("table");
}

fn problems(html: &mut Html, document: &Value) {
    html.heading("h2", "problems", "Problems");
    html.element("p", "Every refusal is application/problem+json; its type ends in one of these codes.");
    html.table(&["code", "status", "meaning"]);
    for problem in rows(&document["x-problems"]) {
        html.row(&[text(&problem["code"]), &problem["status"].to_string(), text(&problem["title"])]);
    }
    html.close("tbody").close("table");
}

fn permissions(html: &mut Html, document: &Value) {
    let table = &document["x-permissions"];
    html.heading("h2", "permissions", "Permissions");
    let standings: Vec<&str> = rows(&table["standings"]).iter().map(text).collect();
    let head: Vec<&str> = std::iter::once("action").chain(standings).collect();
    html.table(&head);
    for action in rows(&table["actions"]) {
        let grants = rows(&action["grants"]).iter().map(text);
        let cells: Vec<&str> = std::iter::once(text(&action["action"])).chain(grants).collect();
        html.row(&cells);
    }
    html.close("tbody").close("table");
}

fn operation(html: &mut Html, document: &Value, route: &Route<'_>) {
    let operation = route.operation;
    html.heading(
        "h3",
        &anchor(route.method, route.path),
        &format!("{} {}", route.method.to_uppercase(), route.path),
    );
    html.element("p", text(&operation["summary"]));
    if let Some(description) = operation["description"].as_str() {
        html.element("p", description);
    }
    html.element("p", &format!("Who: {}.", who(&operation["x-access"])));
    parameters(html, document, rows(&operation["parameters"]));
    if let Some(body) = operation.get("requestBody") {
        let needed = if body["required"].as_bool() == Some(true) { "required" } else { "optional" };
        html.element("h4", &format!("Body ({needed})"));
        contents_of(html, document, &body["content"]);
    }
    html.element("h4", "Answers");
    for (status, response) in members(&operation["responses"]) {
        html.open("p").element("b", status).text(" ").text(text(&response["description"]));
        for (name, _) in members(&response["headers"]) {
            html.text(" ").element("code", name);
        }
        html.close("p");
        if status.starts_with('2') {
            contents_of(html, document, &response["content"]);
        }
    }
}

/// Who may call it, in words.
fn who(access: &Value) -> String {
    match access.as_str() {
        Some("public") => "everybody, without a login".to_owned(),
        Some("login") => "everybody with a login".to_owned(),
        Some("super_admin") => "super admins".to_owned(),
        Some(other) => other.to_owned(),
        None => {
            let grants = members(&access["grants"]).filter(|(_, grant)| text(grant) != "no");
            let grants = grants.map(|(standing, grant)| format!("{standing} ({})", text(grant)));
            let people = grants.collect::<Vec<_>>().join(", ");
            let key = access["key_scope"].as_str();
            let key = key.map_or(String::new(), |scope| format!("; API keys with {scope}"));
            format!("{}: {people}{key}", text(&access["action"]))
        }
    }
}

fn parameters(html: &mut Html, document: &Value, parameters: &[Value]) {
    if parameters.is_empty() {
        return;
    }
    html.element("h4", "Parameters");
    html.table(&["name", "in", "required", "type", "meaning"]);
    for parameter in parameters {
        let needed = if parameter["required"].as_bool() == Some(true) { "yes" } else { "no" };
        let kind = schema::kind(document, &parameter["schema"]);
        let meaning = text(&parameter["description"]);
        html.row(&[text(&parameter["name"]), text(&parameter["in"]), needed, &kind, meaning]);
    }
    html.close("tbody").close("table");
}

/// Each media type with its schema and an example.
fn contents_of(html: &mut Html, document: &Value, contents: &Value) {
    for (media_type, content) in members(contents) {
        html.open("p").element("code", media_type).text(" ");
        match schema::name(&content["schema"]) {
            Some(name) => html.link(&format!("#{}", anchor("schema", name)), name),
            None => html.text(&schema::kind(document, &content["schema"])),
        };
        html.close("p");
        let example = content.get("example").cloned();
        let example = example.unwrap_or_else(|| example::of(document, &content["schema"]));
        match &example {
            Value::Null => {}
            Value::String(text) => drop(html.element("pre", text)),
            value => drop(html.element("pre", &format!("{value:#}"))),
        }
    }
}

fn schemas(html: &mut Html, document: &Value) {
    html.heading("h2", "schemas", "Schemas");
    for (name, schema) in members(&document["components"]["schemas"]) {
        html.heading("h3", &anchor("schema", name), name);
        if let Some(description) = schema["description"].as_str() {
            html.element("p", description);
        }
        let fields = schema::fields(document, schema);
        if fields.is_empty() {
            html.element("p", &schema::kind(document, schema));
            continue;
        }
        html.table(&["field", "required", "type", "meaning"]);
        for field in &fields {
            let needed = if field.required { "yes" } else { "no" };
            html.row(&[field.name, needed, &field.kind, field.meaning]);
        }
        html.close("tbody").close("table");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document;

    #[test]
    fn the_page_shows_every_operation_schema_and_problem_and_each_link_leads_somewhere() {
        let document = document();
        let page = page(&document, "reference.css", "openapi.json");
        for (path, item) in members(&document["paths"]) {
            for method in METHODS.into_iter().filter(|method| item.get(method).is_some()) {
                assert!(page.contains(&format!("id=\"{}\"", anchor(method, path))), "{method} {path}");
            }
        }
        for (name, _) in members(&document["components"]["schemas"]) {
            assert!(page.contains(&format!("id=\"{}\"", anchor("schema", name))), "{name}");
        }
        for problem in rows(&document["x-problems"]) {
            assert!(page.contains(text(&problem["code"])));
        }
        let mut links = 0;
        for rest in page.split("href=\"#").skip(1) {
            let id = rest.split('"').next().unwrap_or_default();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id} leads nowhere");
            links += 1;
        }
        assert!(links > 10);
    }

    #[test]
    fn the_page_asks_nobody_else_and_runs_nothing() {
        let page = page(&document(), "reference.css", "openapi.json");
        for word in ["<script", "src=", "style=", "javascript:", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(!page.contains("href=\"http"));
    }

    #[test]
    fn access_is_told_in_words() {
        assert_eq!(who(&"super_admin".into()), "super admins");
        let access = serde_json::json!({
            "action": "Push", "grants": {"Author": "own", "Moderator": "no"}, "key_scope": "numbers:push"
        });
        assert_eq!(who(&access), "Push: Author (own); API keys with numbers:push");
    }
}
