//! Accounts: how people and programs prove who they are.
//!
//! Secrets leave this module only on the way to their owner; the store gets hashes. Finding out who asks is here, what
//! they may do is in `api::permission`.

mod logins;
mod password;
mod policy;
mod secret;

pub(crate) use logins::Logins;
pub(crate) use password::{BUSY_RETRY_S, Busy, Passwords, Verified, hash_now};
pub(crate) use policy::{MAX_PASSWORD_CHARS, Owner, Weak};
pub(crate) use secret::{Secret, digest, key_text, parse_key};
