//! The promises of a catalog about message templates: a saved text stays that text, a name has one open template.

use super::Fixture;
use super::catalog::{A, IN_A, at, change, create, id};
use crate::model::{
    EntityId, MessageTemplate, Principal, RevisionStatus, TemplateId, TemplateVersion, UserId, WorkspaceId,
};
use crate::store::{Catalog, Change, Entity, Expect, Kind, Query, StoreError};

fn template(n: u32, name: &str) -> MessageTemplate {
    MessageTemplate {
        id: TemplateId(id(n)),
        workspace_id: A,
        name: name.to_owned(),
        created_by: UserId(id(3)),
        version: 0,
        created_at: at(),
        archived_at: None,
        active: None,
    }
}

fn version(n: u32, status: RevisionStatus) -> TemplateVersion {
    TemplateVersion {
        id: id(100 + n),
        template_id: TemplateId(id(1)),
        workspace_id: A,
        n,
        text: "Hello {name}".to_owned(),
        status,
        state_version: 0,
        created_by: UserId(id(3)),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        note: None,
        created_at: at(),
        decided_at: None,
        archived_at: None,
    }
}

async fn put(catalog: &impl Catalog, change: Change) -> Result<(), StoreError> {
    catalog.apply(vec![change], &Principal::engine(), at()).await
}

pub(in crate::store) async fn what_a_template_version_was_saved_with_never_changes<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for (n, status) in (1..).zip(RevisionStatus::ALL) {
        let stored = version(n, status);
        create(&catalog, IN_A, Entity::TemplateVersion(stored.clone())).await;
        let forged = [
            TemplateVersion { text: "Hello {name} ".to_owned(), ..stored.clone() },
            TemplateVersion { n: 77, ..stored.clone() },
            TemplateVersion { template_id: TemplateId(id(9)), ..stored.clone() },
            TemplateVersion { created_by: UserId(id(9)), ..stored.clone() },
            TemplateVersion { workspace_id: WorkspaceId(id(9)), ..stored.clone() },
        ];
        for next in forged {
            let next = Entity::TemplateVersion(TemplateVersion { state_version: 1, ..next });
            let refused = put(&catalog, change(IN_A, Expect::Version(0), next)).await;
            assert!(
                matches!(refused, Err(StoreError::Refused(_) | StoreError::NotFound)),
                "{status:?} {refused:?}"
            );
            let kept = catalog.get(IN_A, Kind::TemplateVersion, EntityId(stored.id)).await.expect("there");
            assert_eq!(kept, Entity::TemplateVersion(stored.clone()));
        }
        let by_another = TemplateVersion { submitted_by: Some(UserId(id(4))), state_version: 1, ..stored };
        let moved =
            put(&catalog, change(IN_A, Expect::Version(0), Entity::TemplateVersion(by_another))).await;
        let is_open = matches!(status, RevisionStatus::Draft | RevisionStatus::PendingApproval);
        assert_eq!(moved.is_ok(), is_open, "{status:?} {moved:?}");
    }
}

pub(in crate::store) async fn a_template_is_listed_where_it_stands_and_archived_gives_its_name_free<F>(
    fixture: &F,
) where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, Entity::Template(template(1, "Code"))).await;
    let twice = change(IN_A, Expect::Absent, Entity::Template(template(2, "CODE")));
    let refused = put(&catalog, twice.clone()).await.expect_err("the name is in use");
    assert!(matches!(refused, StoreError::Taken("template name")), "{refused}");
    let approved = MessageTemplate { active: Some(1), version: 1, ..template(1, "Code") };
    let archived = MessageTemplate { archived_at: Some(at()), active: None, version: 2, ..approved.clone() };
    for (stored, next, word) in [(0, approved, "Approved"), (1, archived, "Archived")] {
        let next = Entity::Template(next);
        put(&catalog, change(IN_A, Expect::Version(stored), next.clone())).await.expect("stored");
        let (kind, statuses) = (Kind::Template, vec![word.to_owned()]);
        let query = Query { kind, statuses, parent: None, after: None, limit: 10 };
        assert_eq!(catalog.list(IN_A, query).await.expect("a page").items, [next]);
    }
    put(&catalog, twice).await.expect("the name is free");
}
