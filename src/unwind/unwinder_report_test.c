/* SPDX-License-Identifier: MIT */
#include "unwind/unwinder_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PID 77

struct fixture {
    struct cfi_store *store;
    struct code_lookup *lookup;
    struct unwinder_report report;
};

static void map(struct fixture *fixture, const char *path, uint64_t start_ip, uint64_t inode)
{
    const struct event_image image = {.change = EVENT_IMAGE_MAPPED,
                                      .start_ip = start_ip,
                                      .end_ip = start_ip + 0x1000,
                                      .path = path,
                                      .inode = inode};
    const struct event event = {.kind = EVENT_IMAGE, .pid = PID, .image = &image};
    assert_int_equal(code_lookup_apply(fixture->lookup, &event), 0);
}

static void begin(struct fixture *fixture)
{
    assert_int_equal(cfi_store_new(&fixture->store), 0);
    const struct unwinder_config config = {.store = fixture->store};
    assert_int_equal(code_lookup_new(&config, &fixture->lookup), 0);
    unwinder_report_init(&fixture->report);
    map(fixture, "/none/a", 0x10000, 1);
    map(fixture, "/none/b", 0x20000, 2);
    map(fixture, "/none/c", 0x30000, 3);
}

static void end(struct fixture *fixture)
{
    unwinder_report_release(&fixture->report);
    code_lookup_free(fixture->lookup);
    cfi_store_free(fixture->store);
}

static void what_is_counted_is_told_when_it_is_published(void **state)
{
    (void)state;
    struct fixture fixture;
    struct unwinder_image_stats images[8];
    struct unwinder_stats stats = {.n_walked = 5}, told;
    begin(&fixture);
    struct unwinder_report *report = &fixture.report;
    unwinder_report_count_end(report, fixture.lookup, PID, 0x10010, EVENT_STACK_END_COPY);
    for (int i = 0; i < 2; i++) {
        unwinder_report_count_end(report, fixture.lookup, PID, 0x20010, EVENT_STACK_END_NO_TABLE);
    }
    assert_int_equal(unwinder_report_get_images(report, images, 8), 0);
    unwinder_report_get_stats(report, &told);
    assert_int_equal(told.n_walked, 0);

    unwinder_report_publish(report, fixture.lookup, &stats);
    unwinder_report_get_stats(report, &told);
    assert_int_equal(told.n_walked, 5);
    assert_int_equal(unwinder_report_get_images(report, images, 8), 2);
    assert_string_equal(images[0].path, "/none/b");
    assert_int_equal(images[0].n_ends[EVENT_STACK_END_NO_TABLE], 2);
    assert_string_equal(images[1].path, "/none/a");
    assert_int_equal(images[1].n_ends[EVENT_STACK_END_COPY], 1);
    assert_int_equal(unwinder_report_get_images(report, images, 1), 1);

    /* An image that stacks only pass through is told of too. */
    (void)code_lookup_find(fixture.lookup, PID, 0x30010, 0);
    unwinder_report_publish(report, fixture.lookup, &stats);
    assert_int_equal(unwinder_report_get_images(report, images, 8), 3);
    assert_string_equal(images[2].path, "/none/c");
    end(&fixture);
}

static void ends_outside_all_code_have_a_name(void **state)
{
    (void)state;
    struct fixture fixture;
    struct unwinder_image_stats images[8];
    const struct unwinder_stats stats = {0};
    begin(&fixture);
    unwinder_report_count_end(&fixture.report, fixture.lookup, PID, 0x999, EVENT_STACK_END_NO_CODE);
    unwinder_report_publish(&fixture.report, fixture.lookup, &stats);
    assert_int_equal(unwinder_report_get_images(&fixture.report, images, 8), 1);
    assert_string_equal(images[0].path, "[unknown]");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_counted_is_told_when_it_is_published),
        cmocka_unit_test(ends_outside_all_code_have_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
