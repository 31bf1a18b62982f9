//! Expiry of audit events: what is older than the retention in force goes, once an hour.
//!
//! The platform's settings say how long; until somebody made any, the configuration does.

use crate::settings::stored;
use engine::Clock;
use engine::model::{Principal, expired_before};
use engine::store::{Catalog, StoreError};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(3600);

/// Drops what has expired at `now`; gives how many events went.
///
/// # Errors
/// Those of the store; what went before is gone.
pub async fn expire(catalog: &dyn Catalog, first_days: u32, now: Timestamp) -> Result<u64, StoreError> {
    let settings = stored(catalog).await?;
    let days = settings.map_or(first_days, |settings| settings.audit_retention_in_force(now));
    let mut events = 0;
    loop {
        let expiry = catalog.expire_audit(expired_before(days, now), &Principal::engine(), now).await?;
        events += expiry.events;
        if !expiry.more {
            return Ok(events);
        }
        tokio::task::yield_now().await;
    }
}

/// Does so every hour until it is dropped.
pub async fn keep_expiring(catalog: Arc<dyn Catalog>, clock: Clock, first_days: u32) {
    loop {
        match expire(&*catalog, first_days, clock.timestamp()).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "audit events have expired"),
            Err(error) => tracing::warn!(%error, "audit events that have expired stay for now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
