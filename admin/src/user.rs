//! `message-center user`: accounts made on the machine itself, for the first one and for when nobody can log in.
//!
//! It opens the store, so it refuses while a server uses it. A password is never an argument: others could see it.

use crate::accounts::{Owner, Passwords, SuperAdmins, hash_now};
use crate::api;
use crate::command::SuperAdminOptions;
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::lines::Lines;
use crate::place::Place;
use engine::model::{Preferences, Principal, User, UserId};
use engine::store::{Catalog, Change, Entity, Expect, Scope, StoreError};
use jiff::Timestamp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, Stdin};
use uuid::Uuid;

/// Longest password that is read, octets.
const MAX_PASSWORD_OCTETS: u64 = 1_024;

/// Creates a super admin; returns the exit code.
pub(crate) fn create_super_admin(options: &SuperAdminOptions) -> Result<u8, Failure> {
    let config = Config::load(&options.config, std::env::vars_os())?;
    let wrong = |what: &str| Failure::new(exit::USAGE, what);
    let email = api::email("email", &options.email).map_err(|_| wrong("--email is no email address"))?;
    let name = options.name.as_deref().unwrap_or(&email);
    let name =
        api::line("name", name).map_err(|_| wrong("--name has 1 to 200 characters, none of control"))?;
    let place = Place::open(&config.directory).map_err(|failure| {
        let sentence = format!("{failure}; while a server runs, create accounts in its console");
        Failure::new(failure.code, sentence)
    })?;
    let password = password(&std::io::stdin())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    runtime.block_on(create(&*place.store, (&email, &name), &password))?;
    Lines::Out.say(&format!("{email} is a super admin now"));
    Ok(exit::DONE)
}

async fn create(catalog: &dyn Catalog, (email, name): (&str, &str), password: &str) -> Result<(), Failure> {
    let policy = api::password_policy(catalog).await?;
    Passwords::check_policy(policy, password, Owner { email, name })
        .map_err(|weak| Failure::new(exit::USAGE, weak))?;
    let now = Timestamp::now();
    let user = User {
        id: UserId(Uuid::now_v7()),
        email: email.to_owned(),
        name: name.to_owned(),
        credential: Some(hash_now(password)),
        super_admin: true,
        preferences: Preferences::default(),
        version: 0,
        created_at: now,
        disabled_at: None,
    };
    let (expect, entity) = (Expect::Absent, Entity::User(user));
    let change = Change { scope: Scope::Platform, expect, entity, action: "user.create" };
    let bump = SuperAdmins::read(catalog).await?.bump();
    let by = Principal { role: "CommandLine".to_owned(), ..Principal::engine() };
    match catalog.apply(vec![change, bump], &by, now).await {
        Err(StoreError::Taken("email")) => {
            Err(Failure::new(exit::USAGE, format!("there is an account {email} already")))
        }
        done => Ok(done?),
    }
}

/// Asks for it without showing it, or reads the first line where nobody can be asked.
fn password(input: &Stdin) -> Result<String, Failure> {
    let hidden = if input.is_terminal() { Some(Hidden::start(input)?) } else { None };
    if hidden.is_some() {
        Lines::Error.say("Password (it is not shown):");
    }
    let mut line = String::new();
    let read = input.lock().take(MAX_PASSWORD_OCTETS).read_line(&mut line);
    drop(hidden);
    let unreadable = |why: &dyn std::fmt::Display| {
        Failure::new(exit::NO_INPUT, format!("the password cannot be read: {why}"))
    };
    match read {
        Ok(0) => Err(unreadable(&"standard input is empty")),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Keeps a terminal from showing what is typed, until it is dropped.
struct Hidden<'a> {
    input: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn start(input: &'a Stdin) -> Result<Self, Failure> {
        let refused =
            |error| Failure::new(exit::NO_INPUT, format!("the terminal does not hide input: {error}"));
        let before = tcgetattr(input).map_err(refused)?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        tcsetattr(input, OptionalActions::Flush, &without).map_err(refused)?;
        Ok(Self { input, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // The terminal is about to be somebody else's; there is nothing more to be done about it.
        let _ = tcsetattr(self.input, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use engine::store::SqliteStore;

    #[tokio::test]
    async fn a_super_admin_is_created_once_with_a_password_that_the_policy_allows() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let who = ("root@example.com", "Ruth Ott");
        let weak = create(&store, who, "too short").await.unwrap_err();
        assert_eq!(weak.code, exit::USAGE);
        assert!(SuperAdmins::read(&store).await.unwrap().is_empty());
        create(&store, who, "correct horse battery staple").await.unwrap();
        assert!(!SuperAdmins::read(&store).await.unwrap().is_empty());
        let again = create(&store, who, "correct horse battery staple").await.unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
        let log = store.audit(Scope::Platform, 0).await.unwrap();
        let told: Vec<_> = log.iter().map(|event| (event.action.as_str(), event.by.role.as_str())).collect();
        assert_eq!(told, [("user.create", "CommandLine")]);
    }
}
