//! SMS Core: the domain, the stores behind it, the intake of recipient files and the dispatch actors.
//!
//! `model` and `metrics` import nothing of this crate, `schedule` and `text` only `model`; `store` and `intake` never
//! import the dispatcher; inside the dispatcher the scheduler and the link never touch the store.

mod dispatch;
pub mod intake;
pub mod metrics;
pub mod model;
pub mod report;
pub mod schedule;
pub mod seed;
pub mod store;
pub mod text;

pub use dispatch::{
    BindKind, BreakerState, CampaignState, ChannelConfig, ChannelStatus, Check, Clock, Dial, Engine,
    EngineConfig, EngineError, Env, InboundConfig, KEYWORD_SOURCE, Latency, LiveCampaign, MAX_PUSH,
    MessageError, Net, Now, Progress, Push, PushError, RECEIPT_TIMEOUT, RouteError, Serving, Tcp, Wire,
    Workers, boot_id, parts_of,
};
pub use pdu::MessageIdForm;
