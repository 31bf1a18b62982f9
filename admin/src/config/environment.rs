//! Settings from the environment: `MC_SECTION__KEY`, for channels `MC_CHANNELS__0__KEY`, laid over the file's table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use toml::{Table, Value};

/// Beginning of the variables that are settings; others of this product have no `__`.
const PREFIX: &str = "MC_";

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Text,
    Number,
    /// Separated by commas.
    Texts,
}

/// The keys by section; `channels` has one table for each channel.
const KEYS: [(&str, &str, Holds); 41] = [
    ("store", "url", Holds::Text),
    ("admin", "listen", Holds::Text),
    ("admin", "public_url", Holds::Text),
    ("admin", "trusted_proxies", Holds::Texts),
    ("metrics", "listen", Holds::Text),
    ("channels", "name", Holds::Text),
    ("channels", "host", Holds::Text),
    ("channels", "port", Holds::Number),
    ("channels", "system_id", Holds::Text),
    ("channels", "password", Holds::Text),
    ("channels", "password_file", Holds::Text),
    ("channels", "system_type", Holds::Text),
    ("channels", "bind", Holds::Text),
    ("channels", "binds", Holds::Number),
    ("channels", "window", Holds::Number),
    ("channels", "rate_per_s", Holds::Number),
    ("channels", "enquire_link_s", Holds::Number),
    ("channels", "message_id", Holds::Text),
    ("channels", "prefixes", Holds::Texts),
    ("channels", "weight", Holds::Number),
    ("channels", "workspaces", Holds::Texts),
    ("inbound", "last_sender_h", Holds::Number),
    ("inbound", "stop_words", Holds::Texts),
    ("inbound", "start_words", Holds::Texts),
    ("inbound", "region", Holds::Text),
    ("limits", "receipt_timeout_h", Holds::Number),
    ("limits", "export_hours", Holds::Number),
    ("privacy", "ctn_hash", Holds::Text),
    ("privacy", "ctn_key_file", Holds::Text),
    ("audit", "retention_days", Holds::Number),
    ("audit", "fallback_path", Holds::Text),
    ("audit", "overflow", Holds::Text),
    ("mail", "host", Holds::Text),
    ("mail", "port", Holds::Number),
    ("mail", "tls", Holds::Text),
    ("mail", "ca_file", Holds::Text),
    ("mail", "username", Holds::Text),
    ("mail", "password", Holds::Text),
    ("mail", "password_file", Holds::Text),
    ("mail", "from", Holds::Text),
    ("mail", "timeout_s", Holds::Number),
];

/// Lays the settings among `variables` over `table`.
///
/// # Errors
/// A sentence with the name of a variable that is no setting or has no fitting value; never with the value.
pub(super) fn lay_over(
    table: &mut Table,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), String> {
    // In order of their names, so that channel 1 comes before channel 2.
    let settings: BTreeMap<String, OsString> = variables
        .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)))
        .filter(|(name, _)| name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__")))
        .collect();
    for (name, value) in settings {
        let value = value.into_string().map_err(|_| refuse(&name, "is not readable text"))?;
        lay(table, &name, value)?;
    }
    Ok(())
}

fn refuse(name: &str, why: &str) -> String {
    format!("{name} in the environment {why}")
}

fn lay(table: &mut Table, name: &str, value: String) -> Result<(), String> {
    let path = name.trim_start_matches(PREFIX).to_lowercase();
    let words: Vec<&str> = path.split("__").collect();
    let (section, number, key) = match words.as_slice() {
        ["channels", number, key] => ("channels", Some(*number), *key),
        [section, key] if *section != "channels" => (*section, None, *key),
        _ => return Err(refuse(name, "is not a setting")),
    };
    let known = KEYS.iter().find(|(of, known, _)| *of == section && *known == key);
    let Some((_, _, holds)) = known else { return Err(refuse(name, "is not a setting")) };
    let value = match holds {
        Holds::Text => Value::String(value),
        Holds::Number => {
            Value::Integer(value.trim().parse().map_err(|_| refuse(name, "is not a whole number"))?)
        }
        Holds::Texts => {
            let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
            Value::Array(texts.map(|text| Value::String(text.to_owned())).collect())
        }
    };
    let place = match number {
        None => table.entry(section).or_insert_with(|| Value::Table(Table::new())),
        Some(number) => {
            let at: usize = number.parse().map_err(|_| refuse(name, "is not a setting"))?;
            channel(table, at).ok_or_else(|| {
                format!("{name} in the environment: there is no channel {}", at.saturating_sub(1))
            })?
        }
    };
    if let Value::Table(place) = place {
        if key == "password" {
            place.remove("password_file");
        } else if key == "password_file" {
            place.remove("password");
        }
        place.insert(key.to_owned(), value);
    }
    Ok(())
}

/// The table of channel `at`, made when it is the next one.
fn channel(table: &mut Table, at: usize) -> Option<&mut Value> {
    let channels = table.entry("channels").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
    if at == channels.len() {
        channels.push(Value::Table(Table::new()));
    }
    channels.get_mut(at)
}
