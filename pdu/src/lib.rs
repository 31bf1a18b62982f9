//! SMPP 3.4 and 5.0 for both ends of a session: codec, text, segments, receipts and the legality of a session.
//!
//! Owns every octet of the protocol and nothing else: no sockets, no clocks, no runtime.
//! A malformed PDU never panics and never makes a decoder allocate more than the frame holds.

mod command;
mod header;

pub use command::{CommandId, CommandStatus};
pub use header::{Frame, FrameError, HEADER_LEN, Header, MAX_COMMAND_LENGTH, cut_frame};
