//! The `[inbound]` table: how messages from handsets are understood.

use engine::InboundConfig;
use serde::Deserialize;
use std::time::Duration;

/// Longest look back for the workspace that wrote to a handset last, hours.
const MOST_HOURS: u32 = 24 * 30;
/// Words of a list, and the octets of a word.
const WORDS: usize = 100;
const WORD_OCTETS: usize = 64;

/// The table as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InboundSection {
    last_sender_h: Option<u32>,
    stop_words: Option<Vec<String>>,
    start_words: Option<Vec<String>>,
    region: Option<String>,
}

impl InboundSection {
    /// Checks everything; what is not given is as the engine has it.
    pub(super) fn check(self) -> Result<InboundConfig, String> {
        let mut config = InboundConfig::default();
        if let Some(hours) = self.last_sender_h {
            if !(1..=MOST_HOURS).contains(&hours) {
                return Err(format!("inbound.last_sender_h is {hours}, not 1 to {MOST_HOURS}"));
            }
            config.last_sender_within = Duration::from_secs(u64::from(hours) * 3600);
        }
        if let Some(listed) = self.stop_words {
            config.stop_words = words("stop_words", listed)?;
        }
        if let Some(listed) = self.start_words {
            config.start_words = words("start_words", listed)?;
        }
        if let Some(region) = self.region {
            if region.len() != 2 || !region.bytes().all(|octet| octet.is_ascii_uppercase()) {
                return Err(format!("inbound.region: {region:?} is not a country such as \"DE\""));
            }
            config.region = Some(region);
        }
        Ok(config)
    }
}

/// One word each: a keyword is the first word of a message.
fn words(key: &str, listed: Vec<String>) -> Result<Vec<String>, String> {
    if listed.is_empty() || listed.len() > WORDS {
        return Err(format!("inbound.{key} has {} words, not 1 to {WORDS}", listed.len()));
    }
    let is_word =
        |word: &String| !word.is_empty() && word.len() <= WORD_OCTETS && !word.contains(char::is_whitespace);
    match listed.iter().find(|word| !is_word(word)) {
        Some(odd) => {
            Err(format!("inbound.{key} has {odd:?}, which is not one word of at most {WORD_OCTETS} octets"))
        }
        None => Ok(listed),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn section(text: &str) -> Result<InboundConfig, String> {
        toml::from_str::<InboundSection>(text).unwrap().check()
    }

    #[test]
    fn what_is_not_given_is_as_the_engine_has_it() {
        assert_eq!(section("").unwrap(), InboundConfig::default());
        let given = section("last_sender_h = 24\nstop_words = [\"ENDE\"]\nregion = \"DE\"").unwrap();
        assert_eq!(given.last_sender_within, Duration::from_secs(24 * 3600));
        assert_eq!((given.stop_words, given.region), (vec!["ENDE".to_owned()], Some("DE".to_owned())));
        assert_eq!(given.start_words, InboundConfig::default().start_words);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        assert_eq!(section("last_sender_h = 0").unwrap_err(), "inbound.last_sender_h is 0, not 1 to 720");
        assert!(section("stop_words = []").unwrap_err().starts_with("inbound.stop_words has 0 words"));
        assert!(section("start_words = [\"two words\"]").unwrap_err().contains("\"two words\""));
        assert!(section("region = \"Germany\"").unwrap_err().starts_with("inbound.region"));
    }
}
