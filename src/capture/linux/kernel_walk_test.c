/* SPDX-License-Identifier: MIT */
/*
 * The program walks this process' own stack: samples arrive in a ring of this
 * test, and libgcc's _Unwind_Backtrace() says what they must contain.
 */
#include "capture/linux/kernel_walk.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/perf_ring.h"
#include "decode/perf_abi.h"
#include "decode/perf_record.h"
#include "images/elf_file.h"
#include "images/proc_maps.h"
#include "sources/perf_attr.h"
#include "sources/perf_open.h"

#define MAX_RANGES 256
#define MAX_IPS 128
#define DEPTH 30
#define RING_PAGES 1024u

struct fixture {
    size_t n_cpus;
    int outputs_fd;
    struct kernel_walk *walk;
    struct code_range ranges[MAX_RANGES];
    size_t n_ranges;
    struct cfi_table *tables[MAX_RANGES];
    size_t n_tables;
};

/* Tables of all that is mapped here; what has none is left by frame pointers. */
static void find_code(struct fixture *fixture)
{
    char *text = NULL;
    struct proc_maps_line line;
    assert_int_equal(fd_read_file("/proc/self/maps", 1u << 20, &text, NULL), 0);
    for (char *rest = text; proc_maps_next(&rest, &line) && fixture->n_ranges < MAX_RANGES;) {
        if (!line.is_executable) {
            continue;
        }
        struct code_range *range = &fixture->ranges[fixture->n_ranges++];
        *range = (struct code_range){.start_ip = line.image.start_ip,
                                     .end_ip = line.image.end_ip,
                                     .state = CODE_WITHOUT_TABLE};
        _cleanup_(fd_closep) int fd = fd_open_regular(line.image.path);
        _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
        struct cfi_table *table;
        struct error error = {0};
        uint64_t image_addr;
        if (fd >= 0 && elf_file_open_descriptor(fd, &elf, &error) == 0 &&
            elf_layout_find(elf_file_layout(elf), line.image.file_offset, &image_addr) &&
            cfi_table_build_elf(elf, &table, &error) == 0) {
            range->state = CODE_READY;
            range->table = table;
            fixture->tables[fixture->n_tables++] = table;
            range->bias = line.image.start_ip - image_addr;
        }
    }
    free(text);
}

static void begin(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->n_cpus = (size_t)sysconf(_SC_NPROCESSORS_CONF);
    fixture->outputs_fd = bpf_programs_new_outputs(fixture->n_cpus);
    const struct kernel_walk_config config = {
        .pid = getpid(),
        .n_cpus = (uint32_t)fixture->n_cpus,
        .outputs_fd = fixture->outputs_fd,
        .no_kernel = true,
        .max_stack_bytes = 4096,
    };
    const char *step;
    int r = fixture->outputs_fd < 0 ? fixture->outputs_fd
                                    : kernel_walk_new(&config, &fixture->walk, &step);
    if (r < 0 || bpf_programs_check_namespace() < 0) {
        printf("this host does not take the program: %s\n", strerror(-r));
        fd_close(fixture->outputs_fd);
        skip();
    }
    find_code(fixture);
}

static void end(struct fixture *fixture)
{
    kernel_walk_free(fixture->walk);
    for (size_t i = 0; i < fixture->n_tables; i++) {
        cfi_table_free(fixture->tables[i]);
    }
    fd_close(fixture->outputs_fd);
}

static enum perf_format is_output(const void *userdata, uint64_t identifier)
{
    (void)userdata, (void)identifier;
    return PERF_FORMAT_SCHED;
}

struct truth {
    uint64_t *ips;
    size_t n_ips;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *frame, void *userdata)
{
    struct truth *truth = userdata;
    uint64_t ip = _Unwind_GetIP(frame);
    if (ip != 0 && truth->n_ips < MAX_IPS) {
        truth->ips[truth->n_ips++] = ip;
    }
    return _URC_NO_REASON;
}

__attribute__((noinline)) static size_t work(uint64_t milliseconds, uint64_t *ret_ips)
{
    uint64_t end_ns = clock_now_ns() + milliseconds * NS_PER_MS;
    volatile uint64_t sum = 0;
    while (clock_now_ns() < end_ns) {
        for (int i = 0; i < 100000; i++) {
            sum += (uint64_t)i;
        }
    }
    ret_ips[0] = 0;
    /* Not backtrace(): AddressSanitizer puts a frame of its own below that. */
    struct truth truth = {.ips = ret_ips};
    (void)_Unwind_Backtrace(note_frame, &truth);
    return truth.n_ips + (sum == 1);
}

__attribute__((noinline)) static size_t go_down(int depth, uint64_t *ret_ips)
{
    volatile char room[300];
    room[0] = (char)depth;
    size_t n = depth == 0 ? work(200, ret_ips) : go_down(depth - 1, ret_ips);
    return n + (room[0] != (char)depth);
}

struct cpu_events {
    int ring_fd, sample_fd;
    struct perf_ring ring;
};

static void open_cpu(struct fixture *fixture, int cpu, struct cpu_events *events)
{
    struct perf_event_attr attr;
    const struct perf_attr_config config = {.period_ns = NS_PER_MS, .wakeup_bytes = 4096};
    perf_attr_sched(&config, &attr);
    events->ring_fd = perf_open(&attr, -1, cpu);
    assert_true(events->ring_fd >= 0);
    assert_int_equal(perf_ring_open(events->ring_fd, RING_PAGES * 4096u, &events->ring), 0);
    assert_int_equal(bpf_programs_set_output(fixture->outputs_fd, (uint32_t)cpu, events->ring_fd),
                     0);
    perf_attr_samples(&config, false, &attr);
    attr.sample_type = PERF_ABI_FORMAT_BASE;
    events->sample_fd = perf_open(&attr, -1, cpu);
    assert_true(events->sample_fd >= 0);
    assert_int_equal(
        ioctl(events->sample_fd, PERF_EVENT_IOC_SET_BPF, kernel_walk_program(fixture->walk)), 0);
    assert_int_equal(ioctl(events->ring_fd, PERF_EVENT_IOC_ENABLE, 0), 0);
}

/* For what is looked at, and not for the opening and reading around it. */
static void switch_samples(const struct cpu_events *events, size_t n_cpus, unsigned long request)
{
    for (size_t cpu = 0; cpu < n_cpus; cpu++) {
        assert_int_equal(ioctl(events[cpu].sample_fd, request, 0), 0);
    }
}

struct tally {
    size_t n_samples, n_complete, n_right, n_pending, n_empty;
    uint64_t generation; /* of the latest sample */
};

/* The outer frames of a sample that was taken inside work() are those that work() saw. */
static void count(const struct perf_record *record, const uint64_t *truth, size_t n_truth,
                  struct tally *tally)
{
    size_t n_ips = record->sample.n_ips, n_same = 0;
    tally->n_samples++;
    tally->n_complete += record->sample.walk.end == EVENT_STACK_END_COMPLETE;
    tally->n_pending += record->sample.walk.end == EVENT_STACK_END_UNKNOWN;
    tally->n_empty += n_ips == 0 && !record->sample.user.is_known;
    tally->generation = record->sample.walk.generation;
    while (n_same < n_ips && n_same < n_truth &&
           perf_record_ip(record, n_ips - 1 - n_same) == truth[n_truth - 1 - n_same]) {
        n_same++;
    }
    /* All but work() itself, which has moved on. */
    tally->n_right += n_same + 1 >= n_truth;
}

static void read_ring(struct perf_ring *ring, const uint64_t *truth, size_t n_truth,
                      struct tally *tally)
{
    const struct perf_formats formats = {.of = is_output};
    const void *data;
    size_t n_bytes;
    bool is_corrupt;
    perf_ring_begin(ring);
    while ((data = perf_ring_next(ring, &n_bytes, &is_corrupt))) {
        struct perf_record record;
        if (perf_record_parse(data, n_bytes, &formats, &record) == 0 &&
            record.type == PERF_ABI_RECORD_SAMPLE && record.format == PERF_FORMAT_WALK) {
            assert_int_equal(record.pid, getpid());
            assert_int_equal(record.sample.period_ns, NS_PER_MS);
            count(&record, truth, n_truth, tally);
        }
    }
}

static size_t go_down_here(uint64_t *ret_ips)
{
    return go_down(DEPTH, ret_ips);
}

static struct tally sample_while(struct fixture *fixture, size_t (*busy)(uint64_t *ret_ips))
{
    struct tally tally = {0};
    uint64_t truth[MAX_IPS];
    struct cpu_events *events = calloc(fixture->n_cpus, sizeof(*events));
    assert_non_null(events);
    for (size_t cpu = 0; cpu < fixture->n_cpus; cpu++) {
        open_cpu(fixture, (int)cpu, &events[cpu]);
    }
    switch_samples(events, fixture->n_cpus, PERF_EVENT_IOC_ENABLE);
    size_t n_truth = busy(truth);
    switch_samples(events, fixture->n_cpus, PERF_EVENT_IOC_DISABLE);
    for (size_t cpu = 0; cpu < fixture->n_cpus; cpu++) {
        fd_close(events[cpu].sample_fd);
        read_ring(&events[cpu].ring, truth, n_truth, &tally);
        perf_ring_release(&events[cpu].ring);
        fd_close(events[cpu].ring_fd);
    }
    free(events);
    return tally;
}

static struct tally sample_self(struct fixture *fixture)
{
    return sample_while(fixture, go_down_here);
}

static void set_code(struct fixture *fixture, uint64_t generation)
{
    const struct code_map map = {.pid = getpid(),
                                 .generation = generation,
                                 .n_ranges = fixture->n_ranges,
                                 .ranges = fixture->ranges};
    kernel_walk_set_code(fixture->walk, &map);
}

static void stacks_are_walked_to_their_start(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    set_code(&fixture, 1);
    struct tally tally = sample_self(&fixture);
    printf("%zu samples, %zu complete, %zu with the right callers\n", tally.n_samples,
           tally.n_complete, tally.n_right);
    assert_true(tally.n_samples > 20);
    assert_true(tally.n_complete >= tally.n_samples - tally.n_samples / 50);
    assert_true(tally.n_right >= tally.n_samples - tally.n_samples / 50);
    end(&fixture);
}

static void code_that_is_not_known_yet_is_said_so(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    for (size_t i = 0; i < fixture.n_ranges; i++) {
        fixture.ranges[i].state = CODE_PENDING;
    }
    set_code(&fixture, 1);
    struct tally tally = sample_self(&fixture);
    assert_true(tally.n_samples > 20);
    assert_int_equal(tally.n_complete, 0);
    assert_int_equal(tally.n_pending, tally.n_samples);
    end(&fixture);
}

/* The rows of an address are kept, but not beyond the code that they are of. */
static void code_that_was_replaced_is_left_by_its_own_rows(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    for (size_t i = 0; i < fixture.n_ranges; i++) {
        fixture.ranges[i].bias -= 4096; /* as if other code stood there */
    }
    set_code(&fixture, 5);
    struct tally tally = sample_self(&fixture);
    assert_true(tally.n_samples > 20);
    assert_true(tally.n_right < tally.n_samples / 10);
    assert_int_equal(tally.generation, 5);
    for (size_t i = 0; i < fixture.n_ranges; i++) {
        fixture.ranges[i].bias += 4096;
    }
    set_code(&fixture, 9);
    tally = sample_self(&fixture);
    assert_true(tally.n_samples > 20);
    assert_true(tally.n_right >= tally.n_samples - tally.n_samples / 50);
    assert_int_equal(tally.generation, 9);
    end(&fixture);
}

#define STACK_BYTES (8u << 20)
#define ROOM_BYTES 4080
#define N_ROOMS 1500 /* less than STACK_BYTES */

/* Each call of it is the first to touch a page of its stack. */
__attribute__((noinline, no_sanitize("address", "thread"))) static int touch_pages(int n_left)
{
    volatile char room[ROOM_BYTES];
    room[0] = (char)n_left;
    int n = n_left > 0 ? touch_pages(n_left - 1) : 0;
    return n + room[0];
}

static void *run_thread(void *userdata)
{
    (void)touch_pages(N_ROOMS);
    return userdata;
}

static size_t use_new_stacks(uint64_t *ret_ips)
{
    ret_ips[0] = 0; /* nothing to compare with */
    uint64_t end_ns = clock_now_ns() + 300 * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        pthread_attr_t attributes;
        pthread_t thread;
        void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(stack != MAP_FAILED);
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stack, STACK_BYTES);
        assert_int_equal(pthread_create(&thread, &attributes, run_thread, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        pthread_attr_destroy(&attributes);
        munmap(stack, STACK_BYTES);
    }
    return 0;
}

/* Half of such a program's time is spent where the page that sp names is not there yet. */
static void stacks_that_grow_have_their_callers(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    set_code(&fixture, 1);
    struct tally tally = sample_while(&fixture, use_new_stacks);
    printf("%zu samples, %zu complete, %zu empty\n", tally.n_samples, tally.n_complete,
           tally.n_empty);
    assert_true(tally.n_samples > 20);
    assert_true(tally.n_empty <= 1 + tally.n_samples / 10);
    /* clone3() has no unwind information where the parent is in the kernel. */
    assert_true(tally.n_complete + 2 >= tally.n_samples - tally.n_samples / 10);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_walked_to_their_start),
        cmocka_unit_test(code_that_is_not_known_yet_is_said_so),
        cmocka_unit_test(code_that_was_replaced_is_left_by_its_own_rows),
        cmocka_unit_test(stacks_that_grow_have_their_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
