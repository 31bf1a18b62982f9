//! Answers that refuse, come late, never, twice, in the wrong order or for somebody else.

use super::{End, LIMIT, SHORT, Story, impatient, with};
use bench::smsc::{Config, Fault};
use engine::model::Status;
use std::time::{Duration, Instant};
use tests::rig::RigOptions;

/// Runs a campaign of 2,000 against one fault with a short response timeout.
async fn against(fault: Fault, share: f64) -> End {
    Story::tell(with(&[(fault, share)]), 2_000, impatient()).await.end().await
}

#[tokio::test]
async fn throttled_submits_are_sent_again_until_they_are_taken() {
    let end = against(Fault::Throttled, 0.3).await;
    assert!(end.struck(Fault::Throttled) > 200);
    assert_eq!(end.counts.sent, 2_000);
}

#[tokio::test]
async fn a_full_queue_is_treated_as_throttling() {
    let end = against(Fault::QueueFull, 0.3).await;
    assert!(end.struck(Fault::QueueFull) > 200);
    assert_eq!(end.counts.sent, 2_000);
}

#[tokio::test]
async fn a_system_error_is_tried_again_and_given_up_in_the_end() {
    let end = against(Fault::SysErr, 0.3).await;
    // Three attempts: 2.7 % of all fail.
    assert!((10..150).contains(&end.counts.failed), "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.failed, 2_000);
    let failed = end.exact.refused.values().filter(|count| **count == 3).count() as u64;
    assert_eq!(failed, end.counts.failed, "given up after the third attempt, not earlier");
}

#[tokio::test]
async fn a_definite_refusal_is_final_and_not_repeated() {
    let end = against(Fault::Refuse(0x0B), 0.2).await;
    assert_eq!(end.counts.rejected, end.struck(Fault::Refuse(0x0B)));
    assert_eq!(end.counts.sent + end.counts.rejected, 2_000);
}

#[tokio::test]
async fn a_generic_nack_counts_as_a_refusal_of_its_submit() {
    let end = against(Fault::GenericNack, 0.3).await;
    assert!(end.struck(Fault::GenericNack) > 200);
    assert_eq!(end.counts.sent + end.counts.failed, 2_000);
}

#[tokio::test]
async fn exactly_the_unanswered_submits_become_unknown() {
    let end = against(Fault::NoResponse, 0.05).await;
    assert_eq!(end.counts.unknown, end.struck(Fault::NoResponse));
    assert_eq!(end.counts.sent + end.counts.unknown, 2_000);
    assert_eq!(end.accepted(), 2_000);
}

#[tokio::test]
async fn an_smsc_that_never_answers_makes_all_unknown_and_nothing_is_repeated() {
    let end = Story::tell(with(&[(Fault::NeverRespond, 1.0)]), 300, impatient()).await.end().await;
    assert_eq!(end.counts.unknown, 300);
    assert_eq!(end.accepted(), 300);
}

#[tokio::test]
async fn pause_and_cancel_are_acknowledged_by_an_engine_whose_smsc_never_answers() {
    let story = Story::tell(with(&[(Fault::NeverRespond, 1.0)]), 3_000, RigOptions::default()).await;
    story.until_submits(100).await;
    let begun = Instant::now();
    story.rig.pause().await.unwrap();
    story.rig.cancel().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "acknowledged after {:?}", begun.elapsed());
    assert_eq!(story.submits(), 100, "two full windows and no more");
    assert_eq!(story.rig.stored().await.unwrap().status, Status::Cancelled);
    let counts = story.rig.counts();
    assert_eq!((counts.in_flight, counts.cancelled), (100, 2_900), "{counts:?}");
    let begun = Instant::now();
    tokio::time::timeout(LIMIT, story.rig.engine.clone().shutdown()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "drained in {:?}, 5 s are allowed", begun.elapsed());
    let counts = story.rig.counts();
    assert_eq!((counts.unknown, counts.cancelled), (100, 2_900), "{counts:?}");
}

#[tokio::test]
async fn an_engine_whose_smsc_never_answers_ends_in_order_and_the_next_one_goes_on() {
    let mut story = Story::tell(with(&[(Fault::NeverRespond, 1.0)]), 1_000, RigOptions::default()).await;
    story.until_submits(100).await;
    story.smsc.update(|config| config.faults.clear()).unwrap();
    story.restart().await;
    assert_eq!(story.rig.engine.recovered(), (0, 0), "an orderly end leaves nothing open");
    let end = story.end().await;
    assert_eq!((end.counts.unknown, end.counts.sent), (100, 900));
}

#[tokio::test]
async fn answers_out_of_order_find_their_submits() {
    let end = against(Fault::Disorder, 0.5).await;
    assert!(end.struck(Fault::Disorder) > 500);
    assert_eq!(end.counts.sent, 2_000);
}

#[tokio::test]
async fn an_answer_to_a_number_never_given_settles_nobody() {
    let end = against(Fault::WrongSequence, 0.03).await;
    assert_eq!(end.counts.unknown, end.struck(Fault::WrongSequence));
    assert_eq!(end.counts.sent + end.counts.unknown, 2_000);
}

#[tokio::test]
async fn an_answer_with_the_wrong_command_settles_nobody() {
    let end = against(Fault::WrongCommand, 0.03).await;
    assert_eq!(end.counts.unknown, end.struck(Fault::WrongCommand));
    assert_eq!(end.counts.sent + end.counts.unknown, 2_000);
}

#[tokio::test]
async fn a_second_answer_changes_nothing_and_is_counted_as_a_stray() {
    let story = Story::tell(with(&[(Fault::DuplicateResponse, 0.3)]), 2_000, impatient()).await;
    story.rig.until_done(LIMIT).await.unwrap();
    let strays = |s: &Story| s.rig.engine.channels()[0].strays;
    story.until(|s| s.smsc.stats().faults.get("duplicate_response") == Some(&strays(s))).await;
    let end = story.close().await;
    assert!(end.struck(Fault::DuplicateResponse) > 300);
    assert_eq!(end.counts.sent, 2_000);
}

#[tokio::test]
async fn answers_later_than_the_timeout_are_strays_and_their_submits_stay_unknown() {
    let config = Config { latency_us: 900_000, ..Config::default() };
    let options = RigOptions { response_timeout: SHORT, ..RigOptions::default() };
    let story = Story::tell(config, 200, options).await;
    let counts = story.rig.until_done(LIMIT).await.unwrap();
    assert_eq!(counts.unknown, 200, "{counts:?}");
    story.until(|s| s.rig.engine.channels()[0].strays == 200).await;
    let end = story.close().await;
    assert_eq!((end.counts.unknown, end.accepted()), (200, 200));
}

#[tokio::test]
async fn message_ids_that_are_empty_or_too_long_settle_their_submits_all_the_same() {
    for fault in [Fault::EmptyMessageId, Fault::LongMessageId] {
        let end = against(fault, 0.3).await;
        assert!(end.struck(fault) > 300);
        assert_eq!(end.counts.sent, 2_000);
    }
}
