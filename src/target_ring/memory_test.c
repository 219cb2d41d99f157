/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target_ring/memory.h"
#include "target_ring/tables.h"

static void it_is_sealed_and_says_what_it_is(void **state)
{
    (void)state;
    void *memory;
    int fd;
    struct stat status;
    assert_int_equal(target_ring_memory_new(&memory, &fd), 0);
    assert_true(fd >= 64);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, TARGET_RING_BYTES);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 2 * (off_t)TARGET_RING_BYTES), -1);

    const struct target_ring_state *words = target_ring_state(memory);
    assert_int_equal(words->magic, TARGET_RING_MAGIC);
    assert_int_equal(words->version, TARGET_RING_VERSION);
    assert_int_equal(words->slot_bytes, 64);
    assert_int_equal(words->n_slots, TARGET_RING_SLOTS);
    assert_int_equal(words->slots_offset, TARGET_RING_SLOTS_OFFSET);
    assert_int_equal(words->total_bytes, TARGET_RING_BYTES);
    assert_int_equal(words->pid, getpid());
    assert_int_equal(words->n_names, 1);
    assert_int_equal(target_ring_names(memory)[1].is_set, 1);
    assert_memory_equal(target_ring_text(memory), "(other)", 7);
    munmap(memory, TARGET_RING_BYTES);
    close(fd);
}

static void renewed_it_has_the_tables_and_no_slots(void **state)
{
    (void)state;
    static struct target_ring_tables tables;
    void *memory;
    int fd, fresh_fd;
    assert_int_equal(target_ring_memory_new(&memory, &fd), 0);
    target_ring_tables_init(&tables, memory);
    uint32_t outer = target_ring_name_add(&tables, 0, "outer", 5);
    uint32_t inner = target_ring_name_add(&tables, outer, "inner", 5);
    uint32_t lane = target_ring_lane_add(&tables, outer, 3);
    target_ring_slots(memory)[0].commit = 1;
    target_ring_state(memory)->head = 1;
    target_ring_state(memory)->n_queued = 1;
    target_ring_control(memory)->active = 1;

    assert_int_equal(target_ring_memory_renew(memory, &tables.extent, 1, &fresh_fd), 0);
    assert_int_equal(target_ring_name_find(&tables, outer, "inner", 5), inner);
    assert_int_equal(target_ring_lane_find(&tables, outer, 3), lane);
    assert_int_equal(target_ring_state(memory)->n_names, 3);
    assert_int_equal(target_ring_state(memory)->n_lanes, 1);
    assert_int_equal(target_ring_state(memory)->n_queued, 1);
    assert_int_equal(target_ring_state(memory)->head, 0);
    assert_int_equal(target_ring_control(memory)->active, 0);
    assert_int_equal(target_ring_slots(memory)[0].commit, 0);

    /* What is written now is in the new file, not in the old one. */
    uint32_t word = 0;
    target_ring_control(memory)->unused[0] = 7;
    assert_int_equal(pread(fresh_fd, &word, 4, 4), 4);
    assert_int_equal(word, 7);
    assert_int_equal(pread(fd, &word, 4, 4), 4);
    assert_int_equal(word, 0);
    munmap(memory, TARGET_RING_BYTES);
    close(fd);
    close(fresh_fd);
}

static void without_a_descriptor_it_is_the_process_s_own(void **state)
{
    (void)state;
    /* In a child: a limit that is lowered stays so. */
    pid_t child = fork();
    if (child == 0) {
        void *memory;
        int fd = 0;
        struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
        bool is_right = setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                        target_ring_memory_new(&memory, &fd) == 0 && fd == -1 &&
                        target_ring_state(memory)->magic == TARGET_RING_MAGIC;
        _exit(is_right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_sealed_and_says_what_it_is),
        cmocka_unit_test(renewed_it_has_the_tables_and_no_slots),
        cmocka_unit_test(without_a_descriptor_it_is_the_process_s_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
