//! The audit logs of an installation, asked for what each request has left in them.

use super::people::audit;
use serde_json::Value;
use tests::service::{Answer, Client};

/// The events of a workspace and of the platform.
pub(super) struct Trail(Vec<Value>);

impl Trail {
    /// Both logs as they are now, each without gaps.
    pub(super) async fn read(root: &Client, slug: &str) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for path in [format!("/w/{slug}/audit"), "/audit".to_owned()] {
            let events = audit(root, &path).await?;
            for pair in events.windows(2) {
                let (former, next) = (pair[0]["seq"].as_u64(), pair[1]["seq"].as_u64());
                assert_eq!(former.map(|seq| seq + 1), next, "a gap in {path}");
                assert!(pair[0]["at"].as_str() <= pair[1]["at"].as_str(), "{path} goes back in time");
            }
            all.extend(events);
        }
        Ok(Self(all))
    }

    /// What one request has left, in order.
    pub(super) fn of(&self, answer: &Answer) -> Vec<&Value> {
        assert!(!answer.request_id().is_empty());
        self.0.iter().filter(|event| event["request_id"] == answer.request_id()).collect()
    }

    /// One request has left exactly these actions, all by this account in this role, from this machine.
    #[track_caller]
    pub(super) fn assert_left(&self, answer: &Answer, (email, role): (&str, &str), actions: &[&str]) {
        let events = self.of(answer);
        let mut found: Vec<&str> = events.iter().filter_map(|event| event["action"].as_str()).collect();
        let mut wanted = actions.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{events:#?}");
        for event in events {
            assert_eq!((&event["actor"]["email"], &event["actor"]["role"]), (&email.into(), &role.into()));
            assert_eq!(event["address"], "127.0.0.1", "{event}");
            let at: jiff::Timestamp = event["at"].as_str().and_then(|at| at.parse().ok()).unwrap_or_default();
            let age = jiff::Timestamp::now().duration_since(at);
            assert!(age.abs() < jiff::SignedDuration::from_mins(10), "{event}");
        }
    }

    /// The only event of this action that one request has left.
    #[track_caller]
    pub(super) fn one(&self, answer: &Answer, action: &str) -> &Value {
        let events = self.of(answer);
        let mut found = events.into_iter().filter(|event| event["action"] == action);
        match (found.next(), found.next()) {
            (Some(event), None) => event,
            other => panic!("one {action} was expected: {other:?}"),
        }
    }

    /// The only event of this action about this entity.
    #[track_caller]
    pub(super) fn about(&self, entity: &str, action: &str) -> &Value {
        let mut found =
            self.0.iter().filter(|event| event["entity_id"] == entity && event["action"] == action);
        match (found.next(), found.next()) {
            (Some(event), None) => event,
            other => panic!("one {action} of {entity} was expected: {other:?}"),
        }
    }
}
