//! Which links ask a campaign for units, and whose turn it is: channels by weight, links of a channel in turn.
//!
//! Start-time fair queueing: a channel's turn comes at the units it was given over its weight. One that does not ask
//! loses its share to the others and gains nothing by having waited. A want is answered once: the link asks anew.

use crate::dispatch::link::LinkInbox;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What one unit at weight 1 costs, so that weights up to this divide it.
const UNIT: u64 = 1 << 20;

/// Who asks for how much.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    channels: BTreeMap<u8, Asking>,
    /// The turn that was answered last.
    now: u64,
}

#[derive(Debug, Default)]
struct Asking {
    links: VecDeque<(Arc<LinkInbox>, u32)>,
    turn: u64,
}

impl Wants {
    /// A link can take so many units; what it said before is replaced.
    pub(crate) fn ask(&mut self, link: Arc<LinkInbox>, units: u32) {
        let asking = self.channels.entry(link.channel).or_default();
        if let Some((_, known)) = asking.links.iter_mut().find(|(l, _)| Arc::ptr_eq(l, &link)) {
            *known = units;
            return;
        }
        if asking.links.is_empty() {
            asking.turn = asking.turn.max(self.now);
        }
        asking.links.push_back((link, units));
    }

    /// The channel whose turn it is among those that are `able`; links that have closed are forgotten.
    pub(crate) fn next(&mut self, mut able: impl FnMut(u8) -> bool) -> Option<u8> {
        let mut best: Option<(u64, u8)> = None;
        for (channel, asking) in &mut self.channels {
            asking.links.retain(|(link, units)| *units > 0 && !link.is_closed());
            let turn = (asking.turn, *channel);
            if !asking.links.is_empty() && best.is_none_or(|best| turn < best) && able(*channel) {
                best = Some(turn);
            }
        }
        best.map(|(_, channel)| channel)
    }

    /// The link of a channel whose turn it is, and how much it can take.
    pub(crate) fn front(&self, channel: u8) -> Option<(&Arc<LinkInbox>, u32)> {
        let (link, units) = self.channels.get(&channel)?.links.front()?;
        Some((link, *units))
    }

    /// The front link of a channel of this weight was given units.
    pub(crate) fn given(&mut self, channel: u8, weight: u32, units: u32) {
        let Some(asking) = self.channels.get_mut(&channel) else { return };
        self.now = self.now.max(asking.turn);
        asking.turn += u64::from(units) * UNIT / u64::from(weight.max(1));
        if let Some((link, left)) = asking.links.pop_front() {
            asking.links.push_back((link, left.saturating_sub(units)));
        }
    }

    /// Forgets the want of a link that was answered.
    pub(crate) fn answered(&mut self, link: &Arc<LinkInbox>) {
        if let Some(asking) = self.channels.get_mut(&link.channel) {
            asking.links.retain(|(l, _)| !Arc::ptr_eq(l, link));
        }
    }

    /// Whether a link of this channel asks.
    pub(crate) fn asks(&self, channel: u8) -> bool {
        self.channels.get(&channel).is_some_and(|asking| !asking.links.is_empty())
    }

    /// Whether anybody asks.
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.values().all(|asking| asking.links.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(channel: u8) -> Arc<LinkInbox> {
        Arc::new(LinkInbox::new(Arc::default(), channel))
    }

    /// Gives one unit after the other to whoever's turn it is.
    fn share(wants: &mut Wants, weights: &[u32], units: u32) -> Vec<u32> {
        let mut got = vec![0; weights.len()];
        for _ in 0..units {
            let channel = wants.next(|_| true).expect("somebody asks");
            wants.given(channel, weights[usize::from(channel)], 1);
            got[usize::from(channel)] += 1;
        }
        got
    }

    #[test]
    fn channels_that_ask_together_share_by_weight() {
        let mut wants = Wants::default();
        (0..3).for_each(|channel| wants.ask(link(channel), 10_000));
        assert_eq!(share(&mut wants, &[3, 1, 2], 600), [300, 100, 200]);
    }

    #[test]
    fn a_channel_that_does_not_ask_loses_its_share_and_gains_nothing_by_it() {
        let mut wants = Wants::default();
        wants.ask(link(0), 10_000);
        assert_eq!(share(&mut wants, &[1, 1], 1_000), [1_000, 0]);
        wants.ask(link(1), 10_000);
        let got = share(&mut wants, &[1, 1], 100);
        assert!(got[1] <= 51, "{got:?}");
    }

    #[test]
    fn links_of_a_channel_take_turns_and_a_new_word_replaces_the_old() {
        let mut wants = Wants::default();
        let (first, second) = (link(0), link(0));
        wants.ask(Arc::clone(&first), 5);
        wants.ask(Arc::clone(&second), 5);
        wants.ask(Arc::clone(&first), 7);
        assert_eq!(wants.front(0).map(|(_, units)| units), Some(7));
        wants.given(0, 1, 3);
        assert!(wants.front(0).is_some_and(|(link, _)| Arc::ptr_eq(link, &second)));
        wants.given(0, 1, 5);
        assert_eq!(wants.next(|_| true), Some(0));
        assert_eq!(wants.front(0).map(|(_, units)| units), Some(4));
        wants.answered(&first);
        assert!(wants.is_empty());
    }

    #[test]
    fn a_closed_link_is_forgotten() {
        let mut wants = Wants::default();
        let closed = link(2);
        wants.ask(Arc::clone(&closed), 5);
        drop(closed.close());
        assert_eq!(wants.next(|_| true), None);
    }
}
