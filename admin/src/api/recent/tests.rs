//! What is known for how long, and what a change takes out of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::accounts::opening;
use engine::model::{Login, Policies, Preferences, Principal, Role, Terms};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn user(n: u128) -> User {
    User {
        id: UserId(Uuid::from_u128(n)),
        email: format!("{n}@example.com"),
        name: String::new(),
        credential: None,
        super_admin: false,
        preferences: Preferences::default(),
        version: 0,
        created_at: at(0),
        disabled_at: None,
    }
}

fn login(of: &User) -> Login {
    opening(of.id, &Principal::engine(), at(0)).1
}

fn workspace(n: u128) -> Workspace {
    Workspace {
        id: WorkspaceId(Uuid::from_u128(n)),
        slug: format!("w{n}"),
        name: String::new(),
        time_zone: "UTC".to_owned(),
        weight: 1,
        rate_per_s: 0,
        daily_limit: None,
        quiet_hours: None,
        stop_keywords: Vec::new(),
        policies: Policies::default(),
        terms: Terms::default(),
        version: 0,
        created_at: at(0),
    }
}

fn membership(user: &User, workspace: &Workspace) -> Membership {
    Membership {
        id: Uuid::from_u128(9),
        workspace_id: workspace.id,
        user_id: user.id,
        role: Role::Author,
        is_moderator: false,
        version: 0,
        created_at: at(0),
        expires_at: Some(at(200)),
        removed_at: None,
    }
}

/// A memory of two people with the secrets `1` and `2`, each in the workspaces `w1` and `w2`.
fn filled() -> (Recent, [(User, Login); 2]) {
    let recent = Recent::default();
    let people = [1, 2].map(|n| (user(n), login(&user(n))));
    for (n, (user, login)) in people.iter().enumerate() {
        let met = (Arc::new(user.clone()), Proof::Login(Arc::new(login.clone())));
        recent.keep_caller(recent.mark(), (n + 1).to_string(), met, at(0));
        for workspace in [1, 2].map(workspace) {
            let of = membership(user, &workspace);
            let whose = (user.id, workspace.slug.clone());
            recent.keep_place(recent.mark(), whose, (Arc::new(workspace), Some(of)), at(0));
        }
    }
    (recent, people)
}

/// Which callers, and which places of theirs, are known at the beginning.
fn known(recent: &Recent) -> String {
    let mut known = Vec::new();
    for n in [1, 2] {
        known.extend(recent.caller(&n.to_string(), at(0)).map(|_| n.to_string()));
        for slug in ["w1", "w2"] {
            known.extend(recent.place(&(user(n).id, slug.to_owned()), at(0)).map(|_| format!("{n}{slug}")));
        }
    }
    known.join(" ")
}

#[test]
fn what_was_found_is_known_for_minutes_and_no_longer_than_it_holds() {
    let (recent, [(ann, of_ann), _]) = filled();
    assert_eq!(recent.caller("1", at(299)).unwrap().0.id, ann.id);
    assert!(recent.caller("1", at(300)).is_none());
    assert!(recent.caller("3", at(0)).is_none());
    let place = |second| recent.place(&(ann.id, "w1".to_owned()), at(second));
    assert!(place(199).unwrap().1.is_some());
    assert!(place(200).unwrap().1.is_none(), "the membership has ended");
    assert!(place(300).is_none());
    let short = Login { expires_at: at(10), ..of_ann };
    recent.keep_caller(recent.mark(), "4".to_owned(), (Arc::new(ann), Proof::Login(Arc::new(short))), at(0));
    assert!(recent.caller("4", at(9)).is_some() && recent.caller("4", at(10)).is_none());
}

#[test]
fn a_change_takes_out_exactly_what_it_concerns() {
    let all = "1 1w1 1w2 2 2w1 2w2";
    let (ann, of_ann) = &filled().1[0];
    let ended = Login { ended_at: Some(at(1)), ..of_ann.clone() };
    let table = [
        (Entity::User(ann.clone()), "2 2w1 2w2"),
        (Entity::Membership(membership(ann, &workspace(2))), "1 1w1 2 2w1 2w2"),
        (Entity::Workspace(workspace(1)), "1 1w2 2 2w2"),
    ];
    for (entity, left) in table {
        let (recent, _) = filled();
        assert_eq!(known(&recent), all);
        recent.forget(&[Concern::of(&entity).unwrap()]);
        assert_eq!(known(&recent), left, "{entity:?}");
    }
    assert_eq!(Concern::of(&Entity::Login(of_ann.clone())), None, "a new login takes nothing out");
    let (recent, [(_, login), _]) = filled();
    assert_eq!(Concern::of(&Entity::Login(ended)), Some(Concern::Proof(of_ann.id)));
    recent.forget(&[Concern::Proof(login.id)]);
    assert_eq!(known(&recent), "1w1 1w2 2 2w1 2w2");
    recent.refuse_caller("2");
    assert_eq!(known(&recent), "1w1 1w2 2w1 2w2");
}

#[test]
fn what_was_read_before_a_change_is_not_kept_behind_it() {
    let (recent, [(ann, login), _]) = filled();
    let mark = recent.mark();
    recent.forget(&[Concern::User(ann.id)]);
    let (whose, workspace) = ((ann.id, "w1".to_owned()), Arc::new(workspace(1)));
    recent.keep_place(mark, whose, (workspace, None), at(0));
    recent.keep_caller(mark, "1".to_owned(), (Arc::new(ann), Proof::Login(Arc::new(login))), at(0));
    assert_eq!(known(&recent), "2 2w1 2w2");
}

#[test]
fn it_never_holds_more_than_its_limit() {
    let recent = Recent::default();
    let (ann, of_ann) = (Arc::new(user(1)), Arc::new(login(&user(1))));
    for n in 0..=MAX_KEPT {
        let met = (Arc::clone(&ann), Proof::Login(Arc::clone(&of_ann)));
        recent.keep_caller(recent.mark(), n.to_string(), met, at(0));
        assert!(recent.kept().callers.len() <= MAX_KEPT);
    }
    assert!(recent.caller(&MAX_KEPT.to_string(), at(0)).is_some(), "the newest is there");
}
