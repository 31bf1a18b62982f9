//! Which PDU may be sent in which state of a session, and by whom: the operation matrix as a table.
//!
//! Pure data, no transitions are made here. SMPP 5.0 section 2.4, which is SMPP 3.4 table 2-1 with `data_sm`,
//! broadcasts and with `enquire_link` in every state that has a connection.

use crate::CommandId;

/// State of an SMPP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// Connected, not yet bound.
    Open,
    /// Bound as transmitter.
    BoundTx,
    /// Bound as receiver.
    BoundRx,
    /// Bound as transceiver.
    BoundTrx,
    /// Unbound in order, still connected.
    Unbound,
    /// The SMSC has sent `outbind` and waits for a bind.
    Outbound,
    /// Not connected.
    Closed,
}

/// Who sends a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the ESME to the SMSC.
    EsmeToSmsc,
    /// From the SMSC to the ESME.
    SmscToEsme,
}

const OPEN: u8 = 1 << SessionState::Open as u8;
const TX: u8 = 1 << SessionState::BoundTx as u8;
const RX: u8 = 1 << SessionState::BoundRx as u8;
const TRX: u8 = 1 << SessionState::BoundTrx as u8;
const UNBOUND: u8 = 1 << SessionState::Unbound as u8;
const OUTBOUND: u8 = 1 << SessionState::Outbound as u8;
const BOUND: u8 = TX | RX | TRX;
const CONNECTED: u8 = OPEN | BOUND | UNBOUND | OUTBOUND;
const NEVER: u8 = 0;

impl SessionState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::BoundTx,
        Self::BoundRx,
        Self::BoundTrx,
        Self::Unbound,
        Self::Outbound,
        Self::Closed,
    ];

    /// Whether the specification lets this PDU go in this direction in this state; never an unknown command.
    #[inline]
    #[must_use]
    pub const fn permits(self, command: CommandId, direction: Direction) -> bool {
        let (by_esme, by_smsc) = states(command);
        let states = match direction {
            Direction::EsmeToSmsc => by_esme,
            Direction::SmscToEsme => by_smsc,
        };
        states & 1 << self as u8 != 0
    }

    /// Whether messages can flow.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        BOUND & 1 << self as u8 != 0
    }

    /// The state that a successful bind leads to, `None` for any other command.
    #[must_use]
    pub const fn bound_by(bind: CommandId) -> Option<Self> {
        match bind {
            CommandId::BIND_TRANSMITTER => Some(Self::BoundTx),
            CommandId::BIND_RECEIVER => Some(Self::BoundRx),
            CommandId::BIND_TRANSCEIVER => Some(Self::BoundTrx),
            _ => None,
        }
    }
}

/// The states in which the ESME and in which the SMSC may send a command.
const fn states(command: CommandId) -> (u8, u8) {
    match command {
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            (OPEN | OUTBOUND, NEVER)
        }
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => (NEVER, OPEN | OUTBOUND),
        CommandId::OUTBIND => (NEVER, OPEN),
        CommandId::ENQUIRE_LINK | CommandId::ENQUIRE_LINK_RESP | CommandId::GENERIC_NACK => {
            (CONNECTED, CONNECTED)
        }
        CommandId::UNBIND | CommandId::UNBIND_RESP => (BOUND, BOUND),
        CommandId::SUBMIT_SM
        | CommandId::SUBMIT_MULTI
        | CommandId::QUERY_SM
        | CommandId::CANCEL_SM
        | CommandId::REPLACE_SM
        | CommandId::BROADCAST_SM
        | CommandId::QUERY_BROADCAST_SM
        | CommandId::CANCEL_BROADCAST_SM => (TX | TRX, NEVER),
        CommandId::SUBMIT_SM_RESP
        | CommandId::SUBMIT_MULTI_RESP
        | CommandId::QUERY_SM_RESP
        | CommandId::CANCEL_SM_RESP
        | CommandId::REPLACE_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP
        | CommandId::CANCEL_BROADCAST_SM_RESP => (NEVER, TX | TRX),
        CommandId::DELIVER_SM | CommandId::ALERT_NOTIFICATION => (NEVER, RX | TRX),
        CommandId::DELIVER_SM_RESP => (RX | TRX, NEVER),
        CommandId::DATA_SM => (TX | TRX, RX | TRX),
        CommandId::DATA_SM_RESP => (RX | TRX, TX | TRX),
        _ => (NEVER, NEVER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per command: name, states of the ESME, states of the SMSC, in the order of `SessionState::ALL`.
    const MATRIX: &str = "
        alert_notification        ....... ..xx...
        bind_receiver             x....x. .......
        bind_receiver_resp        ....... x....x.
        bind_transceiver          x....x. .......
        bind_transceiver_resp     ....... x....x.
        bind_transmitter          x....x. .......
        bind_transmitter_resp     ....... x....x.
        broadcast_sm              .x.x... .......
        broadcast_sm_resp         ....... .x.x...
        cancel_broadcast_sm       .x.x... .......
        cancel_broadcast_sm_resp  ....... .x.x...
        cancel_sm                 .x.x... .......
        cancel_sm_resp            ....... .x.x...
        data_sm                   .x.x... ..xx...
        data_sm_resp              ..xx... .x.x...
        deliver_sm                ....... ..xx...
        deliver_sm_resp           ..xx... .......
        enquire_link              xxxxxx. xxxxxx.
        enquire_link_resp         xxxxxx. xxxxxx.
        generic_nack              xxxxxx. xxxxxx.
        outbind                   ....... x......
        query_broadcast_sm        .x.x... .......
        query_broadcast_sm_resp   ....... .x.x...
        query_sm                  .x.x... .......
        query_sm_resp             ....... .x.x...
        replace_sm                .x.x... .......
        replace_sm_resp           ....... .x.x...
        submit_multi              .x.x... .......
        submit_multi_resp         ....... .x.x...
        submit_sm                 .x.x... .......
        submit_sm_resp            ....... .x.x...
        unbind                    .xxx... .xxx...
        unbind_resp               .xxx... .xxx...
    ";

    #[test]
    fn every_command_in_every_state_and_direction_is_as_the_matrix_says() {
        let mut rows = 0;
        for line in MATRIX.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [name, esme, smsc] = columns[..] else { panic!("three columns: {line}") };
            let command = CommandId::ALL.iter().find(|id| id.name() == Some(name)).copied();
            let command = command.unwrap_or_else(|| panic!("a command: {name}"));
            for (state, (by_esme, by_smsc)) in
                SessionState::ALL.into_iter().zip(esme.chars().zip(smsc.chars()))
            {
                assert_eq!(state.permits(command, Direction::EsmeToSmsc), by_esme == 'x', "{name} {state:?}");
                assert_eq!(state.permits(command, Direction::SmscToEsme), by_smsc == 'x', "{name} {state:?}");
            }
            rows += 1;
        }
        assert_eq!(rows, CommandId::ALL.len());
    }

    #[test]
    fn an_unknown_command_is_legal_nowhere_and_nothing_is_legal_when_closed() {
        for direction in [Direction::EsmeToSmsc, Direction::SmscToEsme] {
            for state in SessionState::ALL {
                for id in [0, 0x0A, 0x8000_000B, 0x8000_0102, u32::MAX] {
                    assert!(!state.permits(CommandId(id), direction));
                }
            }
            assert!(CommandId::ALL.iter().all(|id| !SessionState::Closed.permits(*id, direction)));
        }
    }

    #[test]
    fn a_bind_leads_to_its_state() {
        for id in CommandId::ALL {
            let state = SessionState::bound_by(*id);
            assert_eq!(state.is_some(), id.is_bind());
            assert!(state.is_none_or(SessionState::is_bound));
        }
        assert_eq!(SessionState::ALL.into_iter().filter(|state| state.is_bound()).count(), 3);
    }
}
