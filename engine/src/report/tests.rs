//! Rows and errors from columns as the account saves them, over a real store.

use super::*;
use crate::model::record::reason;
use crate::model::{CampaignNo, DeliveryPolicy, Mode, Number, SendingRules, Status};
use crate::seed::{CampaignSeed, Seed};
use crate::store::{Catalog, Entity, Kind, Scope, SqliteStore, StateSave};
use pdu::PackedId;
use proptest::prelude::*;
use tempfile::TempDir;

const NO: CampaignNo = CampaignNo(1);
const BASE_MS: i64 = 1_700_000_000_000;
const FIRST: u64 = 4_915_112_340_000;

/// A store with a campaign of `recipients` whose message has `parts` parts.
async fn place(parts: usize, recipients: u64) -> (TempDir, SqliteStore, Campaign) {
    // In memory where that is possible: what these tests are about does not depend on the disk.
    let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary directory");
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    let at = Timestamp::from_millisecond(BASE_MS).expect("a time of our age");
    let mut writer = store.write_recipients(NO, recipients).expect("begins");
    let numbers: Vec<u64> = (FIRST..FIRST + recipients).collect();
    for chunk in numbers.chunks(CHUNK_RECIPIENTS) {
        writer.chunk(chunk, &[]).expect("taken");
    }
    writer.finish().expect("finished");
    let seed = CampaignSeed {
        name: "report".to_owned(),
        mode: Mode::OnDemand,
        rules: SendingRules::default(),
        text: "a".repeat(if parts == 1 { 10 } else { parts * 153 }),
        receipts: true,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        recipients,
        recipients_digest: String::new(),
    };
    let of = Seed::create(&store, "north", "shop", at).await.expect("seeded");
    let id = of.campaign(&store, NO, seed, at).await.expect("seeded");
    match store.get(Scope::Platform, Kind::Campaign, id.into()).await.expect("there") {
        Entity::Campaign(campaign) => (directory, store, *campaign),
        other => panic!("{other:?}"),
    }
}

/// Columns of units: status, code, message id.
fn columns(chunk: ChunkNo, units: &[(UnitStatus, u32, &str)]) -> ChunkState {
    let mut message_ids = vec![2, 7, 0, 0, 0];
    for (_, _, id) in units {
        match (id.as_bytes(), PackedId::pack(id.as_bytes())) {
            ([], _) => message_ids.push(0),
            (_, Some(packed)) => {
                message_ids.push(0x40 + packed.tag());
                message_ids.extend_from_slice(&packed.value().to_le_bytes());
            }
            (raw, None) => {
                message_ids.extend_from_slice(&[1, u8::try_from(raw.len()).expect("short")]);
                message_ids.extend_from_slice(raw);
            }
        }
    }
    let errors = (0..).zip(units).filter(|(_, unit)| unit.1 != 0).map(|(at, unit)| (at, unit.1));
    ChunkState {
        chunk,
        status: units.iter().map(|unit| unit.0 as u8).collect(),
        errors: errors.collect(),
        message_ids,
        submitted_ms: (100..).take(units.len()).collect(),
        final_ms: units.iter().map(|unit| if unit.1 == 0 { NO_TIME } else { 500 }).collect(),
    }
}

async fn save(store: &SqliteStore, chunks: Vec<ChunkState>) {
    let save = StateSave { watermark: 1, chunks, ..StateSave::default() };
    store.save_state(NO, save).await.expect("saved");
}

#[tokio::test]
async fn a_code_is_told_by_who_gave_it() {
    use Origin::{Answer, Engine, Receipt};
    let table = [
        (UnitStatus::Queued, 0, "", None),
        (UnitStatus::Intended, 0, "", None),
        (UnitStatus::Sent, 0, "1", None),
        (UnitStatus::Delivered, 0, "2", None),
        (UnitStatus::Delivered, 7, "3", None),
        (UnitStatus::Unknown, 0, "", None),
        (UnitStatus::Cancelled, 0, "", None),
        (UnitStatus::Rejected, 0x58, "", Some((Answer, 0x58))),
        (UnitStatus::Rejected, 0, "", Some((Answer, 0))),
        (UnitStatus::Rejected, 0x58, "4", Some((Receipt, 0x58))),
        (UnitStatus::Rejected, 0, "5", Some((Receipt, 0))),
        (UnitStatus::Undeliverable, 1, "6", Some((Receipt, 1))),
        (UnitStatus::Undeliverable, 0, "not packed!", Some((Receipt, 0))),
        (UnitStatus::Expired, 0, "8", Some((Receipt, 0))),
        (UnitStatus::Expired, reason::TOO_LATE, "", Some((Engine, reason::TOO_LATE))),
        (UnitStatus::Expired, 0, "", Some((Engine, 0))),
        (UnitStatus::Failed, 0x08, "", Some((Answer, 0x08))),
        (UnitStatus::Failed, reason::RENDERING, "", Some((Engine, reason::RENDERING))),
        (UnitStatus::Failed, 0, "", Some((Engine, 0))),
        (UnitStatus::Skipped, reason::OPTED_OUT, "", Some((Engine, reason::OPTED_OUT))),
        (UnitStatus::Skipped, 0, "", Some((Engine, 0))),
    ];
    let (_directory, store, campaign) = place(1, table.len() as u64).await;
    let units: Vec<_> = table.iter().map(|(status, code, id, _)| (*status, *code, *id)).collect();
    save(&store, vec![columns(0, &units)]).await;
    let rows = recipients(&store, &campaign, 0).await.expect("readable");
    assert_eq!(rows.len(), table.len());
    for (row, (status, code, id, expected)) in rows.iter().zip(&table) {
        let expected = expected.map(|(origin, code)| PartError { origin, code, status: *status });
        assert_eq!((row.status, row.error, row.parts[0].error), (*status, expected, expected));
        assert_eq!(row.parts[0].message_id.as_deref().unwrap_or(""), *id);
        let after = |ms| Timestamp::from_millisecond(BASE_MS + ms).expect("a time");
        let ordinal = i64::try_from(row.ordinal).expect("small");
        assert_eq!(row.parts[0].submitted_at, Some(after(100 + ordinal)));
        assert_eq!(row.parts[0].final_at, (*code != 0).then(|| after(500)));
        assert_eq!(row.identity, Identity::Number(Number(FIRST + row.ordinal)));
    }
    let errors = message_errors(&store, &campaign).await.expect("readable");
    assert_eq!((errors.items.len(), errors.beyond), (14, 0));
    let explained: std::collections::BTreeSet<_> = errors.items.iter().map(|e| e.explanation).collect();
    assert_eq!(explained.len(), 12, "no reason stored is said of three statuses alike");
}

#[tokio::test]
async fn a_recipient_is_counted_once_by_its_first_wrong_part() {
    let (_directory, store, campaign) = place(3, 5).await;
    let sent = (UnitStatus::Delivered, 0, "1");
    let refused = (UnitStatus::Rejected, 0x0B, "");
    let (absent, cancelled) = ((UnitStatus::Absent, 0, ""), (UnitStatus::Cancelled, 0, ""));
    let units = [
        [sent, refused, (UnitStatus::Undeliverable, 1, "2")],
        [refused, refused, absent],
        [sent, cancelled, cancelled],
        [cancelled, cancelled, absent],
    ];
    save(&store, vec![columns(0, units.as_flattened())]).await;
    let errors = message_errors(&store, &campaign).await.expect("readable");
    let seen: Vec<_> = errors.items.iter().map(|e| (e.error.code, e.error.status, e.recipients)).collect();
    assert_eq!(seen, [(0x0B, UnitStatus::Rejected, 2), (0, UnitStatus::Cancelled, 1)]);
    assert!(errors.items[1].explanation.contains("between the parts"));
    let rows = recipients(&store, &campaign, 0).await.expect("readable");
    let seen: Vec<_> = rows.iter().map(|row| (row.status, row.parts.len(), row.error.is_some())).collect();
    let expected = [
        (UnitStatus::Rejected, 3, true),
        (UnitStatus::Rejected, 2, true),
        (UnitStatus::Failed, 3, true),
        (UnitStatus::Cancelled, 2, false),
        // Its columns were not saved yet.
        (UnitStatus::Queued, 3, false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rows[0].parts.iter().map(|part| part.part).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_campaign_of_many_chunks_is_read_chunk_by_chunk() {
    let full = CHUNK_RECIPIENTS as u64;
    let (_directory, store, campaign) = place(1, 2 * full + 3).await;
    assert_eq!(message_errors(&store, &campaign).await.expect("readable"), MessageErrors::default());
    let wrong = |chunk, count| columns(chunk, &vec![(UnitStatus::Skipped, reason::BLOCKED, ""); count]);
    save(&store, vec![wrong(0, 4096), wrong(2, 3)]).await;
    let errors = message_errors(&store, &campaign).await.expect("readable");
    assert_eq!(errors.items.iter().map(|e| e.recipients).collect::<Vec<_>>(), [full + 3]);
    let last = recipients(&store, &campaign, 2).await.expect("readable");
    assert_eq!(last.iter().map(|row| row.ordinal).collect::<Vec<_>>(), [8192, 8193, 8194]);
    assert!(matches!(recipients(&store, &campaign, 3).await, Err(StoreError::NotFound)));
    store.remove(NO).await.expect("removed");
    assert_eq!(message_errors(&store, &campaign).await.expect("readable"), MessageErrors::default());
}

#[tokio::test]
async fn a_trigger_recipient_tells_when_it_came() {
    let (_directory, store, campaign) = place(1, 0).await;
    let list = Recipients { numbers: vec![FIRST], accepted_s: vec![1_700_000_009], ..<_>::default() };
    let save = StateSave { watermark: 1, recipients: vec![(0, list)], ..StateSave::default() };
    store.save_state(NO, save).await.expect("saved");
    let rows = recipients(&store, &campaign, 0).await.expect("readable");
    assert_eq!(rows[0].accepted_at, Some(Timestamp::from_second(1_700_000_009).expect("a time")));
    assert_eq!((rows[0].status, rows[0].parts[0].submitted_at), (UnitStatus::Queued, None));
}

#[tokio::test]
async fn codes_that_an_smsc_invents_are_counted_and_not_all_listed() {
    let (_directory, store, campaign) = place(1, 4096).await;
    let units: Vec<_> = (1..=4096).map(|code| (UnitStatus::Rejected, code, "")).collect();
    save(&store, vec![columns(0, &units)]).await;
    let errors = message_errors(&store, &campaign).await.expect("readable");
    assert_eq!((errors.items.len(), errors.beyond), (MAX_ERRORS, 4096 - MAX_ERRORS as u64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn errors_are_what_the_rows_tell(
        units in prop::collection::vec((0..12_usize, 0..4_u32, 0..2_u32, prop::bool::ANY), 1..60),
        parts in 1..4_usize,
    ) {
        let units: Vec<_> = units
            .iter()
            .map(|(status, code, engine, id)| {
                (UnitStatus::ALL[*status], code + engine * 0x1_0000 * code.min(&1), if *id { "77" } else { "" })
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let recipients_of = units.len().div_ceil(parts);
        runtime.block_on(async {
            let (_directory, store, campaign) = place(parts, recipients_of as u64).await;
            save(&store, vec![columns(0, &units)]).await;
            let mut expected: BTreeMap<PartError, u64> = BTreeMap::new();
            for row in recipients(&store, &campaign, 0).await.expect("readable") {
                let first = row.parts.iter().find_map(|part| part.error);
                assert!(first.is_none() || first == row.error);
                row.error.into_iter().for_each(|error| *expected.entry(error).or_default() += 1);
            }
            let errors = message_errors(&store, &campaign).await.expect("readable");
            let listed: BTreeMap<_, _> = errors.items.iter().map(|e| (e.error, e.recipients)).collect();
            assert_eq!(listed, expected);
        });
    }
}

#[tokio::test]
async fn whoever_was_not_sent_to_when_a_campaign_ended_stands_where_its_counts_say() {
    for parts in [1, 2] {
        let (_directory, store, campaign) = place(parts, 3).await;
        let ends = [
            (Status::New, UnitStatus::Queued, None),
            (Status::Sending, UnitStatus::Queued, None),
            (Status::Cancelled, UnitStatus::Cancelled, None),
            (Status::Failed, UnitStatus::Cancelled, None),
            (Status::Expired, UnitStatus::Expired, Some(reason::TOO_LATE)),
        ];
        for (status, expected, code) in ends {
            let campaign = Campaign { status, ..campaign.clone() };
            let rows = recipients(&store, &campaign, 0).await.expect("rows");
            let stands =
                |row: &RecipientRow| (row.status, row.error.map(|error| error.code), row.parts.len());
            let found: Vec<_> = rows.iter().map(stands).collect();
            assert_eq!(found, [(expected, code, parts); 3], "{status}");
        }
        // What a column speaks of stays as it is.
        let sent = columns(0, &vec![(UnitStatus::Delivered, 0, "1"); parts]);
        store
            .save_state(NO, StateSave { watermark: 1, chunks: vec![sent], ..StateSave::default() })
            .await
            .expect("saved");
        let campaign = Campaign { status: Status::Cancelled, ..campaign };
        let rows = recipients(&store, &campaign, 0).await.expect("rows");
        let found: Vec<_> = rows.iter().map(|row| row.status).collect();
        assert_eq!(found, [UnitStatus::Delivered, UnitStatus::Cancelled, UnitStatus::Cancelled]);
    }
}
