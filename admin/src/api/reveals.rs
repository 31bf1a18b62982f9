//! Who sees the full numbers of which campaign, for five minutes: kept in memory, so that a restart ends it.
//!
//! A reveal belongs to one login and one campaign. It lets nobody see more than their role still allows: that is asked
//! again whenever numbers are shown.

use engine::model::CampaignId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// How long full numbers are shown.
pub(crate) const REVEALED_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Reveals at once; beyond, the one that ends first gives way.
const MAX_REVEALS: usize = 10_000;

/// The reveals.
#[derive(Debug, Default)]
pub(crate) struct Reveals(Mutex<BTreeMap<(Uuid, CampaignId), Timestamp>>);

impl Reveals {
    /// Shows this campaign's numbers to this login from now on; until when.
    pub(crate) fn grant(&self, login: Uuid, campaign: CampaignId, now: Timestamp) -> Timestamp {
        let until = now + REVEALED_FOR;
        let mut reveals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reveals.retain(|_, until| *until > now);
        if reveals.len() >= MAX_REVEALS {
            let first = reveals.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
            first.map(|key| reveals.remove(&key));
        }
        reveals.insert((login, campaign), until);
        until
    }

    /// Whether this login sees this campaign's numbers now.
    pub(crate) fn holds(&self, login: Uuid, campaign: CampaignId, now: Timestamp) -> bool {
        let reveals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reveals.get(&(login, campaign)).is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    #[test]
    fn a_reveal_is_of_one_login_one_campaign_and_five_minutes() {
        let reveals = Reveals::default();
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (one, two) = (CampaignId(Uuid::from_u128(3)), CampaignId(Uuid::from_u128(4)));
        assert_eq!(reveals.grant(ann, one, at(0)), at(300));
        assert!(reveals.holds(ann, one, at(299)));
        assert!(!reveals.holds(ann, one, at(300)));
        assert!(!reveals.holds(ann, two, at(1)) && !reveals.holds(bob, one, at(1)));
    }

    #[test]
    fn there_are_never_more_than_the_limit_and_the_oldest_gives_way() {
        let reveals = Reveals::default();
        let id = |n: usize| Uuid::from_u128(n as u128);
        let campaign = CampaignId(id(0));
        reveals.grant(id(MAX_REVEALS + 1), campaign, at(0));
        for n in 0..MAX_REVEALS {
            reveals.grant(id(n), campaign, at(1));
        }
        assert!(!reveals.holds(id(MAX_REVEALS + 1), campaign, at(1)));
        assert!(reveals.holds(id(0), campaign, at(1)) && reveals.holds(id(MAX_REVEALS - 1), campaign, at(1)));
    }
}
