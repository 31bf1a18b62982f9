//! Binds: who may come in, and the faults that are drawn once per session.

use pdu::{CommandStatus, Frame};

use super::fault::Fault;
use super::hub::Hub;
use super::response::{put_header, status};
use super::session::{Core, Directive, Mode};

impl Core {
    /// Answers a bind, or leaves it without an answer.
    pub(crate) fn on_bind(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>, mode: Mode) {
        let refused = self.judge_bind(hub, frame);
        let status = match refused {
            Ok(()) => CommandStatus::OK,
            Err(None) => {
                hub.stats.binds_refused += 1;
                return;
            }
            Err(Some(status)) => status,
        };
        let (command, sequence) = (frame.header.command_id.response(), frame.header.sequence_number);
        if status != CommandStatus::OK {
            hub.stats.binds_refused += 1;
            self.send_bare(hub, now_us, (command, status, sequence));
            if self.account.is_none() {
                self.ending = Some(Directive::Close);
            }
            return;
        }
        // "smscsim", then sc_interface_version 3.4 as an optional parameter.
        const BODY: &[u8] = b"smscsim\0\x02\x10\x00\x01\x34";
        put_header(&mut self.out, command, status, sequence, BODY.len());
        self.out.extend_from_slice(BODY);
        self.note(hub, now_us, false, [command.0, 0, sequence]);
        self.enter(hub, now_us, frame, mode);
    }

    /// `Err(None)` leaves the bind without an answer.
    fn judge_bind(&mut self, hub: &mut Hub, frame: &Frame<'_>) -> Result<(), Option<CommandStatus>> {
        if self.account.is_some() {
            return Err(Some(status::ALREADY_BOUND));
        }
        let Some((system_id, password)) = credentials(frame.body) else {
            hub.stats.malformed += 1;
            return Err(Some(status::BIND_FAILED));
        };
        if hub.take_already_bound() {
            hub.count_fault(Fault::AlreadyBound);
            return Err(Some(status::ALREADY_BOUND));
        }
        for (fault, answer) in [(Fault::BindSilent, None), (Fault::BindRefuse, Some(status::BIND_FAILED))] {
            if hub.plan.draw(fault, &mut self.rng) {
                hub.count_fault(fault);
                return Err(answer);
            }
        }
        if hub.config.system_id.as_ref().is_some_and(|wanted| wanted.as_bytes() != system_id) {
            return Err(Some(status::INVALID_SYSTEM_ID));
        }
        if hub.config.password.as_ref().is_some_and(|wanted| wanted.as_bytes() != password) {
            return Err(Some(status::INVALID_PASSWORD));
        }
        Ok(())
    }

    fn enter(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>, mode: Mode) {
        let system_id = credentials(frame.body).map_or(b"".as_slice(), |(system_id, _)| system_id);
        let account = hub.account_of(system_id);
        self.account = Some(account);
        self.mode = mode;
        hub.stats.binds += 1;
        hub.stats.bound += 1;
        if mode.receives {
            hub.enter_receiver(account, self.connection);
        }
        for fault in [Fault::NeverRespond, Fault::SlowDrip, Fault::EnquireFlood] {
            if !hub.plan.draw(fault, &mut self.rng) {
                continue;
            }
            hub.count_fault(fault);
            match fault {
                Fault::NeverRespond => self.never_respond = true,
                Fault::SlowDrip => self.drip_next_us = Some(now_us),
                _ => self.flood_next_us = Some(now_us),
            }
        }
    }
}

/// `system_id` and `password` of a bind body.
fn credentials(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = body.splitn(3, |octet| *octet == 0);
    let credentials = (fields.next()?, fields.next()?);
    fields.next().map(|_| credentials)
}
