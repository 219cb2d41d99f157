/* SPDX-License-Identifier: MIT */
/*
 * The process walks its own stack, and libgcc's _Unwind_Backtrace(), which interprets
 * the DWARF of each frame, says what is right.
 */
#include "unwind/unwinder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "images/proc_maps.h"

#define DEPTH 40
#define MAX_IPS 512

struct fixture {
    struct cfi_store *store;
    struct unwinder *unwinder;
    uint32_t wished_bytes;
    int64_t next_thread; /* by so much its samples are not the test's own */
    size_t n_maps, n_ready;
};

static void want_stack_bytes(void *userdata, uint32_t n_bytes)
{
    ((struct fixture *)userdata)->wished_bytes = n_bytes;
}

static void set_code(void *userdata, const struct code_map *map)
{
    struct fixture *fixture = userdata;
    assert_int_equal(map->pid, getpid());
    fixture->n_maps++;
    fixture->n_ready = 0;
    uint64_t end_ip = 0;
    for (size_t i = 0; i < map->n_ranges; i++) {
        assert_true(map->ranges[i].start_ip >= end_ip);
        end_ip = map->ranges[i].end_ip;
        fixture->n_ready += map->ranges[i].state == CODE_READY;
        assert_true((map->ranges[i].state == CODE_READY) == (map->ranges[i].table != NULL));
    }
}

static ssize_t read_memory(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes)
{
    (void)userdata;
    struct iovec local = {.iov_base = buffer, .iov_len = n_bytes};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = n_bytes};
    return process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0);
}

static void tell_mappings(struct fixture *fixture)
{
    char *text = NULL;
    assert_int_equal(fd_read_file("/proc/self/maps", 1u << 20, &text, NULL), 0);
    struct proc_maps_line line;
    for (char *rest = text; proc_maps_next(&rest, &line);) {
        struct event event = {.kind = EVENT_IMAGE, .pid = getpid(), .image = &line.image};
        if (line.is_executable) {
            assert_int_equal(unwinder_apply(fixture->unwinder, &event, 1, clock_now_ns()), 1);
        }
    }
    free(text);
}

static void begin(struct fixture *fixture, bool with_memory)
{
    memset(fixture, 0, sizeof(*fixture));
    assert_int_equal(cfi_store_new(&fixture->store), 0);
    const struct unwinder_config config = {
        .store = fixture->store,
        .userdata = fixture,
        .want_stack_bytes = want_stack_bytes,
        .set_code = set_code,
        .read_memory = with_memory ? read_memory : NULL,
    };
    assert_int_equal(unwinder_new(&config, &fixture->unwinder), 0);
    tell_mappings(fixture);
}

static void end(struct fixture *fixture)
{
    unwinder_retire(fixture->unwinder);
    fixture->unwinder = unwinder_free(fixture->unwinder);
    fixture->store = cfi_store_free(fixture->store);
}

static void apply(struct fixture *fixture, struct event *event)
{
    unwinder_begin(fixture->unwinder);
    while (unwinder_apply(fixture->unwinder, event, 1, clock_now_ns()) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

struct truth {
    void **ips;
    int n_ips;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *frame, void *userdata)
{
    struct truth *truth = userdata;
    uint64_t ip = _Unwind_GetIP(frame);
    if (ip != 0 && truth->n_ips < MAX_IPS) {
        truth->ips[truth->n_ips++] = (void *)(uintptr_t)ip;
    }
    return _URC_NO_REASON;
}

/* The frames that are walked are the compiler's own: a sanitizer's are several times as large. */
#define WALKED __attribute__((noinline, no_sanitize_address))

/* One sample of this moment, with n_bytes of stack; returns the truth in ret_ips. */
WALKED static int take(struct fixture *fixture, size_t n_bytes, struct event *ret_event,
                       void **ret_ips)
{
    ucontext_t context;
    static uint8_t stack[LIMIT_STACK_COPY_BYTES];
    static struct event_stack_copy copy;
    assert_int_equal(getcontext(&context), 0);
#if defined(__x86_64__)
    copy = (struct event_stack_copy){
        .ip = (uint64_t)context.uc_mcontext.gregs[REG_RIP],
        .sp = (uint64_t)context.uc_mcontext.gregs[REG_RSP],
        .fp = (uint64_t)context.uc_mcontext.gregs[REG_RBP],
    };
#else
    copy = (struct event_stack_copy){
        .ip = context.uc_mcontext.pc,
        .sp = context.uc_mcontext.sp,
        .fp = context.uc_mcontext.regs[29],
        .lr = context.uc_mcontext.regs[30],
    };
#endif
    ssize_t n_read = n_bytes > 0 ? read_memory(NULL, getpid(), copy.sp, stack, n_bytes) : 0;
    assert_true(n_read >= 0);
    copy.bytes = stack;
    copy.n_bytes = (uint32_t)n_read;
    copy.is_innermost = true;
    *ret_event = (struct event){
        .kind = EVENT_SAMPLE, .time_ns = clock_now_ns(), .pid = getpid(), .tid = gettid()};
    ret_event->tid += fixture->next_thread;
    ret_event->stack.copy = &copy;
    apply(fixture, ret_event);
    /* Not backtrace(): AddressSanitizer puts a frame of its own below that. */
    struct truth truth = {.ips = ret_ips};
    (void)_Unwind_Backtrace(note_frame, &truth);
    return truth.n_ips;
}

WALKED static int go_down(int depth, struct fixture *fixture, size_t n_bytes,
                          struct event *ret_event, void **ret_ips)
{
    volatile char room[200];
    room[0] = (char)depth;
    int n = depth == 0 ? take(fixture, n_bytes, ret_event, ret_ips)
                       : go_down(depth - 1, fixture, n_bytes, ret_event, ret_ips);
    return n + (room[0] != (char)depth);
}

/* Frames of the walk and of _Unwind_Backtrace() are the same, but for the innermost, who asked. */
static void assert_same(const struct event *event, void **ips, int n_ips)
{
    assert_int_equal(event->stack.source, EVENT_STACK_WALKED);
    assert_null(event->stack.copy);
    assert_true(n_ips > DEPTH);
    assert_int_equal(event->stack.n_ips, n_ips);
    for (int i = 1; i < n_ips; i++) {
        assert_int_equal(event->stack.ips[i], (uint64_t)(uintptr_t)ips[i]);
    }
}

static void the_own_stack_is_walked_to_its_start(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, false);
    int n_ips = go_down(DEPTH, &fixture, 32768, &event, ips);
    assert_same(&event, ips, n_ips);
    assert_int_equal(event.stack.end, EVENT_STACK_END_COMPLETE);
    struct unwinder_stats stats;
    unwinder_get_stats(fixture.unwinder, &stats);
    assert_int_equal(stats.n_walked, 1);
    assert_int_equal(stats.n_ends[EVENT_STACK_END_COMPLETE], 1);
    assert_int_equal(stats.n_given_up, 0);
    assert_int_equal(fixture.n_maps, 0); /* nobody but us walks */
    end(&fixture);
}

static void a_cut_copy_ends_the_walk_and_is_said(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, false);
    int n_ips = go_down(DEPTH, &fixture, 2048, &event, ips);
    assert_int_equal(event.stack.end, EVENT_STACK_END_COPY);
    assert_true(event.stack.n_ips > 3 && event.stack.n_ips < (uint32_t)n_ips);
    for (uint32_t i = 1; i < event.stack.n_ips; i++) {
        assert_int_equal(event.stack.ips[i], (uint64_t)(uintptr_t)ips[i]);
    }
    struct unwinder_image_stats images[8];
    assert_true(unwinder_get_images(fixture.unwinder, images, 8) >= 1);
    assert_int_equal(images[0].n_ends[EVENT_STACK_END_COPY], 1);
    end(&fixture);
}

static void the_rest_comes_from_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, true);
    for (int i = 0; i < 3; i++) {
        int n_ips = go_down(DEPTH, &fixture, 6144, &event, ips);
        assert_int_equal(event.stack.end, EVENT_STACK_END_COMPLETE);
        assert_same(&event, ips, n_ips);
    }
    struct unwinder_stats stats;
    unwinder_get_stats(fixture.unwinder, &stats);
    assert_int_equal(stats.n_ends[EVENT_STACK_END_COMPLETE], 3);
    assert_int_equal(stats.n_read_outside, 3);
    end(&fixture);
}

/* Two callers whose frames are of one size: stack pointers do not tell them apart. */
static int (*volatile go_down_from_here)(int, struct fixture *, size_t, struct event *,
                                         void **) = go_down;

WALKED static int by_left(struct fixture *fixture, size_t n_bytes, struct event *ret_event,
                          void **ret_ips)
{
    volatile char room[64];
    room[0] = 1;
    return go_down_from_here(DEPTH, fixture, n_bytes, ret_event, ret_ips) + (room[0] != 1);
}

WALKED static int by_right(struct fixture *fixture, size_t n_bytes, struct event *ret_event,
                           void **ret_ips)
{
    volatile char room[64];
    room[0] = 2;
    return go_down_from_here(DEPTH, fixture, n_bytes, ret_event, ret_ips) + (room[0] != 2);
}

static void another_caller_is_not_taken_for_the_last(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, true);
    int (*volatile callers[])(struct fixture *, size_t, struct event *, void **) = {by_left,
                                                                                    by_right};
    uint32_t n_complete = 0;
    for (int i = 0; i < 128; i++) {
        bool is_first = i % 16 == 0;
        int n_ips = callers[i / 16 % 2](&fixture, 1024, &event, ips);
        if (event.stack.end == EVENT_STACK_END_COMPLETE) {
            assert_same(&event, ips, n_ips);
            n_complete++;
        }
        /* Nothing was before, or something else: what is read now need not have been so. */
        assert_int_equal(event.stack.end,
                         is_first ? EVENT_STACK_END_COPY : EVENT_STACK_END_COMPLETE);
    }
    assert_int_equal(n_complete, 128 - 8);
    end(&fixture);
}

static void it_wishes_for_as_much_as_stacks_need(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, true);
    for (; fixture.next_thread < 100 && fixture.wished_bytes == 0; fixture.next_thread++) {
        (void)go_down(DEPTH, &fixture, 65000, &event, ips);
    }
    assert_true(fixture.wished_bytes >= DEPTH * 200);
    assert_true(fixture.wished_bytes < 40000);
    /* Frames that are known from the sample before need not be copied again. */
    for (int i = 0; i < 1000 && fixture.wished_bytes >= DEPTH * 200; i++) {
        (void)go_down(DEPTH, &fixture, 65000, &event, ips);
    }
    assert_true(fixture.wished_bytes < DEPTH * 200 / 4);
    end(&fixture);
}

/* What the kernel's side has walked stays; the walk goes on behind it. */
static void a_walk_that_was_begun_is_finished(void **state)
{
    (void)state;
    struct fixture fixture;
    struct event event;
    void *ips[MAX_IPS];
    begin(&fixture, false);
    (void)go_down(DEPTH, &fixture, 32768, &event, ips);
    uint64_t begun[] = {0xffffffff81000000, 0x1000, 0x2000};
    static uint64_t words[512];
    /* A return address into this test, whose frame is found by its table. */
    uint64_t whole[MAX_IPS];
    size_t n_whole = event.stack.n_ips;
    memcpy(whole, event.stack.ips, n_whole * sizeof(*whole));
    struct event_stack_copy copy = {.ip = whole[n_whole - 1],
                                    .sp = 0x7000,
                                    .bytes = (const uint8_t *)words,
                                    .n_bytes = sizeof(words)};
    struct event rest = {.kind = EVENT_SAMPLE, .pid = getpid(), .tid = gettid()};
    rest.stack.ips = begun;
    rest.stack.n_ips = 3;
    rest.stack.n_kernel_ips = 1;
    rest.stack.source = EVENT_STACK_WALKED;
    rest.stack.copy = &copy;
    apply(&fixture, &rest);
    assert_int_equal(rest.stack.n_ips, 4);
    assert_int_equal(rest.stack.n_kernel_ips, 1);
    assert_int_equal(rest.stack.ips[0], begun[0]);
    assert_int_equal(rest.stack.ips[2], begun[2]);
    assert_int_equal(rest.stack.ips[3], whole[n_whole - 1]);
    assert_int_equal(rest.stack.end, EVENT_STACK_END_COMPLETE);
    assert_true(fixture.n_maps >= 1);
    assert_true(fixture.n_ready >= 2); /* the program and libc */
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_stack_is_walked_to_its_start),
        cmocka_unit_test(a_cut_copy_ends_the_walk_and_is_said),
        cmocka_unit_test(the_rest_comes_from_memory),
        cmocka_unit_test(another_caller_is_not_taken_for_the_last),
        cmocka_unit_test(it_wishes_for_as_much_as_stacks_need),
        cmocka_unit_test(a_walk_that_was_begun_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
