//! JSON schemas in words: which type, which bounds, which fields.

use serde_json::Value;
use std::collections::BTreeSet;

/// Keywords that bound a value, as they are shown.
const BOUNDS: [(&str, &str); 8] = [
    ("format", "format"),
    ("minLength", "length from"),
    ("maxLength", "length to"),
    ("minimum", "from"),
    ("maximum", "to"),
    ("minItems", "items from"),
    ("maxItems", "items to"),
    ("pattern", "pattern"),
];

/// A field of an object.
pub(super) struct Field<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Whether it is always there.
    pub(super) required: bool,
    /// Its type in words.
    pub(super) kind: String,
    /// What it means.
    pub(super) meaning: &'a str,
}

/// The schema behind a reference; itself without one.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// The name of the schema that a reference leads to.
pub(super) fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The members of `oneOf`, `anyOf` or `allOf`.
pub(super) fn choices(schema: &Value) -> &[Value] {
    let found = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|word| schema[word].as_array());
    found.map_or(&[], Vec::as_slice)
}

/// The type in words. References are named, not followed, so that it always ends.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = name(schema) {
        return name.to_owned();
    }
    let choices = choices(schema);
    if !choices.is_empty() {
        let word = if schema.get("allOf").is_some() { " and " } else { " or " };
        return choices.iter().map(|choice| kind(document, choice)).collect::<Vec<_>>().join(word);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    }
    let types = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    let mut words = match schema.get("items") {
        Some(items) => format!("{types} of {}", kind(document, items)),
        None => types,
    };
    for (keyword, told) in BOUNDS {
        match &schema[keyword] {
            Value::Null => {}
            Value::String(text) => words.push_str(&format!(", {told} {text}")),
            value => words.push_str(&format!(", {told} {value}")),
        }
    }
    words
}

/// The fields of an object, those of its parts too.
pub(super) fn fields<'a>(document: &'a Value, schema: &'a Value) -> Vec<Field<'a>> {
    let mut found = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(fields(document, resolve(document, part)));
    }
    let needed: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        found.push(Field {
            name,
            required: needed.contains(name.as_str()),
            kind: kind(document, field),
            meaning: field["description"].as_str().unwrap_or_default(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_told_with_their_bounds() {
        let table = [
            (json!({"type": "string", "maxLength": 3}), "string, length to 3"),
            (json!({"type": ["integer", "null"], "minimum": 1}), "integer or null, from 1"),
            (json!({"type": "array", "items": {"$ref": "#/components/schemas/A"}}), "array of A"),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]}), "null or A"),
            (json!({"type": "string", "enum": ["a", "b"]}), "\"a\", \"b\""),
            (json!({}), "anything"),
        ];
        for (schema, words) in table {
            assert_eq!(kind(&Value::Null, &schema), words);
        }
    }

    #[test]
    fn fields_of_parts_belong_to_the_whole() {
        let document = json!({"components": {"schemas": {"A": {"properties": {"a": {"type": "string"}}}}}});
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/A"}],
            "required": ["b"], "properties": {"b": {"type": "integer", "description": "a count"}},
        });
        let fields = fields(&document, &schema);
        let told: Vec<_> = fields.iter().map(|field| (field.name, field.required, field.meaning)).collect();
        assert_eq!(told, [("a", false, ""), ("b", true, "a count")]);
    }
}
