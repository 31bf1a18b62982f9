//! Pages of lists: at most 200 items and an opaque cursor to the next ones.

use super::problem::{Code, Problem};
use engine::model::EntityId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Items of a page unless the request says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Most items of a page.
pub(crate) const MAX_LIMIT: usize = engine::store::MAX_PAGE;
/// Longest cursor, characters.
const MAX_CURSOR_CHARS: usize = 512;

/// Which page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    /// Items at most.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }

    /// The id behind which the page begins.
    pub(crate) fn after(&self) -> Result<Option<EntityId>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let id = Uuid::try_parse(cursor).map_err(|_| bad_cursor())?;
        Ok(Some(EntityId(id)))
    }
}

/// Items of a page as asked for.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => {
            let message = format!("A page has 1 to {MAX_LIMIT} items.");
            Err(Problem::new(Code::BadParameter).with_field("limit", "out_of_range", message))
        }
    }
}

/// The refusal of a cursor that is none.
pub(crate) fn bad_cursor() -> Problem {
    Problem::new(Code::BadParameter).with_field("cursor", "unknown", "This cursor is not one of this list.")
}

/// A cursor over more than an id: any small value, readable only here.
pub(crate) fn read_cursor<T: serde::de::DeserializeOwned>(
    cursor: Option<&str>,
) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    if cursor.len() > MAX_CURSOR_CHARS || cursor.len() % 2 != 0 || !cursor.is_ascii() {
        return Err(bad_cursor());
    }
    let octet = |at: usize| u8::from_str_radix(&cursor[at..at + 2], 16).map_err(|_| bad_cursor());
    let octets = (0..cursor.len()).step_by(2).map(octet).collect::<Result<Vec<u8>, Problem>>()?;
    serde_json::from_slice(&octets).map(Some).map_err(|_| bad_cursor())
}

/// The cursor for [`read_cursor`].
pub(crate) fn write_cursor<T: Serialize>(value: &T) -> String {
    use std::fmt::Write;
    let octets = serde_json::to_vec(value).expect("a cursor is plain data");
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// A page of a list that is at hand as a whole; the cursor is a place in it.
pub(crate) fn cut<T>(all: Vec<T>, query: &PageQuery) -> Result<Listed<T>, Problem> {
    let (limit, from) = (query.limit()?, read_cursor(query.cursor.as_deref())?.unwrap_or(0_usize));
    let next = from.saturating_add(limit);
    let next_cursor = (next < all.len()).then(|| write_cursor(&next));
    Ok(Listed { items: all.into_iter().skip(from).take(limit).collect(), next_cursor })
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// For the next page; `null` at the end.
    pub(crate) next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_anything_else_is_refused() {
        let value = ("é\"".to_owned(), 7_u64);
        let cursor = write_cursor(&value);
        assert_eq!(read_cursor(Some(&cursor)), Ok(Some(value)));
        assert_eq!(read_cursor::<u8>(None), Ok(None));
        for wrong in ["0", "zz", "7b", "ééé", &cursor[2..], &"00".repeat(400)] {
            assert!(read_cursor::<(String, u64)>(Some(wrong)).is_err(), "{wrong}");
        }
        let page = |limit| PageQuery { limit, cursor: Some("no-uuid".to_owned()) };
        assert!(
            page(None).after().is_err() && page(Some(0)).limit().is_err() && page(Some(201)).limit().is_err()
        );
        assert_eq!((page(None).limit(), page(Some(200)).limit()), (Ok(50), Ok(200)));
    }

    #[test]
    fn what_is_at_hand_as_a_whole_is_cut_into_pages_that_miss_nothing() {
        let (mut seen, mut query) = (Vec::new(), PageQuery { limit: Some(3), cursor: None });
        loop {
            let page = cut((0..7).collect(), &query).expect("a page");
            seen.push(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        let behind = PageQuery { cursor: Some(write_cursor(&usize::MAX)), ..query };
        assert_eq!(cut(vec![0], &behind).expect("a page").items, Vec::<i32>::new());
    }
}
