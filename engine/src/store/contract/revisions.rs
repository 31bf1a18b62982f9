//! The promises of a catalog about sender revisions: what was saved under an address is that address for ever.

use super::Fixture;
use super::catalog::{A, IN_A, at, change, create, id, sender};
use crate::model::{EntityId, Principal, Revision, RevisionStatus, SenderId, UserId, WorkspaceId};
use crate::store::{Catalog, Change, Entity, Expect, Kind, StoreError};

fn revision(status: RevisionStatus) -> Revision {
    Revision {
        id: id(2),
        sender_id: SenderId(id(1)),
        workspace_id: A,
        n: 1,
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        status,
        version: 0,
        created_by: UserId(id(3)),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        registration_ref: Some("DE-17".to_owned()),
        note: None,
        created_at: at(),
        decided_at: None,
        archived_at: None,
    }
}

async fn put(catalog: &impl Catalog, changes: Vec<Change>) -> Result<(), StoreError> {
    catalog.apply(changes, &Principal::engine(), at()).await
}

pub(in crate::store) async fn what_a_revision_was_saved_with_never_changes<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for status in RevisionStatus::ALL {
        let stored = Revision {
            id: uuid::Uuid::from_u128(status as u128 + 100),
            n: status as u32,
            ..revision(status)
        };
        create(&catalog, IN_A, Entity::Revision(stored.clone())).await;
        let forged = [
            Revision { saddr: "shop".to_owned(), ..stored.clone() },
            Revision { ston: 1, ..stored.clone() },
            Revision { snpi: 1, ..stored.clone() },
            Revision { n: 77, ..stored.clone() },
            Revision { sender_id: SenderId(id(9)), ..stored.clone() },
            Revision { created_by: UserId(id(9)), ..stored.clone() },
            Revision { workspace_id: WorkspaceId(id(9)), ..stored.clone() },
        ];
        for next in forged {
            // The other change of the call must not be kept either.
            let changes = vec![
                change(IN_A, Expect::Absent, sender(40, A, "Other")),
                change(IN_A, Expect::Version(0), Entity::Revision(Revision { version: 1, ..next })),
            ];
            let refused = put(&catalog, changes).await;
            assert!(
                matches!(refused, Err(StoreError::Refused(_) | StoreError::NotFound)),
                "{status:?} {refused:?}"
            );
            let kept = catalog.get(IN_A, Kind::Revision, EntityId(stored.id)).await.expect("there");
            assert_eq!(kept, Entity::Revision(stored.clone()));
        }
        let moved = Revision { registration_ref: None, version: 1, ..stored.clone() };
        let moved = put(&catalog, vec![change(IN_A, Expect::Version(0), Entity::Revision(moved))]).await;
        let is_open = matches!(status, RevisionStatus::Draft | RevisionStatus::PendingApproval);
        assert_eq!(moved.is_ok(), is_open, "{status:?} {moved:?}");
    }
    assert!(catalog.get(IN_A, Kind::Sender, EntityId(id(40))).await.is_err());
}

pub(in crate::store) async fn a_revision_moves_on_with_note_and_decision<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let stored = revision(RevisionStatus::PendingApproval);
    create(&catalog, IN_A, Entity::Revision(stored.clone())).await;
    let decided = Revision {
        status: RevisionStatus::Approved,
        decided_by: Some(UserId(id(4))),
        decided_at: Some(at()),
        version: 1,
        ..stored
    };
    let archived =
        Revision { status: RevisionStatus::Archived, archived_at: Some(at()), version: 2, ..decided.clone() };
    for (version, next) in [(0, decided), (1, archived)] {
        let next = Entity::Revision(next);
        put(&catalog, vec![change(IN_A, Expect::Version(version), next.clone())])
            .await
            .expect("a legal move");
        assert_eq!(catalog.get(IN_A, Kind::Revision, EntityId(id(2))).await.expect("there"), next);
    }
}
