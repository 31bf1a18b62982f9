//! Examples: what a schema says of itself, else the simplest value that it allows.

use super::schema::{choices, resolve};
use serde_json::{Map, Value, json};

/// How deep examples go: schemas may contain themselves.
const MOST_DEPTH: usize = 8;

/// An example of a schema; null when it says nothing.
pub(super) fn of(document: &Value, schema: &Value) -> Value {
    at_depth(document, schema, 0)
}

fn at_depth(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if depth == MOST_DEPTH {
        return Value::Null;
    }
    let own = [
        &schema["example"],
        &schema["examples"][0],
        &schema["const"],
        &schema["default"],
        &schema["enum"][0],
    ];
    if let Some(own) = own.into_iter().find(|value| !value.is_null()) {
        return own.clone();
    }
    let mut members = Map::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Value::Object(part) = at_depth(document, part, depth + 1) {
            members.extend(part);
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        members.insert(name.clone(), at_depth(document, field, depth + 1));
    }
    if !members.is_empty() {
        return Value::Object(members);
    }
    let told = |choice: &&Value| choice["type"].as_str() != Some("null");
    if let Some(choice) = choices(schema).iter().find(told) {
        return at_depth(document, choice, depth + 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind.unwrap_or_default() {
        "array" => json!([at_depth(document, &schema["items"], depth + 1)]),
        "object" => json!({}),
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "string" => json!(string(schema["format"].as_str().unwrap_or_default())),
        _ => Value::Null,
    }
}

fn string(format: &str) -> &'static str {
    match format {
        "uuid" => "01980000-0000-7000-8000-000000000000",
        "date-time" => "2026-03-03T08:00:00.000Z",
        "date" => "2026-03-03",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_every_field_and_prefers_what_the_schema_says() {
        let document = json!({"components": {"schemas": {"A": {"type": "object", "properties": {
            "id": {"type": "string", "format": "uuid"},
            "name": {"type": "string", "example": "Ann"},
            "inner": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]},
            "count": {"type": ["integer", "null"], "minimum": 1},
        }}}}});
        let example = of(&document, &json!({"$ref": "#/components/schemas/A"}));
        assert_eq!(example["name"], "Ann");
        assert_eq!(example["count"], 1);
        assert_eq!(example["inner"]["name"], "Ann");
        assert!(example.to_string().len() < 10_000);
    }
}
