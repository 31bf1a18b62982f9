//! When a campaign may send: what people say (local times in a zone, quiet hours, windows, daily limits) turned into
//! instants, and the plan of a Spread campaign.
//!
//! Imports `model` alone: no clock, no store, `now` is an argument. Preview, build and dispatcher ask the same
//! functions, so what a person was shown is what happens.

mod calendar;
mod check;
mod gate;
mod infeasible;
mod plan;
mod planner;
mod respread;
mod start;
#[cfg(test)]
mod tests;
mod zone;

pub use calendar::{Calendar, Stretch};
pub use check::{
    Code, MAX_ATTEMPTS, MAX_RETRY_DELAY_S, MAX_RETRY_RULES, MAX_VALIDITY_S, Refusal, Warning, check,
};
pub use gate::{Gate, GateError, GateState, ON_TIME_GRACE_S};
pub use infeasible::{Infeasible, Shortfall};
pub use planner::{Charges, MAX_WINDOW_DAYS, PlanTerms, plan};
pub use respread::{LATE_S, Respread, Runs, is_respread_due, respread};
pub use start::starts_at;
pub use zone::{Moment, TimeError, UnknownZone, Zone};
