//! Streams that cannot be read: garbage, lengths that are none, PDUs cut short.

use super::{Story, impatient, with};
use bench::smsc::Fault;

/// The bind is given up, its window unknown, the rest goes over the next one.
async fn survives(fault: Fault) {
    let end = Story::tell(with(&[(fault, 0.001)]), 5_000, impatient()).await.end().await;
    let struck = end.struck(fault);
    assert!(end.counts.unknown >= 1 && end.counts.unknown <= struck * 50, "{struck}: {:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 5_000, "{:?}", end.counts);
    assert_eq!(end.accepted(), end.sure() + end.counts.unknown.min(end.accepted() - end.sure()));
}

#[tokio::test]
async fn garbage_in_mid_stream_costs_the_bind_and_no_recipient() {
    survives(Fault::Garbage).await;
}

#[tokio::test]
async fn a_command_length_that_is_none_costs_the_bind_and_no_recipient() {
    survives(Fault::BadLength).await;
}

#[tokio::test]
async fn a_pdu_cut_short_by_a_close_costs_the_bind_and_no_recipient() {
    survives(Fault::Truncated).await;
}
