//! What every store must do, written once and run on every backend.
//!
//! A backend gives a [`Fixture`] and invokes [`catalog_contract`] and [`journal_contract`] in its test module; each
//! function here is one promise of [`Catalog`](super::Catalog) or [`Journal`](super::Journal).

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod audit_queries;
pub(super) mod campaigns;
pub(super) mod catalog;
pub(super) mod erasing;
pub(super) mod job_errors;
pub(super) mod journal;
pub(super) mod lists;
pub(super) mod revisions;
pub(super) mod suppressions;
pub(super) mod templates;
pub(super) mod traffic;

/// One installation of a backend that can be closed and opened again.
pub(super) trait Fixture {
    /// The opened store.
    type Store;

    /// Opens it; the former one was dropped.
    async fn open(&self) -> Self::Store;
}

macro_rules! contract_tests {
    ($module:ident, $fixture:expr, $($name:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                crate::store::contract::$module::$name(&$fixture).await;
            }
        )*
    };
}

macro_rules! catalog_contract {
    ($fixture:expr) => {
        crate::store::contract::contract_tests! { catalog, $fixture,
            what_was_applied_is_found_again_by_id_and_by_key
            a_conflict_leaves_neither_entity_nor_audit
            a_taken_key_leaves_neither_entity_nor_audit
            a_foreign_entity_is_as_absent_as_one_that_never_was
            a_foreign_entity_cannot_be_changed_or_moved
            a_list_is_paged_newest_first_and_filtered_by_status
            audit_is_dense_in_each_log_and_tells_before_and_after
            a_change_of_a_workspace_is_in_its_own_log_and_from_outside_in_the_platforms
            a_change_that_only_counts_conflicts_and_is_no_event
            a_long_audit_log_is_read_in_pages
            campaign_numbers_and_epochs_never_repeat
        }
        crate::store::contract::contract_tests! { accounts, $fixture,
            an_account_is_found_by_its_email_and_changed_by_one_at_a_time
            super_admins_are_listed_and_of_two_changes_of_who_they_are_one_is_first
            memberships_of_an_account_are_listed_as_far_as_the_scope_reaches
            one_is_a_member_once_and_may_come_back_when_removed
            one_asks_to_join_once_until_it_is_decided
            no_audit_event_holds_a_credential
            what_serves_the_machinery_is_not_audited_and_is_purged_by_age
        }
        crate::store::contract::contract_tests! { campaigns, $fixture,
            a_list_gives_exactly_what_its_filters_let_through_in_every_order
            a_page_stays_where_it_was_while_others_change
            a_list_follows_the_name_of_its_sender
            a_search_takes_every_character_literally_and_folds_all_letters
            a_scope_of_several_workspaces_hides_what_others_created
            an_impossible_list_is_refused
            an_overview_counts_what_is_not_archived_and_ranks_recent_authors
        }
        crate::store::contract::contract_tests! { revisions, $fixture,
            what_a_revision_was_saved_with_never_changes
            a_revision_moves_on_with_note_and_decision
        }
        crate::store::contract::contract_tests! { templates, $fixture,
            what_a_template_version_was_saved_with_never_changes
            a_template_is_listed_where_it_stands_and_archived_gives_its_name_free
        }
        crate::store::contract::contract_tests! { audit, $fixture,
            every_log_is_a_chain_of_its_own_that_can_be_checked
            the_logs_that_hold_anything_are_listed_in_pages
            a_note_is_an_event_in_the_log_that_it_is_for
            a_note_that_is_stored_already_is_skipped
            impossible_notes_leave_nothing
            only_whole_segments_whose_newest_event_is_old_enough_expire
            what_has_expired_leaves_a_log_that_can_still_be_checked
        }
        crate::store::contract::contract_tests! { audit_queries, $fixture,
            a_query_gives_exactly_what_it_asks_for_newest_first_in_pages_of_any_size
            a_rare_event_behind_many_others_is_reached_page_by_page
            too_many_people_are_refused
        }
        crate::store::contract::contract_tests! { suppressions, $fixture,
            suppressions_come_back_by_number_in_pages
            a_suppression_keeps_its_first_time_and_source
            only_the_kinds_that_are_named_are_taken_back
            no_scope_sees_or_changes_the_list_of_another
            a_call_about_suppressions_has_one_event_without_a_number
            an_impossible_call_about_suppressions_leaves_nothing
        }
        crate::store::contract::contract_tests! { traffic, $fixture,
            traffic_is_told_by_hour_and_by_campaign_and_replaced_whole
            traffic_of_a_campaign_that_is_not_there_is_not_stored
        }
        crate::store::contract::contract_tests! { job_errors, $fixture,
            job_errors_come_back_in_order_and_in_pages
            only_the_first_job_errors_are_kept_and_all_are_counted
            a_long_detail_is_cut_between_characters
            job_errors_of_another_scope_or_campaign_are_not_there
            a_new_file_replaces_the_job_errors_of_a_draft
        }
    };
}

macro_rules! journal_contract {
    ($fixture:expr) => {
        crate::store::contract::contract_tests! { journal, $fixture,
            recipients_come_back_as_they_went_in
            recipients_survive_a_restart
            an_upload_is_invisible_until_it_is_finished
            a_replaced_upload_leaves_nothing_of_the_former_one
            only_the_last_of_two_uploads_at_once_can_be_finished
            a_wrong_chunk_is_refused
            a_removed_campaign_is_gone_also_after_a_restart
            state_comes_back_as_it_was_saved
            states_survive_a_restart_with_their_watermark
            state_of_an_unknown_campaign_is_not_found
            rows_come_back_in_order_from_any_place
            several_commits_in_flight_keep_their_order
            a_row_that_does_not_follow_is_not_applied
            the_newest_row_survives_trimming_and_restarts
            trimming_many_rows_keeps_the_rest
            housekeeping_loses_nothing
        }
        crate::store::contract::contract_tests! { lists, $fixture,
            values_come_back_to_the_octet
            an_empty_list_is_a_list
            a_list_grows_with_charges_and_watermark
            what_would_leave_a_gap_in_a_list_saves_nothing
            a_header_survives_a_restart_and_not_a_new_upload
            every_stored_list_is_named_in_pages_and_no_other
        }
        crate::store::contract::contract_tests! { erasing, $fixture,
            an_erased_number_leaves_its_hash_and_nothing_else
            a_number_is_erased_wherever_it_stands_and_times_stay
            values_of_another_shape_are_left_alone
        }
    };
}

pub(super) use {catalog_contract, contract_tests, journal_contract};
