//! The promises of a catalog about job errors.

use super::Fixture;
use super::catalog::{campaign, create};
use crate::model::{
    CampaignId, CampaignNo, Draft, DraftStatus, JobError, JobErrorCode, JobErrors, MAX_JOB_DETAIL_CHARS,
    MAX_JOB_ERRORS, Status, UserId, WorkspaceId,
};
use crate::store::{Catalog, Entity, MAX_PAGE, Scope, StoreError};
use uuid::Uuid;

const A: WorkspaceId = WorkspaceId(Uuid::from_u128(0xa));
const B: WorkspaceId = WorkspaceId(Uuid::from_u128(0xb));
const IN_A: Scope = Scope::Workspace(A);
const IN_B: Scope = Scope::Workspace(B);

fn at() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time of our age")
}

/// As a writer has it: without a place.
fn error(n: u64) -> JobError {
    let code = JobErrorCode::ALL[usize::try_from(n).expect("small") % JobErrorCode::ALL.len()];
    let line = (!n.is_multiple_of(3)).then_some(n + 1);
    JobError { seq: 0, at: at(), code, line, detail: format!("detail {n} \"ü\"") }
}

/// What is stored of the `n`th one, from 0.
fn stored(n: u64) -> JobError {
    JobError { seq: n + 1, ..error(n) }
}

async fn begin<F>(fixture: &F) -> (F::Store, CampaignId)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let entity = campaign(1, A, Status::New, 0);
    let id = CampaignId(entity.id().0);
    create(&catalog, IN_A, entity).await;
    create(&catalog, IN_A, campaign(2, A, Status::New, 0)).await;
    (catalog, id)
}

async fn note(catalog: &impl Catalog, campaign: CampaignId, which: std::ops::Range<u64>) {
    let errors = which.map(error).collect();
    catalog.note_job_errors(IN_A, campaign, errors).await.expect("noted");
}

/// All that were kept, read in pages of `limit`.
async fn all(catalog: &impl Catalog, campaign: CampaignId, limit: usize) -> JobErrors {
    let mut all = JobErrors::default();
    loop {
        let after = all.items.last().map_or(0, |last: &JobError| last.seq);
        let page = catalog.job_errors(IN_A, campaign, after, limit).await.expect("readable");
        assert!(page.items.len() <= limit.clamp(1, MAX_PAGE));
        all.noted = page.noted;
        if page.items.is_empty() {
            return all;
        }
        all.items.extend(page.items);
    }
}

pub(in crate::store) async fn job_errors_come_back_in_order_and_in_pages<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (catalog, id) = begin(fixture).await;
    assert_eq!(all(&catalog, id, 10).await, JobErrors::default());
    note(&catalog, id, 0..0).await;
    note(&catalog, id, 0..250).await;
    note(&catalog, id, 250..251).await;
    let expected = JobErrors { items: (0..251).map(stored).collect(), noted: 251 };
    for limit in [1, 7, MAX_PAGE, usize::MAX, 0] {
        assert_eq!(all(&catalog, id, limit).await, expected);
    }
    assert_eq!(expected.beyond(), 0);
    drop(catalog);
    assert_eq!(all(&fixture.open().await, id, MAX_PAGE).await, expected);
}

pub(in crate::store) async fn only_the_first_job_errors_are_kept_and_all_are_counted<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (catalog, id) = begin(fixture).await;
    let most = MAX_JOB_ERRORS as u64;
    note(&catalog, id, 0..most - 1).await;
    note(&catalog, id, most - 1..most + 5).await;
    note(&catalog, id, 0..7).await;
    let kept = all(&catalog, id, MAX_PAGE).await;
    assert_eq!((kept.items.len(), kept.noted, kept.beyond()), (MAX_JOB_ERRORS, most + 12, 12));
    assert_eq!(kept.items.last(), Some(&stored(most - 1)));
    let many = (0..=most).map(error).collect();
    let refused = catalog.note_job_errors(IN_A, id, many).await.expect_err("more than are ever kept");
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    assert_eq!(all(&catalog, id, MAX_PAGE).await.noted, most + 12);
}

pub(in crate::store) async fn a_long_detail_is_cut_between_characters<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (catalog, id) = begin(fixture).await;
    let long = JobError { detail: "ü".repeat(MAX_JOB_DETAIL_CHARS + 9), ..error(1) };
    catalog.note_job_errors(IN_A, id, vec![long]).await.expect("noted");
    assert_eq!(all(&catalog, id, 1).await.items[0].detail, "ü".repeat(MAX_JOB_DETAIL_CHARS));
}

pub(in crate::store) async fn job_errors_of_another_scope_or_campaign_are_not_there<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (catalog, id) = begin(fixture).await;
    note(&catalog, id, 0..3).await;
    let other = CampaignId(campaign(2, A, Status::New, 0).id().0);
    assert_eq!(all(&catalog, other, 10).await, JobErrors::default());
    let unknown = CampaignId(Uuid::from_u128(99));
    for (scope, campaign) in [(IN_B, id), (IN_A, unknown), (Scope::Platform, unknown)] {
        let read = catalog.job_errors(scope, campaign, 0, 10).await;
        assert!(matches!(read, Err(StoreError::NotFound)), "{read:?}");
        let written = catalog.note_job_errors(scope, campaign, vec![error(1)]).await;
        assert!(matches!(written, Err(StoreError::NotFound)), "{written:?}");
    }
    catalog.note_job_errors(Scope::Platform, id, vec![error(3)]).await.expect("the engine sees all");
    let expected: Vec<_> = (0..4).map(stored).collect();
    let seen = catalog.job_errors(Scope::Platform, id, 0, 10).await.expect("readable");
    assert_eq!((seen.items, seen.noted), (expected, 4));
}

pub(in crate::store) async fn a_new_file_replaces_the_job_errors_of_a_draft<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (catalog, other) = begin(fixture).await;
    note(&catalog, other, 0..2).await;
    let id = CampaignId(Uuid::from_u128(77));
    let draft = Draft {
        id,
        workspace_id: A,
        no: CampaignNo(9),
        fields: std::collections::BTreeMap::new(),
        upload: None,
        status: DraftStatus::Open,
        created_by: UserId(Uuid::from_u128(5)),
        edited_by: Vec::new(),
        version: 0,
        created_at: at(),
        updated_at: at(),
    };
    create(&catalog, IN_A, Entity::Draft(draft)).await;
    let replace = |errors| catalog.replace_job_errors(IN_A, id, errors);
    replace(JobErrors { items: (0..5).map(error).collect(), noted: 5 }).await.expect("replaced");
    replace(JobErrors { items: (7..9).map(error).collect(), noted: 40 }).await.expect("replaced");
    let expected = (7..9).zip(1..).map(|(n, seq)| JobError { seq, ..error(n) }).collect();
    assert_eq!(all(&catalog, id, 10).await, JobErrors { items: expected, noted: 40 });
    replace(JobErrors::default()).await.expect("replaced");
    assert_eq!(all(&catalog, id, 10).await, JobErrors::default());
    assert_eq!(all(&catalog, other, 10).await.noted, 2);
    let foreign = catalog.replace_job_errors(IN_B, id, JobErrors::default()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound)), "{foreign:?}");
}
