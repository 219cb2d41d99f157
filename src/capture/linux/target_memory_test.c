/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/linux/target_memory.h"

#define N_PAGES 200u /* more than one call takes */

struct fixture {
    size_t page_bytes;
    uint8_t *pages; /* N_PAGES of them, and one that is not there */
    uint8_t *buffer;
    pid_t child;
    int pidfd;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t n_bytes = N_PAGES * fixture->page_bytes;
    fixture->pages = mmap(NULL, n_bytes + fixture->page_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(fixture->pages, MAP_FAILED);
    for (size_t i = 0; i < n_bytes; i++) {
        fixture->pages[i] = (uint8_t)(i % 251);
    }
    assert_int_equal(mprotect(fixture->pages + n_bytes, fixture->page_bytes, PROT_NONE), 0);
    fixture->buffer = malloc(n_bytes + fixture->page_bytes);
    assert_non_null(fixture->buffer);
    fixture->child = fork();
    assert_true(fixture->child >= 0);
    if (fixture->child == 0) {
        for (;;) {
            pause();
        }
    }
    /* What the child has is not what we have. */
    memset(fixture->pages, 0, 16);
    fixture->pidfd = (int)syscall(SYS_pidfd_open, fixture->child, 0);
    assert_true(fixture->pidfd >= 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->child > 0) {
        kill(fixture->child, SIGKILL);
        waitpid(fixture->child, NULL, 0);
    }
    close(fixture->pidfd);
    munmap(fixture->pages, (N_PAGES + 1) * fixture->page_bytes);
    free(fixture->buffer);
    free(fixture);
    return 0;
}

static ssize_t read_at(const struct fixture *fixture, size_t offset, size_t n_bytes)
{
    memset(fixture->buffer, 0xee, n_bytes);
    return target_memory_read(fixture->child, fixture->pidfd, (uintptr_t)fixture->pages + offset,
                              fixture->buffer, n_bytes);
}

static void assert_read(const struct fixture *fixture, size_t offset, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        assert_int_equal(fixture->buffer[i], (offset + i) % 251);
    }
}

static void what_is_there_is_read(void **state)
{
    const struct fixture *fixture = *state;
    const struct {
        size_t offset, n_bytes;
    } cases[] = {
        {0, 8},
        {3, 1},
        {fixture->page_bytes - 3, 7},
        {fixture->page_bytes + 5, 3 * fixture->page_bytes},
        {1, N_PAGES * fixture->page_bytes - 1},
        {5, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(read_at(fixture, cases[i].offset, cases[i].n_bytes), cases[i].n_bytes);
        assert_read(fixture, cases[i].offset, cases[i].n_bytes);
    }
}

static void a_missing_page_ends_it(void **state)
{
    const struct fixture *fixture = *state;
    size_t end = N_PAGES * fixture->page_bytes;
    assert_int_equal(read_at(fixture, end - 10, 100), 10);
    assert_read(fixture, end - 10, 10);
    assert_int_equal(read_at(fixture, 7, end), end - 7);
    assert_read(fixture, 7, end - 7);
    assert_int_equal(read_at(fixture, end, 8), -EFAULT);
}

static void addresses_that_cannot_be_are_refused(void **state)
{
    const struct fixture *fixture = *state;
    uint8_t byte[8];
    const uint64_t addresses[] = {
        0, 8, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63, UINT64_C(0xffffffff81000000)};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        assert_int_equal(
            target_memory_read(fixture->child, fixture->pidfd, addresses[i], byte, sizeof(byte)),
            -EFAULT);
    }
    assert_int_equal(target_memory_read(fixture->child, -1, 8, byte, SIZE_MAX), -EFAULT);
}

static void who_is_gone_has_no_memory(void **state)
{
    struct fixture *fixture = *state;
    kill(fixture->child, SIGKILL);
    waitpid(fixture->child, NULL, 0);
    assert_int_equal(read_at(fixture, 0, 8), -ESRCH);
    fixture->child = 0;
    /* The number belongs to somebody else by now (to us), the pidfd tells. */
    uint8_t byte[8];
    assert_int_equal(
        target_memory_read(getpid(), fixture->pidfd, (uintptr_t)fixture->pages, byte, sizeof(byte)),
        -ESRCH);
    assert_int_equal(
        target_memory_read(getpid(), -1, (uintptr_t)fixture->pages, byte, sizeof(byte)), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_page_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_that_cannot_be_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_gone_has_no_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
