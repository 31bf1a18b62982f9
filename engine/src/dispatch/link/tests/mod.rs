//! A world for link cores: virtual time, a store that commits at once, campaigns that give what is wanted, an SMSC.
//!
//! The real cores, recorder, cells and accounts run in it; only sockets, actors and the disk are missing. After every
//! story `check` compares what the SMSC accepted with the accounts, unit by unit.

mod chaos;
mod gate;
mod lanes;
mod rates;
mod recall;
mod refusals;

use super::core::LinkCore;
use super::{Desk, FlowSpec, LinkConfig, LinkInbox, LinkMsg, LinkShared, wire};
use crate::dispatch::account::Account;
use crate::dispatch::budget::Paid;
use crate::dispatch::cells::{Board, CampaignCells, LinkCells};
use crate::dispatch::channel_cells::ChannelCells;
use crate::dispatch::env::Now;
use crate::dispatch::latency::Latency;
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::Matcher;
use crate::dispatch::message::Message;
use crate::dispatch::recorder::Recorder;
use crate::dispatch::supply::{ChunkData, Slice, SupplyMsg, SupplyRef};
use crate::dispatch::suppression::Suppressions;
use crate::dispatch::testing::content;
use crate::model::record::{self, Fact};
use crate::model::{CampaignNo, DeliveryPolicy, Incarnation, Lane, UnitStatus, WorkspaceId};
use bytes::BytesMut;
use pdu::{CommandId, CommandStatus, MessageIdForm};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

/// Wall clock at the beginning, milliseconds since 1970.
pub(super) const BEGINNING_MS: u64 = 1_767_225_600_000;
/// Recipients in a chunk of this world.
const CHUNK: u64 = 4096;

/// What one link had written when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) at_us: u64,
    pub(super) link: usize,
    pub(super) no: u32,
    pub(super) place: (u32, u16),
    pub(super) attempt: u8,
}

/// How the SMSC answers a submit: status and latency in microseconds, or never.
pub(super) type Smsc = Box<dyn FnMut(&Written) -> Option<(CommandStatus, u64)>>;

pub(super) struct Wired {
    pub(super) core: LinkCore,
    pub(super) wake_us: Option<u64>,
    /// Whether the kernel takes octets.
    pub(super) is_open: bool,
    answers: VecDeque<(u64, u32, CommandStatus)>,
    seen: usize,
}

pub(super) struct Camp {
    pub(super) cells: Arc<CampaignCells>,
    pub(super) account: Account,
    mailbox: Arc<Mutex<Vec<SupplyMsg>>>,
    wants: VecDeque<(Arc<LinkInbox>, u32)>,
    pub(super) ready: VecDeque<Slice>,
    pub(super) later: Vec<(u64, Slice)>,
    /// Numbers that it gives out no more, and how many units it dropped for that.
    pub(super) refused: Vec<u64>,
    pub(super) dropped: usize,
    accepted: BTreeMap<(u32, u16), u32>,
    /// Units handed in one by one.
    pushed: u16,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) board: Arc<Board>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) channels: Vec<Arc<ChannelCells>>,
    pub(super) links: Vec<Wired>,
    pub(super) camps: BTreeMap<u32, Camp>,
    pub(super) smsc: Smsc,
    pub(super) written: Vec<Written>,
    pub(super) turns: u64,
    desk: Arc<Mutex<Desk>>,
    marks: Arc<MarkDir>,
    rows: u64,
    _place: tempfile::TempDir,
}

/// An SMSC that takes everything after a millisecond.
pub(super) fn willing() -> Smsc {
    Box::new(|_| Some((CommandStatus::OK, 1_000)))
}

impl World {
    pub(super) fn new(smsc: Smsc) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let marks = MarkDir::open(place.path(), Uuid::nil().to_string(), Uuid::nil()).expect("opens");
        Self {
            now: Now { mono_us: 1_000_000, wall_ms: BEGINNING_MS },
            board: Arc::default(),
            recorder: Arc::new(Recorder::new()),
            channels: Vec::new(),
            links: Vec::new(),
            camps: BTreeMap::new(),
            smsc,
            written: Vec::new(),
            turns: 0,
            desk: Arc::new(Mutex::new(Desk { matcher: Matcher::new(), latency: vec![Latency::new()] })),
            marks: Arc::new(marks),
            rows: 0,
            _place: place,
        }
    }

    /// A channel with a rate, 0 for none, and its binds.
    pub(super) fn channel(&mut self, rate_per_s: u32, binds: u32, window: u32) -> usize {
        let cells = Arc::new(ChannelCells::new(rate_per_s, 5));
        let at = self.channels.len();
        for _ in 0..binds {
            self.bind(at, &cells, window);
        }
        self.channels.push(cells);
        at
    }

    fn bind(&mut self, channel: usize, cells: &Arc<ChannelCells>, window: u32) {
        let config = LinkConfig {
            place: u8::try_from(channel).expect("few channels"),
            key: u32::try_from(channel).expect("few channels"),
            address: String::new(),
            system_id: String::new(),
            password: String::new(),
            system_type: String::new(),
            bind: CommandId::BIND_TRANSCEIVER,
            window,
            id_form: MessageIdForm::Auto,
            enquire_link: Duration::from_secs(30),
            response_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        };
        let shared = Arc::new(LinkShared {
            config,
            channel: Arc::clone(cells),
            board: Arc::clone(&self.board),
            recorder: Arc::clone(&self.recorder),
            desk: Arc::clone(&self.desk),
            marks: Arc::clone(&self.marks),
            epoch: 1,
            incarnations: Arc::new(AtomicU32::new(0)),
        });
        let link = Arc::new(LinkCells::default());
        self.board.add(Arc::clone(&link));
        let inbox = Arc::new(LinkInbox::new(link, shared.config.place));
        let incarnation = Incarnation(self.links.len() as u64);
        let mark = self.marks.create(incarnation).expect("a mark");
        let core = LinkCore::new(shared, inbox, incarnation, mark);
        self.links.push(Wired { core, wake_us: None, is_open: true, answers: VecDeque::new(), seen: 0 });
    }

    /// An open campaign of one-part messages on every link, of a workspace with weight 1.
    pub(super) fn campaign(&mut self, no: u32, workspace: u64, recipients: u64) {
        self.campaign_with(no, workspace, recipients, |_| {});
    }

    pub(super) fn campaign_with(
        &mut self,
        no: u32,
        workspace: u64,
        recipients: u64,
        change: impl FnOnce(&mut FlowSpec),
    ) {
        let cells = Arc::new(CampaignCells::new(CampaignNo(no), 0));
        cells.set_open(0, u64::MAX);
        let mailbox = Arc::new(Mutex::new(Vec::new()));
        let inbox = Arc::clone(&mailbox);
        let supply = SupplyRef(Arc::new(move |message| inbox.lock().expect("no panic").push(message)));
        let mut spec = spec(&cells, supply);
        spec.workspace = (workspace, 1);
        change(&mut spec);
        let camp = Camp {
            cells,
            account: Account::new(CampaignNo(no), recipients, 1, BEGINNING_MS),
            mailbox,
            wants: VecDeque::new(),
            ready: slices(recipients),
            later: Vec::new(),
            refused: Vec::new(),
            dropped: 0,
            accepted: BTreeMap::new(),
            pushed: 0,
        };
        self.camps.insert(no, camp);
        for link in &self.links {
            assert!(link.core.inbox.push(LinkMsg::Join(Box::new(spec.clone()))).is_ok());
        }
    }

    /// A campaign joins every link once more, on changed terms.
    pub(super) fn join_again(&mut self, no: u32, change: impl FnOnce(&mut FlowSpec)) {
        let flow = self.links[0].core.flow_of(CampaignNo(no)).expect("it has joined");
        let mut spec = flow.spec.clone();
        change(&mut spec);
        for link in &self.links {
            assert!(link.core.inbox.push(LinkMsg::Join(Box::new(spec.clone()))).is_ok());
        }
    }

    /// A campaign leaves one link.
    pub(super) fn leave(&mut self, link: usize, no: u32) {
        assert!(self.links[link].core.inbox.push(LinkMsg::Leave(CampaignNo(no))).is_ok());
    }

    /// One more unit for a campaign, as a call hands it in.
    pub(super) fn push(&mut self, no: u32) {
        let camp = self.camps.get_mut(&no).expect("a campaign");
        let unit = camp.pushed;
        camp.pushed += 1;
        camp.account = Account::new(CampaignNo(no), u64::from(camp.pushed), 1, BEGINNING_MS);
        let numbers = vec![491_600_000_000; usize::from(camp.pushed)].into();
        let data = Arc::new(ChunkData { numbers, ..ChunkData::default() });
        camp.ready.push_back(part_of(0, &data, unit, 1));
    }

    /// Lets virtual time pass.
    pub(super) fn run_for(&mut self, us: u64) {
        let end_us = self.now.mono_us + us;
        loop {
            self.settle();
            let next_us = self.next_event().unwrap_or(u64::MAX).max(self.now.mono_us + 1);
            if next_us > end_us {
                return self.pass(end_us - self.now.mono_us);
            }
            self.pass(next_us - self.now.mono_us);
        }
    }

    /// Both clocks go on.
    pub(super) fn pass(&mut self, us: u64) {
        let before_ms = self.now.mono_us / 1000;
        self.now.mono_us += us;
        self.now.wall_ms += self.now.mono_us / 1000 - before_ms;
    }

    /// Everything that happens at this moment.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut progress = false;
            for at in 0..self.links.len() {
                progress |= self.turn(at);
            }
            progress |= self.pump();
            progress |= self.commit();
            if !progress {
                return;
            }
        }
        panic!("the links never come to rest");
    }

    fn next_event(&self) -> Option<u64> {
        let links = self.links.iter().filter_map(|l| l.wake_us);
        let answers = self.links.iter().filter_map(|l| l.answers.front().map(|a| a.0));
        let later = self.camps.values().flat_map(|c| c.later.iter().map(|l| l.0));
        let commit = self.recorder.commit_at();
        links.chain(answers).chain(later).chain(commit).min()
    }

    fn turn(&mut self, at: usize) -> bool {
        self.turns += 1;
        let now = self.now;
        let wired = &mut self.links[at];
        let mut input = BytesMut::new();
        while wired.answers.front().is_some_and(|a| a.0 <= now.mono_us) {
            let Some((_, sequence, status)) = wired.answers.pop_front() else { break };
            answer(sequence, status, &mut input);
        }
        let heard = !input.is_empty();
        if heard {
            let (taken, end) = wired.core.on_input(&input, now);
            assert_eq!((taken, end), (input.len(), Ok(())));
        }
        wired.wake_us = wired.core.turn(now);
        heard | self.write(at)
    }

    fn write(&mut self, at: usize) -> bool {
        let wired = &mut self.links[at];
        let core = &mut wired.core;
        let sequences = wire::submits(core.out());
        for sequence in sequences.iter().skip(wired.seen) {
            let slot = core.window.peek(*sequence).expect("what is encoded has a slot");
            let entry = &core.chunks[slot.owner as usize];
            let no = core.flows[entry.flow as usize].as_ref().expect("a flow").no().0;
            let place = (entry.chunk, slot.unit);
            if !wired.is_open {
                continue;
            }
            let written = Written { at_us: self.now.mono_us, link: at, no, place, attempt: slot.attempt };
            self.written.push(written);
            if let Some((status, latency_us)) = (self.smsc)(&written) {
                if status == CommandStatus::OK {
                    let camp = self.camps.get_mut(&no).expect("a campaign");
                    *camp.accepted.entry(place).or_default() += 1;
                }
                let due = self.now.mono_us + latency_us;
                let behind = wired.answers.partition_point(|a| a.0 <= due);
                wired.answers.insert(behind, (due, *sequence, status));
            }
        }
        if wired.is_open && !core.out().is_empty() {
            let all = core.out().len();
            core.write_marks().expect("marks");
            core.wrote(all);
            return true;
        }
        false
    }

    fn pump(&mut self) -> bool {
        let mut progress = false;
        for (no, camp) in &mut self.camps {
            for message in std::mem::take(&mut *camp.mailbox.lock().expect("no panic")) {
                progress = true;
                match message {
                    SupplyMsg::Want(link, units) => camp.wants.push_back((link, units)),
                    SupplyMsg::Returned(slices) => {
                        slices.into_iter().rev().for_each(|s| camp.ready.push_front(s));
                    }
                    SupplyMsg::Later(slices, due_us) => {
                        assert!(due_us > self.now.mono_us);
                        camp.later.extend(slices.into_iter().map(|s| (due_us, s)));
                    }
                    SupplyMsg::Loaded(..) | SupplyMsg::NotLoaded(_) | SupplyMsg::Pushed(_) => {
                        unreachable!("nothing is loaded or pushed")
                    }
                }
            }
            let now_us = self.now.mono_us;
            let due = camp.later.extract_if(.., |l| l.0 <= now_us).map(|l| l.1);
            camp.ready.extend(due);
            camp.sieve();
            progress |= camp.give(*no);
        }
        progress
    }

    /// Commits what is due and applies it.
    fn commit(&mut self) -> bool {
        let Some(row) = self.recorder.commit_due(self.now.mono_us) else { return false };
        self.rows += 1;
        let rows = self.rows;
        let camps = &mut self.camps;
        let mut account = |no: CampaignNo, apply: &mut dyn FnMut(&mut Account)| {
            apply(&mut camps.get_mut(&no.0).expect("a campaign").account);
        };
        record::read_sections(&row[1..], &mut |fact| match fact {
            Fact::Intent(intent) => account(intent.campaign, &mut |a| a.intent(rows, &intent)),
            Fact::Revoke { campaign, run } => account(campaign, &mut |a| a.revoke(&run)),
            Fact::Outcomes { campaign, chunk, channel, at_ms, entries } => {
                let mut entries = Some(entries);
                account(campaign, &mut |a| {
                    a.outcomes((chunk, channel), at_ms, entries.take().expect("called once"));
                });
            }
            other => panic!("{other:?}"),
        })
        .expect("whole rows");
        true
    }

    /// Units written for a campaign.
    pub(super) fn count(&self, no: u32) -> u64 {
        self.written.iter().filter(|w| w.no == no).count() as u64
    }

    /// Nothing was accepted twice, and the account knows what was accepted.
    pub(super) fn check(&self) {
        for (no, camp) in &self.camps {
            for ((chunk, unit), times) in &camp.accepted {
                assert_eq!(*times, 1, "campaign {no} chunk {chunk} unit {unit}");
                // An account that grows one by one is not kept.
                let status = camp.account.status(*chunk, *unit).filter(|_| camp.pushed == 0);
                let status = status.or((camp.pushed > 0).then_some(UnitStatus::Sent));
                assert!(matches!(status, Some(UnitStatus::Sent | UnitStatus::Intended)), "{status:?}");
            }
        }
    }

    /// The same, and every unit of the campaign was accepted.
    pub(super) fn check_done(&self, no: u32, recipients: usize) {
        self.check();
        let camp = &self.camps[&no];
        assert_eq!(camp.accepted.len(), recipients, "campaign {no}");
        assert!(camp.account.is_settled());
    }

    /// Units of a campaign that links hold and have not written.
    pub(super) fn held(&mut self, no: u32) -> u32 {
        let flow = |l: &mut Wired| l.core.flow_of(CampaignNo(no)).map_or(0, |f| f.unwritten());
        self.links.iter_mut().map(flow).sum()
    }
}

impl Camp {
    /// Drops units that must not be sent, as the supply does before it gives.
    fn sieve(&mut self) {
        if self.refused.is_empty() {
            return;
        }
        let units = std::mem::take(&mut self.ready).into_iter().flat_map(|slice| {
            (0..slice.count).map(move |n| Slice { from: slice.from + n, count: 1, ..slice.clone() })
        });
        for unit in units {
            if self.refused.contains(&unit.data.numbers[usize::from(unit.from)]) {
                self.dropped += 1;
            } else {
                self.ready.push_back(unit);
            }
        }
    }

    fn give(&mut self, no: u32) -> bool {
        let mut progress = false;
        while let Some((link, units)) = self.wants.pop_front() {
            let mut slices = Vec::new();
            let mut left = units;
            while left > 0
                && let Some(mut slice) = self.ready.pop_front()
            {
                let count = u32::from(slice.count).min(left);
                left -= count;
                let count = u16::try_from(count).expect("at most a slice");
                if count < slice.count {
                    let rest =
                        Slice { from: slice.from + count, count: slice.count - count, ..slice.clone() };
                    self.ready.push_front(rest);
                    slice.count = count;
                }
                slices.push(slice);
            }
            if slices.is_empty() {
                self.wants.push_front((link, units));
                break;
            }
            progress = true;
            assert!(link.push(LinkMsg::Slices(CampaignNo(no), slices)).is_ok());
        }
        progress
    }
}

fn spec(cells: &Arc<CampaignCells>, supply: SupplyRef) -> FlowSpec {
    FlowSpec {
        cells: Arc::clone(cells),
        message: Arc::new(Message::new(&content(), 1).expect("a message")),
        policy: DeliveryPolicy::AtMostOnce,
        workspace: (1, 1),
        weight: 1,
        lane: Lane::Normal,
        rates: Vec::new(),
        retry: Arc::from([]),
        suppressed: Suppressions::default().of(WorkspaceId(Uuid::nil())),
        transactional: false,
        purse: Arc::default(),
        supply,
    }
}

/// A flow that holds nothing.
pub(super) fn idle_flow() -> super::flow::Flow {
    let cells = Arc::new(CampaignCells::new(CampaignNo(1), 0));
    super::flow::Flow::new(spec(&cells, SupplyRef(Arc::new(|_| {}))))
}

fn slices(recipients: u64) -> VecDeque<Slice> {
    let mut slices = VecDeque::new();
    for (chunk, first) in (0..recipients).step_by(4096).enumerate() {
        let last = (first + CHUNK).min(recipients);
        let numbers: Box<[u64]> = (first..last).map(|n| 491_700_000_000 + n).collect();
        let data = Arc::new(ChunkData { numbers, ..ChunkData::default() });
        for from in (0..data.numbers.len()).step_by(256) {
            let count = (data.numbers.len() - from).min(256);
            let (from, count) = (u16::try_from(from).expect("inside"), u16::try_from(count).expect("few"));
            slices.push_back(part_of(u32::try_from(chunk).expect("few chunks"), &data, from, count));
        }
    }
    slices
}

fn part_of(chunk: u32, data: &Arc<ChunkData>, from: u16, count: u16) -> Slice {
    let data = Arc::clone(data);
    let (attempt, sieved, not_after_ms, route, paid) = (0, 0, u64::MAX, 0, Paid::No);
    Slice { chunk, data, from, count, attempt, sieved, not_after_ms, route, paid }
}

fn answer(sequence: u32, status: CommandStatus, out: &mut BytesMut) {
    if status == CommandStatus::OK {
        pdu::Pdu::SubmitSmResp(pdu::SubmitSmResp { message_id: b"1", ..pdu::SubmitSmResp::default() })
            .encode(status, sequence, out)
            .expect("encodes");
    } else {
        pdu::ResponseImage::refusal(CommandId::SUBMIT_SM, status).push(sequence, out);
    }
}
