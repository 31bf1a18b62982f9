//! The REST API: a thin layer that finds out who asks, checks that they may, and hands the rest to store and engine.
//!
//! A request passes `request` (id, client address, refusals), `guard` (login, site, role) and a handler in `routes`.
//! `permission` is the one table of who may do what, `problem` the closed list of refusals. Nothing here knows SQL or
//! SMPP, and no handler reaches past the scope of its workspace.

mod caller;
mod campaign_view;
mod document;
mod event_view;
mod fields;
mod guard;
mod json;
#[cfg(test)]
mod matrix;
mod measure;
mod moment;
mod page;
mod permission;
mod platform;
mod problem;
mod query;
mod request;
mod roster;
mod routes;
mod sealed;
mod server;
mod state;
#[cfg(test)]
mod testing;
mod workspace_change;

pub(crate) use document::document;
pub(crate) use server::{Plane, Server};
pub(crate) use state::Reach;
