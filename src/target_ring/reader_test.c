/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target_ring/reader.h"
#include "target_ring/tables.h"
#include "target_ring/writer.h"

#define START_NS UINT64_C(5000000000)

static void *memory;
static int fd;
static struct target_ring_reader *reader;
static struct target_ring_poll poll;
static struct target_ring_record record;

static int set_up(void **state)
{
    (void)state;
    memory = NULL;
    fd = -1;
    reader = NULL;
    poll = (struct target_ring_poll){.now_ns = START_NS, .n_slots = 1000};
    return target_ring_memory_new(&memory, &fd) < 0 || fd < 0 ||
                   target_ring_reader_new(fd, &reader) != TARGET_RING_ACCEPTED
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    (void)state;
    reader = target_ring_reader_free(reader);
    munmap(memory, TARGET_RING_BYTES);
    close(fd);
    return 0;
}

static bool take(void)
{
    return target_ring_reader_take(reader, &poll, &record);
}

/* By atomic words: a sanitizer does not see that what the reader gives back is free again, since
 * the reader sees the memory at another address. */
static void write_slot(uint64_t position, uint16_t kind, uint16_t n_details, uint64_t mark)
{
    struct target_ring_slot slot = {
        .kind = kind, .n_details = n_details, .name = TARGET_RING_NAME_OTHER};
    struct target_ring_slot *shared = target_ring_slot_at(memory, position);
    if (kind == TARGET_RING_SPAN) {
        slot.span.start_ns = mark;
    } else {
        slot.words[0] = mark;
    }
    uint64_t words[sizeof(slot) / sizeof(uint64_t)];
    memcpy(words, &slot, sizeof(slot));
    for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++) {
        __atomic_store_n((uint64_t *)(void *)shared + i, words[i], __ATOMIC_RELAXED);
    }
    target_ring_publish(shared, position);
}

static uint64_t reserve(uint32_t n)
{
    uint64_t position = 0;
    assert_true(target_ring_reserve(memory, n, &position));
    return position;
}

static void write_span(uint64_t mark)
{
    write_slot(reserve(1), TARGET_RING_SPAN, 0, mark);
}

static void expect_span(uint64_t mark)
{
    assert_true(take());
    assert_int_equal(record.span.span.start_ns, mark);
}

/* A descriptor like the ring's, but for what the caller does to it. */
static int copy_of_ring(int seals, off_t n_bytes)
{
    int copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(copy >= 0);
    assert_int_equal(ftruncate(copy, n_bytes), 0);
    assert_int_equal(pwrite(copy, target_ring_state(memory), TARGET_RING_PAGE, TARGET_RING_PAGE),
                     TARGET_RING_PAGE);
    assert_int_equal(fcntl(copy, F_ADD_SEALS, seals), 0);
    return copy;
}

static void assert_refused(int take_fd, enum target_ring_refusal why)
{
    struct target_ring_reader *none = NULL;
    assert_int_equal(target_ring_reader_new(take_fd, &none), why);
    assert_null(none);
    assert_true(strlen(target_ring_refusal_text(why)) > 8);
    close(take_fd);
}

static void test_refusals(void **state)
{
    (void)state;
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct target_ring_state *words = target_ring_state(memory);
    assert_refused(-1, TARGET_RING_NO_MEMFD);
    assert_refused(open("/dev/null", O_RDWR | O_CLOEXEC), TARGET_RING_NO_MEMFD);
    assert_refused(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), TARGET_RING_NO_MEMFD);
    assert_refused(copy_of_ring(F_SEAL_GROW | F_SEAL_SEAL, TARGET_RING_BYTES),
                   TARGET_RING_NOT_SEALED);
    assert_refused(copy_of_ring(F_SEAL_SHRINK | F_SEAL_GROW, TARGET_RING_BYTES),
                   TARGET_RING_NOT_SEALED);
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES - 1), TARGET_RING_WRONG_SIZE);
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES + 4096), TARGET_RING_WRONG_SIZE);
    assert_refused(copy_of_ring(all | F_SEAL_WRITE, TARGET_RING_BYTES), TARGET_RING_NOT_MAPPED);
    words->version = 2;
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES), TARGET_RING_WRONG_VERSION);
    words->version = TARGET_RING_VERSION;
    words->n_slots *= 2;
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES), TARGET_RING_WRONG_LAYOUT);
    words->n_slots /= 2;
    words->text_offset += 8;
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES), TARGET_RING_WRONG_LAYOUT);
    words->text_offset -= 8;
    words->magic++;
    assert_refused(copy_of_ring(all, TARGET_RING_BYTES), TARGET_RING_WRONG_MAGIC);
}

static void test_gate(void **state)
{
    (void)state;
    assert_int_equal(target_ring_control(memory)->active, 0);
    target_ring_reader_set_active(reader, true);
    assert_int_equal(target_ring_control(memory)->active, 1);
    target_ring_reader_set_active(reader, false);
    assert_int_equal(target_ring_control(memory)->active, 0);
}

static void test_order_and_room(void **state)
{
    (void)state;
    uint64_t position;
    for (uint64_t i = 0; i < TARGET_RING_SLOTS; i++) {
        write_span(i);
    }
    assert_false(target_ring_reserve(memory, 1, &position));
    for (uint64_t i = 0; i < 1000; i++) {
        expect_span(i);
    }
    /* So many were allowed. */
    assert_int_equal(poll.n_slots, 0);
    assert_false(take());
    assert_false(target_ring_reserve(memory, 1, &position));
    target_ring_reader_release(reader);
    for (uint64_t i = 0; i < 1000; i++) {
        write_span(TARGET_RING_SLOTS + i);
    }
    assert_false(target_ring_reserve(memory, 1, &position));
    poll.n_slots = UINT32_MAX;
    for (uint64_t i = 1000; i < TARGET_RING_SLOTS + 1000; i++) {
        expect_span(i);
    }
    assert_false(take());
    assert_int_equal(target_ring_reader_malformed(reader), 0);
}

static void test_details(void **state)
{
    (void)state;
    uint64_t at = reserve(4);
    write_slot(at + 1, TARGET_RING_IDS, 0, 11);
    write_slot(at + 2, TARGET_RING_PADDING, 0, 12);
    write_slot(at + 3, TARGET_RING_COUNTER, 0, 13);
    write_slot(at, TARGET_RING_SPAN, 3, 1);
    write_slot(reserve(1), TARGET_RING_PADDING, 0, 0);
    write_span(2);
    expect_span(1);
    assert_int_equal(record.n_details, 2);
    assert_int_equal(record.details[0].kind, TARGET_RING_IDS);
    assert_int_equal(record.details[0].words[0], 11);
    assert_int_equal(record.details[1].kind, TARGET_RING_COUNTER);
    expect_span(2);
    assert_int_equal(record.n_details, 0);
    assert_false(take());
    assert_int_equal(target_ring_reader_malformed(reader), 0);
}

/* Each of them is one slot that made no sense, and what follows is taken all the same. */
static void test_nonsense(void **state)
{
    (void)state;
    write_slot(reserve(1), 0, 0, 1);
    write_slot(reserve(1), 99, 0, 2);
    write_slot(reserve(1), TARGET_RING_IDS, 0, 3);           /* of no span */
    write_slot(reserve(1), TARGET_RING_SPAN, UINT16_MAX, 4); /* more details than there can be */
    uint64_t at = reserve(2);
    write_slot(at + 1, TARGET_RING_SPAN, 0, 5); /* a span is no detail */
    write_slot(at, TARGET_RING_SPAN, 1, 6);
    write_span(7);
    expect_span(6);
    assert_int_equal(record.n_details, 0);
    expect_span(7);
    assert_false(take());
    assert_int_equal(target_ring_reader_malformed(reader), 5);
}

static void test_skip(void **state)
{
    (void)state;
    write_span(1);
    write_span(2);
    (void)reserve(1);
    target_ring_reader_skip(reader);
    assert_int_equal(target_ring_control(memory)->tail, 3);
    write_span(3);
    expect_span(3);
    assert_false(take());
    assert_int_equal(target_ring_reader_malformed(reader), 0);
}

/* A thread that is killed between reserving and publishing. */
static void test_abandoned_slot(void **state)
{
    (void)state;
    write_span(1);
    uint64_t left = reserve(1);
    expect_span(1);
    assert_false(take());
    poll.now_ns += 2 * TARGET_RING_PATIENCE_NS;
    assert_false(take()); /* nothing comes behind it, so it costs nothing to wait */
    poll.now_ns += 2 * TARGET_RING_PATIENCE_NS;
    assert_false(take());
    write_span(2);
    assert_false(take());
    poll.now_ns += TARGET_RING_PATIENCE_NS - 1;
    assert_false(take());
    poll.now_ns += 1;
    expect_span(2);
    assert_int_equal(target_ring_reader_malformed(reader), 1);
    /* It comes too late. */
    write_slot(left, TARGET_RING_SPAN, 0, 99);
    write_span(3);
    expect_span(3);
    assert_false(take());
}

/* A look at a slot is one, also where nothing was found. */
static void test_bounded_search(void **state)
{
    (void)state;
    (void)reserve(600);
    write_span(1);
    poll.is_last = true;
    poll.n_slots = 1000;
    expect_span(1);
    assert_int_equal(poll.n_slots, 1000 - 600 - 1);
    assert_int_equal(target_ring_reader_malformed(reader), 600);
}

/* What was passed over, or made no sense, was not taken; a server before this one may have some. */
static void test_count_of_taken(void **state)
{
    (void)state;
    struct target_ring_control *control = target_ring_control(memory);
    control->n_taken = 40;
    write_span(1);
    target_ring_reader_skip(reader);
    write_span(2);
    write_slot(reserve(1), 99, 0, 3);
    write_span(4);
    write_span(5);
    assert_int_equal(target_ring_reader_count_left(reader), 3);
    expect_span(2);
    expect_span(4);
    assert_int_equal(control->n_taken, 40);
    target_ring_reader_release(reader);
    assert_int_equal(control->n_taken, 42);
    assert_int_equal(control->tail, 4);
    assert_int_equal(target_ring_reader_count_left(reader), 1);
}

static void test_late_is_not_abandoned(void **state)
{
    (void)state;
    uint64_t late = reserve(1);
    write_span(2);
    assert_false(target_ring_reader_is_waiting(reader));
    assert_false(take());
    assert_true(target_ring_reader_is_waiting(reader));
    poll.now_ns += TARGET_RING_PATIENCE_NS / 2;
    assert_false(take());
    write_slot(late, TARGET_RING_SPAN, 0, 1);
    expect_span(1);
    expect_span(2);
    assert_false(take());
    assert_false(target_ring_reader_is_waiting(reader));
    assert_int_equal(target_ring_reader_malformed(reader), 0);
}

/* All that belongs to an abandoned span is passed over at once. */
static void test_abandoned_details(void **state)
{
    (void)state;
    uint64_t at = reserve(5);
    write_slot(at + 2, TARGET_RING_IDS, 0, 0);
    uint64_t other = reserve(3);
    write_slot(other, TARGET_RING_SPAN, 2, 8);
    write_slot(other + 2, TARGET_RING_IDS, 0, 0);
    write_span(2);
    assert_false(take());
    poll.now_ns += TARGET_RING_PATIENCE_NS;
    expect_span(2);
    assert_int_equal(target_ring_reader_malformed(reader), 8);
    assert_false(take());
}

static void test_last_words(void **state)
{
    (void)state;
    (void)reserve(2);
    write_span(1);
    (void)reserve(1);
    poll.is_last = true;
    expect_span(1);
    assert_false(take());
    assert_int_equal(target_ring_reader_malformed(reader), 2);
}

/* A head that lies stops nothing that is published, and makes nothing out of nothing. */
static void test_lying_head(void **state)
{
    (void)state;
    uint64_t *head = &target_ring_state(memory)->head;
    static const uint64_t lies[] = {0, 5, 1u << 30, UINT64_MAX, UINT64_MAX / 2 + 3};
    write_span(1);
    write_span(2);
    write_span(3);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        *head = lies[i];
        poll.n_slots = 1000;
        if (i < 3) {
            expect_span(i + 1);
        } else {
            assert_false(take());
            poll.now_ns += 3 * TARGET_RING_PATIENCE_NS;
            assert_false(take());
        }
    }
    *head = 5;
    write_slot(4, TARGET_RING_SPAN, 0, 4);
    poll.now_ns += 3 * TARGET_RING_PATIENCE_NS;
    expect_span(4);
    *head = UINT64_MAX - 1;
    target_ring_reader_skip(reader);
    write_slot(UINT64_MAX - 1, TARGET_RING_SPAN, 0, 5);
    write_slot(UINT64_MAX, TARGET_RING_SPAN, 0, 6);
    *head = 0;
    expect_span(5);
    expect_span(6);
}

static void set_name(uint32_t id, uint32_t parent, uint32_t offset, uint32_t n_bytes)
{
    target_ring_names(memory)[id] = (struct target_ring_name){
        .is_set = 1, .parent = parent, .text_offset = offset, .n_bytes = n_bytes};
}

static void assert_name(const char *bytes, const char *expected)
{
    struct target_ring_text name;
    memcpy(target_ring_text(memory) + 100, bytes, strlen(bytes));
    set_name(9, 3, 100, (uint32_t)strlen(bytes));
    assert_true(target_ring_reader_name(reader, 9, &name));
    assert_string_equal(name.text, expected);
    assert_int_equal(name.n_bytes, strlen(expected));
    assert_int_equal(name.parent, 3);
}

static void test_names(void **state)
{
    (void)state;
    struct target_ring_text name;
    assert_true(target_ring_reader_name(reader, TARGET_RING_NAME_OTHER, &name));
    assert_string_equal(name.text, "(other)");
    assert_false(target_ring_reader_name(reader, 0, &name));
    assert_false(target_ring_reader_name(reader, 2, &name));
    assert_false(target_ring_reader_name(reader, TARGET_RING_NAMES, &name));
    assert_false(target_ring_reader_name(reader, UINT32_MAX, &name));
    assert_name("decode", "decode");
    assert_name("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8d\x80",
                "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8d\x80");
    assert_name("a\x1b[31m\n\x7f", "a?[31m??");
    assert_name("\xc2\x9b"
                "1m",
                "??1m");                               /* a C1 control */
    assert_name("\xff\xc0\x80\xed\xa0\x80", "??????"); /* no character, long, surrogate */
    assert_name("cut \xe2\x82", "cut ??");
    char nothing[8] = "a\0b";
    memcpy(target_ring_text(memory) + 100, nothing, 3);
    set_name(9, 3, 100, 3);
    assert_true(target_ring_reader_name(reader, 9, &name));
    assert_string_equal(name.text, "a?b");
}

static void test_names_out_of_bounds(void **state)
{
    (void)state;
    struct target_ring_text name;
    memset(target_ring_text(memory), 'x', TARGET_RING_TEXT_BYTES);
    set_name(9, 0, 0, UINT32_MAX);
    assert_false(target_ring_reader_name(reader, 9, &name));
    set_name(9, 0, UINT32_MAX, 2);
    assert_false(target_ring_reader_name(reader, 9, &name));
    set_name(9, 0, TARGET_RING_TEXT_BYTES - 1, 2);
    assert_false(target_ring_reader_name(reader, 9, &name));
    set_name(9, 9, 0, 2);
    assert_false(target_ring_reader_name(reader, 9, &name));
    set_name(9, 0, TARGET_RING_TEXT_BYTES, 0);
    assert_true(target_ring_reader_name(reader, 9, &name));
    assert_int_equal(name.n_bytes, 0);
    set_name(9, 8, 0, TARGET_RING_TEXT_BYTES);
    assert_true(target_ring_reader_name(reader, 9, &name));
    assert_int_equal(strlen(name.text), TARGET_RING_NAME_BYTES);
    target_ring_names(memory)[9].is_set = 2;
    assert_false(target_ring_reader_name(reader, 9, &name));
}

static void test_lanes(void **state)
{
    (void)state;
    struct target_ring_text lane;
    struct target_ring_lane *lanes = target_ring_lanes(memory);
    lanes[1] = (struct target_ring_lane){.is_set = 1, .kind = 77, .name = TARGET_RING_NAME_OTHER};
    lanes[2] = (struct target_ring_lane){.is_set = 1, .name = 12345};
    lanes[3] = (struct target_ring_lane){.name = TARGET_RING_NAME_OTHER};
    assert_true(target_ring_reader_lane(reader, 1, &lane));
    assert_int_equal(lane.kind, 77);
    assert_string_equal(lane.text, "(other)");
    assert_false(target_ring_reader_lane(reader, 2, &lane));
    assert_false(target_ring_reader_lane(reader, 3, &lane));
    assert_false(target_ring_reader_lane(reader, 0, &lane));
    assert_false(target_ring_reader_lane(reader, TARGET_RING_LANES, &lane));
}

enum { WRITERS = 3, SPANS_EACH = 100000 };
static atomic_uint n_writing;

static void *write_many(void *userdata)
{
    uint64_t writer = (uint64_t)(uintptr_t)userdata, position;
    for (uint64_t i = 0; i < SPANS_EACH;) {
        uint32_t n_details = i % 7 == 0 ? 2 : 0;
        if (!target_ring_reserve(memory, 1 + n_details, &position)) {
            continue;
        }
        for (uint32_t k = 1; k <= n_details; k++) {
            write_slot(position + k, TARGET_RING_IDS, 0, writer << 32 | i);
        }
        write_slot(position, TARGET_RING_SPAN, (uint16_t)n_details, writer << 32 | i);
        i++;
    }
    atomic_fetch_sub(&n_writing, 1);
    return NULL;
}

/* Every span of every writer comes once, in its writer's order, with its own details. */
static void test_many_writers(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    uint64_t n_seen[WRITERS] = {0};
    atomic_store(&n_writing, WRITERS);
    for (uintptr_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
    }
    bool is_over = false;
    while (!is_over) {
        is_over = atomic_load(&n_writing) == 0;
        poll.n_slots = 5000;
        while (take()) {
            uint64_t mark = record.span.span.start_ns, writer = mark >> 32;
            assert_true(writer < WRITERS);
            assert_int_equal(mark & UINT32_MAX, n_seen[writer]++);
            for (uint32_t k = 0; k < record.n_details; k++) {
                assert_int_equal(record.details[k].words[0], mark);
            }
        }
        is_over = is_over && poll.n_slots > 0;
        target_ring_reader_release(reader);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(n_seen[i], SPANS_EACH);
    }
    assert_int_equal(target_ring_reader_malformed(reader), 0);
}

#define IN_RING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RING(test_refusals),
        IN_RING(test_gate),
        IN_RING(test_order_and_room),
        IN_RING(test_details),
        IN_RING(test_nonsense),
        IN_RING(test_skip),
        IN_RING(test_abandoned_slot),
        IN_RING(test_late_is_not_abandoned),
        IN_RING(test_abandoned_details),
        IN_RING(test_last_words),
        IN_RING(test_lying_head),
        IN_RING(test_bounded_search),
        IN_RING(test_count_of_taken),
        IN_RING(test_names),
        IN_RING(test_names_out_of_bounds),
        IN_RING(test_lanes),
        IN_RING(test_many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
