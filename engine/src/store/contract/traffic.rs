//! The promises of a catalog about traffic.

use super::Fixture;
use super::catalog::{A, B, IN_A, IN_B, campaign, create, id};
use crate::model::traffic::{Load, Traffic};
use crate::model::{CampaignId, Status, UnitStatus, WorkspaceId};
use crate::store::{CampaignUsage, Catalog, HourUsage, MAX_HOURS, StoreError};
use std::ops::Range;

fn load(messages: u64) -> Load {
    Load { messages, segments: 2 * messages }
}

/// So many delivered, one unknown, and some failed where there are many.
fn sent(messages: u64) -> Traffic {
    let failed = if messages > 5 { load(messages - 5) } else { Load::default() };
    let submitted = vec![(UnitStatus::Delivered, load(messages)), (UnitStatus::Unknown, load(1))];
    Traffic { submitted, failed }
}

async fn by_hour(catalog: &impl Catalog, workspace: WorkspaceId, hours: Range<u32>) -> Vec<HourUsage> {
    catalog.traffic(workspace, hours).await.expect("readable")
}

pub(in crate::store) async fn traffic_is_told_by_hour_and_by_campaign_and_replaced_whole<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let [first, second, foreign] = [1, 2, 3].map(|n| CampaignId(id(n)));
    for (n, scope, owner) in [(1, IN_A, A), (2, IN_A, A), (3, IN_B, B)] {
        create(&catalog, scope, campaign(n, owner, Status::Done, 0)).await;
    }
    for (owner, campaign, hours) in [
        (A, first, vec![(9, sent(1)), (99, sent(50))]),
        (A, first, vec![(10, sent(7)), (11, sent(2)), (33, sent(3))]),
        (A, second, vec![(11, Traffic { submitted: Vec::new(), failed: load(4) })]),
        (B, foreign, vec![(10, sent(1_000))]),
    ] {
        catalog.put_traffic(owner, campaign, hours).await.expect("stored");
    }
    drop(catalog);
    let catalog = fixture.open().await;
    let usage = |hour, campaign_id, traffic| HourUsage { hour, campaign_id, traffic };
    let failed = Traffic { submitted: Vec::new(), failed: load(4) };
    let all = [
        usage(10, first, sent(7)),
        usage(11, first, sent(2)),
        usage(11, second, failed.clone()),
        usage(33, first, sent(3)),
    ];
    assert_eq!(by_hour(&catalog, A, 0..48).await, all);
    assert_eq!(by_hour(&catalog, A, 11..33).await, all[1..3]);
    assert!(by_hour(&catalog, A, 12..33).await.is_empty() && by_hour(&catalog, A, 99..100).await.is_empty());
    let mut of_first = sent(7);
    of_first.add(&sent(2));
    let of = |campaign_id, traffic| CampaignUsage { campaign_id, traffic };
    let usage = catalog.usage(A, 10..33).await.expect("readable");
    assert_eq!(usage, [of(first, of_first), of(second, failed)]);
    assert_eq!(catalog.usage(B, 0..u32::MAX).await.expect("readable"), [of(foreign, sent(1_000))]);
    let long = catalog.traffic(A, 0..MAX_HOURS + 1).await;
    assert!(matches!(long, Err(StoreError::Refused(_))), "{long:?}");
    catalog.put_traffic(A, first, Vec::new()).await.expect("emptied");
    assert_eq!(by_hour(&catalog, A, 0..48).await.len(), 1);
}

pub(in crate::store) async fn traffic_of_a_campaign_that_is_not_there_is_not_stored<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, campaign(1, A, Status::Done, 0)).await;
    for (owner, n) in [(B, 1), (A, 2)] {
        let refused = catalog.put_traffic(owner, CampaignId(id(n)), vec![(1, sent(1))]).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
        assert!(by_hour(&catalog, owner, 0..9).await.is_empty());
    }
}
