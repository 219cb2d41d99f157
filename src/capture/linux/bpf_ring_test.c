/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "capture/linux/bpf_ring.h"

/*
 * A ring whose kernel is this test: two pages and the data, mapped once more
 * as the kernel maps them, the data twice in a row.
 */
struct fixture {
    int fd;
    size_t page_bytes, data_bytes;
    uint64_t *consumer, *producer;
    uint8_t *data;
    uint64_t head;
    struct bpf_ring ring;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.page_bytes = (size_t)sysconf(_SC_PAGESIZE)};
    fixture.data_bytes = fixture.page_bytes;
    fixture.fd = memfd_create("ring", MFD_CLOEXEC);
    assert_true(fixture.fd >= 0);
    assert_int_equal(ftruncate(fixture.fd, (off_t)(3 * fixture.page_bytes)), 0);
    uint8_t *memory =
        mmap(NULL, 4 * fixture.page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fixture.fd, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    /* The data once more, behind itself. */
    assert_ptr_not_equal(mmap(memory + 3 * fixture.page_bytes, fixture.page_bytes,
                              PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fixture.fd,
                              (off_t)(2 * fixture.page_bytes)),
                         MAP_FAILED);
    fixture.consumer = (uint64_t *)(void *)memory;
    fixture.producer = (uint64_t *)(void *)(memory + fixture.page_bytes);
    fixture.data = memory + 2 * fixture.page_bytes;
    fixture.ring = (struct bpf_ring){
        .consumer = fixture.consumer,
        .producer = fixture.producer,
        .data = fixture.data,
        .data_bytes = fixture.data_bytes,
    };
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    bpf_ring_release(&fixture->ring);
    assert_null(fixture->ring.consumer);
    bpf_ring_release(&fixture->ring);
    fd_close(fixture->fd);
    return 0;
}

/* Writes a record of n_bytes, filled with `mark`, whose length word is `claim`. */
static void put_record(struct fixture *fixture, size_t n_bytes, uint32_t claim, uint8_t mark)
{
    uint8_t *record = fixture->data + (fixture->head & (fixture->data_bytes - 1));
    memset(record, 0, BPF_RINGBUF_HDR_SZ);
    memcpy(record, &claim, sizeof(claim));
    memset(record + BPF_RINGBUF_HDR_SZ, mark, n_bytes);
    fixture->head += (n_bytes + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
    __atomic_store_n(fixture->producer, fixture->head, __ATOMIC_RELEASE);
}

static void put(struct fixture *fixture, size_t n_bytes, uint8_t mark)
{
    put_record(fixture, n_bytes, (uint32_t)n_bytes, mark);
}

static void assert_record(struct fixture *fixture, size_t wanted_bytes, uint8_t mark)
{
    size_t n_bytes = 0;
    const uint8_t *record = bpf_ring_next(&fixture->ring, &n_bytes);
    assert_non_null(record);
    assert_int_equal(n_bytes, wanted_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        assert_int_equal(record[i], mark);
    }
}

static void assert_nothing_more(struct fixture *fixture)
{
    size_t n_bytes;
    assert_null(bpf_ring_next(&fixture->ring, &n_bytes));
}

static void an_empty_ring_has_nothing(void **state)
{
    struct fixture *fixture = *state;
    bpf_ring_begin(&fixture->ring);
    assert_nothing_more(fixture);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, 0);
}

static void records_come_in_order_and_are_given_back(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, 1, 'a');
    put(fixture, 8, 'b');
    put(fixture, 71, 'c');
    put(fixture, 0, 'd');
    bpf_ring_begin(&fixture->ring);
    put(fixture, 16, 'e'); /* too late for this round */
    assert_record(fixture, 1, 'a');
    assert_record(fixture, 8, 'b');
    assert_record(fixture, 71, 'c');
    assert_record(fixture, 0, 'd');
    assert_nothing_more(fixture);
    assert_int_equal(*fixture->consumer, 0);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, 16 + 16 + 80 + 8);
    assert_int_equal(fixture->ring.fill_max_bytes, 16 + 16 + 80 + 8);
    bpf_ring_begin(&fixture->ring);
    assert_record(fixture, 16, 'e');
    assert_nothing_more(fixture);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, fixture->head);
}

/* The data stands there twice, so that no record is in two pieces. */
static void records_go_over_the_end_in_one_piece(void **state)
{
    struct fixture *fixture = *state;
    for (uint8_t i = 0; i < 200; i++) {
        size_t n_bytes = 700 + i;
        put(fixture, n_bytes, i);
        put(fixture, 3 * n_bytes, (uint8_t)(i + 1));
        bpf_ring_begin(&fixture->ring);
        assert_record(fixture, n_bytes, i);
        assert_record(fixture, 3 * n_bytes, (uint8_t)(i + 1));
        assert_nothing_more(fixture);
        bpf_ring_end(&fixture->ring);
        assert_int_equal(*fixture->consumer, fixture->head);
    }
    assert_true(fixture->head > 100 * fixture->data_bytes);
}

static void a_record_that_is_being_written_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, 24, 'a');
    uint64_t at = fixture->head;
    put_record(fixture, 40, 40 | BPF_RINGBUF_BUSY_BIT, 'b');
    put(fixture, 24, 'c');
    bpf_ring_begin(&fixture->ring);
    assert_record(fixture, 24, 'a');
    assert_nothing_more(fixture);
    assert_nothing_more(fixture);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, at);
    const uint32_t n_bytes = 40;
    memcpy(fixture->data + at, &n_bytes, sizeof(n_bytes));
    bpf_ring_begin(&fixture->ring);
    assert_record(fixture, 40, 'b');
    assert_record(fixture, 24, 'c');
    assert_nothing_more(fixture);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, fixture->head);
}

static void what_was_given_up_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    put_record(fixture, 100, 100 | BPF_RINGBUF_DISCARD_BIT, 'x');
    put(fixture, 5, 'a');
    put_record(fixture, 9, 9 | BPF_RINGBUF_DISCARD_BIT, 'y');
    bpf_ring_begin(&fixture->ring);
    assert_record(fixture, 5, 'a');
    assert_nothing_more(fixture);
    bpf_ring_end(&fixture->ring);
    assert_int_equal(*fixture->consumer, fixture->head);
}

/* No kernel writes them; a reader must neither leave the ring nor stay where it is. */
static void lengths_that_cannot_be_end_the_round(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t lengths[] = {25, 4096, 4097, UINT32_MAX >> 2,
                                UINT32_MAX & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        put(fixture, 8, 'a');
        put_record(fixture, 24, lengths[i], 'b');
        bpf_ring_begin(&fixture->ring);
        assert_record(fixture, 8, 'a');
        assert_nothing_more(fixture);
        bpf_ring_end(&fixture->ring);
        assert_int_equal(*fixture->consumer, fixture->head);
    }
    put(fixture, 8, 'c');
    bpf_ring_begin(&fixture->ring);
    assert_record(fixture, 8, 'c');
    bpf_ring_end(&fixture->ring);
}

static void what_is_no_ring_is_refused(void **state)
{
    (void)state;
    struct bpf_ring ring = {0};
    _cleanup_(fd_closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(bpf_ring_open(fd, 4096, &ring) < 0);
    assert_int_equal(bpf_ring_open(-1, 4096, &ring), -EBADF);
    assert_null(ring.consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_ring_has_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_come_in_order_and_are_given_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(records_go_over_the_end_in_one_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_is_being_written_is_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_given_up_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lengths_that_cannot_be_end_the_round, set_up, tear_down),
        cmocka_unit_test(what_is_no_ring_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
