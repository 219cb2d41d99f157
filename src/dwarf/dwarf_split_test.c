/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dwarf/dwarf_file.h"
#include "dwarf/dwarf_split.h"

static char folder[] = "/tmp/stax-split-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int run(const char *what)
{
    char command[512];
    snprintf(command, sizeof(command), "cd %s && %s", folder, what);
    return system(command);
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

/* A program whose only unit is in split.dwo. */
static struct dwarf_file *open_program(char path[64])
{
    if (run("command -v gcc >/dev/null") != 0 ||
        run("rm -f *.dwo && echo 'int main(void) { return 3; }' > split.c && "
            "gcc -g -gsplit-dwarf -c split.c -o split.o && gcc split.o -o prog && "
            "test -f split.dwo") != 0) {
        print_message("gcc is not installed, or does not split\n");
        skip();
    }
    snprintf(path, 64, "%s/prog", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct dwarf_file *file = NULL;
    assert_int_equal(dwarf_file_open(fd, -1, path, NULL, 0, &file), 0);
    return file;
}

static const struct dwarf_unit *find_skeleton(const struct dwarf_file *file)
{
    for (size_t i = 0; i < file->units.n_units; i++) {
        if (file->units.units[i].has_dwo_id) {
            return &file->units.units[i];
        }
    }
    fail_msg("there is no skeleton");
    return NULL;
}

static void test_deadline_and_budget(void **state)
{
    (void)state;
    char path[64];
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = open_program(path);
    struct dwarf_budget budget = {.max_bytes = UINT64_C(1) << 30};
    dwarf_sections_set_budget(file->sources.sections, &budget);
    dwarf_file_set_deadline(file, clock_now_ns() + NS_PER_S);
    _cleanup_(dwarf_split_releasep) struct dwarf_split split = {0};
    assert_int_equal(
        dwarf_split_open(file->sources.sections, find_skeleton(file), path, NULL, &split), 0);
    assert_ptr_not_equal(split.sections, file->sources.sections);
    assert_false(dwarf_sections_is_cancelled(split.sections));
    uint64_t n_bytes = budget.n_bytes;
    struct bytes bytes;
    assert_int_equal(dwarf_sections_whole(split.sections, DWARF_INFO, &bytes), 0);
    assert_true(budget.n_bytes > n_bytes);
    usleep(1000 * 1000);
    assert_true(dwarf_sections_is_cancelled(split.sections));
}

/* What lies at a path of somebody else's choice is looked at before it is opened. */
static void test_what_is_no_regular_file(void **state)
{
    (void)state;
    char path[64];
    char name[64];
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = open_program(path);
    snprintf(name, sizeof(name), "%s/split.dwo", folder);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(mkfifo(name, 0600), 0);
    _cleanup_(fd_closep) int watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch_fd, name, IN_OPEN) >= 0);
    struct dwarf_split split;
    assert_int_equal(
        dwarf_split_open(file->sources.sections, find_skeleton(file), path, NULL, &split), -ENOENT);
    char event[512];
    assert_int_equal(read(watch_fd, event, sizeof(event)), -1);
    assert_int_equal(errno, EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline_and_budget),
        cmocka_unit_test(test_what_is_no_regular_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
