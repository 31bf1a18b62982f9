//! The dispatcher: from approved campaigns to `submit_sm` and back to exact accounts. Private to the crate.
//!
//! Pure cores (`account`, `supply`, `link::core`, `matcher`, `window`, `fair`, `bucket`, `index`) hold the branches;
//! thin shells (actors, the link's socket loop, workers) receive, call the core and perform.

mod account;
mod assembly;
mod backlog;
mod backoff;
mod breaker;
mod bucket;
mod budget;
mod campaign;
mod cells;
mod channel;
mod channel_cells;
mod columns;
mod config;
mod engine;
mod env;
mod fair;
mod index;
mod keeper;
mod lanes;
mod latency;
mod later;
mod link;
mod loader;
mod mark;
mod matcher;
mod message;
mod pace;
mod recall;
mod recorder;
mod recovery;
mod retry;
mod right_of_way;
mod ring;
mod route;
mod running;
mod sieve;
mod status;
mod supervisor;
mod supply;
mod suppression;
mod timing;
mod wants;
mod window;

pub use breaker::BreakerState;
pub use config::{BindKind, ChannelConfig};
pub use engine::{ChannelStatus, Engine, EngineConfig, EngineError, Progress};
pub use env::{Clock, Dial, Env, Net, Now, Tcp, Wire, Workers};
pub use mark::boot_id;
pub use message::{MessageError, parts_of};
pub use route::RouteError;
