//! What a list of campaigns and the overview are asked for and give: scopes, filters, cursors, pages, sums.
//!
//! No call is without a scope, and the one that reaches over every workspace has to be written out. A cursor holds the
//! place behind which the next page begins, so that a page neither repeats nor leaves out what stays in its place.

use crate::model::{Campaign, CampaignId, Mode, Status, UserId, WorkspaceId};
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Most workspaces that one [`CampaignScope::Workspaces`] names.
pub const MAX_SCOPE_WORKSPACES: usize = 1_000;

/// Longest [`Search::Sender`] in characters.
pub const MAX_SEARCH_CHARS: usize = 200;

/// Longest text of a [`CampaignCursor`].
const MAX_CURSOR_CHARS: usize = 4_096;

/// Most authors of an [`Overview`].
pub const MAX_AUTHORS: usize = 50;
/// Most active campaigns that an [`Overview`] names, the newest ones.
pub const MAX_ACTIVE: usize = 10_000;

/// Back to when campaigns count for their authors: 30 times 24 hours.
pub const AUTHORS_HOURS: i64 = 30 * 24;

/// Whose campaigns a list or an overview is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CampaignScope {
    /// One workspace's.
    Workspace(WorkspaceId),
    /// Those of several workspaces that somebody belongs to, at most [`MAX_SCOPE_WORKSPACES`].
    Workspaces {
        /// Every campaign of these.
        all: Vec<WorkspaceId>,
        /// Of these, which hide the campaigns of others, only those that `user` has created.
        own: Vec<WorkspaceId>,
        /// Who asks.
        user: UserId,
    },
    /// Those of every workspace. Only for super admins: whoever asks for it has checked that.
    EveryWorkspace,
}

/// Whether archived campaigns are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Archived {
    /// Only those that are not archived.
    #[default]
    Without,
    /// Only archived ones.
    Only,
    /// Both.
    Any,
}

/// What a list is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// The campaign of this id.
    Id(CampaignId),
    /// A part of the sender's name, in capital or small letters; no character of it has a special meaning.
    Sender(String),
}

impl Search {
    /// What a typed text asks for: a UUID in its usual form is an id, all else a part of a sender's name. Names of
    /// campaigns are not searched. `None` for a blank text.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        const UUID_CHARS: usize = 36;
        let text = text.trim();
        let id = Uuid::parse_str(text).ok().filter(|_| text.len() == UUID_CHARS);
        match id {
            _ if text.is_empty() => None,
            Some(id) => Some(Self::Id(CampaignId(id))),
            None => Some(Self::Sender(text.to_owned())),
        }
    }
}

/// A name as lists sort and search it: small letters, each character by itself.
pub(crate) fn folded(name: &str) -> String {
    // Not `str::to_lowercase`: its last sigma depends on what follows, and a part of a name has another end.
    name.chars().flat_map(char::to_lowercase).collect()
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The sender's name in small letters.
    Sender,
    /// The effective start; campaigns without one come behind every other.
    Start,
    /// The creation.
    Created,
}

/// Which way a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// How a list is sorted; equal ones by id, in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Which way.
    pub direction: Direction,
}

/// What a page is asked for.
#[derive(Clone, Debug)]
pub struct CampaignQuery {
    /// Only campaigns whose effective start is at or behind this instant.
    pub from: Option<Timestamp>,
    /// Only campaigns whose effective start is before this instant.
    pub to: Option<Timestamp>,
    /// Only these statuses; empty means any.
    pub statuses: Vec<Status>,
    /// Only these modes; empty means any.
    pub modes: Vec<Mode>,
    /// Only what is searched for.
    pub search: Option<Search>,
    /// Whether archived ones.
    pub archived: Archived,
    /// Only those of this creator.
    pub created_by: Option<UserId>,
    /// Only those that have a sender: one restored into another workspace has none until somebody chooses it.
    pub only_with_sender: bool,
    /// In which order.
    pub sort: Sort,
    /// Continue behind this place, which a page of the same order gave.
    pub after: Option<CampaignCursor>,
    /// At most this many, `1..=MAX_PAGE`.
    pub limit: usize,
}

impl Default for CampaignQuery {
    /// The newest fifty that are not archived.
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            statuses: Vec::new(),
            modes: Vec::new(),
            search: None,
            archived: Archived::Without,
            created_by: None,
            only_with_sender: false,
            sort: Sort { key: SortKey::Created, direction: Direction::Descending },
            after: None,
            limit: 50,
        }
    }
}

/// A campaign of a page, with what lists show beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignItem {
    /// The campaign.
    pub campaign: Campaign,
    /// The present name of its sender; empty for one that is not stored.
    pub sender_name: String,
    /// Its effective start, see [`schedule::starts_at`](crate::schedule::starts_at); milliseconds.
    pub starts_at: Option<Timestamp>,
}

/// A page of campaigns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignPage {
    /// The campaigns.
    pub items: Vec<CampaignItem>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<CampaignCursor>,
    /// Every campaign of the scope's workspaces, archived ones too, whatever the filters.
    pub workspace_total: u64,
    /// Every campaign that the filters let through, on all pages.
    pub filtered_total: u64,
}

/// A place in a sorted list. Its text form is for the caller of an API to give back, not to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignCursor {
    pub(crate) place: Place,
    pub(crate) id: CampaignId,
}

/// What a list is sorted by, of the last item before the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folded name.
    Sender(String),
    /// Milliseconds since 1970, as stored.
    Start(i64),
    /// Milliseconds since 1970.
    Created(i64),
}

impl Place {
    pub(crate) const fn key(&self) -> SortKey {
        match self {
            Self::Sender(_) => SortKey::Sender,
            Self::Start(_) => SortKey::Start,
            Self::Created(_) => SortKey::Created,
        }
    }
}

/// Not the text of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a list of campaigns gave")]
pub struct NotACursor;

impl fmt::Display for CampaignCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Sender(name) => {
                f.write_str("n")?;
                name.bytes().try_for_each(|octet| write!(f, "{octet:02x}"))?;
            }
            Place::Start(ms) => write!(f, "s{ms}")?,
            Place::Created(ms) => write!(f, "c{ms}")?,
        }
        write!(f, ".{}", self.id.0.simple())
    }
}

impl FromStr for CampaignCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let cursor = || {
            let (place, id) = text.split_once('.')?;
            let (sort, value) = place.split_at_checked(1)?;
            let place = match sort {
                "n" => Place::Sender(unhex(value)?),
                "s" => Place::Start(value.parse().ok()?),
                "c" => Place::Created(value.parse().ok()?),
                _ => return None,
            };
            Some(Self { place, id: CampaignId(Uuid::parse_str(id).ok()?) })
        };
        let is_short = text.len() <= MAX_CURSOR_CHARS;
        is_short.then(cursor).flatten().ok_or(NotACursor)
    }
}

fn unhex(text: &str) -> Option<String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let octets: Option<Vec<u8>> = digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect();
    String::from_utf8(octets?).ok()
}

/// The sums of a workspace's home, all of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Campaigns that are not archived, in the order of [`Status::ALL`].
    pub by_status: [u64; Status::ALL.len()],
    /// Those that are not `Done`, `Cancelled`, `Failed`, `Expired` nor `New`, the newest first, at most [`MAX_ACTIVE`].
    pub active: Vec<ActiveCampaign>,
    /// Who created campaigns in the last [`AUTHORS_HOURS`], archived ones too: most campaigns first, then most messages,
    /// at most [`MAX_AUTHORS`].
    pub authors: Vec<AuthorCount>,
}

impl Overview {
    fn of(&self, statuses: &[Status]) -> u64 {
        let count = |status: &Status| self.by_status.get(*status as usize).copied().unwrap_or(0);
        statuses.iter().map(count).sum()
    }

    /// Campaigns that are not archived.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.of(&Status::ALL)
    }

    /// Approved and not ended.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.of(&ACTIVE_STATUSES)
    }

    /// `Done`.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.of(&[Status::Done])
    }

    /// `Failed` or `Expired`.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.of(&[Status::Failed, Status::Expired])
    }
}

/// The statuses that count as active.
pub(crate) const ACTIVE_STATUSES: [Status; 4] =
    [Status::Building, Status::Pending, Status::Sending, Status::Paused];

/// An active campaign of an [`Overview`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveCampaign {
    /// Its owner.
    pub workspace_id: WorkspaceId,
    /// Its id.
    pub id: CampaignId,
    /// Where it stands.
    pub status: Status,
    /// Recipients accepted by intake; of a Trigger campaign the engine knows better.
    pub recipients: u64,
    /// Who created it.
    pub created_by: UserId,
    /// Whether it counts for its author: created in the last [`AUTHORS_HOURS`].
    pub is_recent: bool,
}

/// What somebody has created lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorCount {
    /// Who.
    pub user_id: UserId,
    /// Campaigns created.
    pub campaigns: u64,
    /// Recipients whose message was accepted by the SMSC, or may have been, of those campaigns that have ended.
    pub messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text_and_nothing_else_is_one() {
        let id = CampaignId(Uuid::from_u128(0xabc));
        let places = [
            Place::Sender("\u{e4}%_'. \u{3c3}".to_owned()),
            Place::Sender(String::new()),
            Place::Start(i64::MAX),
            Place::Created(-5),
        ];
        for place in places {
            let cursor = CampaignCursor { place, id };
            let text = cursor.to_string();
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
        let simple = id.0.simple();
        let long = format!("n{}.{simple}", "61".repeat(MAX_CURSOR_CHARS));
        let wrong = ["", ".", "n61", "x1.", "s1.zz", "\u{e4}1.00", "nz1.", "n6.", "s.", "c1e3.", &long];
        for text in wrong {
            let with_id = format!("{text}{simple}");
            assert_eq!(text.parse::<CampaignCursor>(), Err(NotACursor), "{text}");
            assert!(
                !text.ends_with('.') || text.len() == 1 || with_id.parse::<CampaignCursor>().is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_full_uuid_is_an_id_and_all_else_a_part_of_a_name() {
        let id = Uuid::from_u128(7);
        let found = Some(Search::Id(CampaignId(id)));
        assert_eq!(Search::of(&format!(" {} ", id.hyphenated().to_string().to_uppercase())), found);
        for text in ["0193", "50%", &id.simple().to_string()] {
            assert_eq!(Search::of(text), Some(Search::Sender(text.to_owned())));
        }
        assert_eq!(Search::of(" \t"), None);
    }

    #[test]
    fn a_folded_part_is_found_in_the_folded_whole_whatever_its_case() {
        for (whole, part) in
            [("\u{c4}PFEL", "\u{e4}p"), ("\u{39f}\u{3a3} x", "\u{3c3}"), ("A\u{3a3}", "\u{3a3}")]
        {
            assert!(folded(whole).contains(&folded(part)), "{whole} {part}");
        }
    }
}
