//! The REST API: a thin layer that finds out who asks, checks that they may, and hands the rest to store and engine.
//!
//! A request passes `request` (id, client address, refusals), `guard` (login, site, role) and a handler in `routes`.
//! `permission` is the one table of who may do what, `problem` the closed list of refusals. Nothing here knows SQL or
//! SMPP, and no handler reaches past the scope of its workspace.

mod account_view;
mod authoring;
mod caller;
mod campaign_view;
mod csv;
mod deciding;
mod document;
mod erasing;
mod event_view;
mod exports;
mod fields;
mod guard;
mod idempotency;
mod json;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod matrix;
mod measure;
mod moment;
mod monitor;
mod note;
mod page;
mod password_policy;
mod permission;
mod platform;
mod problem;
mod query;
mod recent;
mod recipient_view;
mod reference;
mod registry;
mod request;
mod reveals;
mod roster;
mod routes;
mod sealed;
mod server;
mod state;
mod stream;
mod streams;
mod templates;
#[cfg(test)]
pub(crate) mod testing;
mod workspace_change;

pub(crate) use document::document;
pub(crate) use exports::Shelf;
pub(crate) use fields::{email, line};
pub(crate) use measure::Measures;
pub(crate) use password_policy::password_policy;
pub(crate) use server::{Plane, Server};
pub(crate) use state::Reach;
