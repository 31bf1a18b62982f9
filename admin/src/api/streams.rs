//! How many answers go on for long, and who holds them: a bound for each account and for the whole process.

use engine::model::UserId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Streams of one account: some open pages.
const MAX_OF_ACCOUNT: usize = 8;
/// Streams of the process: half of its connections.
const MAX_STREAMS: usize = 512;

/// The streams that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<UserId, usize>>>);

/// A place among them; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Streams,
    user: UserId,
}

impl Streams {
    /// A place for one more stream of this account; `None` when there is none.
    pub(crate) fn take(&self, user: UserId) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = open.get(&user).copied().unwrap_or(0);
        if of_account >= MAX_OF_ACCOUNT || open.values().sum::<usize>() >= MAX_STREAMS {
            return None;
        }
        open.insert(user, of_account + 1);
        Some(Place { streams: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_account_and_the_process_have_so_many_streams_and_get_places_back() {
        let streams = Streams::default();
        let user = |n: u128| UserId(Uuid::from_u128(n));
        let mut places: Vec<_> =
            (0..MAX_OF_ACCOUNT).map(|_| streams.take(user(0)).expect("a place")).collect();
        assert!(streams.take(user(0)).is_none());
        places.pop();
        places.push(streams.take(user(0)).expect("the place given back"));
        for n in 1.. {
            match streams.take(user(n)) {
                Some(place) => places.push(place),
                None => break,
            }
        }
        assert_eq!(places.len(), MAX_STREAMS);
        places.clear();
        assert!(streams.0.lock().expect("no panic").is_empty());
    }
}
