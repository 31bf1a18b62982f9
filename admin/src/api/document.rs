//! The OpenAPI document of the API, made from the routes themselves.

use super::permission::{Action, Standing};
use super::problem::{Code, ProblemBody};
use super::routes::{self, Routes};
use serde_json::json;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi};
use utoipa::{PartialSchema, ToSchema};

/// The document as JSON.
pub(crate) fn document() -> serde_json::Value {
    let Routes { router, .. } = routes::all();
    let mut api: OpenApi = router.into_openapi();
    api.info = Info::new("Message Center", env!("CARGO_PKG_VERSION"));
    api.info.description = Some(
        "Campaigns, their moderation, senders, people and the audit log, by workspace. Times are RFC 3339 in UTC with \
         milliseconds, ids are UUIDs of version 7. A workspace that does not exist and one that you do not belong to \
         give the same 404."
            .to_owned(),
    );
    let components = api.components.get_or_insert_with(Components::new);
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    components.schemas.insert("Problem".to_owned(), ProblemBody::schema());
    components.schemas.extend(nested);
    let cookie = ApiKey::Cookie(ApiKeyValue::new(super::guard::COOKIE));
    components.add_security_scheme("login", SecurityScheme::ApiKey(cookie));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mc_<id>_<secret>").build();
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    let mut document = serde_json::to_value(&api).expect("the document has text keys only");
    open_flattened(&mut document);
    for draft in ["Draft", "Listed_Draft"] {
        unbind(&mut document["components"]["schemas"][draft]);
    }
    document["x-problems"] = problems();
    document["x-permissions"] = permissions();
    document
}

/// A schema that is a part of another one by `allOf` must let the fields of the other parts be, though alone, in a
/// request, it refuses fields that it does not know.
fn open_flattened(document: &mut serde_json::Value) {
    let schemas = document["components"]["schemas"].clone();
    open_parts(&mut document["components"]["schemas"], &schemas);
}

fn open_parts(value: &mut serde_json::Value, schemas: &serde_json::Value) {
    if let Some(parts) = value.get_mut("allOf").and_then(serde_json::Value::as_array_mut) {
        for part in parts {
            let name = part["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
            let Some(target) = name.and_then(|name| schemas.get(name)) else { continue };
            if target["additionalProperties"] == json!(false) {
                let mut open = target.clone();
                open.as_object_mut().map(|fields| fields.remove("additionalProperties"));
                *part = open;
            }
        }
    }
    match value {
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|inner| open_parts(inner, schemas)),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|inner| open_parts(inner, schemas)),
        _ => {}
    }
}

/// A draft shows what was written, also what a submit would refuse: bounds of values are no part of its schema.
fn unbind(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|key, bound| !(BOUNDS.contains(&key.as_str()) && bound.is_number()));
            fields.values_mut().for_each(unbind);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(unbind),
        _ => {}
    }
}

const BOUNDS: [&str; 4] = ["minimum", "maximum", "minLength", "maxLength"];

/// Every code that a problem's `type` may end in.
fn problems() -> serde_json::Value {
    let row = |code: &Code| {
        let status = code.status().as_u16();
        json!({ "code": code.as_str(), "status": status, "title": code.title() })
    };
    Code::ALL.iter().map(row).collect()
}

/// The table of permissions.
fn permissions() -> serde_json::Value {
    let row = |action: &Action| json!({ "action": action.word(), "grants": action.grants() });
    let rows: Vec<_> = Action::ALL.iter().map(row).collect();
    json!({ "standings": Standing::ALL, "actions": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_may_show_what_a_campaign_may_not_have() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        for draft in ["Draft", "Listed_Draft"] {
            let text = schemas[draft].to_string();
            assert!(text.contains("validity_s"), "{draft}: {text}");
            assert!(!BOUNDS.iter().any(|bound| text.contains(&format!("\"{bound}\""))), "{draft}: {text}");
        }
        assert!(schemas["Campaign"].is_object() && document.to_string().contains("\"maximum\":2764799"));
    }

    #[test]
    fn every_route_is_documented_with_a_sentence_its_answers_and_refusals() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let mut operations = 0;
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("a path") {
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path} has no sentence");
                let answers = operation["responses"].as_object().expect("answers");
                assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
                assert!(answers.contains_key("500") && !operation["x-access"].is_null(), "{method} {path}");
                operations += 1;
            }
        }
        assert_eq!(operations, routes::all().access.len());
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let mut found = 0;
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
            found += 1;
        }
        assert!(found > 0);
    }
}
