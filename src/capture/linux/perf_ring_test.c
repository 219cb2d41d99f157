/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "capture/linux/perf_ring.h"

/* A ring whose kernel is this test: the same memory, mapped a second time. */
struct fixture {
    int fd;
    size_t page_bytes, data_bytes;
    struct perf_event_mmap_page *page;
    uint8_t *data;
    uint64_t head;
    struct perf_ring ring;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.page_bytes = (size_t)sysconf(_SC_PAGESIZE)};
    fixture.data_bytes = fixture.page_bytes;
    size_t n_bytes = fixture.page_bytes + fixture.data_bytes;
    fixture.fd = memfd_create("ring", MFD_CLOEXEC);
    assert_true(fixture.fd >= 0);
    assert_int_equal(ftruncate(fixture.fd, (off_t)n_bytes), 0);
    fixture.page = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fixture.fd, 0);
    assert_ptr_not_equal(fixture.page, MAP_FAILED);
    fixture.data = (uint8_t *)fixture.page + fixture.page_bytes;
    assert_int_equal(perf_ring_open(fixture.fd, fixture.data_bytes, &fixture.ring), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    perf_ring_release(&fixture->ring);
    munmap(fixture->page, fixture->page_bytes + fixture->data_bytes);
    fd_close(fixture->fd);
    return 0;
}

static void put_byte(struct fixture *fixture, uint8_t byte)
{
    fixture->data[fixture->head++ & (fixture->data_bytes - 1)] = byte;
}

/* Writes a record of n_bytes, filled with `mark`, that claims to be claimed_bytes long. */
static void put_record(struct fixture *fixture, uint16_t n_bytes, uint16_t claimed_bytes,
                       uint8_t mark)
{
    const struct perf_event_header header = {.type = mark, .size = claimed_bytes};
    uint8_t bytes[sizeof(header)];
    memcpy(bytes, &header, sizeof(header));
    for (uint16_t i = 0; i < n_bytes; i++) {
        put_byte(fixture, i < sizeof(header) ? bytes[i] : mark);
    }
    __atomic_store_n(&fixture->page->data_head, fixture->head, __ATOMIC_RELEASE);
}

static void assert_record(struct fixture *fixture, uint16_t wanted_bytes, uint8_t mark)
{
    size_t n_bytes = 0;
    bool is_corrupt = true;
    const uint8_t *record = perf_ring_next(&fixture->ring, &n_bytes, &is_corrupt);
    assert_non_null(record);
    assert_false(is_corrupt);
    assert_int_equal(n_bytes, wanted_bytes);
    for (size_t i = sizeof(struct perf_event_header); i < n_bytes; i++) {
        assert_int_equal(record[i], mark);
    }
}

static void assert_empty(struct fixture *fixture, bool wants_corrupt)
{
    size_t n_bytes;
    bool is_corrupt = !wants_corrupt;
    assert_null(perf_ring_next(&fixture->ring, &n_bytes, &is_corrupt));
    assert_int_equal(is_corrupt, wants_corrupt);
}

static void records_come_out_as_they_went_in(void **state)
{
    struct fixture *fixture = *state;
    perf_ring_begin(&fixture->ring);
    assert_empty(fixture, false);
    perf_ring_end(&fixture->ring);
    put_record(fixture, 16, 16, 1);
    put_record(fixture, 200, 200, 2);
    perf_ring_begin(&fixture->ring);
    put_record(fixture, 24, 24, 3); /* comes after the round began */
    assert_record(fixture, 16, 1);
    assert_record(fixture, 200, 2);
    assert_empty(fixture, false);
    assert_int_equal(fixture->page->data_tail, 0); /* not given back before the end */
    perf_ring_end(&fixture->ring);
    assert_int_equal(fixture->page->data_tail, 216);
    perf_ring_begin(&fixture->ring);
    assert_record(fixture, 24, 3);
    perf_ring_end(&fixture->ring);
    assert_int_equal(fixture->ring.fill_max_bytes, 216);
}

/* Many times round, so that records wrap at every possible place, the header included. */
static void records_wrap_around_the_end(void **state)
{
    struct fixture *fixture = *state;
    uint16_t sizes_bytes[] = {8, 16, 104, 1000, 24, 3000, 40, 4088};
    for (unsigned int i = 0; i < 10000; i++) {
        uint16_t n_bytes = sizes_bytes[i % 8];
        put_record(fixture, n_bytes, n_bytes, (uint8_t)i);
        perf_ring_begin(&fixture->ring);
        assert_record(fixture, n_bytes, (uint8_t)i);
        assert_empty(fixture, false);
        perf_ring_end(&fixture->ring);
        assert_int_equal(fixture->page->data_tail, fixture->head);
    }
    assert_int_equal(fixture->ring.fill_max_bytes, 4088);
}

static void a_full_ring_is_read_completely(void **state)
{
    struct fixture *fixture = *state;
    put_record(fixture, 48, 48, 1); /* so that the full one does not begin at 0 */
    perf_ring_begin(&fixture->ring);
    assert_record(fixture, 48, 1);
    perf_ring_end(&fixture->ring);
    unsigned int n_records = (unsigned int)(fixture->data_bytes / 32);
    for (unsigned int i = 0; i < n_records; i++) {
        put_record(fixture, 32, 32, (uint8_t)i);
    }
    perf_ring_begin(&fixture->ring);
    for (unsigned int i = 0; i < n_records; i++) {
        assert_record(fixture, 32, (uint8_t)i);
    }
    assert_empty(fixture, false);
    perf_ring_end(&fixture->ring);
    assert_int_equal(fixture->ring.fill_max_bytes, fixture->data_bytes);
}

static void corrupt_sizes_end_the_round(void **state)
{
    struct fixture *fixture = *state;
    const uint16_t claims[] = {0, 1, 7, 17, 4000, UINT16_MAX};
    for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++) {
        put_record(fixture, 32, 32, 1);
        put_record(fixture, 16, claims[i], 2);
        perf_ring_begin(&fixture->ring);
        assert_record(fixture, 32, 1);
        assert_empty(fixture, true);
        assert_empty(fixture, false);
        perf_ring_end(&fixture->ring);
        assert_int_equal(fixture->page->data_tail, fixture->head);
        /* The next round is whole again. */
        put_record(fixture, 24, 24, 3);
        perf_ring_begin(&fixture->ring);
        assert_record(fixture, 24, 3);
        perf_ring_end(&fixture->ring);
    }
}

static void what_cannot_be_mapped_is_told(void **state)
{
    (void)state;
    struct perf_ring ring = {0};
    assert_int_equal(perf_ring_open(-1, 4096, &ring), -EBADF);
    assert_null(ring.mapping);
    perf_ring_release(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_out_as_they_went_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_wrap_around_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_ring_is_read_completely, set_up, tear_down),
        cmocka_unit_test_setup_teardown(corrupt_sizes_end_the_round, set_up, tear_down),
        cmocka_unit_test(what_cannot_be_mapped_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
