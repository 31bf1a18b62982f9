//! Which channels may take a number: for one campaign, from what channels accept, for whom, and what its workspace is
//! granted.
//!
//! The longest prefix decides; channels without prefixes take what no prefix takes. Channels that share a prefix are
//! one route and split its numbers by weight. Made once when a campaign starts; a look-up is one binary search. Of a
//! workspace that is limited further only what is barred changes: numbers keep their routes, and those that only a
//! barred channel takes wait until it is granted again or the engine starts anew.

use crate::dispatch::config::ChannelConfig;
use crate::model::WorkspaceId;
use std::sync::atomic::{AtomicBool, Ordering};

/// Digits of the longest number that a prefix is compared with; E.164 allows fifteen.
const DIGITS: u32 = 16;
/// Longest prefix in digits.
const MAX_PREFIX: usize = 15;
/// Most distinct routes of one campaign: a route's number is an octet.
const MAX_ROUTES: usize = 255;

/// Number of a route among those of its campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteNo(pub(crate) u8);

/// A set of routes of one campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteSet([u64; 4]);

impl RouteSet {
    /// The first so many routes.
    pub(crate) fn first(count: usize) -> Self {
        let mut set = Self::default();
        (0..=u8::MAX).take(count).for_each(|route| set.add(RouteNo(route)));
        set
    }

    /// Adds a route.
    pub(crate) fn add(&mut self, route: RouteNo) {
        self.0[usize::from(route.0 >> 6)] |= 1 << (route.0 & 63);
    }

    /// Whether a route is among them.
    pub(crate) fn has(&self, route: RouteNo) -> bool {
        self.0[usize::from(route.0 >> 6)] & (1 << (route.0 & 63)) != 0
    }
}

/// Why a campaign cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No channel accepts messages of the campaign's workspace.
    #[error("no channel accepts messages of this workspace")]
    NoChannel,
    /// The campaign names a channel that is not configured.
    #[error("the channel \"{0}\" that the campaign asks for does not exist")]
    Unknown(String),
    /// The campaign names a channel that its workspace may not use.
    #[error("the channel \"{0}\" that the campaign asks for does not accept messages of this workspace")]
    NotAllowed(String),
    /// A prefix is not one to fifteen digits.
    #[error("channel \"{channel}\": the prefix \"{prefix}\" is not 1 to {MAX_PREFIX} digits")]
    Prefix {
        /// The channel.
        channel: String,
        /// What it has as a prefix.
        prefix: String,
    },
    /// More combinations of channels than a campaign can tell apart.
    #[error("the channels form {0} routes, at most {MAX_ROUTES} are possible")]
    TooMany(usize),
}

/// The channels of one route, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) channels: Vec<u8>,
}

/// The routes of one campaign.
#[derive(Debug)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Weight by channel, for all configured channels.
    weights: Vec<u32>,
    /// By channel, whether it was taken from the workspace since.
    barred: Vec<AtomicBool>,
    /// Sorted starts of disjoint spans of left-aligned numbers, each with its innermost prefix, if any.
    spans: Vec<(u64, Option<u16>)>,
    prefixes: Vec<Prefix>,
    /// Where numbers go that no prefix takes.
    rest: Option<RouteNo>,
    /// The one route that takes every number.
    only: Option<RouteNo>,
}

#[derive(Clone, Debug)]
struct Prefix {
    digits: u64,
    len: u32,
    channels: Vec<u8>,
    route: RouteNo,
    /// The next shorter prefix that holds this one.
    parent: Option<u16>,
}

impl Prefix {
    fn first(&self) -> u64 {
        self.digits * 10_u64.pow(DIGITS - self.len)
    }

    fn end(&self) -> u64 {
        (self.digits + 1) * 10_u64.pow(DIGITS - self.len)
    }
}

impl Routes {
    /// The routes of a campaign of `workspace` over these channels; `granted` names those that the provider leaves it,
    /// none of them for all, and `pinned` is the only one that the campaign wants.
    ///
    /// # Errors
    /// [`RouteError`], in words for the campaign's author.
    pub(crate) fn new(
        channels: &[ChannelConfig],
        workspace: WorkspaceId,
        granted: &[String],
        pinned: Option<&str>,
    ) -> Result<Self, RouteError> {
        let serves = |c: &ChannelConfig| c.workspaces.is_empty() || c.workspaces.contains(&workspace);
        let allows = |c: &ChannelConfig| serves(c) && is_granted(granted, &c.name);
        if let Some(name) = pinned {
            let channel = channels.iter().find(|c| c.name == name);
            let channel = channel.ok_or_else(|| RouteError::Unknown(name.to_owned()))?;
            if !allows(channel) {
                return Err(RouteError::NotAllowed(name.to_owned()));
            }
        }
        let usable = |c: &ChannelConfig| allows(c) && pinned.is_none_or(|name| c.name == name);
        let (mut prefixes, mut rest) = (Vec::new(), Vec::new());
        for (at, channel) in (0..=u8::MAX).zip(channels).filter(|(_, c)| usable(c)) {
            if channel.prefixes.is_empty() {
                rest.push(at);
            }
            for prefix in &channel.prefixes {
                add_prefix(&mut prefixes, at, parse(channel, prefix)?);
            }
        }
        if prefixes.is_empty() && rest.is_empty() {
            return Err(RouteError::NoChannel);
        }
        let weights = channels.iter().map(|c| c.weight.max(1)).collect();
        Self::assemble(prefixes, rest, weights)
    }

    fn assemble(mut prefixes: Vec<Prefix>, rest: Vec<u8>, weights: Vec<u32>) -> Result<Self, RouteError> {
        let barred = weights.iter().map(|_| AtomicBool::new(false)).collect();
        // Shorter ones first at one beginning: a prefix comes behind the one that holds it.
        prefixes.sort_unstable_by_key(|p| (p.first(), p.len));
        let mut routes: Vec<Route> = Vec::new();
        let mut number_of = |channels: &[u8]| {
            let known = routes.iter().position(|r| r.channels == channels);
            let at = known.unwrap_or_else(|| {
                routes.push(Route { channels: channels.to_vec() });
                routes.len() - 1
            });
            RouteNo(u8::try_from(at).unwrap_or(u8::MAX))
        };
        let rest = (!rest.is_empty()).then(|| number_of(&rest));
        for prefix in &mut prefixes {
            prefix.route = number_of(&prefix.channels);
        }
        if routes.len() > MAX_ROUTES {
            return Err(RouteError::TooMany(routes.len()));
        }
        let spans = spans(&mut prefixes);
        let only = rest.filter(|rest| prefixes.iter().all(|p| p.route == *rest));
        Ok(Self { routes, weights, barred, spans, prefixes, rest, only })
    }

    /// The route of a number; `None` when no channel takes it.
    pub(crate) fn route_of(&self, number: u64) -> Option<RouteNo> {
        if self.only.is_some() {
            return self.only;
        }
        let digits = number.checked_ilog10().map_or(1, |log| log + 1);
        // A number that is too long for E.164 goes where no prefix takes it.
        let shift = DIGITS.checked_sub(digits);
        let aligned = shift.map_or(u64::MAX, |shift| number * 10_u64.pow(shift));
        let span = self.spans.partition_point(|(from, _)| *from <= aligned).checked_sub(1);
        let mut at = span.and_then(|span| self.spans[span].1);
        while let Some(prefix) = at.map(|at| &self.prefixes[usize::from(at)]) {
            // The digits behind a short number are not its own.
            if prefix.len <= digits {
                return Some(prefix.route);
            }
            at = prefix.parent;
        }
        self.rest
    }

    /// How many routes there are, at least one.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// The channels of a route, barred or not.
    pub(crate) fn channels(&self, route: RouteNo) -> &[u8] {
        self.routes.get(usize::from(route.0)).map_or(&[], |r| &r.channels)
    }

    /// The weight of a channel, at least 1.
    pub(crate) fn weight(&self, channel: u8) -> u32 {
        self.weights.get(usize::from(channel)).copied().unwrap_or(1)
    }

    /// The channels of a route that may take its numbers now.
    pub(crate) fn open_channels(&self, route: RouteNo) -> impl Iterator<Item = u8> {
        self.channels(route).iter().copied().filter(|channel| !self.is_barred(*channel))
    }

    /// Whether a channel is part of a route, barred or not.
    pub(crate) fn knows(&self, channel: u8) -> bool {
        self.routes.iter().any(|r| r.channels.contains(&channel))
    }

    /// Whether the campaign may use a channel at all.
    pub(crate) fn uses(&self, channel: u8) -> bool {
        self.knows(channel) && !self.is_barred(channel)
    }

    /// Bars the channels that are not granted any more and opens those that are again; whether one was barred just
    /// now. A channel that is part of no route stays out.
    pub(crate) fn limit(&self, channels: &[ChannelConfig], granted: &[String]) -> bool {
        let mut has_lost = false;
        for (at, channel) in (0..=u8::MAX).zip(channels) {
            let is_barred = !is_granted(granted, &channel.name);
            let Some(cell) = self.barred.get(usize::from(at)) else { break };
            has_lost |= !cell.swap(is_barred, Ordering::AcqRel) && is_barred && self.knows(at);
        }
        has_lost
    }

    fn is_barred(&self, channel: u8) -> bool {
        self.barred.get(usize::from(channel)).is_some_and(|cell| cell.load(Ordering::Acquire))
    }
}

/// Whether the provider leaves a channel to a workspace: no name at all limits nothing.
pub(crate) fn is_granted(granted: &[String], channel: &str) -> bool {
    granted.is_empty() || granted.iter().any(|name| name == channel)
}

fn parse(channel: &ChannelConfig, prefix: &str) -> Result<(u64, u32), RouteError> {
    let is_fit = (1..=MAX_PREFIX).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
    let parsed = prefix.parse().ok().filter(|_| is_fit && !prefix.starts_with('0'));
    let refused = || RouteError::Prefix { channel: channel.name.clone(), prefix: prefix.to_owned() };
    Ok((parsed.ok_or_else(refused)?, u32::try_from(prefix.len()).unwrap_or(0)))
}

fn add_prefix(prefixes: &mut Vec<Prefix>, channel: u8, (digits, len): (u64, u32)) {
    match prefixes.iter_mut().find(|p| (p.digits, p.len) == (digits, len)) {
        // Named twice by one channel, it still is one.
        Some(known) if known.channels.last() == Some(&channel) => {}
        Some(known) => known.channels.push(channel),
        None => {
            prefixes.push(Prefix { digits, len, channels: vec![channel], route: RouteNo(0), parent: None });
        }
    }
}

/// Cuts nested prefixes, sorted from the outside in, into disjoint spans; notes every prefix's parent.
fn spans(prefixes: &mut [Prefix]) -> Vec<(u64, Option<u16>)> {
    let mut spans: Vec<(u64, Option<u16>)> = Vec::new();
    let mut around: Vec<(u16, u64)> = Vec::new();
    let leave = |spans: &mut Vec<(u64, Option<u16>)>, around: &mut Vec<(u16, u64)>, upto: u64| {
        while let Some((_, end)) = around.last().copied().filter(|(_, end)| *end <= upto) {
            around.pop();
            spans.push((end, around.last().map(|(at, _)| *at)));
        }
    };
    for (at, prefix) in (0..=u16::MAX).zip(prefixes.iter_mut()) {
        leave(&mut spans, &mut around, prefix.first());
        prefix.parent = around.last().map(|(at, _)| *at);
        spans.push((prefix.first(), Some(at)));
        around.push((at, prefix.end()));
    }
    leave(&mut spans, &mut around, u64::MAX);
    // Of spans with one beginning the last holds: it is the innermost, or the one outside that goes on.
    let mut whole: Vec<(u64, Option<u16>)> = Vec::with_capacity(spans.len());
    for span in spans {
        if whole.last().is_some_and(|last| last.0 == span.0) {
            whole.pop();
        }
        whole.push(span);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing;
    use proptest::prelude::*;
    use uuid::Uuid;

    const OURS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const THEIRS: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn channel(name: &str, prefixes: &[&str], workspaces: &[WorkspaceId]) -> ChannelConfig {
        ChannelConfig { workspaces: workspaces.to_vec(), ..testing::channel(name, prefixes) }
    }

    fn taken_by(routes: &Routes, number: u64) -> Vec<u8> {
        routes.route_of(number).map(|route| routes.channels(route).to_vec()).unwrap_or_default()
    }

    #[test]
    fn the_longest_prefix_decides_and_the_rest_goes_to_channels_without() {
        let channels = [
            channel("rest", &[], &[]),
            channel("de", &["49"], &[]),
            channel("de mobile", &["4915", "4916", "4917"], &[]),
            channel("de too", &["49", "43"], &[]),
        ];
        let routes = Routes::new(&channels, OURS, &[], None).expect("routed");
        let cases: [(u64, &[u8]); 7] = [
            (491_512_345_678, &[2]),
            (491_812_345_678, &[1, 3]),
            (431_234_567, &[3]),
            (441_234_567, &[0]),
            (491, &[1, 3]),
            (4, &[0]),
            (99_999_999_999_999_999, &[0]),
        ];
        for (number, expected) in cases {
            assert_eq!(taken_by(&routes, number), expected, "{number}");
        }
        assert_eq!((routes.len(), routes.only), (4, None));
    }

    #[test]
    fn a_number_that_no_channel_takes_has_no_route() {
        let routes = Routes::new(&[channel("de", &["49"], &[])], OURS, &[], None).expect("routed");
        assert_eq!((routes.route_of(441_234_567), routes.route_of(4_912)), (None, Some(RouteNo(0))));
        assert_eq!(routes.route_of(4), None, "the digits of a short number are not padded");
    }

    #[test]
    fn channels_that_take_everything_are_one_route_without_look_up() {
        let channels = [channel("a", &[], &[]), channel("b", &[], &[])];
        let routes = Routes::new(&channels, OURS, &[], None).expect("routed");
        assert_eq!((routes.only, routes.len()), (Some(RouteNo(0)), 1));
        assert_eq!(routes.channels(RouteNo(0)), [0, 1]);
    }

    #[test]
    fn a_campaign_that_may_use_no_channel_is_refused_with_words() {
        let channels = [channel("theirs", &[], &[THEIRS]), channel("bad", &["+49"], &[OURS])];
        let refused = |pinned| Routes::new(&channels, OURS, &[], pinned).expect_err("refused").to_string();
        assert_eq!(Routes::new(&channels[..1], OURS, &[], None).err(), Some(RouteError::NoChannel));
        assert_eq!(Routes::new(&[], OURS, &[], None).err(), Some(RouteError::NoChannel));
        assert!(refused(Some("none")).contains("\"none\" that the campaign asks for does not exist"));
        assert!(refused(Some("theirs")).contains("does not accept messages of this workspace"));
        assert!(refused(None).contains("the prefix \"+49\" is not 1 to 15 digits"));
        assert!(Routes::new(&channels[..1], THEIRS, &[], None).is_ok());
    }

    #[test]
    fn a_workspace_that_is_limited_is_routed_over_what_is_left_to_it() {
        let channels = [channel("rest", &[], &[]), channel("de", &["49"], &[])];
        let only = |name: &str| vec![name.to_owned()];
        let routes = Routes::new(&channels, OURS, &only("rest"), None).expect("routed");
        assert_eq!((taken_by(&routes, 4_912_345), routes.uses(1)), (vec![0], false));
        let refused = |granted: &[String], pinned| Routes::new(&channels, OURS, granted, pinned).err();
        assert_eq!(refused(&only("gone"), None), Some(RouteError::NoChannel));
        assert_eq!(refused(&only("rest"), Some("de")), Some(RouteError::NotAllowed("de".to_owned())));
        assert_eq!(refused(&only("de"), Some("de")), None);
    }

    #[test]
    fn a_channel_that_is_taken_away_is_barred_until_it_is_granted_again() {
        let channels = [channel("a", &[], &[]), channel("b", &[], &[]), channel("c", &["49"], &[THEIRS])];
        let routes = Routes::new(&channels, OURS, &[], None).expect("routed");
        let open = |routes: &Routes| routes.open_channels(RouteNo(0)).collect::<Vec<_>>();
        let only_a = ["a".to_owned()];
        assert!(routes.limit(&channels, &only_a));
        assert_eq!((open(&routes), routes.uses(1), routes.knows(1)), (vec![0], false, true));
        assert!(!routes.limit(&channels, &only_a), "it was barred before");
        assert!(!routes.limit(&channels, &[]));
        assert_eq!((open(&routes), routes.uses(2)), (vec![0, 1], false));
    }

    #[test]
    fn a_pinned_channel_is_the_only_one_and_keeps_its_prefixes() {
        let channels = [channel("rest", &[], &[]), channel("de", &["49"], &[])];
        let routes = Routes::new(&channels, OURS, &[], Some("de")).expect("routed");
        assert_eq!((taken_by(&routes, 4_912_345), routes.route_of(4_312_345)), (vec![1], None));
        assert!(routes.uses(1) && !routes.uses(0));
    }

    #[test]
    fn a_set_of_routes_holds_what_was_added() {
        let mut set = RouteSet::first(3);
        set.add(RouteNo(254));
        let has = [0, 2, 3, 67, 254, 255].map(|route| set.has(RouteNo(route)));
        assert_eq!(has, [true, true, false, false, true, false]);
    }

    fn prefixes() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[1-3][0-3]{0,4}", 0..5)
    }

    proptest! {
        #[test]
        fn routes_agree_with_reading_every_prefix(
            tables in proptest::collection::vec(prefixes(), 1..6),
            numbers in proptest::collection::vec(prop_oneof!["[1-4][0-4]{0,8}", "[1-9][0-9]{14}"], 1..40),
        ) {
            let channels: Vec<_> = tables
                .iter()
                .map(|table| channel("c", &table.iter().map(String::as_str).collect::<Vec<_>>(), &[]))
                .collect();
            let routes = Routes::new(&channels, OURS, &[], None).expect("routed");
            for number in numbers {
                let longest = tables.iter().flatten().filter(|p| number.starts_with(p.as_str()));
                let longest = longest.max_by_key(|p| p.len());
                let takes = |table: &Vec<String>| match longest {
                    Some(prefix) => table.contains(prefix),
                    None => table.is_empty(),
                };
                let expected: Vec<u8> =
                    (0..u8::MAX).zip(&tables).filter(|(_, t)| takes(t)).map(|(at, _)| at).collect();
                prop_assert_eq!(taken_by(&routes, number.parse().expect("digits")), expected, "{}", number);
            }
        }
    }
}
