/* SPDX-License-Identifier: MIT */
/* Each allocation of an export fails once: it says so, and leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>

#include "interchange/export_test.h"

#define ALLOCATIONS_MAX 2000
#define NEVER (-1)

static long n_left = NEVER; /* until one fails */

static bool is_failing(void)
{
    return n_left >= 0 && n_left-- == 0;
}

/* The names are the linker's (--wrap). NOLINTBEGIN(readability-identifier-naming) */
void *__real_malloc(size_t n_bytes);
void *__real_calloc(size_t count, size_t n_bytes);
void *__real_realloc(void *memory, size_t n_bytes);
void *__real_reallocarray(void *memory, size_t count, size_t n_bytes);
void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t count, size_t n_bytes);
void *__wrap_realloc(void *memory, size_t n_bytes);
void *__wrap_reallocarray(void *memory, size_t count, size_t n_bytes);

void *__wrap_malloc(size_t n_bytes)
{
    return is_failing() ? NULL : __real_malloc(n_bytes);
}

void *__wrap_calloc(size_t count, size_t n_bytes)
{
    return is_failing() ? NULL : __real_calloc(count, n_bytes);
}

void *__wrap_realloc(void *memory, size_t n_bytes)
{
    return is_failing() ? NULL : __real_realloc(memory, n_bytes);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t n_bytes)
{
    return is_failing() ? NULL : __real_reallocarray(memory, count, n_bytes);
}

/* NOLINTEND(readability-identifier-naming) */

/* How many there were that a file does without: what it remembers for the next one. */
static size_t fail_each(struct scene *scene, enum export_format format, int fd)
{
    size_t n_needless = 0;
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        scene_ask_anew(scene);
        n_left = n;
        int r = export_to(scene, format, fd, NULL);
        bool has_failed = n_left < 0;
        n_left = NEVER;
        if (!has_failed) {
            assert_int_equal(r, 0);
            assert_true(n > 10);
            return n_needless;
        }
        assert_true(r == 0 || r == -ENOMEM);
        n_needless += r == 0;
    }
    fail_msg("more than %d allocations", ALLOCATIONS_MAX);
    return 0;
}

static void no_allocation_fails_unnoticed(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct scene scene;
    export_scene_random(&scene, 3000);
    /* What the run remembers is there before. */
    assert_int_equal(export_to(&scene, EXPORT_FORMAT_HTML, fd, NULL), 0);
    for (size_t i = 0; i < EXPORT_FORMAT_N; i++) {
        assert_int_equal(fail_each(&scene, (enum export_format)i, fd), 0);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_allocation_fails_unnoticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
