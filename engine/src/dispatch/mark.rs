//! The written mark: one small file per bind incarnation that tells, after the process was killed, how far the
//! bind had written in each campaign's order. Whoever writes to a socket sets the mark first; a mark that cannot
//! be set closes the bind. It never calls fsync: the page cache survives the death of a process, nothing else.
//!
//! Invariant: what is not certainly whole and of this boot and installation is untrusted, never an error; a missing
//! mark means "perhaps written". Limits: power loss and a changed boot id make all marks untrusted; a mark is
//! wrong where one boot id outlives the page cache: a machine reset to a snapshot of its disk alone, a page lost
//! to a write error of the disk, a network file system, a file cut between two slots by other hands.

use crate::model::{CampaignNo, Incarnation};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// File type and version of the layout.
const MAGIC: [u8; 8] = *b"MCMARK\x00\x01";

/// Octets before the first slot: magic 8, incarnation 8, installation 16, boot id 36, zeros.
const HEADER_OCTETS: usize = 128;

/// A boot id is a UUID in text.
const BOOT_ID_OCTETS: usize = 36;

/// Campaign 4, checksum of the other twelve 4, position 8; never crosses a page. All zeros: never set.
const SLOT_OCTETS: usize = 16;

/// Campaigns that one incarnation can mark: files of 1 MiB at most. A bind that needs more starts a new incarnation.
pub(crate) const MAX_SLOTS: u32 = 65_536;

/// Slots that [`MarkFile::set_run`] writes at once: more campaigns than a link serves in a turn, as a rule.
const RUN_SLOTS: usize = 32;

const MAX_FILE_OCTETS: usize = HEADER_OCTETS + MAX_SLOTS as usize * SLOT_OCTETS;

/// The kernel's id of this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// The directory of all marks of an installation.
pub(crate) struct MarkDir {
    dir: PathBuf,
    boot_id: [u8; BOOT_ID_OCTETS],
    installation: Uuid,
}

impl MarkDir {
    /// Opens the directory and makes it if need be. A boot id that is not one of 36 octets is refused.
    pub(crate) fn open(dir: &Path, boot_id: String, installation: Uuid) -> io::Result<Self> {
        let boot_id = boot_id.into_bytes().try_into();
        let boot_id = boot_id.map_err(|_| io::Error::new(ErrorKind::InvalidInput, "not a boot id"))?;
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), boot_id, installation })
    }

    /// Starts the mark of a new incarnation; it is an error if there is one already.
    pub(crate) fn create(&self, incarnation: Incarnation) -> io::Result<MarkFile> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path(incarnation))?;
        file.write_all_at(&self.header(incarnation), 0)?;
        Ok(MarkFile { file, slots: BTreeMap::new() })
    }

    /// Reads all marks that can be trusted. What cannot be read is untrusted.
    pub(crate) fn read_all(&self) -> Marks {
        let incarnations = self.incarnations().unwrap_or_default();
        let marks = incarnations.into_iter().filter_map(|i| Some((i, self.read(i)?))).collect();
        Marks { marks }
    }

    /// Removes the mark of an incarnation, if there is one, trusted or not.
    pub(crate) fn remove(&self, incarnation: Incarnation) -> io::Result<()> {
        match fs::remove_file(self.path(incarnation)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes all marks, trusted or not; files of other names stay.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.incarnations()?.into_iter().try_for_each(|incarnation| self.remove(incarnation))
    }

    fn read(&self, incarnation: Incarnation) -> Option<BTreeMap<CampaignNo, u64>> {
        let mut octets = Vec::new();
        let file = File::open(self.path(incarnation)).ok()?;
        file.take(MAX_FILE_OCTETS as u64 + 1).read_to_end(&mut octets).ok()?;
        let (header, slots) = octets.split_at_checked(HEADER_OCTETS)?;
        if header != self.header(incarnation) || octets.len() > MAX_FILE_OCTETS {
            return None;
        }
        positions(slots)
    }

    fn incarnations(&self) -> io::Result<Vec<Incarnation>> {
        let mut incarnations = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            incarnations.extend(name.to_str().and_then(incarnation_in));
        }
        Ok(incarnations)
    }

    fn path(&self, incarnation: Incarnation) -> PathBuf {
        self.dir.join(name_of(incarnation))
    }

    /// Every octet is fixed by what it says, so that a header is checked by comparing it whole.
    fn header(&self, incarnation: Incarnation) -> [u8; HEADER_OCTETS] {
        let mut header = [0; HEADER_OCTETS];
        header[..8].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&incarnation.0.to_le_bytes());
        header[16..32].copy_from_slice(self.installation.as_bytes());
        header[32..68].copy_from_slice(&self.boot_id);
        header
    }
}

/// The mark of a living incarnation.
pub(crate) struct MarkFile {
    file: File,
    slots: BTreeMap<CampaignNo, u32>,
}

impl MarkFile {
    /// The slot of a campaign, given on first use and kept; `None` beyond [`MAX_SLOTS`].
    pub(crate) fn slot_for(&mut self, campaign: CampaignNo) -> Option<u32> {
        let next = u32::try_from(self.slots.len()).ok().filter(|n| *n < MAX_SLOTS);
        match self.slots.get(&campaign) {
            Some(known) => Some(*known),
            None => next.inspect(|new| {
                self.slots.insert(campaign, *new);
            }),
        }
    }

    /// Marks all of a campaign's positions below `position` as perhaps written, in the slot given for it.
    /// Positions of one campaign never run backwards. After an error nothing may be written to the socket.
    pub(crate) fn set(&self, slot: u32, campaign: CampaignNo, position: u64) -> io::Result<()> {
        self.set_run(slot, &[(campaign, position)])
    }

    /// The same for campaigns in adjacent slots from `slot` on, in one system call up to [`RUN_SLOTS`].
    pub(crate) fn set_run(&self, slot: u32, marks: &[(CampaignNo, u64)]) -> io::Result<()> {
        let mut at = HEADER_OCTETS as u64 + u64::from(slot) * SLOT_OCTETS as u64;
        for run in marks.chunks(RUN_SLOTS) {
            let mut octets = [[0; SLOT_OCTETS]; RUN_SLOTS];
            for (octets, (campaign, position)) in octets.iter_mut().zip(run) {
                *octets = slot_octets(*campaign, *position);
            }
            let octets = octets[..run.len()].as_flattened();
            self.file.write_all_at(octets, at)?;
            at += octets.len() as u64;
        }
        Ok(())
    }
}

/// The trusted marks that an earlier process of this boot left behind.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    marks: BTreeMap<Incarnation, BTreeMap<CampaignNo, u64>>,
}

impl Marks {
    /// Whether the mark of an incarnation is there, whole, and of this boot and installation.
    #[cfg(test)]
    pub(crate) fn trusted(&self, incarnation: Incarnation) -> bool {
        self.marks.contains_key(&incarnation)
    }

    /// The position below which a campaign's parts were perhaps written; none at or above it was.
    /// `None` if nothing is known, which means that any part may have been.
    pub(crate) fn position(&self, incarnation: Incarnation, campaign: CampaignNo) -> Option<u64> {
        Some(self.marks.get(&incarnation)?.get(&campaign).copied().unwrap_or(0))
    }
}

/// The positions in the slots of a file; `None` if any of it is not well-formed.
fn positions(slots: &[u8]) -> Option<BTreeMap<CampaignNo, u64>> {
    let (slots, torn) = slots.as_chunks::<SLOT_OCTETS>();
    let mut positions = BTreeMap::new();
    for slot in slots.iter().filter(|s| **s != [0; SLOT_OCTETS]) {
        let campaign = CampaignNo(u32::from_le_bytes(*slot.first_chunk()?));
        let position = u64::from_le_bytes(*slot.last_chunk()?);
        let is_whole = *slot == slot_octets(campaign, position);
        if !is_whole || positions.insert(campaign, position).is_some() {
            return None;
        }
    }
    torn.is_empty().then_some(positions)
}

fn slot_octets(campaign: CampaignNo, position: u64) -> [u8; SLOT_OCTETS] {
    let mut octets = [0; SLOT_OCTETS];
    octets[..4].copy_from_slice(&campaign.0.to_le_bytes());
    octets[8..].copy_from_slice(&position.to_le_bytes());
    let checksum = crc32fast::hash(&octets);
    octets[4..8].copy_from_slice(&checksum.to_le_bytes());
    octets
}

fn name_of(incarnation: Incarnation) -> String {
    format!("{:016x}.mark", incarnation.0)
}

fn incarnation_in(name: &str) -> Option<Incarnation> {
    let number = u64::from_str_radix(name.strip_suffix(".mark")?, 16).ok()?;
    Some(Incarnation(number)).filter(|i| name_of(*i) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BIND: Incarnation = Incarnation(0x1234_0000_0007);
    const BOOT: &str = "0b7c5a0e-61f5-4a2c-b6cc-a2c6a3a2c0de";
    const HOME: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    const FIRST: CampaignNo = CampaignNo(0);
    const SECOND: CampaignNo = CampaignNo(u32::MAX);

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary directory"))
        }

        fn marks(&self) -> MarkDir {
            self.of(BOOT, HOME)
        }

        fn of(&self, boot: &str, installation: Uuid) -> MarkDir {
            MarkDir::open(&self.0.path().join("marks"), boot.to_owned(), installation).expect("opens")
        }

        fn file(&self) -> PathBuf {
            self.marks().path(BIND)
        }
    }

    /// A mark of two campaigns at 100 and 200, as an earlier process leaves it.
    fn left_behind() -> Place {
        let place = Place::new();
        let mut mark = place.marks().create(BIND).expect("creates");
        for (campaign, position) in [(FIRST, 100), (SECOND, 200)] {
            let slot = mark.slot_for(campaign).expect("there are slots");
            mark.set(slot, campaign, 1).expect("sets");
            mark.set(slot, campaign, position).expect("sets");
        }
        place
    }

    #[test]
    fn a_mark_tells_the_next_process_how_far_the_bind_had_written() {
        let marks = left_behind().marks().read_all();
        assert!(marks.trusted(BIND));
        assert_eq!((marks.position(BIND, FIRST), marks.position(BIND, SECOND)), (Some(100), Some(200)));
        assert_eq!(marks.position(BIND, CampaignNo(5)), Some(0), "nothing of it was written");
    }

    #[test]
    fn a_bind_that_wrote_nothing_is_trusted_and_a_missing_mark_is_not() {
        let place = Place::new();
        let mut mark = place.marks().create(BIND).expect("creates");
        assert_eq!(place.marks().read_all().position(BIND, FIRST), Some(0));
        assert_eq!(
            (mark.slot_for(SECOND), mark.slot_for(FIRST), mark.slot_for(SECOND)),
            (Some(0), Some(1), Some(0))
        );
        mark.set(1, FIRST, 0).expect("sets");
        assert_eq!(place.marks().read_all().position(BIND, FIRST), Some(0));
        let other = Incarnation(8);
        let marks = place.marks().read_all();
        assert_eq!((marks.trusted(other), marks.position(other, FIRST)), (false, None));
        assert_eq!(place.marks().create(BIND).err().map(|e| e.kind()), Some(ErrorKind::AlreadyExists));
    }

    #[test]
    fn the_marks_of_another_boot_or_installation_are_untrusted() {
        let place = left_behind();
        let other_boot = place.of("ffffffff-61f5-4a2c-b6cc-a2c6a3a2c0de", HOME);
        let other_home = place.of(BOOT, Uuid::from_u128(7));
        assert!(!other_boot.read_all().trusted(BIND) && !other_home.read_all().trusted(BIND));
        fs::rename(place.file(), place.marks().path(Incarnation(9))).expect("renames");
        assert!(!place.marks().read_all().trusted(Incarnation(9)), "the file is of another incarnation");
    }

    #[test]
    fn a_file_of_any_torn_length_is_untrusted() {
        let place = left_behind();
        let whole = fs::read(place.file()).expect("reads");
        for octets in 0..whole.len() {
            fs::write(place.file(), &whole[..octets]).expect("writes");
            let is_between_slots = octets >= HEADER_OCTETS && octets % SLOT_OCTETS == 0;
            assert_eq!(place.marks().read_all().trusted(BIND), is_between_slots, "{octets} octets");
        }
        let mut long = whole.clone();
        long.resize(MAX_FILE_OCTETS + SLOT_OCTETS, 0);
        fs::write(place.file(), &long).expect("writes");
        assert!(!place.marks().read_all().trusted(BIND));
        fs::write(place.file(), [&whole[..], &whole[HEADER_OCTETS..]].concat()).expect("writes");
        assert!(!place.marks().read_all().trusted(BIND), "a campaign has one slot");
    }

    #[test]
    fn marks_are_removed_one_by_one_or_all_and_other_files_stay() {
        let place = left_behind();
        place.marks().create(Incarnation(1)).expect("creates");
        let stranger = place.0.path().join("marks").join("+000000000000001.mark");
        fs::write(&stranger, b"not ours").expect("writes");
        place.marks().remove(Incarnation(1)).expect("removes");
        place.marks().remove(Incarnation(1)).expect("is gone already");
        assert!(place.marks().read_all().trusted(BIND));
        place.of("ffffffff-61f5-4a2c-b6cc-a2c6a3a2c0de", HOME).clear().expect("clears");
        assert!(!place.file().exists() && stranger.exists());
    }

    #[test]
    fn a_run_of_adjacent_slots_is_set_at_once() {
        let place = Place::new();
        let mut mark = place.marks().create(BIND).expect("creates");
        let run: Vec<_> = (0..100).map(|n| (CampaignNo(n), u64::from(n) + 7)).collect();
        run.iter().for_each(|(campaign, _)| assert!(mark.slot_for(*campaign).is_some()));
        mark.set_run(10, &run[10..90]).expect("sets");
        let marks = place.marks().read_all();
        for (campaign, position) in &run {
            let expected = if (10..90).contains(&campaign.0) { *position } else { 0 };
            assert_eq!(marks.position(BIND, *campaign), Some(expected));
        }
    }

    #[test]
    fn slots_run_out_at_their_limit() {
        let mut mark = Place::new().marks().create(BIND).expect("creates");
        for n in 0..MAX_SLOTS {
            assert_eq!(mark.slot_for(CampaignNo(n)), Some(n));
        }
        assert_eq!((mark.slot_for(CampaignNo(MAX_SLOTS)), mark.slot_for(CampaignNo(3))), (None, Some(3)));
    }

    #[test]
    fn the_kernel_gives_a_boot_id_that_is_accepted() {
        let place = Place::new();
        MarkDir::open(place.0.path(), boot_id().expect("Linux has one"), HOME).expect("opens");
        assert!(MarkDir::open(place.0.path(), "short".to_owned(), HOME).is_err());
    }

    proptest! {
        #[test]
        fn no_damaged_octet_changes_a_position(at in 0..160_usize, damage in 1..=255_u8) {
            let place = left_behind();
            let mut octets = fs::read(place.file()).expect("reads");
            octets[at] ^= damage;
            fs::write(place.file(), &octets).expect("writes");
            prop_assert!(!place.marks().read_all().trusted(BIND));
        }
    }
}
