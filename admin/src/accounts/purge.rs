//! What is of use for a time only goes once that is over: logins, one-time links, answers to repeated requests.
//!
//! Their audit events stay.

use super::links::LINK_LIFETIME;
use super::logins::LOGIN_LIFETIME;
use engine::Clock;
use engine::store::{Catalog, Kind, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// How much longer than it works something is kept: clocks of several servers may differ, people look what happened.
const GRACE: SignedDuration = SignedDuration::from_hours(12);
/// How long answers to requests are kept.
pub(crate) const ANSWER_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// Removes what is over at `now`; gives how many went.
///
/// # Errors
/// Those of the store; what went before is gone.
pub(crate) async fn purge(catalog: &dyn Catalog, now: Timestamp) -> Result<u64, StoreError> {
    let lives = [
        (Kind::Login, LOGIN_LIFETIME + GRACE),
        (Kind::LoginUse, LOGIN_LIFETIME + GRACE),
        (Kind::PasswordLink, LINK_LIFETIME + GRACE),
        (Kind::Answer, ANSWER_LIFETIME),
    ];
    let mut removed = 0;
    for (kind, life) in lives {
        removed += catalog.purge(kind, now - life).await?;
    }
    Ok(removed)
}

/// Does so every hour until it is dropped.
pub(crate) async fn keep_purging(catalog: Arc<dyn Catalog>, clock: Clock) {
    loop {
        let wall_ms = i64::try_from(clock.now().wall_ms).unwrap_or(i64::MAX);
        let now = Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        match purge(&*catalog, now).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "logins, links and answers that are over were removed"),
            Err(error) => tracing::warn!(%error, "logins, links and answers that are over stay for now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::accounts::{Logins, new_link};
    use engine::model::{EntityId, Principal, UserId};
    use engine::store::{Scope, SqliteStore};
    use uuid::Uuid;

    #[tokio::test]
    async fn a_login_and_a_link_go_when_they_are_over_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let (user, by, now) = (UserId(Uuid::now_v7()), Principal::engine(), Timestamp::now());
        let (login, _) = Logins::new(Arc::clone(&catalog)).open(user, &by, now).await.unwrap();
        let (change, link, _) = new_link(user, now);
        catalog.apply(vec![change], &by, now).await.unwrap();
        let there = async |kind, id| catalog.get(Scope::Platform, kind, EntityId(id)).await.is_ok();
        let hours = SignedDuration::from_hours;
        for (after, login_stays, link_stays) in
            [(0, true, true), (13, true, true), (25, false, true), (85, false, false)]
        {
            purge(&*catalog, now + hours(after)).await.unwrap();
            assert_eq!(there(Kind::Login, login.id).await, login_stays, "{after} h");
            assert_eq!(there(Kind::PasswordLink, link.id).await, link_stays, "{after} h");
        }
    }
}
