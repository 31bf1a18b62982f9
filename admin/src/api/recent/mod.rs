//! What the guard found out in the last minutes, for requests that come while the store cannot be read.
//!
//! A person whose login held a moment ago can still pause a campaign when the store is away; nothing else asks this
//! memory, and while the store answers only its word counts. Whatever ends a login or changes an account, a key, a
//! membership or a workspace through [`Observed`] takes what it concerns out; what another process changes is unknown
//! here for [`HOLDS_FOR`] at most, and only until the store answers again.

mod observed;
#[cfg(test)]
mod tests;

pub(crate) use observed::Observed;

use super::caller::Proof;
use engine::model::{Membership, User, UserId, Workspace, WorkspaceId};
use engine::store::Entity;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// How long it is known what the store said: an outage that lasts longer needs a person at the machine.
const HOLDS_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Most callers, and most places of callers, that are kept: a few MiB. Beyond that everything is forgotten.
const MAX_KEPT: usize = 10_000;

/// How somebody proved who they are.
pub(crate) type Met = (Arc<User>, Proof);
/// A workspace, and what somebody is in it.
pub(crate) type Place = (Arc<Workspace>, Option<Membership>);
/// Whose place, by the slug of the workspace.
pub(crate) type Whose = (UserId, String);

/// How many changes there were when somebody began to read: what was read before a change is not kept behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// What a change takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern {
    User(UserId),
    /// A login or a key.
    Proof(Uuid),
    Membership(UserId, WorkspaceId),
    Workspace(WorkspaceId),
}

impl Concern {
    /// What the change to this entity concerns; `None` when nobody's access can depend on it.
    fn of(entity: &Entity) -> Option<Self> {
        match entity {
            Entity::User(user) => Some(Self::User(user.id)),
            Entity::Login(login) => login.ended_at.map(|_| Self::Proof(login.id)),
            Entity::ApiKey(key) => Some(Self::Proof(key.id)),
            Entity::Membership(of) => Some(Self::Membership(of.user_id, of.workspace_id)),
            Entity::Workspace(workspace) => Some(Self::Workspace(workspace.id)),
            _ => None,
        }
    }
}

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    changes: u64,
    callers: HashMap<String, (Met, Timestamp)>,
    places: HashMap<Whose, (Place, Timestamp)>,
}

impl Recent {
    /// To be taken before the store is read.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.kept().changes)
    }

    /// The store says so of the caller with this digest of a secret.
    pub(crate) fn keep_caller(&self, mark: Mark, digest: String, met: Met, now: Timestamp) {
        let mut kept = self.kept();
        if Mark(kept.changes) == mark {
            keep(&mut kept.callers, digest, (met, now));
        }
    }

    /// The store refuses this secret.
    pub(crate) fn refuse_caller(&self, digest: &str) {
        self.kept().callers.remove(digest);
    }

    /// The store says so of the place of somebody.
    pub(crate) fn keep_place(&self, mark: Mark, whose: Whose, place: Place, now: Timestamp) {
        let mut kept = self.kept();
        if Mark(kept.changes) == mark {
            keep(&mut kept.places, whose, (place, now));
        }
    }

    /// Who had this secret a few minutes ago, unless it has run out since.
    pub(crate) fn caller(&self, digest: &str, now: Timestamp) -> Option<Met> {
        let kept = self.kept();
        let (met, at) = kept.callers.get(digest)?;
        let until = match &met.1 {
            Proof::Login(login) => Some(login.expires_at),
            Proof::Key(key) => key.expires_at,
        };
        (holds(*at, now) && until.is_none_or(|until| now < until)).then(|| met.clone())
    }

    /// What somebody was in a workspace a few minutes ago, unless it has run out since.
    pub(crate) fn place(&self, whose: &Whose, now: Timestamp) -> Option<Place> {
        let kept = self.kept();
        let ((workspace, membership), at) = kept.places.get(whose)?;
        let membership = membership.clone().filter(|membership| membership.holds_at(now));
        holds(*at, now).then(|| (Arc::clone(workspace), membership))
    }

    /// Takes out what was changed; also what is being read at this moment is not kept.
    fn forget(&self, concerns: &[Concern]) {
        let mut kept = self.kept();
        kept.changes += 1;
        let Kept { callers, places, .. } = &mut *kept;
        for concern in concerns {
            match *concern {
                Concern::User(id) => {
                    callers.retain(|_, ((user, _), _)| user.id != id);
                    places.retain(|(user, _), _| *user != id);
                }
                Concern::Proof(id) => callers.retain(|_, ((_, proof), _)| proof.id() != id),
                Concern::Membership(id, of) => {
                    places.retain(|(user, _), ((workspace, _), _)| *user != id || workspace.id != of);
                }
                Concern::Workspace(id) => places.retain(|_, ((workspace, _), _)| workspace.id != id),
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change of it is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < HOLDS_FOR
}

/// Keeps the newest word, with room for others.
fn keep<K: Eq + Hash, V>(all: &mut HashMap<K, (V, Timestamp)>, key: K, (value, now): (V, Timestamp)) {
    if all.len() >= MAX_KEPT && !all.contains_key(&key) {
        all.retain(|_, (_, at)| holds(*at, now));
        if all.len() >= MAX_KEPT {
            all.clear();
        }
    }
    all.insert(key, (value, now));
}
