//! Every decision about a campaign as a table: who, which version, which state, and what comes of it.

use super::*;
use crate::api::permission::Standing;
use engine::model::{
    CampaignId, CampaignNo, Content, DeliveryPolicy, Filing, Mode, SenderId, SendingRules, UserId,
    WorkspaceId,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn judge(n: u128) -> Judge {
    Judge { user: user(n), standing: Standing::Moderator, allow_self_approval: false }
}

fn campaign() -> Campaign {
    let content = Content {
        text: "Hello".to_owned(),
        variables: Vec::new(),
        sender_id: SenderId(Uuid::from_u128(5)),
        revision_id: Uuid::from_u128(6),
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        dton: 1,
        dnpi: 1,
        parts: 1,
        receipts: true,
        recipients_digest: "00".to_owned(),
        rules: SendingRules::default(),
    };
    Campaign {
        id: CampaignId(Uuid::from_u128(7)),
        workspace_id: WorkspaceId(Uuid::from_u128(8)),
        no: CampaignNo(1),
        name: "Winter".to_owned(),
        mode: Mode::OnDemand,
        status: Status::New,
        hold_reason: None,
        content,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 3,
        state_version: 9,
        stop_gen: 0,
        weight: 1,
        recipients: 10,
        approvals: Vec::new(),
        created_by: user(1),
        edited_by: vec![user(2)],
        created_at: NOW,
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: Filing::default(),
    }
}

fn revision() -> Revision {
    Revision {
        id: Uuid::from_u128(6),
        sender_id: SenderId(Uuid::from_u128(5)),
        workspace_id: WorkspaceId(Uuid::from_u128(8)),
        n: 1,
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        status: RevisionStatus::Approved,
        version: 1,
        created_by: user(1),
        submitted_by: None,
        decided_by: Some(user(3)),
        self_approved: false,
        registration_ref: None,
        note: None,
        created_at: NOW,
        decided_at: Some(NOW),
        archived_at: None,
    }
}

/// The code that an approval of version 3 is refused with.
fn refusal(campaign: &Campaign, revision: Option<&Revision>, by: &Judge) -> Option<Code> {
    Case { campaign, revision, required: 1 }.approve(by, 3, NOW).err().map(|problem| problem.code())
}

#[test]
fn the_last_approval_moves_it_and_marks_what_was_seen_by_whom() {
    let (new, revision) = (campaign(), revision());
    let case = Case { campaign: &new, revision: Some(&revision), required: 1 };
    let approved = case.approve(&judge(3), 3, NOW).expect("another's");
    assert_eq!((approved.status, approved.state_version, approved.version), (Status::Building, 10, 3));
    let expected =
        Approval { by: user(3), at: NOW, version: 3, content_hash: new.content_hash(), self_approved: false };
    assert_eq!(approved.approvals, [expected]);
}

#[test]
fn two_approvals_are_two_people_and_approvals_of_another_content_do_not_count() {
    let (new, revision) = (campaign(), revision());
    let case = |campaign| Case { campaign, revision: Some(&revision), required: 2 };
    let first = case(&new).approve(&judge(3), 3, NOW).expect("the first");
    assert_eq!((first.status, first.approvals.len()), (Status::New, 1));
    let again = case(&first).approve(&judge(3), 3, NOW).map_err(|problem| problem.code());
    assert_eq!(again, Err(Code::AlreadyApproved));
    let second = case(&first).approve(&judge(4), 3, NOW).expect("the second");
    assert_eq!((second.status, second.approvals.len()), (Status::Building, 2));
    let mut edited = first.clone();
    edited.content.text.push('!');
    let anew = case(&edited).approve(&judge(3), 3, NOW).expect("of another content");
    assert_eq!((anew.status, anew.approvals.len()), (Status::New, 1));
}

#[test]
fn nobody_decides_about_what_they_created_or_edited_last() {
    let (new, revision) = (campaign(), revision());
    let case = Case { campaign: &new, revision: Some(&revision), required: 1 };
    for n in [1, 2] {
        assert_eq!(refusal(&new, Some(&revision), &judge(n)), Some(Code::SelfApprovalForbidden));
        let rejected = case.reject(&judge(n), (3, "no"), NOW).map_err(|problem| problem.code());
        assert_eq!(rejected, Err(Code::SelfApprovalForbidden));
    }
    let alone = Judge { standing: Standing::Admin, allow_self_approval: true, ..judge(1) };
    let approved = case.approve(&alone, 3, NOW).expect("granted");
    assert!(approved.approvals[0].self_approved && approved.status == Status::Building);
    let author = Judge { standing: Standing::Author, ..alone };
    assert_eq!(refusal(&new, Some(&revision), &author), Some(Code::SelfApprovalForbidden));
}

#[test]
fn a_sender_that_is_missing_or_not_exactly_the_approved_one_is_refused() {
    let (new, good) = (campaign(), revision());
    let mut bare = campaign();
    bare.content.sender_id = SenderId(Uuid::nil());
    assert_eq!(refusal(&bare, None, &judge(3)), Some(Code::SenderMissing));
    assert_eq!(refusal(&new, None, &judge(3)), Some(Code::SenderNotApproved));
    let mut wrong: Vec<Revision> = RevisionStatus::ALL
        .into_iter()
        .filter(|status| *status != RevisionStatus::Approved)
        .map(|status| Revision { status, ..good.clone() })
        .collect();
    wrong.extend([
        Revision { saddr: "shop".to_owned(), ..good.clone() },
        Revision { ston: 1, ..good.clone() },
        Revision { snpi: 1, ..good.clone() },
        Revision { sender_id: SenderId(Uuid::from_u128(55)), ..good.clone() },
        Revision { id: Uuid::from_u128(66), ..good.clone() },
    ]);
    for revision in wrong {
        assert_eq!(refusal(&new, Some(&revision), &judge(3)), Some(Code::SenderNotApproved), "{revision:?}");
    }
    assert_eq!(refusal(&new, Some(&good), &judge(3)), None);
}

#[test]
fn only_the_version_that_was_seen_is_decided_about() {
    let (new, revision) = (campaign(), revision());
    let case = Case { campaign: &new, revision: Some(&revision), required: 1 };
    for version in [0, 2, 4] {
        let approved = case.approve(&judge(3), version, NOW).map_err(|problem| problem.code());
        let rejected = case.reject(&judge(3), (version, "no"), NOW).map_err(|problem| problem.code());
        assert_eq!((approved, rejected), (Err(Code::VersionChanged), Err(Code::VersionChanged)));
    }
}

#[test]
fn a_rejected_campaign_is_over_with_a_note_and_an_account() {
    let new = campaign();
    let case = Case { campaign: &new, revision: None, required: 1 };
    let rejected = case.reject(&judge(3), (3, "Who sends this?"), NOW).expect("another's");
    assert_eq!((rejected.status, rejected.state_version), (Status::Cancelled, 10));
    assert_eq!(rejected.filing.rejection_note.as_deref(), Some("Who sends this?"));
    let counts = rejected.counts.expect("an account");
    assert_eq!((counts.total, counts.cancelled, rejected.receipts_over), (10, 10, true));
    assert_eq!(rejected.segment_counts, Some(counts));
    assert_eq!(refusal(&rejected, None, &judge(3)), Some(Code::AlreadyDecided));
}

#[test]
fn what_is_not_in_the_queue_is_a_conflict_that_names_a_decision_if_there_was_one() {
    let revision = revision();
    let approved = |status, required| {
        let new = campaign();
        let case = Case { campaign: &new, revision: Some(&revision), required };
        Campaign { status, ..case.approve(&judge(3), 3, NOW).expect("another's") }
    };
    let decided =
        [Status::Building, Status::Pending, Status::Sending, Status::Paused, Status::Done, Status::Failed];
    for status in decided.into_iter().chain([Status::Cancelled, Status::Expired]) {
        assert_eq!(
            refusal(&approved(status, 1), Some(&revision), &judge(4)),
            Some(Code::AlreadyDecided),
            "{status}"
        );
    }
    for status in [Status::Cancelled, Status::Expired] {
        let undecided = Campaign { status, ..campaign() };
        assert_eq!(refusal(&undecided, Some(&revision), &judge(4)), Some(Code::StateConflict), "{status}");
    }
    let mut archived = campaign();
    archived.filing.archived_at = Some(NOW);
    assert_eq!(refusal(&archived, Some(&revision), &judge(4)), Some(Code::StateConflict));
}
