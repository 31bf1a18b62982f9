//! Logins of people, kept at the server: the cookie holds a secret, the store its digest.
//!
//! A login ends by itself when it is not used for [`IDLE_TIMEOUT`], at the latest after [`LOGIN_LIFETIME`]. When it was
//! last used is kept in memory and written once in [`WRITE_EVERY`], so that a restart does not give it a new life.

use super::secret::{Secret, digest};
use engine::model::{Login, LoginUse, Principal, UserId};
use engine::store::{ACTIVE, Catalog, Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// How long a login may lie idle (ASVS 7.3.1).
pub(crate) const IDLE_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);
/// How long a login lasts at most (ASVS 7.3.2).
pub(crate) const LOGIN_LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// How often the last use is written.
const WRITE_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Logins whose last use is kept in memory; beyond that the map is emptied and read from the store again.
const MAX_REMEMBERED: usize = 100_000;

/// When a login was last used, and when that was last written.
#[derive(Clone, Copy, Debug)]
struct Use {
    at: Timestamp,
    written_at: Timestamp,
    version: Option<u32>,
}

/// All logins.
pub(crate) struct Logins {
    catalog: Arc<dyn Catalog>,
    uses: Mutex<HashMap<Uuid, Use>>,
}

impl Logins {
    /// Over this catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog, uses: Mutex::default() }
    }

    /// Opens a login; the secret is for the cookie.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(
        &self,
        user_id: UserId,
        by: &Principal,
        now: Timestamp,
    ) -> Result<(Login, Secret), StoreError> {
        let (change, login, secret) = opening(user_id, by, now);
        self.catalog.apply(vec![change], by, now).await?;
        Ok((login, secret))
    }

    /// The login behind a cookie, used now; `None` when there is none, or it has ended.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn by_cookie(&self, secret: &str, now: Timestamp) -> Result<Option<Login>, StoreError> {
        let found = self.catalog.find(Scope::Platform, Kind::Login, digest(secret).0).await;
        let login = match found {
            Ok(Entity::Login(login)) => login,
            Ok(_) | Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        if login.ended_at.is_some() || login.expires_at <= now {
            return Ok(None);
        }
        let last = self.last_use(&login).await?;
        if now.duration_since(last.at) >= IDLE_TIMEOUT {
            return Ok(None);
        }
        self.touch(login.id, last, now).await;
        Ok(Some(login))
    }

    /// Ends a login; one that has ended already stays as it is.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn end(&self, login: Login, by: &Principal, now: Timestamp) -> Result<(), StoreError> {
        if login.ended_at.is_some() {
            return Ok(());
        }
        match self.catalog.apply(vec![ending(login, now)], by, now).await {
            // Somebody else has ended it in the meantime.
            Err(StoreError::Conflict { .. }) => Ok(()),
            done => done,
        }
    }

    /// What ends the logins of an account, a page of them, all but the one to keep.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn endings(
        &self,
        user: UserId,
        keep: Option<Uuid>,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let logins = self.of(user, now).await?;
        Ok(logins
            .into_iter()
            .filter(|login| Some(login.id) != keep)
            .map(|login| ending(login, now))
            .collect())
    }

    /// Ends all logins of an account but the one to keep, also those that are opened meanwhile.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn end_all(
        &self,
        user: UserId,
        keep: Option<Uuid>,
        by: &Principal,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        loop {
            let endings = self.endings(user, keep, now).await?;
            if endings.is_empty() {
                return Ok(());
            }
            match self.catalog.apply(endings, by, now).await {
                // One of them was ended in the meantime: look again.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The logins of an account that have not been ended nor expired, newest first, at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of(&self, user: UserId, now: Timestamp) -> Result<Vec<Login>, StoreError> {
        let query = Query {
            kind: Kind::Login,
            statuses: vec![ACTIVE.to_owned()],
            parent: Some(user.into()),
            after: None,
            limit: MAX_PAGE,
        };
        let page = self.catalog.list(Scope::Platform, query).await?;
        let logins = page.items.into_iter().filter_map(|entity| match entity {
            Entity::Login(login) if login.expires_at > now => Some(login),
            _ => None,
        });
        Ok(logins.collect())
    }

    async fn last_use(&self, login: &Login) -> Result<Use, StoreError> {
        let known = self.uses.lock().unwrap_or_else(PoisonError::into_inner).get(&login.id).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let id = engine::model::EntityId(login.id);
        match self.catalog.get(Scope::Platform, Kind::LoginUse, id).await {
            Ok(Entity::LoginUse(stored)) => {
                Ok(Use { at: stored.at, written_at: stored.at, version: Some(stored.version) })
            }
            Ok(_) | Err(StoreError::NotFound) => {
                Ok(Use { at: login.created_at, written_at: login.created_at, version: None })
            }
            Err(error) => Err(error),
        }
    }

    async fn touch(&self, id: Uuid, last: Use, now: Timestamp) {
        let mut used = Use { at: now, ..last };
        if now.duration_since(last.written_at) >= WRITE_EVERY {
            let version = last.version.map_or(0, |version| version + 1);
            let expect = last.version.map_or(Expect::Absent, Expect::Version);
            let entity = Entity::LoginUse(LoginUse { id, version, at: now });
            let change = Change { scope: Scope::Platform, expect, entity, action: "login.use" };
            // A write that fails costs at most an earlier idle end after a restart.
            if self.catalog.apply(vec![change], &Principal::engine(), now).await.is_ok() {
                used = Use { at: now, written_at: now, version: Some(version) };
            }
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= MAX_REMEMBERED {
            uses.clear();
        }
        uses.insert(id, used);
    }
}

/// What opens a login, and the secret for its cookie.
pub(crate) fn opening(user_id: UserId, by: &Principal, now: Timestamp) -> (Change, Login, Secret) {
    let secret = Secret::new();
    let login = Login {
        id: Uuid::now_v7(),
        user_id,
        credential: secret.credential(),
        address: by.address.clone(),
        user_agent: by.user_agent.clone(),
        version: 0,
        created_at: now,
        expires_at: now + LOGIN_LIFETIME,
        ended_at: None,
    };
    let entity = Entity::Login(login.clone());
    (Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "login.open" }, login, secret)
}

fn ending(login: Login, now: Timestamp) -> Change {
    let expect = Expect::Version(login.version);
    let ended = Login { ended_at: Some(now), version: login.version + 1, ..login };
    Change { scope: Scope::Platform, expect, entity: Entity::Login(ended), action: "login.end" }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use engine::store::SqliteStore;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    #[tokio::test]
    async fn a_login_ends_when_idle_at_its_limit_or_when_it_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let logins = Logins::new(Arc::clone(&catalog));
        let (user, by) = (UserId(Uuid::now_v7()), Principal::engine());
        let (_, idle) = logins.open(user, &by, at(0)).await.unwrap();
        assert!(logins.by_cookie(idle.reveal(), at(29)).await.unwrap().is_some());
        assert!(logins.by_cookie(idle.reveal(), at(58)).await.unwrap().is_some());
        assert!(Logins::new(Arc::clone(&catalog)).by_cookie(idle.reveal(), at(87)).await.unwrap().is_some());
        assert!(Logins::new(Arc::clone(&catalog)).by_cookie(idle.reveal(), at(120)).await.unwrap().is_none());
        let (_, busy) = logins.open(user, &by, at(0)).await.unwrap();
        for minute in (0..720).step_by(20) {
            assert!(logins.by_cookie(busy.reveal(), at(minute)).await.unwrap().is_some(), "{minute}");
        }
        assert!(logins.by_cookie(busy.reveal(), at(720)).await.unwrap().is_none());
        let (login, ended) = logins.open(user, &by, at(0)).await.unwrap();
        assert_eq!(logins.of(user, at(1)).await.unwrap().len(), 3);
        logins.end(login, &by, at(1)).await.unwrap();
        assert!(logins.by_cookie(ended.reveal(), at(1)).await.unwrap().is_none());
        assert!(logins.by_cookie("guessed", at(1)).await.unwrap().is_none());
        assert_eq!(logins.of(user, at(1)).await.unwrap().len(), 2);
        assert_eq!(logins.of(user, at(721)).await.unwrap().len(), 0);
    }
}
