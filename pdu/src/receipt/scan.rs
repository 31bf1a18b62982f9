//! The scanner of receipt texts: known keys in any order, case and spelling, values up to the next separator.
//!
//! One pass over the octets. What follows `text:` is the subscriber's own message and is searched only for keys
//! that have not been seen before it, so that a message cannot overwrite the id or the state of its receipt.

use super::{MessageState, Receipt};
use crate::field::find;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// Which keys have been seen, one bit each.
#[derive(Clone, Copy, Default)]
struct Seen(u8);

impl Seen {
    fn has(self, key: Key) -> bool {
        self.0 & 1 << key as u8 != 0
    }

    fn add(&mut self, key: Key) {
        self.0 |= 1 << key as u8;
    }
}

/// Reads every field that can be found.
#[inline]
pub(super) fn scan(text: &[u8]) -> Receipt<'_> {
    usual(text).unwrap_or_else(|| any(text))
}

/// The form of appendix B to the letter, which most SMSCs send: eight comparisons instead of a search.
#[inline]
fn usual(text: &[u8]) -> Option<Receipt<'_>> {
    let mut rest = text;
    let mut field = |key: &[u8]| {
        let behind = rest.strip_prefix(key)?;
        let end = find(behind, b' ').filter(|end| *end > 0)?;
        rest = &behind[end + 1..];
        Some(&behind[..end])
    };
    let message_id = field(b"id:")?;
    let sub = field(b"sub:")?;
    let dlvrd = field(b"dlvrd:")?;
    let submit_date = field(b"submit date:")?;
    let done_date = field(b"done date:")?;
    let state = MessageState::from_text(field(b"stat:")?);
    let err = field(b"err:")?;
    let text = rest.strip_prefix(b"text:").or_else(|| rest.strip_prefix(b"Text:"))?;
    Some(Receipt { message_id, state, err, sub, dlvrd, submit_date, done_date, text, network_error: None })
}

fn any(text: &[u8]) -> Receipt<'_> {
    let mut receipt = Receipt::EMPTY;
    let mut seen = Seen::default();
    let mut at = 0;
    while at < text.len() {
        if is_separator(text[at]) {
            at += 1;
            continue;
        }
        let Some((key, len)) = key_at(&text[at..]) else {
            at = end_of_token(text, at);
            continue;
        };
        seen.add(key);
        if key == Key::Text {
            receipt.text = &text[at + len..];
            if !seen.has(Key::Stat) || !seen.has(Key::Id) {
                late_fields(&mut receipt, seen);
            }
            return receipt;
        }
        let (value, next) = value_at(text, at + len);
        at = next;
        set(&mut receipt, key, value);
    }
    if seen.0 == 0 { columns(text) } else { receipt }
}

#[inline]
fn set<'a>(receipt: &mut Receipt<'a>, key: Key, value: &'a [u8]) {
    match key {
        Key::Id => receipt.message_id = value,
        Key::Sub => receipt.sub = value,
        Key::Dlvrd => receipt.dlvrd = value,
        Key::SubmitDate => receipt.submit_date = value,
        Key::DoneDate => receipt.done_date = value,
        Key::Stat => receipt.state = MessageState::from_text(value),
        Key::Err => receipt.err = value,
        Key::Text => receipt.text = value,
    }
}

/// The value that begins behind a colon, and where to go on.
///
/// Spaces in front of it are skipped unless the next key stands there: `id: sub:001` has an empty id.
#[inline]
fn value_at(text: &[u8], mut at: usize) -> (&[u8], usize) {
    if text.get(at).is_some_and(|octet| is_separator(*octet)) {
        while text.get(at) == Some(&b' ') {
            at += 1;
        }
        if text.get(at).is_none_or(|octet| is_separator(*octet)) || key_at(&text[at..]).is_some() {
            return (&[], at);
        }
    }
    let end = end_of_token(text, at);
    (unquote(&text[at..end]), end)
}

/// Fields of a receipt whose `text:` is not its last field: those that did not stand before it.
#[cold]
fn late_fields(receipt: &mut Receipt<'_>, mut seen: Seen) {
    let text = receipt.text;
    let mut cut = text.len();
    let mut at = 0;
    while at < text.len() {
        let begins = at == 0 || is_separator(text[at - 1]);
        match key_at(&text[at..]) {
            Some((key, len)) if begins && !seen.has(key) => {
                let (value, next) = value_at(text, at + len);
                set(receipt, key, value);
                seen.add(key);
                cut = cut.min(at);
                at = next;
            }
            _ => at += 1,
        }
    }
    receipt.text = if cut < text.len() { text[..cut].trim_ascii_end() } else { text };
}

/// A receipt without keys: eight columns in the order of appendix B, known by the state in the sixth.
#[cold]
fn columns(text: &[u8]) -> Receipt<'_> {
    let mut receipt = Receipt::EMPTY;
    let mut rest = text;
    let mut fields: [&[u8]; 7] = [b""; 7];
    for field in &mut fields {
        let end = rest.iter().position(|octet| matches!(octet, b',' | b';')).unwrap_or(rest.len());
        *field = unquote(rest[..end].trim_ascii());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    let [message_id, sub, dlvrd, submit_date, done_date, stat, err] = fields;
    let state = MessageState::from_text(stat);
    if state != MessageState::Unrecognised {
        receipt = Receipt {
            message_id,
            state,
            err,
            sub,
            dlvrd,
            submit_date,
            done_date,
            text: unquote(rest),
            network_error: None,
        };
    }
    receipt
}

#[inline]
const fn is_separator(octet: u8) -> bool {
    octet <= b' ' || matches!(octet, b',' | b';' | b'|')
}

#[inline]
fn end_of_token(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|octet| is_separator(*octet)).map_or(text.len(), |len| at + len)
}

#[inline]
fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        bare => bare,
    }
}

/// The key at the beginning of `text` and its length with the colon or equals sign.
#[inline]
fn key_at(text: &[u8]) -> Option<(Key, usize)> {
    let (key, len) = match text.first()? | 0x20 {
        b'i' => (Key::Id, word(text, b"id")?),
        b's' => match text.get(1)? | 0x20 {
            b't' => (Key::Stat, word(text, b"stat")?),
            _ => match word(text, b"submit") {
                Some(len) => (Key::SubmitDate, date(text, len)?),
                None => (Key::Sub, word(text, b"sub")?),
            },
        },
        b'd' => match text.get(1)? | 0x20 {
            b'l' => (Key::Dlvrd, word(text, b"dlvrd")?),
            _ => (Key::DoneDate, date(text, word(text, b"done")?)?),
        },
        b'e' => (Key::Err, word(text, b"err")?),
        b't' => (Key::Text, word(text, b"text")?),
        b'm' => (Key::Id, word(text, b"message_id").or_else(|| word(text, b"msgid"))?),
        _ => return None,
    };
    let len = match key {
        Key::Stat => {
            word(&text[len..], b"us").or_else(|| word(&text[len..], b"e")).map_or(len, |more| len + more)
        }
        Key::Err => word(&text[len..], b"or").map_or(len, |more| len + more),
        _ => len,
    };
    let spaces = text[len..].iter().take_while(|octet| **octet == b' ').count();
    matches!(text.get(len + spaces), Some(b':' | b'=')).then_some((key, len + spaces + 1))
}

/// The length of `word` if `text` begins with it in any case.
#[inline]
fn word(text: &[u8], word: &[u8]) -> Option<usize> {
    text.get(..word.len())?.eq_ignore_ascii_case(word).then_some(word.len())
}

/// Behind "submit" or "done": at most two octets of space, underscore, hyphen or line break, then "date".
#[inline]
fn date(text: &[u8], len: usize) -> Option<usize> {
    let gap =
        text[len..].iter().take(2).take_while(|octet| matches!(octet, b' ' | b'_' | b'-' | b'\r' | b'\n'));
    let len = len + gap.count();
    word(&text[len..], b"date").map(|date| len + date)
}
