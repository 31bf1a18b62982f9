//! Passwords: hashing and checking with Argon2id, on one thread of its own behind a bounded queue.
//!
//! A hash costs some 20 ms and 19 MiB; no more than one runs at a time, whoever floods the login gets a refusal and the
//! API's own thread never computes one. A password without an account costs the same time as one with an account.
//! Passwords are never logged, and nothing here keeps one.

use super::secret::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use engine::model::Credential;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Memory of a hash, KiB (ASVS 5.0, appendix C).
const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes of a hash.
const LANES: u32 = 1;
/// How a stored hash of these parameters begins.
const PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// Passwords that may wait: about half a second of work, longer than that nobody waits at a login.
const QUEUE: usize = 32;
/// When it is worth trying again after a refusal, seconds.
pub(crate) const BUSY_RETRY_S: u16 = 1;

/// Too many passwords wait already, or the thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Too many passwords are being checked")]
pub(crate) struct Busy;

type Job = Box<dyn FnOnce(&Credential) + Send>;

/// The thread that hashes; it ends with the last of its handles.
#[derive(Clone)]
pub(crate) struct Passwords {
    jobs: SyncSender<Job>,
}

impl Passwords {
    /// Starts it.
    ///
    /// # Panics
    /// When the system refuses a thread at the start.
    pub(crate) fn start() -> Self {
        let (jobs, inbox) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("passwords".to_owned());
        thread.spawn(move || work(&inbox)).expect("the system gives a thread at the start");
        Self { jobs }
    }

    /// What to store of a password.
    ///
    /// # Errors
    /// [`Busy`]; try again later.
    pub(crate) async fn hash(&self, password: &str) -> Result<Credential, Busy> {
        let password = password.to_owned();
        self.run(move |_| hash_now(&password)).await
    }

    /// Whether this is the password behind what is stored; without anything stored it takes as long and is wrong.
    ///
    /// # Errors
    /// [`Busy`]; nothing was found out.
    pub(crate) async fn verify(&self, password: &str, stored: Option<&Credential>) -> Result<bool, Busy> {
        let (password, stored) = (password.to_owned(), stored.cloned());
        self.run(move |nobody| match stored {
            Some(stored) => verify_now(&password, &stored),
            None => {
                let _ = verify_now(&password, nobody);
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Credential) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = move |nobody: &Credential| {
            // Nobody waits for an answer whose request was given up.
            if !reply.is_closed() {
                let _ = reply.send(work(nobody));
            }
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }
}

fn work(inbox: &Receiver<Job>) {
    let nobody = hash_now(Secret::new().reveal());
    while let Ok(job) = inbox.recv() {
        job(&nobody);
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("these parameters are allowed");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes on this thread, for programs without an API.
///
/// # Panics
/// When the system has no randomness to give: nothing safe can be done then.
pub(crate) fn hash_now(password: &str) -> Credential {
    let hash: PasswordHash =
        hasher().hash_password(password.as_bytes()).expect("a password of this length can be hashed");
    Credential(hash.to_string())
}

/// Whether a hash was made with parameters that are not the present ones and should be made again.
pub(crate) fn is_stale(stored: &Credential) -> bool {
    !stored.0.starts_with(PREFIX)
}

/// A stored text that is no hash lets nobody in, and takes no less time than one that is.
fn verify_now(password: &str, stored: &Credential) -> bool {
    verify_and(password, stored, |password| drop(hash_now(password)))
}

/// Calls `take_time` where a wrong password would be refused sooner than one without an account: a hash is checked with
/// the parameters that it was made with, and those of a stale one may cost less.
fn verify_and(password: &str, stored: &Credential, take_time: impl FnOnce(&str)) -> bool {
    let is_right = PasswordHash::new(&stored.0)
        .is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok());
    if !is_right && is_stale(stored) {
        take_time(password);
    }
    is_right
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::sync::mpsc::channel;

    const PASSWORD: &str = "correct horse battery staple";

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_no_other_is() {
        let passwords = Passwords::start();
        let stored = passwords.hash(PASSWORD).await.unwrap();
        assert!(!is_stale(&stored), "{}", stored.0);
        assert_ne!(passwords.hash(PASSWORD).await.unwrap(), stored, "salted");
        assert_eq!(passwords.verify(PASSWORD, Some(&stored)).await, Ok(true));
        assert_eq!(passwords.verify("Correct horse battery staple", Some(&stored)).await, Ok(false));
        assert_eq!(passwords.verify(PASSWORD, None).await, Ok(false));
        let nonsense = Credential("nobody knows it".to_owned());
        assert_eq!(passwords.verify(PASSWORD, Some(&nonsense)).await, Ok(false));
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_right_and_stale() {
        let params = Params::new(8_192, 1, 1, None).unwrap();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash = hasher.hash_password(PASSWORD.as_bytes()).unwrap();
        let stored = Credential(hash.to_string());
        let passwords = Passwords::start();
        assert!(is_stale(&stored));
        assert_eq!(passwords.verify(PASSWORD, Some(&stored)).await, Ok(true));
        assert_eq!(passwords.verify("something else", Some(&stored)).await, Ok(false));
        let nonsense = Credential("nobody knows it".to_owned());
        for (password, stored, is_right, hashes) in [
            (PASSWORD, &stored, true, 0),
            ("something else", &stored, false, 1),
            ("something else", &nonsense, false, 1),
            ("something else", &hash_now(PASSWORD), false, 0),
            (PASSWORD, &hash_now(PASSWORD), true, 0),
        ] {
            let mut more = 0;
            assert_eq!(verify_and(password, stored, |_| more += 1), is_right);
            assert_eq!(more, hashes, "{}: no refusal is faster than one without an account", stored.0);
        }
    }

    /// Goal: a flood of passwords is refused at once instead of piling up work and memory.
    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let passwords = Passwords::start();
        let (go, wait) = channel::<()>();
        let (began, begins) = oneshot::channel();
        let block = move |_: &Credential| {
            began.send(()).unwrap();
            let _ = wait.recv();
        };
        passwords.jobs.send(Box::new(block)).unwrap();
        begins.await.unwrap();
        for _ in 0..QUEUE {
            passwords.jobs.try_send(Box::new(|_| {})).unwrap();
        }
        assert_eq!(passwords.hash(PASSWORD).await, Err(Busy));
        assert_eq!(passwords.verify(PASSWORD, None).await, Err(Busy));
        drop(go);
    }
}
