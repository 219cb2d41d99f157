/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "aggregate/span_log.h"

static void details_come_back_as_told(void **state)
{
    (void)state;
    struct span_log log;
    struct event_span_details details = {.queue_id = 3, .source_line = 77}, copy;
    assert_int_equal(span_log_init(&log), 0);
    for (uint32_t i = 0; i < 3 * CHUNKED_ITEMS; i++) {
        struct stored_span span = {.start_ns = i, .end_ns = i + 1};
        details.dispatch_id = i;
        details.n_counters = i % 3 == 0 ? i % LIMIT_SPAN_DETAILS : 0;
        details.n_attachments = i % 5 == 0 ? i % LIMIT_SPAN_DETAILS : 0;
        for (uint32_t k = 0; k < LIMIT_SPAN_DETAILS; k++) {
            details.counters[k].value = i + k;
            details.attachments[k].size_bytes = i * k;
        }
        assert_int_equal(span_log_store(&log, &span, i % 7 == 0 ? NULL : &details), 0);
    }
    for (uint32_t i = 0; i < 3 * CHUNKED_ITEMS; i++) {
        const struct stored_span *span = span_log_at(&log, i);
        assert_int_equal(span->start_ns, i);
        assert_int_equal(span->details == STORED_SPAN_NO_DETAILS, i % 7 == 0);
        if (i % 7 == 0) {
            continue;
        }
        const struct event_span_details *told = span_log_details(&log, span->details);
        memcpy(&copy, told, sizeof(copy)); /* there is memory behind each */
        assert_int_equal(told->queue_id, 3);
        assert_int_equal(told->dispatch_id, i);
        assert_int_equal(told->n_counters, i % 3 == 0 ? i % LIMIT_SPAN_DETAILS : 0);
        assert_int_equal(told->n_attachments, i % 5 == 0 ? i % LIMIT_SPAN_DETAILS : 0);
        for (uint32_t k = 0; k < told->n_counters; k++) {
            assert_true(told->counters[k].value == i + k);
        }
        for (uint32_t k = 0; k < told->n_attachments; k++) {
            assert_int_equal(told->attachments[k].size_bytes, i * k);
        }
    }
    assert_int_equal(log.n_details_left_out, 0);
    span_log_release(&log);
}

static void hostile_counts_are_cut(void **state)
{
    (void)state;
    struct span_log log;
    const struct event_span_details details = {.n_counters = 5000, .n_attachments = 70000};
    struct stored_span span = {.end_ns = 1};
    assert_int_equal(span_log_init(&log), 0);
    assert_int_equal(span_log_store(&log, &span, &details), 0);
    const struct event_span_details *told = span_log_details(&log, span.details);
    assert_int_equal(told->n_counters, LIMIT_SPAN_DETAILS);
    assert_int_equal(told->n_attachments, LIMIT_SPAN_DETAILS);
    span_log_release(&log);
}

static void the_oldest_chunk_ends_with_its_latest_span(void **state)
{
    (void)state;
    struct span_log log;
    assert_int_equal(span_log_init(&log), 0);
    for (uint64_t i = 0; i <= CHUNKED_ITEMS; i++) {
        struct stored_span span = {.end_ns = i == 100 ? 1000000 : i};
        assert_int_equal(span_log_oldest_end_ns(&log, UINT64_MAX), UINT64_MAX);
        assert_int_equal(span_log_store(&log, &span, NULL), 0);
    }
    assert_int_equal(span_log_oldest_end_ns(&log, CHUNKED_ITEMS), 1000000);
    assert_int_equal(span_log_oldest_end_ns(&log, CHUNKED_ITEMS - 1), UINT64_MAX); /* is pending */
    span_log_release(&log);
}

/* As the spans of it are gone, and not before. */
static void details_get_old_with_their_spans(void **state)
{
    (void)state;
    struct span_log log;
    const struct event_span_details details = {.queue_id = 1};
    assert_int_equal(span_log_init(&log), 0);
    for (uint64_t i = 0; i < 3 * CHUNKED_ITEMS; i++) {
        struct stored_span span = {.end_ns = i};
        assert_int_equal(span_log_store(&log, &span, &details), 0);
    }
    assert_false(span_log_has_old_details(&log, DETAILS_SMALL));
    chunked_chunk_free(chunked_drop_oldest(&log.spans), log.spans.item_bytes);
    assert_true(span_log_has_old_details(&log, DETAILS_SMALL));
    assert_false(span_log_has_old_details(&log, DETAILS_LARGE));
    uint32_t first = span_log_at(&log, CHUNKED_ITEMS)->details;
    chunked_chunk_free(chunked_drop_oldest(&log.details[DETAILS_SMALL]),
                       log.details[DETAILS_SMALL].item_bytes);
    assert_false(span_log_has_old_details(&log, DETAILS_SMALL));
    assert_int_equal(span_log_details(&log, first)->queue_id, 1);
    uint32_t kept = span_log_keep_details(&log, &details);
    assert_true(span_log_has_kept(kept));
    assert_false(span_log_has_kept(first));
    assert_false(span_log_has_kept(STORED_SPAN_NO_DETAILS));
    assert_int_equal(span_log_details(&log, kept)->queue_id, 1);
    assert_true(span_log_memory_bytes(&log) > 1u << 20);
    span_log_release(&log);
}

static void more_details_than_there_is_room_for_are_counted(void **state)
{
    (void)state;
    struct span_log log;
    const struct event_span_details details = {.queue_id = 1};
    assert_int_equal(span_log_init(&log), 0);
    for (uint64_t i = 0; i < KEPT_DETAILS_MAX; i++) {
        assert_int_not_equal(span_log_keep_details(&log, &details), STORED_SPAN_NO_DETAILS);
    }
    assert_int_equal(span_log_keep_details(&log, &details), STORED_SPAN_NO_DETAILS);
    assert_int_equal(log.n_details_left_out, 1);
    span_log_release(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(details_come_back_as_told),
        cmocka_unit_test(hostile_counts_are_cut),
        cmocka_unit_test(the_oldest_chunk_ends_with_its_latest_span),
        cmocka_unit_test(details_get_old_with_their_spans),
        cmocka_unit_test(more_details_than_there_is_room_for_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
