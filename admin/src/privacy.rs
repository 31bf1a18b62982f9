//! How recipients are named where their numbers are not shown: `ctn_hash`, and the key that it is made with.
//!
//! A phone number has so few possibilities that its bare hash is reversible in minutes. The key is made by the first
//! start, lies in a file beside the database files and never in one, and is never printed. The choice and a check value
//! are stored: a start with another key or another way is refused, since every name would change.

use crate::config::Privacy;
use crate::exit::{self, Failure};
use crate::settings;
use engine::model::{CtnChoice, CtnHash, Identity, Number, NumberHash, Principal, Settings};
use engine::store::{Catalog, Change, Entity, Expect, Scope};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The key's file in the directory of the embedded store.
const KEY_FILE: &str = "ctn.key";
/// Octets of the key.
const KEY_OCTETS: usize = 32;
/// Longest key file that is read: the digits and some white space.
const MAX_FILE_OCTETS: u64 = 256;
/// What the check value is the hash of.
const CHECK_TEXT: &[u8] = b"message-center ctn_hash";

/// Names recipients; `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CtnHasher(Option<[u8; KEY_OCTETS]>);

impl CtnHasher {
    /// With this key.
    pub(crate) const fn keyed(key: [u8; KEY_OCTETS]) -> Self {
        Self(Some(key))
    }

    /// Without one: SHA-256 of the digits.
    pub(crate) const fn plain() -> Self {
        Self(None)
    }

    /// The name of a number.
    pub(crate) fn hash(&self, number: Number) -> NumberHash {
        self.of(number.0.to_string().as_bytes())
    }

    /// The name of a recipient, also where nothing else is left of the number.
    pub(crate) fn name(&self, identity: Identity) -> NumberHash {
        match identity {
            Identity::Number(number) => self.hash(number),
            Identity::Erased(hash) => hash,
        }
    }

    fn of(&self, text: &[u8]) -> NumberHash {
        NumberHash(match &self.0 {
            None => Sha256::digest(text).into(),
            Some(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length makes an HMAC");
                mac.update(text);
                mac.finalize().into_bytes().into()
            }
        })
    }

    fn choice(&self) -> CtnChoice {
        let mode = if self.0.is_some() { CtnHash::Keyed } else { CtnHash::Plain };
        CtnChoice { mode, check: self.of(CHECK_TEXT).to_string() }
    }
}

impl fmt::Debug for CtnHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "CtnHasher(keyed)" } else { "CtnHasher(plain)" })
    }
}

/// What this installation names recipients with: chosen by its first start, compared by every other. Where there are no
/// settings yet, they begin as `first`, what the configuration says.
///
/// # Errors
/// Another way or key than the first start's, a key file that is missing or cannot be used, the store's.
pub(crate) async fn settle(
    catalog: &dyn Catalog,
    privacy: &Privacy,
    directory: &Path,
    first: Settings,
) -> Result<CtnHasher, Failure> {
    let stored = settings::stored(catalog).await?;
    let chosen = stored.as_ref().and_then(|settings| settings.ctn.as_ref());
    if let Some(chosen) = chosen.filter(|chosen| chosen.mode != privacy.mode) {
        let word = |mode| if mode == CtnHash::Plain { "plain" } else { "keyed" };
        let sentence = format!(
            "privacy.ctn_hash is {:?}, and this installation was begun with {:?}; that cannot be changed",
            word(privacy.mode),
            word(chosen.mode)
        );
        return Err(Failure::new(exit::CONFIG, sentence));
    }
    let path = privacy.key_file.clone().unwrap_or_else(|| directory.join(KEY_FILE));
    let hasher = match privacy.mode {
        CtnHash::Plain => CtnHasher::plain(),
        CtnHash::Keyed => CtnHasher::keyed(key(&path, chosen.is_none())?),
    };
    match chosen {
        Some(chosen) if *chosen == hasher.choice() => Ok(hasher),
        Some(_) => {
            let sentence = format!(
                "the key in {} is not the one that this installation was begun with: put that one back",
                path.display()
            );
            Err(Failure::new(exit::CONFIG, sentence))
        }
        None => choose(catalog, (stored, first), hasher).await,
    }
}

async fn choose(
    catalog: &dyn Catalog,
    (stored, first): (Option<Settings>, Settings),
    hasher: CtnHasher,
) -> Result<CtnHasher, Failure> {
    let expect = stored.as_ref().map_or(Expect::Absent, |settings| Expect::Version(settings.version));
    let version = stored.as_ref().map_or(0, |settings| settings.version + 1);
    let settings = Settings { ctn: Some(hasher.choice()), version, ..stored.unwrap_or(first) };
    let entity = Entity::Settings(settings);
    let change = Change { scope: Scope::Platform, expect, entity, action: "settings.choose_ctn_hash" };
    catalog.apply(vec![change], &Principal::engine(), Timestamp::now()).await?;
    Ok(hasher)
}

/// Reads the key, or makes it where that is allowed.
fn key(path: &Path, may_make: bool) -> Result<[u8; KEY_OCTETS], Failure> {
    let refused = |why: String| {
        Failure::new(exit::CONFIG, format!("the key of privacy.ctn_hash in {} {why}", path.display()))
    };
    match File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(MAX_FILE_OCTETS)
                .read_to_string(&mut text)
                .map_err(|error| refused(format!("cannot be read: {error}")))?;
            parse(text.trim()).ok_or_else(|| refused(format!("is not {} hexadecimal digits", 2 * KEY_OCTETS)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && may_make => {
            make(path).map_err(|error| refused(format!("cannot be made: {error}")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(refused("is missing: put it back, every recipient was named with it".to_owned()))
        }
        Err(error) => Err(refused(format!("cannot be read: {error}"))),
    }
}

fn parse(text: &str) -> Option<[u8; KEY_OCTETS]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * KEY_OCTETS)?;
    let mut key = [0; KEY_OCTETS];
    for (octet, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = pair[0] << 4 | pair[1];
    }
    Some(key)
}

/// Makes a key that is on the disk, whole, before anything is named with it.
fn make(path: &Path) -> std::io::Result<[u8; KEY_OCTETS]> {
    let mut key = [0; KEY_OCTETS];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // What a start that was interrupted has left: nothing was named with it.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(hex(&key).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(key)
}

fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use engine::store::SqliteStore;
    use std::os::unix::fs::PermissionsExt;

    const NUMBER: Number = Number(4_915_112_345_678);

    async fn start(directory: &Path, privacy: &Privacy) -> Result<CtnHasher, Failure> {
        let store = SqliteStore::open(directory).unwrap();
        settle(&store, privacy, directory, Settings::default()).await
    }

    #[test]
    fn names_are_the_standard_ones_over_the_digits() {
        // sha256sum and openssl dgst -sha256 -mac HMAC say the same.
        assert_eq!(
            CtnHasher::plain().hash(NUMBER).to_string(),
            "8efb96404be52f6109b9db0f687274a81e9e3cc23fabd6f0da5d38baa3d2facd"
        );
        assert_eq!(
            CtnHasher::keyed([0xab; KEY_OCTETS]).hash(NUMBER).to_string(),
            "47f921d2faca641482cf075690d77a03773d69986a1bc7014b88090c7c0475e6"
        );
        assert_eq!(format!("{:?}", CtnHasher::keyed([1; KEY_OCTETS])), "CtnHasher(keyed)");
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_that_later_ones_find() {
        let place = tempfile::tempdir().unwrap();
        let first = start(place.path(), &Privacy::default()).await.unwrap();
        let file = place.path().join(KEY_FILE);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(start(place.path(), &Privacy::default()).await.unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        let elsewhere = start(other.path(), &Privacy::default()).await.unwrap();
        assert_ne!(elsewhere.hash(NUMBER), first.hash(NUMBER));
    }

    #[tokio::test]
    async fn another_key_or_way_is_refused_in_one_sentence() {
        let place = tempfile::tempdir().unwrap();
        start(place.path(), &Privacy::default()).await.unwrap();
        let plain = Privacy { mode: CtnHash::Plain, key_file: None };
        let told = start(place.path(), &plain).await.unwrap_err().to_string();
        assert!(told.contains("begun with \"keyed\"") && told.contains("cannot be changed"), "{told}");
        let file = place.path().join(KEY_FILE);
        let right = std::fs::read(&file).unwrap();
        let cases: [(&[u8], &str); 3] = [
            (b"00".repeat(KEY_OCTETS).leak(), "not the one"),
            (b"no key", "is not 64 hexadecimal digits"),
            (b"", "is not 64 hexadecimal digits"),
        ];
        for (octets, why) in cases {
            std::fs::write(&file, octets).unwrap();
            let told = start(place.path(), &Privacy::default()).await.unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
        std::fs::remove_file(&file).unwrap();
        let told = start(place.path(), &Privacy::default()).await.unwrap_err().to_string();
        assert!(told.contains("is missing") && !file.exists(), "{told}");
        std::fs::write(&file, right).unwrap();
        start(place.path(), &Privacy::default()).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_settings_are_those_of_the_configuration() {
        let place = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let first = Settings { audit_retention_days: 30, ..Settings::default() };
        settle(&store, &Privacy::default(), place.path(), first).await.unwrap();
        let stored = settings::stored(&store).await.unwrap().unwrap();
        assert_eq!((stored.audit_retention_days, stored.version), (30, 0));
    }

    #[tokio::test]
    async fn settings_of_others_stay_and_the_choice_is_audited() {
        let place = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let settings = Settings { audit_retention_days: 7, ..Settings::default() };
        let entity = Entity::Settings(settings);
        let change = Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "test.create" };
        store.apply(vec![change], &Principal::engine(), Timestamp::now()).await.unwrap();
        let plain = Privacy { mode: CtnHash::Plain, key_file: None };
        settle(&store, &plain, place.path(), Settings::default()).await.unwrap();
        let stored = settings::stored(&store).await.unwrap().unwrap();
        assert_eq!((stored.audit_retention_days, stored.version), (7, 1));
        let events = store.audit(Scope::Platform, 0).await.unwrap();
        assert_eq!(events.last().unwrap().action, "settings.choose_ctn_hash");
        assert!(!place.path().join(KEY_FILE).exists());
    }
}
