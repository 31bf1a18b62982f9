//! Writing: which durable units are encoded now, by lane, fair turn, window and every rate that binds them.
//!
//! Rates are taken outermost last: the channel's tokens once a turn, then those of workspace and sender for each pick;
//! what one of them does not grant goes back to the others at once. Whoever is held by a rate of its own leaves the
//! queue until that rate has something, so that nobody else waits for it.

use super::core::{LinkCore, MAX_OUT, wrapping_us};
use super::flow::Flow;
use crate::dispatch::breaker::BreakerState;
use crate::dispatch::bucket::Bucket;
use crate::dispatch::env::Now;
use crate::dispatch::fair::{FlowId, Offer};
use crate::dispatch::right_of_way::Waiting;
use crate::model::Lane;
use crate::model::record::Fate;
use std::sync::Arc;

/// How much later than a token is due a link looks again that lets another one's code pass first, microseconds.
const YIELD_US: u64 = 1_000;

impl LinkCore {
    /// Gives up the right of way where the time has come; whoever still waits claims it again in the same turn.
    pub(super) fn release_claims(&mut self, now_us: u64) {
        self.claims.retain(|(bucket, waiting, until_us)| {
            if *until_us <= now_us {
                bucket.way.release(*waiting);
            }
            *until_us > now_us
        });
        if let Some(waiting) = self.claims_channel.take() {
            self.shared.channel.bucket.way.release(waiting);
        }
    }

    /// Encodes what window, rates and fairness allow; returns when more will be allowed.
    pub(super) fn write(&mut self, now: Now) -> Option<u64> {
        self.capped = false;
        let is_open = self.breaker == BreakerState::Open;
        if self.is_halted() || is_open || self.quiet || self.window.free() == 0 || self.lanes.durable() == 0 {
            return None;
        }
        let channel = Arc::clone(&self.shared.channel);
        for lane in self.lanes.iter_mut() {
            lane.write.unblock(now.mono_us);
        }
        let now_ns = now.mono_us * 1000;
        let sendable = |lane: Lane| {
            let lane = self.lanes.of(lane);
            if lane.write.has_turns() { lane.durable } else { 0 }
        };
        let [codes, normal, bulk] = Lane::ALL.map(sendable);
        let others = normal + bulk;
        let slots = self.window.free();
        let others = others.min(self.lanes.slots_for_others(slots, self.window.size()));
        let way = &channel.bucket.way;
        // A link with both kinds shares its tokens by its own lanes.
        let allowed_codes = if others > 0 { codes } else { way.lets(Waiting::Code, codes) };
        let allowed_others = if codes > 0 { others } else { way.lets(Waiting::Other, others) };
        let is_yielding = allowed_codes < codes || allowed_others < others;
        let mut want = (allowed_codes + allowed_others).min(slots);
        let is_probe = self.breaker == BreakerState::HalfOpen;
        if is_probe {
            want = channel.take_probe(want);
        }
        let tokens = channel.bucket.take(now_ns, want);
        let (sent_codes, sent_others) = self.write_turns(tokens, allowed_others, now);
        channel.bucket.give_back(tokens - sent_codes - sent_others);
        if is_probe {
            channel.give_probe_back(want - sent_codes - sent_others);
        }
        way.passed(sent_codes);
        way.went(sent_others);
        let mut wake_us = self.lanes.iter().filter_map(|lane| lane.write.next_ready()).min();
        if (tokens < want || is_yielding) && tokens == sent_codes + sent_others {
            let ready_us = channel.bucket.ready_at(now_ns).div_ceil(1000);
            let ready_us = if is_yielding { ready_us.max(now.mono_us) + YIELD_US } else { ready_us };
            wake_us = Some(wake_us.map_or(ready_us, |wake_us| wake_us.min(ready_us)));
            // Only with a code that could go: two binds that yield to each other for nothing would both stand still.
            let lane = self.lanes.of(Lane::Otp);
            let waiting =
                if lane.durable > 0 && lane.write.has_turns() { Waiting::Code } else { Waiting::Other };
            self.claims_channel = Some(waiting);
            way.claim(waiting);
        }
        wake_us
    }

    /// Spends tokens lane by lane and turn by turn; returns how many went to codes and to others.
    fn write_turns(&mut self, tokens: u32, mut others: u32, now: Now) -> (u32, u32) {
        let (mut sent_codes, mut sent_others) = (0, 0);
        while sent_codes + sent_others < tokens {
            if self.out.len() >= MAX_OUT {
                self.capped = true;
                break;
            }
            let turns = Lane::ALL
                .map(|lane| self.lanes.of(lane).write.has_turns() && (lane == Lane::Otp || others > 0));
            let Some((lane, most)) = self.lanes.precedence.next(turns) else { break };
            let left = tokens - sent_codes - sent_others;
            let budget = left.min(most).min(if lane == Lane::Otp { left } else { others });
            let (flows, claims) = (&self.flows, &mut self.claims);
            let mut offer = |id: FlowId, most: u32| {
                let flow = flows.get(id.0 as usize).and_then(Option::as_ref);
                flow.map_or(Offer::Nothing, |flow| offered(flow, most, now, claims))
            };
            let picked = self.lanes.of_mut(lane).write.pick(budget, &mut offer);
            // Nobody of the lane has any: it has no turns now.
            let Some((id, units)) = picked else { continue };
            self.lanes.precedence.sent(lane, units, turns);
            if lane == Lane::Otp {
                sent_codes += units;
            } else {
                sent_others += units;
                others -= units;
            }
            self.write_units(id, units, now);
        }
        (sent_codes, sent_others)
    }

    fn write_units(&mut self, id: FlowId, mut units: u32, now: Now) {
        let sent_us = wrapping_us(now.mono_us);
        let Some(flow) = self.flows.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        if !flow.in_output {
            flow.in_output = true;
            self.output_flows.push(id.0);
        }
        let lane = self.lanes.of_mut(flow.spec.lane);
        lane.lead -= units;
        lane.durable -= units;
        self.turn.submitted += u64::from(units);
        let message = Arc::clone(&flow.spec.message);
        let parts = u16::from(message.parts());
        while units > 0 {
            let Some(flow) = self.flows.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
            let Some(run) = flow.next_durable(units) else { return };
            units -= u32::from(run.count);
            let data = Arc::clone(&self.chunks[run.owner as usize].data);
            let mut unsendable = Vec::new();
            for unit in run.from..=run.from + (run.count - 1) {
                let (recipient, part) = if parts == 1 { (unit, 0) } else { (unit / parts, unit % parts) };
                let Some(number) = data.number(recipient) else {
                    unsendable.push(unit);
                    continue;
                };
                let sequence = self.window.push(run.owner, unit, run.attempt, sent_us);
                let values = data.row(recipient);
                let pushed = message.push(usize::from(part), sequence, number, values, &mut self.out);
                if pushed.is_err() {
                    self.window.take(sequence);
                    unsendable.push(unit);
                }
            }
            for unit in unsendable {
                self.outcome(run.owner, unit, 0, Fate::Failed(0), now);
            }
        }
    }

    /// Before a socket write: tells the written mark how far each campaign's order is encoded.
    pub(crate) fn write_marks(&mut self) -> std::io::Result<()> {
        for at in &self.output_flows {
            let Some(flow) = self.flows.get_mut(*at as usize).and_then(Option::as_mut) else { continue };
            if flow.marked != flow.written {
                flow.marked = flow.written;
                // Without a mark the order could not be told apart after a kill: the bind starts anew.
                let full = || std::io::Error::other("the written mark is full");
                let slot = self.mark.slot_for(flow.no()).ok_or_else(full)?;
                self.mark.set(slot, flow.no(), flow.written)?;
            }
        }
        Ok(())
    }
}

/// Rates at which a link waits, as what, and until when.
pub(super) type Claims = Vec<(Arc<Bucket>, Waiting, u64)>;

/// How many of `most` units a flow sends now; its own rates are charged for them.
fn offered(flow: &Flow, most: u32, now: Now, claims: &mut Claims) -> Offer {
    if !flow.spec.cells.may_write(now.wall_ms) {
        return Offer::Nothing;
    }
    let wanted = flow.durable_units.min(most);
    if wanted == 0 {
        return Offer::Nothing;
    }
    if flow.spec.rates.is_empty() {
        return Offer::Units(wanted);
    }
    charge(flow, wanted, now, claims)
}

/// Takes what all rates of a flow grant; what one of them does not goes back to those before it.
fn charge(flow: &Flow, wanted: u32, now: Now, claims: &mut Claims) -> Offer {
    let waiting = if flow.spec.lane == Lane::Otp { Waiting::Code } else { Waiting::Other };
    let now_ns = now.mono_us * 1000;
    let mut granted = wanted;
    for (at, bucket) in flow.spec.rates.iter().enumerate() {
        let allowed = bucket.way.lets(waiting, granted);
        let got = bucket.take(now_ns, allowed);
        for inner in &flow.spec.rates[..at] {
            inner.give_back(granted - got);
        }
        granted = got;
        if granted == 0 {
            let ready_us = bucket.ready_at(now_ns).div_ceil(1000).max(now.mono_us);
            let ready_us = if allowed == 0 { ready_us + YIELD_US } else { ready_us };
            bucket.way.claim(waiting);
            claims.push((Arc::clone(bucket), waiting, ready_us));
            return Offer::NotBefore(ready_us);
        }
    }
    for bucket in &flow.spec.rates {
        match waiting {
            Waiting::Code => bucket.way.passed(granted),
            Waiting::Other => bucket.way.went(granted),
        }
    }
    Offer::Units(granted)
}
