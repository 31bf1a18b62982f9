//! Accounts: how people and programs prove who they are.
//!
//! Secrets leave this module only on the way to their owner; the store gets hashes. Finding out who asks is here, what
//! they may do is in `api::permission`.

mod links;
mod lockout;
mod logins;
mod password;
mod policy;
mod purge;
mod secret;
mod super_admins;

pub(crate) use links::{end_link, end_links, new_link};
pub(crate) use lockout::{Barred, Lockout};
pub(crate) use logins::{Logins, opening};
pub(crate) use password::{BUSY_RETRY_S, Busy, Passwords, hash_now, is_stale};
pub(crate) use policy::{MAX_PASSWORD_CHARS, Owner, Weak};
pub(crate) use purge::{ANSWER_LIFETIME, keep_purging};
pub(crate) use secret::{Secret, digest, fingerprint, key_text, parse_key};
pub(crate) use super_admins::SuperAdmins;
