//! Numbers that were added to a list while campaigns run: what links have to look for among what they hold.
//!
//! Links look when the board's epoch has moved, each from where it looked last. The log is short: whoever is too far
//! behind, and everybody after a large import, checks all that it holds instead.

use crate::model::WorkspaceId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Numbers of one addition that links compare with one by one; beyond, asking the lists is cheaper.
const MAX_NUMBERS: usize = 4096;
/// Numbers kept for links that have not looked yet, 512 KiB; every addition counts as one more.
const MAX_KEPT: usize = 65_536;

/// Numbers that were added together.
#[derive(Debug)]
pub(crate) struct Recall {
    /// Whose campaigns are meant; `None` for all.
    workspace: Option<WorkspaceId>,
    /// Whether transactional messages are meant too.
    blocks: bool,
    /// Ascending; `None` for too many.
    numbers: Option<Box<[u64]>>,
}

impl Recall {
    pub(crate) fn new(workspace: Option<WorkspaceId>, blocks: bool, numbers: &[u64]) -> Self {
        let numbers = (numbers.len() <= MAX_NUMBERS).then(|| {
            let mut sorted: Box<[u64]> = numbers.into();
            sorted.sort_unstable();
            sorted
        });
        Self { workspace, blocks, numbers }
    }

    fn weight(&self) -> usize {
        1 + self.numbers.as_ref().map_or(0, |numbers| numbers.len())
    }

    /// Whether a campaign of the workspace has to look.
    pub(crate) fn concerns(&self, workspace: WorkspaceId, transactional: bool) -> bool {
        self.workspace.is_none_or(|id| id == workspace) && (self.blocks || !transactional)
    }

    /// Whether the number was added; `None` when only the lists can tell.
    pub(crate) fn has(&self, number: u64) -> Option<bool> {
        match self.numbers.as_deref()? {
            [only] => Some(*only == number),
            numbers => Some(numbers.binary_search(&number).is_ok()),
        }
    }
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Recalls(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// Recalls that were ever logged.
    count: u64,
    weight: usize,
    kept: VecDeque<Arc<Recall>>,
}

impl Recalls {
    /// Logs one. The lists hold its numbers already; the board's epoch moves behind this.
    pub(crate) fn push(&self, recall: Recall) {
        let mut log = self.lock();
        log.count += 1;
        log.weight += recall.weight();
        log.kept.push_back(Arc::new(recall));
        while log.weight > MAX_KEPT {
            let Some(oldest) = log.kept.pop_front() else { break };
            log.weight -= oldest.weight();
        }
    }

    /// How many there were: where a link begins that holds nothing.
    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Those behind the first `seen`, and how many there are now. One that stands for everything takes the place of
    /// those that are no longer kept.
    pub(crate) fn since(&self, seen: u64) -> (Vec<Arc<Recall>>, u64) {
        let log = self.lock();
        let wanted = usize::try_from(log.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        if wanted > log.kept.len() {
            return (vec![Arc::new(Recall { workspace: None, blocks: true, numbers: None })], log.count);
        }
        (log.kept.iter().skip(log.kept.len() - wanted).map(Arc::clone).collect(), log.count)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const A: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const B: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    #[test]
    fn a_link_is_told_what_was_added_since_it_looked_last() {
        let recalls = Recalls::default();
        let seen = recalls.count();
        recalls.push(Recall::new(Some(A), false, &[3, 1, 2]));
        recalls.push(Recall::new(None, true, &[7]));
        let (news, seen) = recalls.since(seen);
        assert_eq!(news.len(), 2);
        assert_eq!([1, 2, 3, 4].map(|n| news[0].has(n)), [Some(true), Some(true), Some(true), Some(false)]);
        let concerned =
            |at: usize| [(A, false), (A, true), (B, false), (B, true)].map(|(w, t)| news[at].concerns(w, t));
        assert_eq!((concerned(0), concerned(1)), ([true, false, false, false], [true; 4]));
        assert_eq!(news[1].has(7), Some(true));
        assert!(recalls.since(seen).0.is_empty());
    }

    #[test]
    fn a_link_too_far_behind_and_a_large_addition_ask_the_lists() {
        let recalls = Recalls::default();
        for n in 0..40_000 {
            recalls.push(Recall::new(Some(A), false, &[n]));
        }
        let (news, seen) = recalls.since(0);
        assert!(news.len() == 1 && news[0].concerns(B, true) && news[0].has(1).is_none());
        assert_eq!(recalls.since(39_990).0.len(), 10);
        recalls.push(Recall::new(Some(A), false, &vec![5; MAX_NUMBERS + 1]));
        let (news, _) = recalls.since(seen);
        assert!(news.len() == 1 && news[0].has(5).is_none() && !news[0].concerns(B, false));
    }
}
